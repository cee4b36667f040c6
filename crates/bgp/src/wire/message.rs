//! The five messages (RFC 4271 §4, RFC 2918), as values.

use std::fmt;
use std::net::Ipv4Addr;

use weft_net::Asn;

use super::capability::Capability;
use super::error::NotificationCode;
use super::family::RawFamily;
use super::update::Update;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The first one of a session.
    Open(Open),
    /// Routes.
    Update(Update),
    /// The last one of a session.
    Notification(Notification),
    /// A sign of life.
    Keepalive,
    /// A wish to get routes again.
    RouteRefresh(RouteRefresh),
}

/// OPEN (RFC 4271 §4.2). The version is 4; another is refused when the message is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// "My Autonomous System", two octets; `AS_TRANS` if the number has more.
    pub my_as: u16,
    /// The proposed hold time, in seconds; 0 for none. 1 and 2 are refused when the message is read.
    pub hold_time_s: u16,
    /// The router's identifier; never 0.0.0.0.
    pub router_id: Ipv4Addr,
    /// What it can, in its order.
    pub capabilities: Vec<Capability>,
}

impl Open {
    /// The AS number: that of the capability, if there is one.
    #[must_use]
    pub fn asn(&self) -> Asn {
        let four = self.capabilities.iter().find_map(|capability| match capability {
            Capability::FourOctetAs(asn) => Some(*asn),
            _ => None,
        });
        four.unwrap_or(Asn::new(self.my_as.into()))
    }
}

/// NOTIFICATION (RFC 4271 §4.5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Notification {
    /// Code and subcode.
    pub code: NotificationCode,
    /// What was wrong, in octets.
    pub data: Box<[u8]>,
}

/// How long a shutdown communication may be, in octets of UTF-8.
const SHUTDOWN_COMMUNICATION_MAX: usize = 255;

impl Notification {
    /// One without data.
    #[must_use]
    pub fn new(code: NotificationCode) -> Self {
        Self::with_data(code, &[])
    }

    /// One with data.
    #[must_use]
    pub fn with_data(code: NotificationCode, data: &[u8]) -> Self {
        Self { code, data: data.into() }
    }

    /// Cease, with a text for whoever operates the neighbour (RFC 9003); what is beyond 255 octets is cut off.
    #[must_use]
    pub fn shutdown(code: NotificationCode, text: &str) -> Self {
        let text = &text[..text.floor_char_boundary(SHUTDOWN_COMMUNICATION_MAX)];
        Self::with_data(code, &[&[text.len() as u8], text.as_bytes()].concat())
    }

    /// The text of an administrative shutdown or reset, if there is one in good form (RFC 9003).
    #[must_use]
    pub fn shutdown_communication(&self) -> Option<&str> {
        let has_one = [NotificationCode::ADMINISTRATIVE_SHUTDOWN, NotificationCode::ADMINISTRATIVE_RESET];
        let (length, text) = self.data.split_first()?;
        let is_one = has_one.contains(&self.code) && usize::from(*length) == text.len() && !text.is_empty();
        if is_one { std::str::from_utf8(text).ok() } else { None }
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.code, f)?;
        if let Some(text) = self.shutdown_communication() {
            return write!(f, ": {text:?}");
        }
        for (index, octet) in self.data.iter().enumerate() {
            write!(f, "{}{octet:02x}", if index == 0 { ": " } else { " " })?;
        }
        Ok(())
    }
}

/// ROUTE-REFRESH (RFC 2918 §3, RFC 7313 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteRefresh {
    /// The family that is asked for.
    pub family: RawFamily,
    /// What it says.
    pub subtype: RefreshSubtype,
}

/// What a ROUTE-REFRESH says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefreshSubtype {
    /// 0: send all routes again.
    Request,
    /// 1: all routes follow.
    Begin,
    /// 2: all routes have been sent.
    End,
    /// Any other: ignored (RFC 7313 §5).
    Unknown(u8),
}
