//! What must hold at every step, and what must hold when faults are over.

use std::collections::BTreeMap;

use weft_dataplane::{HostIntent, LinkKind, Object, State};
use weft_net::{IfName, Vni};
use weft_services::{Model, compile};

use crate::host::Host;

/// Two hosts that have a VNI have it in the same network: what is sent under one VNI reaches one tenant.
pub(crate) fn no_vni_joins_two_networks(hosts: &[Host]) -> Result<(), String> {
    let mut networks: BTreeMap<Vni, (IfName, &Host)> = BTreeMap::new();
    for host in hosts {
        for (vni, bridge) in bridged_vnis(host.kernel().state()) {
            match networks.get(&vni) {
                Some((other, first)) if *other != bridge => {
                    return Err(format!(
                        "VNI {vni} is in {other} on {} and in {bridge} on {}",
                        first.name, host.name
                    ));
                }
                _ => drop(networks.insert(vni, (bridge, host))),
            }
        }
    }
    Ok(())
}

fn bridged_vnis(state: &State) -> Vec<(Vni, IfName)> {
    let vni = |id: &weft_dataplane::LinkId| match state.get(&weft_dataplane::Key::Link(id.clone())) {
        Some(Object::Link(link)) => match link.kind {
            LinkKind::Vxlan { vni, .. } => Some(vni),
            _ => None,
        },
        _ => None,
    };
    let ports = state.iter().filter_map(|(_, object)| match object {
        Object::BridgePort(port) => Some((vni(&port.link)?, port.bridge)),
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
    let have = host.kernel().state();
    if have == intent.want() {
        return Ok(());
    }
    let plan = weft_dataplane::diff(have, intent.want());
    Err(format!("{} is not as the model says; what is left to do:\n{plan}", host.name))
}
