//! Routes into as few UPDATEs as hold them.

use super::attributes::Attributes;
use super::codec::Codec;
use super::family::Family;
use super::nlri::Route;

/// The messages, each of a length that `codec` allows, that announce `routes` of `family` with `attributes`.
///
/// IPv4 unicast routes with an IPv4 next hop stand outside attributes, all others in MP_REACH_NLRI.
#[must_use]
pub fn pack_announcements(
    _family: Family,
    _attributes: &Attributes,
    _routes: &[Route],
    _codec: &Codec,
) -> Vec<Vec<u8>> {
    Vec::new()
}

/// The messages, each of a length that `codec` allows, that withdraw `routes` of `family`.
#[must_use]
pub fn pack_withdrawals(_family: Family, _routes: &[Route], _codec: &Codec) -> Vec<Vec<u8>> {
    Vec::new()
}
