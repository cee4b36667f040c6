//! The route targets that a router's `evpn_vni` gives it: `AS:VNI` with the autonomous system of each BGP speaker (RFC 8365 §5.1.2.1),
//! in the form that FRR takes for its own unless it is told otherwise. So whoever has the VNI and the system has the router's routes.
//!
//! Of a system with four octets, beside which a VNI has no room, it is the lower two that count, as with FRR.

use std::collections::BTreeSet;

use weft_net::{AdministeredNumber, Asn, RouteTarget};

use crate::{Id, Model, Row};

/// The targets that a router has by its VNI: one for each system that somebody speaks for.
pub(super) fn targets(model: &Model, router: Id) -> BTreeSet<RouteTarget> {
    let vni = model.routers.get(&router).and_then(|router| router.evpn_vni);
    let systems = model.bgp_speakers.values().map(|speaker| lower(speaker.local_as));
    let of = |vni: weft_net::Vni| {
        systems.map(move |system| AdministeredNumber::TwoOctetAs(system, vni.get()).into()).collect()
    };
    vni.map(of).unwrap_or_default()
}

/// The routers that have such targets as soon as somebody speaks.
pub(super) fn routers(model: &Model) -> impl Iterator<Item = Id> + use<'_> {
    model.routers.values().filter(|router| router.evpn_vni.is_some()).map(|router| router.standard.id)
}

/// Whether a speaker is there before and after, and speaks for the same system.
pub(super) fn is_same_system(rows: [Option<&Row>; 2]) -> bool {
    matches!(rows, [Some(Row::BgpSpeaker(before)), Some(Row::BgpSpeaker(after))] if before.local_as == after.local_as)
}

fn lower(system: Asn) -> u16 {
    let [_, _, high, low] = system.get().to_be_bytes();
    u16::from_be_bytes([high, low])
}
