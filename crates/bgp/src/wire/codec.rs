//! What two speakers agreed on, as far as it changes how messages are read and written.

use super::family::{Family, FamilySet};

/// Whether the neighbour is in another AS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerKind {
    /// Of the same AS.
    Internal,
    /// Of another AS: LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST from it are discarded (RFC 7606 §7).
    External,
}

/// How the messages of one session are read and written. OPEN is the same in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    /// Who is spoken to.
    pub peer: PeerKind,
    /// Both announced four-octet AS numbers (RFC 6793).
    pub four_octet_as: bool,
    /// Both announced extended messages (RFC 8654): 65,535 octets instead of 4,096, except OPEN and KEEPALIVE.
    pub extended_message: bool,
    /// The families that both announced. Routes of others are dropped.
    pub families: FamilySet,
    /// The families whose routes come with path identifiers.
    pub add_path_receive: FamilySet,
    /// The families whose routes go with path identifiers.
    pub add_path_send: FamilySet,
    /// The IPv4 families whose next hop may be an IPv6 address (RFC 8950): for who chooses a next hop to send. One that comes is read anyway.
    pub extended_next_hop: FamilySet,
}

impl Codec {
    /// Before the OPENs are exchanged, and with a neighbour without capabilities: IPv4 unicast, two-octet AS numbers.
    #[must_use]
    pub fn new(peer: PeerKind) -> Self {
        Self {
            peer,
            four_octet_as: false,
            extended_message: false,
            families: FamilySet::from_iter([Family::Ipv4Unicast]),
            add_path_receive: FamilySet::EMPTY,
            add_path_send: FamilySet::EMPTY,
            extended_next_hop: FamilySet::EMPTY,
        }
    }

    /// The longest message, header included, in octets.
    #[must_use]
    pub const fn message_length_max(&self) -> usize {
        if self.extended_message { 65_535 } else { 4096 }
    }
}
