//! What is wrong with a message, and what follows from it (RFC 4271 §6, RFC 7606).

use std::fmt;

use super::family::RawFamily;

/// Why a session ends: code and subcode of a NOTIFICATION.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotificationCode {
    /// The error code.
    pub code: u8,
    /// The error subcode; 0 is unspecific.
    pub subcode: u8,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $subcode:literal, $text:literal;)*) => {
        impl NotificationCode {
            $(#[doc = $text] pub const $name: Self = Self { code: $code, subcode: $subcode };)*

            /// What the two numbers mean, if anybody has said.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match (self.code, self.subcode) {
                    $(($code, $subcode) => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    HEADER_NOT_SYNCHRONIZED = 1, 1, "connection not synchronized";
    BAD_MESSAGE_LENGTH = 1, 2, "bad message length";
    BAD_MESSAGE_TYPE = 1, 3, "bad message type";
    OPEN_UNSPECIFIC = 2, 0, "malformed OPEN";
    UNSUPPORTED_VERSION = 2, 1, "unsupported version number";
    BAD_PEER_AS = 2, 2, "bad peer AS";
    BAD_BGP_IDENTIFIER = 2, 3, "bad BGP identifier";
    UNSUPPORTED_OPTIONAL_PARAMETER = 2, 4, "unsupported optional parameter";
    UNACCEPTABLE_HOLD_TIME = 2, 6, "unacceptable hold time";
    UNSUPPORTED_CAPABILITY = 2, 7, "unsupported capability";
    ROLE_MISMATCH = 2, 11, "role mismatch";
    MALFORMED_ATTRIBUTE_LIST = 3, 1, "malformed attribute list";
    UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE = 3, 2, "unrecognized well-known attribute";
    MISSING_WELL_KNOWN_ATTRIBUTE = 3, 3, "missing well-known attribute";
    ATTRIBUTE_FLAGS_ERROR = 3, 4, "attribute flags error";
    ATTRIBUTE_LENGTH_ERROR = 3, 5, "attribute length error";
    INVALID_ORIGIN = 3, 6, "invalid ORIGIN attribute";
    INVALID_NEXT_HOP = 3, 8, "invalid NEXT_HOP attribute";
    OPTIONAL_ATTRIBUTE_ERROR = 3, 9, "optional attribute error";
    INVALID_NETWORK_FIELD = 3, 10, "invalid network field";
    MALFORMED_AS_PATH = 3, 11, "malformed AS_PATH";
    HOLD_TIMER_EXPIRED = 4, 0, "hold timer expired";
    FSM_UNSPECIFIC = 5, 0, "unexpected message";
    FSM_OPEN_SENT = 5, 1, "unexpected message in OpenSent";
    FSM_OPEN_CONFIRM = 5, 2, "unexpected message in OpenConfirm";
    FSM_ESTABLISHED = 5, 3, "unexpected message in Established";
    CEASE_UNSPECIFIC = 6, 0, "cease";
    MAXIMUM_PREFIXES = 6, 1, "maximum number of prefixes reached";
    ADMINISTRATIVE_SHUTDOWN = 6, 2, "administrative shutdown";
    PEER_DECONFIGURED = 6, 3, "peer de-configured";
    ADMINISTRATIVE_RESET = 6, 4, "administrative reset";
    CONNECTION_REJECTED = 6, 5, "connection rejected";
    CONFIGURATION_CHANGE = 6, 6, "other configuration change";
    COLLISION_RESOLUTION = 6, 7, "connection collision resolution";
    OUT_OF_RESOURCES = 6, 8, "out of resources";
    HARD_RESET = 6, 9, "hard reset";
    BFD_DOWN = 6, 10, "BFD down";
    BAD_REFRESH_LENGTH = 7, 1, "invalid ROUTE-REFRESH length";
    SEND_HOLD_TIMER_EXPIRED = 8, 0, "send hold timer expired";
}

impl fmt::Display for NotificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, subcode } = self;
        write!(f, "{code}/{subcode} {}", self.name().unwrap_or("not known"))
    }
}

/// Something wrong in an UPDATE that does not end the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The type of the attribute that it is in; none if it is not in one.
    pub attribute: Option<u8>,
    /// The rule that was broken.
    pub rule: Rule,
    /// What has followed, or must.
    pub consequence: Consequence,
}

/// What follows from a fault (RFC 7606 §2), from mild to severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Consequence {
    /// The attribute is no longer in the update that was given back.
    AttributeDiscard,
    /// All routes are withdrawn in the update that was given back.
    TreatAsWithdraw,
    /// All routes of this family from this neighbour must go, and later ones be ignored until the session ends (RFC 4760 §7).
    DisableFamily(RawFamily),
}

macro_rules! rules {
    ($($name:ident = $text:literal;)*) => {
        /// A rule that an UPDATE can break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $text] $name,)*
        }

        impl fmt::Display for Rule {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }
    };
}

rules! {
    Flags = "the Optional and Transitive flags are those of the attribute's type (RFC 7606 §3.c)";
    Duplicate = "an attribute is given once (RFC 7606 §3.g)";
    Missing = "a route comes with ORIGIN, AS_PATH and a next hop (RFC 7606 §3.d)";
    Overrun = "an attribute ends before the attributes do (RFC 7606 §4)";
    Length = "an attribute has the length that its type prescribes (RFC 7606 §4, §7)";
    Value = "an attribute has a value that its type defines (RFC 7606 §7)";
    ExternalPeer = "an external neighbour does not send this attribute (RFC 7606 §7.5, §7.9, §7.10)";
    FourOctetPeer = "who speaks four-octet AS numbers does not send this attribute (RFC 6793 §6)";
    Nlri = "routes fill their field and prefixes fit their family (RFC 7606 §5.3)";
    NextHop = "the next hop has a length that the family allows (RFC 7606 §7.11)";
    NotNegotiated = "routes are of a family that both have announced (RFC 4760 §6)";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attribute {
            Some(attribute) => write!(f, "attribute {attribute}: {}", self.rule),
            None => fmt::Display::fmt(&self.rule, f),
        }
    }
}
