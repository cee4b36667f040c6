//! Capabilities (RFC 5492): what a speaker announces in its OPEN that it can.

use weft_net::Asn;

use super::bytes::{Reader, put_u16, put_u24, put_u32, put_with_length_u8};

use super::family::RawFamily;

/// One capability.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// 1: routes of a family (RFC 4760 §8).
    Multiprotocol(RawFamily),
    /// 2: ROUTE-REFRESH (RFC 2918).
    RouteRefresh,
    /// 5: families whose next hop may be of the family with this AFI (RFC 8950 §4).
    ExtendedNextHop(Vec<(RawFamily, u16)>),
    /// 6: messages of up to 65,535 octets (RFC 8654).
    ExtendedMessage,
    /// 64: routes survive a restart (RFC 4724).
    GracefulRestart(GracefulRestart),
    /// 65: four-octet AS numbers, and the own one (RFC 6793).
    FourOctetAs(Asn),
    /// 69: several paths to one destination (RFC 7911).
    AddPath(Vec<(RawFamily, AddPathMode)>),
    /// 70: ROUTE-REFRESH with begin and end (RFC 7313).
    EnhancedRouteRefresh,
    /// 71: stale routes are kept for long (RFC 9494).
    LongLivedGracefulRestart(Vec<LongLivedFamily>),
    /// Any other, or one whose value is not as prescribed, kept as it came.
    Unknown {
        /// The capability's number.
        code: u8,
        /// Its octets, 255 at most.
        value: Box<[u8]>,
    },
}

/// Graceful restart (RFC 4724 §3, RFC 8538).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GracefulRestart {
    /// The speaker has just restarted.
    pub is_restarting: bool,
    /// Also after a NOTIFICATION (RFC 8538).
    pub with_notification: bool,
    /// How long a restart takes at most, in seconds: 0 to 4095.
    pub restart_time_s: u16,
    /// The families whose routes survive.
    pub families: Vec<GracefulRestartFamily>,
}

/// A family that survives a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GracefulRestartFamily {
    /// The family.
    pub family: RawFamily,
    /// Its packets were forwarded during the last restart.
    pub forwarding_kept: bool,
}

/// A family whose stale routes are kept for long (RFC 9494 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LongLivedFamily {
    /// The family.
    pub family: RawFamily,
    /// Its packets were forwarded during the last restart.
    pub forwarding_kept: bool,
    /// How long they are kept, in seconds: 24 bits.
    pub stale_time_s: u32,
}

/// Which way several paths go (RFC 7911 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddPathMode {
    /// Can receive them.
    Receive,
    /// Can send them.
    Send,
    /// Can do both.
    Both,
}

const MULTIPROTOCOL: u8 = 1;
const ROUTE_REFRESH: u8 = 2;
const EXTENDED_NEXT_HOP: u8 = 5;
const EXTENDED_MESSAGE: u8 = 6;
const GRACEFUL_RESTART: u8 = 64;
const FOUR_OCTET_AS: u8 = 65;
const ADD_PATH: u8 = 69;
const ENHANCED_ROUTE_REFRESH: u8 = 70;
const LONG_LIVED: u8 = 71;

/// The flag of a family whose packets were forwarded during a restart.
const FORWARDING_KEPT: u8 = 0x80;
/// The flags above the restart time, and its bits.
const RESTARTING: u16 = 0x8000;
const WITH_NOTIFICATION: u16 = 0x4000;
const RESTART_TIME: u16 = 0x0fff;

impl Capability {
    /// Its number.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Multiprotocol(_) => MULTIPROTOCOL,
            Self::RouteRefresh => ROUTE_REFRESH,
            Self::ExtendedNextHop(_) => EXTENDED_NEXT_HOP,
            Self::ExtendedMessage => EXTENDED_MESSAGE,
            Self::GracefulRestart(_) => GRACEFUL_RESTART,
            Self::FourOctetAs(_) => FOUR_OCTET_AS,
            Self::AddPath(_) => ADD_PATH,
            Self::EnhancedRouteRefresh => ENHANCED_ROUTE_REFRESH,
            Self::LongLivedGracefulRestart(_) => LONG_LIVED,
            Self::Unknown { code, .. } => *code,
        }
    }

    /// Reads one: number, length and value. `None` if there is not that much.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (code, length) = (reader.u8()?, reader.u8()?);
        let value = reader.part(length.into())?;
        Some(
            Self::read_value(code, value)
                .unwrap_or_else(|| Self::Unknown { code, value: value.rest().into() }),
        )
    }

    fn read_value(code: u8, value: Reader<'_>) -> Option<Self> {
        let mut reader = value;
        let this = match code {
            MULTIPROTOCOL => {
                let [high, low, _, safi] = reader.array()?;
                Self::Multiprotocol(RawFamily { afi: u16::from_be_bytes([high, low]), safi })
            }
            ROUTE_REFRESH => Self::RouteRefresh,
            EXTENDED_NEXT_HOP => Self::ExtendedNextHop(list(&mut reader, |[a, b, _, safi, c, d]| {
                Some((RawFamily { afi: u16::from_be_bytes([a, b]), safi }, u16::from_be_bytes([c, d])))
            })?),
            EXTENDED_MESSAGE => Self::ExtendedMessage,
            GRACEFUL_RESTART => Self::GracefulRestart(GracefulRestart::read(&mut reader)?),
            FOUR_OCTET_AS => Self::FourOctetAs(reader.u32()?.into()),
            ADD_PATH => Self::AddPath(list(&mut reader, |[high, low, safi, mode]| {
                let family = RawFamily { afi: u16::from_be_bytes([high, low]), safi };
                Some((family, AddPathMode::from_number(mode)?))
            })?),
            ENHANCED_ROUTE_REFRESH => Self::EnhancedRouteRefresh,
            LONG_LIVED => {
                Self::LongLivedGracefulRestart(list(&mut reader, |[high, low, safi, flags, a, b, c]| {
                    Some(LongLivedFamily {
                        family: RawFamily { afi: u16::from_be_bytes([high, low]), safi },
                        forwarding_kept: flags & FORWARDING_KEPT != 0,
                        stale_time_s: u32::from_be_bytes([0, a, b, c]),
                    })
                })?)
            }
            _ => return None,
        };
        reader.is_empty().then_some(this)
    }

    /// Writes it: number, length and value.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.code());
        put_with_length_u8(out, |out| match self {
            Self::Multiprotocol(RawFamily { afi, safi }) => {
                put_u16(out, *afi);
                out.extend([0, *safi]);
            }
            Self::RouteRefresh | Self::ExtendedMessage | Self::EnhancedRouteRefresh => {}
            Self::ExtendedNextHop(families) => families.iter().for_each(|(family, next_hop_afi)| {
                put_u16(out, family.afi);
                out.extend([0, family.safi]);
                put_u16(out, *next_hop_afi);
            }),
            Self::GracefulRestart(restart) => restart.write(out),
            Self::FourOctetAs(asn) => put_u32(out, asn.get()),
            Self::AddPath(families) => families.iter().for_each(|(family, mode)| {
                put_u16(out, family.afi);
                out.extend([family.safi, mode.number()]);
            }),
            Self::LongLivedGracefulRestart(families) => families.iter().for_each(|family| {
                put_u16(out, family.family.afi);
                out.extend([family.family.safi, kept(family.forwarding_kept)]);
                put_u24(out, family.stale_time_s);
            }),
            Self::Unknown { value, .. } => out.extend_from_slice(value),
        });
    }
}

impl GracefulRestart {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let head = reader.u16()?;
        let families = list(reader, |[high, low, safi, flags]| {
            let family = RawFamily { afi: u16::from_be_bytes([high, low]), safi };
            Some(GracefulRestartFamily { family, forwarding_kept: flags & FORWARDING_KEPT != 0 })
        })?;
        Some(Self {
            is_restarting: head & RESTARTING != 0,
            with_notification: head & WITH_NOTIFICATION != 0,
            restart_time_s: head & RESTART_TIME,
            families,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let flags = flag(self.is_restarting, RESTARTING) | flag(self.with_notification, WITH_NOTIFICATION);
        put_u16(out, flags | self.restart_time_s.min(RESTART_TIME));
        for GracefulRestartFamily { family, forwarding_kept } in &self.families {
            put_u16(out, family.afi);
            out.extend([family.safi, kept(*forwarding_kept)]);
        }
    }
}

impl AddPathMode {
    const fn number(self) -> u8 {
        match self {
            Self::Receive => 1,
            Self::Send => 2,
            Self::Both => 3,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Receive),
            2 => Some(Self::Send),
            3 => Some(Self::Both),
            _ => None,
        }
    }
}

const fn kept(forwarding_kept: bool) -> u8 {
    if forwarding_kept { FORWARDING_KEPT } else { 0 }
}

/// Items of `N` octets until nothing is left; those that say nothing are left out (RFC 7911 §4). `None` if they do not fill the value.
fn list<const N: usize, T>(reader: &mut Reader<'_>, item: impl Fn([u8; N]) -> Option<T>) -> Option<Vec<T>> {
    let (items, rest) = reader.slice(reader.len())?.as_chunks();
    rest.is_empty().then(|| items.iter().filter_map(|octets| item(*octets)).collect())
}
