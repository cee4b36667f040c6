//! UPDATE as a value (RFC 4271 §4.3).

use super::attribute::Attribute;
use super::attributes::Attributes;
use super::codec::Codec;
use super::family::Family;
use super::nlri::Route;

/// What an UPDATE says, with its attributes as they came.
///
/// `withdrawn` and `announced` are the IPv4 unicast routes outside attributes; those of other families are in MP_UNREACH_NLRI and
/// MP_REACH_NLRI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Withdrawn Routes.
    pub withdrawn: Vec<Route>,
    /// Path Attributes, in their order.
    pub attributes: Vec<Attribute>,
    /// Network Layer Reachability Information.
    pub announced: Vec<Route>,
}

impl Update {
    /// The marker that all routes of `family` have been sent (RFC 4724 §2).
    #[must_use]
    pub fn end_of_rib(_family: Family) -> Self {
        Self::default()
    }

    /// The family whose routes have all been sent, if it is that marker.
    #[must_use]
    pub fn is_end_of_rib(&self) -> Option<Family> {
        None
    }

    /// All withdrawn routes; those of one list are of one family.
    pub fn withdrawals(&self) -> impl Iterator<Item = &[Route]> {
        std::iter::once(&self.withdrawn[..])
    }

    /// All announced routes with their attributes; those of one list are of one family. At most two lists: the routes outside attributes
    /// and those in MP_REACH_NLRI have next hops of their own.
    #[must_use]
    pub fn announcements(&self, _codec: &Codec) -> Vec<(Attributes, &[Route])> {
        Vec::new()
    }
}
