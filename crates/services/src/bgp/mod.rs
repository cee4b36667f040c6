//! BGP speakers and peers, in the words of Neutron's bgp and bgp_4byte_asn extensions, and what operators need of a session besides.
//!
//! Files: `peer.rs` (to whom is spoken), `speaker.rs` (who speaks, to which peers, for which networks).

mod peer;
mod speaker;

pub use peer::{AuthType, BgpPeer, BgpPeers, Family};
pub(crate) use speaker::forget_network;
pub use speaker::{AdvertisedRoute, BgpSpeaker, BgpSpeakers};

/// Neutron's extensions of BGP of which everything works.
pub(crate) const EXTENSIONS: &[crate::catalogue::Extension] =
    &[("bgp", "Neutron BGP Dynamic Routing Extension"), ("bgp_4byte_asn", "BGP 4-byte AS numbers")];
