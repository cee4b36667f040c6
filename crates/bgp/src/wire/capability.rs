//! Capabilities (RFC 5492): what a speaker announces in its OPEN that it can.

use weft_net::Asn;

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
