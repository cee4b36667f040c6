//! The entries of a link: addresses, neighbours, what its forwarding tables have.

use std::net::{IpAddr, Ipv4Addr};

use weft_dataplane::{BridgeFdb, Flood, Key, Namespace, Neighbour, Object, VxlanFdb};
use weft_net::Mac;

use super::View;
use crate::mirror::table::{Entry, Table, of_link};
use crate::parse::{Family, RawKind};
use crate::vrf::ingress_table;

/// The entries of a link of which its settings say whether they count.
pub(super) fn settled_by_link(table: &Table, link: u32) -> Vec<Entry> {
    of_link(&table.proxies, link).map(|((_, address), ())| Entry::Proxy(link, *address)).collect()
}

/// All entries of a link, ours or not.
pub(super) fn entries(table: &Table, link: u32) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    found.extend(of_link(&table.addresses, link).map(|((_, address), _)| Entry::Address(link, *address)));
    found.extend(of_link(&table.neighbours, link).map(|((_, address), _)| Entry::Neighbour(link, *address)));
    found.extend(of_link(&table.bridge_fdb, link).map(|((_, mac), _)| Entry::BridgeFdb(link, *mac)));
    let fdb = table.vxlan_fdb.range((link, Mac::ZERO, IpAddr::V4(Ipv4Addr::UNSPECIFIED))..);
    let fdb = fdb.map(|(key, _)| key).take_while(|(other, ..)| *other == link);
    found.extend(fdb.map(|(_, mac, destination)| Entry::VxlanFdb(link, *mac, *destination)));
    found.extend(settled_by_link(table, link));
    found
}

/// The object that an entry of a link is, if it is there and ours.
pub(super) fn entry_object(table: &Table, view: &View, entry: &Entry) -> Option<Object> {
    let link = || view.id.clone();
    match *entry {
        Entry::Address(index, address) => {
            let ours = table.addresses.get(&(index, address)) == Some(&true);
            (ours && is_delivered(table, view, index, address.addr()))
                .then(|| Object::Address(link(), address))
        }
        Entry::Neighbour(index, address) => {
            let mac = *table.neighbours.get(&(index, address))?;
            Some(Object::Neighbour(Neighbour { link: link(), address, mac }))
        }
        Entry::VxlanFdb(index, Mac::ZERO, destination) => {
            let vni = *table.vxlan_fdb.get(&(index, Mac::ZERO, destination)).filter(|_| view.is_vxlan)?;
            Some(Object::Flood(Flood { link: link(), destination, vni }))
        }
        Entry::VxlanFdb(index, mac, _) => {
            // The kernel has one endpoint for an address of a single station.
            let (destination, vni) = table.of_address(index, mac).next().filter(|_| view.is_vxlan)?;
            Some(Object::VxlanFdb(VxlanFdb { link: link(), mac, destination, vni }))
        }
        Entry::BridgeFdb(index, mac) => {
            let ours =
                (view.is_vxlan || view.is_fed) && view.bridge == Some(*table.bridge_fdb.get(&(index, mac))?);
            ours.then(|| Object::BridgeFdb(BridgeFdb { link: link(), mac }))
        }
        Entry::Proxy(index, address) => {
            let may = address.is_ipv4() || table.links.get(&index)?.proxies[Family::Ipv6 as usize];
            let there = may && table.proxies.contains_key(&(index, address));
            there.then(|| Object::ProxyNeighbour(link(), address))
        }
        Entry::Label(_) | Entry::Delivery(..) => None,
    }
}

/// Whether what is for an address of a link in a VRF device gets to it from everywhere.
fn is_delivered(table: &Table, view: &View, index: u32, address: IpAddr) -> bool {
    let Namespace::Vrf(vrf) = view.id.namespace else { return true };
    let device =
        table.names.get(&vrf).filter(|_| table.has_places).and_then(|device| table.links.get(device));
    match device.map(|device| &device.kind) {
        Some(RawKind::Vrf { table: own }) => {
            table.deliveries.get(&(index, address)) == Some(&ingress_table(*own))
        }
        _ => true,
    }
}

pub(super) fn entry_key(view: &View, entry: &Entry) -> Key {
    let link = view.id.clone();
    match *entry {
        Entry::Address(_, address) => Key::Address(link, address),
        Entry::Neighbour(_, address) => Key::Neighbour(link, address),
        Entry::VxlanFdb(_, Mac::ZERO, destination) => Key::Flood(link, destination),
        Entry::VxlanFdb(_, mac, _) => Key::VxlanFdb(link, mac),
        Entry::BridgeFdb(_, mac) => Key::BridgeFdb(link, mac),
        Entry::Proxy(_, address) => Key::ProxyNeighbour(link, address),
        Entry::Label(label) => Key::Label(label),
        Entry::Delivery(_, address) => Key::Address(link, address.into()),
    }
}
