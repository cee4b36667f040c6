//! Routes and labels: what they mean hangs on the links, next hops and VRFs that they name.

use ipnet::IpNet;
use weft_dataplane::{INGRESS_TABLE, Key, LabelRoute, LinkId, Namespace, Object, Path, Route, RouteTo};
use weft_net::{IfName, MplsLabel};

use crate::mirror::Mirror;
use crate::mirror::table::Table;
use crate::parse::{RawHop, RawTo};
use crate::vrf::{INGRESS_OFFSET, ingress_table};

/// The routing table `main`.
const MAIN: u32 = 254;

impl Mirror {
    /// Makes the state say what routes are now.
    pub(in crate::mirror) fn refresh_routes(&mut self, namespace: &Namespace, keys: &[(u32, IpNet)]) {
        let Some(table) = self.tables.get(namespace) else { return };
        for (number, destination) in keys {
            let (place, in_place) = place_of(namespace, table, *number);
            let object = table.routes.get(&(*number, *destination)).and_then(|raw| {
                let to = route_to(table, &place, &raw.to)?;
                Some(Route { namespace: place.clone(), table: in_place, destination: *destination, to })
            });
            match object {
                Some(route) => self.state.insert(Object::Route(route)),
                None => self.state.remove(&Key::Route(place, in_place, *destination)),
            };
        }
    }

    /// Makes the state say whether what comes in by a link is routed by its VRF's ingress table now.
    pub(in crate::mirror) fn refresh_ingress(&mut self, namespace: &Namespace, number: u32, link: IfName) {
        let Some(table) = self.tables.get(namespace) else { return };
        let (place, in_place) = place_of(namespace, table, number);
        if in_place != INGRESS_TABLE {
            return;
        }
        // What is so in one family alone is not there.
        let is_whole = table.ingress(number, link).len() == 2;
        let link = LinkId { namespace: place, name: link };
        if is_whole {
            self.state.insert(Object::Ingress(link));
        } else {
            self.state.remove(&Key::Ingress(link));
        }
    }

    /// Makes the state say what the routes are now that lead out of a link.
    pub(super) fn refresh_routes_of(&mut self, namespace: &Namespace, link: u32) {
        let Some(table) = self.tables.get(namespace) else { return };
        let keys = table.routes.of_link(link);
        let labels: Vec<MplsLabel> =
            table.labels.iter().filter(|(_, (to, _))| *to == link).map(|(label, _)| *label).collect();
        self.refresh_routes(namespace, &keys);
        labels.into_iter().for_each(|label| self.refresh_label(namespace, label));
    }

    /// A VRF of this name has come to a routing table, or has left it: its routes are in another place now.
    pub(super) fn change_place(&mut self, namespace: &Namespace, vrf: IfName, number: u32) {
        for (number, in_place) in [(number, MAIN), (ingress_table(number), INGRESS_TABLE)] {
            let Some(table) = self.tables.get(namespace) else { return };
            let keys = table.routes.of_table(number);
            for (_, destination) in &keys {
                self.state.remove(&Key::Route(namespace.clone(), number, *destination));
                self.state.remove(&Key::Route(Namespace::Vrf(vrf), in_place, *destination));
            }
            self.refresh_routes(namespace, &keys);
        }
    }

    /// Makes the state say what becomes of a label now.
    pub(super) fn refresh_label(&mut self, namespace: &Namespace, label: MplsLabel) {
        let Some(table) = self.tables.get(namespace) else { return };
        let route = table.labels.get(&label).and_then(|(link, mac)| {
            let id = &table.views.get(link)?.id;
            let is_on_host = id.namespace == Namespace::Host;
            is_on_host.then_some(LabelRoute { label, link: id.name, mac: *mac })
        });
        match route {
            Some(route) => self.state.insert(Object::LabelRoute(route)),
            None => self.state.remove(&Key::Label(label)),
        };
    }

    /// Drops the IPv4 routes out of a link.
    pub(in crate::mirror) fn drop_ipv4_routes(&mut self, namespace: &Namespace, link: u32) {
        let Some(table) = self.tables.get_mut(namespace) else { return };
        let lost = table.routes.lose_ipv4(link);
        self.refresh_routes(namespace, &lost);
    }
}

/// Which place's routing table this is, and its number there.
fn place_of(namespace: &Namespace, table: &Table, number: u32) -> (Namespace, u32) {
    let vrf = |own: u32| {
        let view = table.vrfs.get(&own).and_then(|device| table.views.get(device));
        view.filter(|view| view.vrf == Some(own)).map(|view| Namespace::Vrf(view.id.name))
    };
    let ingress = || Some((vrf(number.checked_sub(INGRESS_OFFSET)?)?, INGRESS_TABLE));
    let own = vrf(number).map(|place| (place, MAIN));
    own.or_else(ingress).unwrap_or_else(|| (namespace.clone(), number))
}

/// Where a route leads to; `None` if a link is not known. What no intent says is no path at all.
fn route_to(table: &Table, place: &Namespace, raw: &RawTo) -> Option<RouteTo> {
    let nothing = RouteTo::Paths(Vec::new());
    Some(match raw {
        RawTo::Hop(hop) => path(table, place, hop, 1)?.map_or(nothing, |path| RouteTo::Paths(vec![path])),
        RawTo::NextHop(id) => {
            let hops = table.routes.hops(*id);
            let paths: Option<Vec<Option<Path>>> =
                hops.into_iter().map(|(hop, weight)| path(table, place, hop, weight)).collect();
            paths?.into_iter().collect::<Option<Vec<Path>>>().map_or(nothing, RouteTo::paths)
        }
        RawTo::Unreachable => RouteTo::Unreachable,
        RawTo::Blackhole => RouteTo::Blackhole,
        RawTo::Other => nothing,
    })
}

/// A way out, if the link is known; and that as a path, if an intent could say it.
fn path(table: &Table, place: &Namespace, hop: &RawHop, weight: u16) -> Option<Option<Path>> {
    let link = &table.views.get(&hop.link)?.id;
    // With labels, out of whichever link of the host's own namespace leads to its router.
    let link = match link.namespace == *place {
        true => Some(link.name),
        false if hop.labels.is_empty() => return Some(None),
        false if hop.via.is_some_and(|via| table.ways.leads_elsewhere(via, hop.link)) => return Some(None),
        false => None,
    };
    Some(Some(Path { via: hop.via, link, labels: hop.labels.clone(), weight }))
}
