//! BGP speakers and peers, in the words of Neutron's bgp and bgp_4byte_asn extensions, and what operators need of a session besides.
//!
//! Files: `peer.rs` (to whom is spoken), `peer_spec.rs` (what can be asked for of that), `family.rs` (about what), `policy.rs` (what of it), `speaker.rs` (who speaks,
//! to which peers).

mod family;
mod peer;
mod peer_spec;
mod policy;
mod speaker;

pub use family::Family;
pub use peer::{AuthType, BgpPeer, BgpPeers, PeerPlace};
pub use policy::{Community, PolicyRule, Verdict};
pub use speaker::{AdvertisedRoute, BgpSpeaker, BgpSpeakers};

/// Neutron's extensions of BGP. Of the first there is nothing of what hangs on external networks: it is refused.
pub(crate) const EXTENSIONS: &[crate::catalogue::Extension] =
    &[("bgp", "Neutron BGP Dynamic Routing Extension"), ("bgp_4byte_asn", "BGP 4-byte AS numbers")];
