//! Route targets: those that are chosen where a policy is asked for without naming any.

use std::collections::BTreeSet;

use weft_net::{AdministeredNumber, RouteTarget};

use crate::{Change, Id, Model};

/// The autonomous system whose numbers are chosen: the first that is for private use (RFC 6996).
const ADMINISTRATOR: u16 = 64_512;

/// The lowest number that is chosen: those below are for people to write, and for VNIs, of which routers have targets.
const NUMBER_MIN: u32 = 1 << 24;

/// A route target that no BGP VPN names. It is drawn from four billion, so that one that was just given up is not soon another's.
pub(super) fn choose(change: &mut Change) -> RouteTarget {
    loop {
        let [a, b, c, d, ..] = change.random_bits().to_be_bytes();
        let number = u32::from_be_bytes([a, b, c, d]).max(NUMBER_MIN);
        let target = RouteTarget::from(AdministeredNumber::TwoOctetAs(ADMINISTRATOR, number));
        let mut named = change.model().index.route_targets.range((target, Id::MIN)..=(target, Id::MAX));
        if named.next().is_none() {
            return target;
        }
    }
}

/// Notes which targets a BGP VPN names, in the place of those that it named.
pub(super) fn index(model: &mut Model, id: Id, before: BTreeSet<RouteTarget>, after: BTreeSet<RouteTarget>) {
    let index = &mut model.index.route_targets;
    for gone in before.difference(&after) {
        index.remove(&(*gone, id));
    }
    for new in after.difference(&before) {
        index.insert((*new, id));
    }
}
