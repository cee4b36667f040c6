//! What must hold at every step, and what must hold when faults are over.

use std::collections::BTreeMap;

use weft_dataplane::{HostIntent, LinkKind, Object, State};
use weft_net::{IfName, Vni};
use weft_services::{Model, compile};

use crate::host::{Host, PHYSICAL};

/// What hosts of one network have in common on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Vni(Vni),
    /// A tag on this link, which leads to the same physical network on every host.
    Vlan(IfName, u16),
}

/// Two hosts that have a segment have it in the same network: what is sent on one segment reaches one tenant.
pub(crate) fn no_segment_joins_two_networks(hosts: &[Host]) -> Result<(), String> {
    let mut networks: BTreeMap<Segment, (IfName, &Host)> = BTreeMap::new();
    for host in hosts {
        for (segment, bridge) in bridged_segments(host.kernel().state()) {
            match networks.get(&segment) {
                Some((other, first)) if *other != bridge => {
                    return Err(format!(
                        "{segment:?} is in {other} on {} and in {bridge} on {}",
                        first.name, host.name
                    ));
                }
                _ => drop(networks.insert(segment, (bridge, host))),
            }
        }
    }
    Ok(())
}

fn bridged_segments(state: &State) -> Vec<(Segment, IfName)> {
    let segment = |id: &weft_dataplane::LinkId| match state.get(&weft_dataplane::Key::Link(id.clone())) {
        Some(Object::Link(link)) => match link.kind {
            LinkKind::Vxlan { vni, .. } => Some(Segment::Vni(vni)),
            LinkKind::Vlan { parent, vlan_id } if parent.as_str() == PHYSICAL => {
                Some(Segment::Vlan(parent, vlan_id))
            }
            _ => None,
        },
        _ => None,
    };
    let ports = state.iter().filter_map(|(_, object)| match object {
        Object::BridgePort(port) => Some((segment(&port.link)?, port.bridge)),
        _ => None,
    });
    ports.collect()
}

/// A host's kernel is exactly what the model asks for.
pub(crate) fn is_as_the_model_says(model: &Model, host: &Host) -> Result<(), String> {
    let mut intent = HostIntent::default();
    for fragment in compile::intent_of(model, &host.name) {
        intent.upsert(fragment);
    }
    let mut have = host.kernel().state().clone();
    let is_stray = |object: &Object| object.is_foreign() && !intent.want().contains(&object.key());
    let strays: Vec<_> =
        have.iter().filter(|(_, object)| is_stray(object)).map(|(key, _)| key.clone()).collect();
    strays.iter().for_each(|key| drop(have.remove(key)));
    if have == *intent.want() {
        return Ok(());
    }
    let plan = weft_dataplane::diff(&have, intent.want());
    Err(format!("{} is not as the model says; what is left to do:\n{plan}", host.name))
}
