//! UPDATE as a value (RFC 4271 §4.3).

use super::attribute::{Attribute, AttributeValue, MpReach, MpUnreach};
use super::attributes::Attributes;
use super::family::Family;
use super::next_hop::NextHop;
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
    pub fn end_of_rib(family: Family) -> Self {
        match family {
            Family::Ipv4Unicast => Self::default(),
            _ => Self::unreach(family, Vec::new()),
        }
    }

    fn unreach(family: Family, routes: Vec<Route>) -> Self {
        let attribute = Attribute::new(AttributeValue::MpUnreach(MpUnreach { family, routes }));
        Self { attributes: vec![attribute], ..Self::default() }
    }

    /// The family whose routes have all been sent, if it is that marker.
    #[must_use]
    pub fn is_end_of_rib(&self) -> Option<Family> {
        if !self.withdrawn.is_empty() || !self.announced.is_empty() {
            return None;
        }
        match &self.attributes[..] {
            [] => Some(Family::Ipv4Unicast),
            [Attribute { value: AttributeValue::MpUnreach(MpUnreach { family, routes }), .. }]
                if routes.is_empty() =>
            {
                Some(*family)
            }
            _ => None,
        }
    }

    /// All withdrawn routes: lists that are not empty, each of one family.
    pub fn withdrawals(&self) -> impl Iterator<Item = &[Route]> {
        let in_attributes = self.attributes.iter().filter_map(|attribute| match &attribute.value {
            AttributeValue::MpUnreach(unreach) => Some(&unreach.routes[..]),
            _ => None,
        });
        std::iter::once(&self.withdrawn[..]).chain(in_attributes).filter(|routes| !routes.is_empty())
    }

    /// All announced routes with their attributes: lists that are not empty, each of one family. At most two: the routes outside attributes
    /// and those in MP_REACH_NLRI have next hops of their own.
    #[must_use]
    pub fn announcements(&self) -> Vec<(Attributes, &[Route])> {
        let lists = self.attributes.iter().filter_map(|attribute| match &attribute.value {
            AttributeValue::NextHop(next_hop) => Some((NextHop::Ipv4(*next_hop), &self.announced[..])),
            AttributeValue::MpReach(reach) => Some((reach.next_hop, &reach.routes[..])),
            _ => None,
        });
        lists
            .filter(|(_, routes)| !routes.is_empty())
            .map(|(next_hop, routes)| (Attributes::from_wire(&self.attributes, next_hop), routes))
            .collect()
    }

    /// Makes all announced routes withdrawn ones, and drops what was said of them (RFC 7606 §2).
    pub(super) fn treat_as_withdraw(&mut self) {
        self.withdrawn.append(&mut self.announced);
        let attributes = std::mem::take(&mut self.attributes);
        self.attributes.extend(attributes.into_iter().filter_map(|attribute| match attribute.value {
            AttributeValue::MpReach(MpReach { family, routes, .. }) => {
                Some(Attribute::new(AttributeValue::MpUnreach(MpUnreach { family, routes })))
            }
            AttributeValue::MpUnreach(_) => Some(attribute),
            _ => None,
        }));
    }
}
