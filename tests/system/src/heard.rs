//! Routes of VPNs as FRR, GoBGP and BIRD show what they have heard of the controller: EVPN routes of type 5 (RFC 9136) and VPN-IPv4 routes
//! (RFC 4364).

use std::collections::BTreeSet;

use serde_json::Value;
use weft_interop_tests::{Bird, FrrDaemons, Gobgp};

/// What a route to a prefix says in either family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrefixRoute {
    /// Where it leads: `10.1.1.5/32`.
    pub prefix: String,
    /// The route distinguisher.
    pub distinguisher: String,
    /// The route targets.
    pub targets: BTreeSet<String>,
    /// The tunnel endpoint.
    pub next_hop: String,
}

/// A VPN-IPv4 route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VpnRoute {
    /// What it has in common with one of EVPN.
    pub route: PrefixRoute,
    /// The MPLS label.
    pub label: String,
}

/// All of them, of which no two are the same.
pub(crate) fn each_once<T: Ord + Clone + std::fmt::Debug>(all: impl Iterator<Item = T>) -> BTreeSet<T> {
    let all: Vec<T> = all.collect();
    let once: BTreeSet<T> = all.iter().cloned().collect();
    assert_eq!(once.len(), all.len(), "each once: {all:#?}");
    once
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A table as JSON: of an empty one FRR says nothing at all.
fn json_of(said: &str) -> Value {
    if said.trim().is_empty() {
        return Value::Null;
    }
    serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// The EVPN routes of type 5 of an FRR.
pub(crate) fn evpn_of_frr(frr: &FrrDaemons) -> BTreeSet<PrefixRoute> {
    let said = json_of(&frr.show("show bgp l2vpn evpn route type prefix json"));
    let distinguished = said.as_object().into_iter().flatten().filter(|(_, routes)| routes.is_object());
    let routes = distinguished.flat_map(|(distinguisher, routes)| {
        let routes = routes.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("[5]"));
        routes.flat_map(|(_, route)| paths(route)).map(|path| {
            let prefix = format!("{}/{}", text(&path["ip"]), path["ipLen"]);
            of_frr(prefix, distinguisher, path)
        })
    });
    each_once(routes)
}

/// The paths of a route: of EVPN FRR puts each into a list of its own.
fn paths(route: &Value) -> impl Iterator<Item = &Value> {
    let paths = route["paths"].as_array().into_iter().flatten();
    paths.flat_map(|path| path.as_array().map_or(std::slice::from_ref(path), Vec::as_slice))
}

fn of_frr(prefix: String, distinguisher: &str, path: &Value) -> PrefixRoute {
    let communities = text(&path["extendedCommunity"]["string"]);
    let targets = communities.split(' ').filter_map(|community| community.strip_prefix("RT:"));
    PrefixRoute {
        prefix,
        distinguisher: distinguisher.to_owned(),
        targets: targets.map(str::to_owned).collect(),
        next_hop: text(&path["nexthops"][0]["ip"]),
    }
}

/// The VPN-IPv4 routes of an FRR, which says of one prefix at a time what there is to it, under each distinguisher.
pub(crate) fn vpnv4_of_frr(frr: &FrrDaemons) -> BTreeSet<VpnRoute> {
    let known = json_of(&frr.show("show bgp ipv4 vpn json"));
    let known = known["routes"]["routeDistinguishers"].as_object().into_iter().flatten();
    let prefixes = known.flat_map(|(_, routes)| routes.as_object().into_iter().flatten());
    let prefixes: BTreeSet<&String> = prefixes.map(|(prefix, _)| prefix).collect();
    let commands: Vec<String> =
        prefixes.iter().map(|prefix| format!("show bgp ipv4 vpn {prefix} json")).collect();
    // Without a command vtysh is one to talk with.
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let said = if commands.is_empty() { String::new() } else { frr.show_all(&commands) };
    let tables = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
    let mut all = Vec::new();
    for table in tables {
        let table = table.unwrap_or_else(|error| panic!("{error}: {said}"));
        for (distinguisher, route) in table.as_object().into_iter().flatten() {
            all.extend(paths(route).map(|path| VpnRoute {
                route: of_frr(text(&route["prefix"]), distinguisher, path),
                label: text(&path["remoteLabel"]),
            }));
        }
    }
    each_once(all.into_iter())
}

/// The paths of a family that a GoBGP has.
fn of_gobgp(gobgp: &Gobgp, family: &str) -> Vec<Value> {
    let said = json_of(&gobgp.ask(&format!("global rib -a {family} -j")));
    let paths = said.as_object().into_iter().flatten().flat_map(|(_, paths)| paths.as_array());
    paths.flatten().cloned().collect()
}

fn path_of_gobgp(path: &Value, value: &Value) -> PrefixRoute {
    let attribute = |kind: u8| {
        let mut attributes = path["attrs"].as_array().into_iter().flatten();
        attributes.find(|attribute| attribute["type"] == kind).cloned().unwrap_or_default()
    };
    let communities = attribute(16)["value"].as_array().cloned().unwrap_or_default();
    let targets = communities.iter().filter(|community| community["subtype"] == 2);
    PrefixRoute {
        prefix: text(&value["prefix"]),
        distinguisher: format!("{}:{}", text(&value["rd"]["admin"]), value["rd"]["assigned"]),
        targets: targets.map(|target| text(&target["value"])).collect(),
        next_hop: text(&attribute(14)["nexthop"]),
    }
}

/// The EVPN routes of type 5 of a GoBGP, and since when it has each as it is, in seconds.
pub(crate) fn evpn_of_gobgp(gobgp: &Gobgp) -> BTreeSet<(PrefixRoute, u64)> {
    let of_prefix = |path: &Value| path["nlri"]["type"] == 5;
    let since = |path: &Value| path["age"].as_u64().unwrap_or_else(|| panic!("{path} has no age"));
    let paths = of_gobgp(gobgp, "evpn");
    let routes = paths.iter().filter(|path| of_prefix(path));
    each_once(routes.map(|path| (path_of_gobgp(path, &path["nlri"]["value"]), since(path))))
}

/// The VPN-IPv4 routes of a GoBGP.
pub(crate) fn vpnv4_of_gobgp(gobgp: &Gobgp) -> BTreeSet<VpnRoute> {
    let paths = of_gobgp(gobgp, "vpnv4");
    each_once(paths.iter().map(|path| VpnRoute {
        route: path_of_gobgp(path, &path["nlri"]),
        label: text(&path["nlri"]["labels"][0]),
    }))
}

/// The VPN-IPv4 routes of a BIRD, which writes a line that begins with the route, and one that is indented for each attribute.
pub(crate) fn vpnv4_of_bird(bird: &Bird) -> BTreeSet<VpnRoute> {
    let said = bird.show("show route all protocol weft table vpntab4");
    let mut all: Vec<VpnRoute> = Vec::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), all.last_mut()) {
            (["BGP.next_hop:", next_hop, ..], Some(last)) => (*next_hop).clone_into(&mut last.route.next_hop),
            (["BGP.mpls_label_stack:", label, ..], Some(last)) => (*label).clone_into(&mut last.label),
            (["BGP.ext_community:", ..], Some(last)) => {
                let targets = line.split("(rt, ").skip(1).filter_map(|rest| rest.split(')').next());
                last.route.targets = targets.map(|target| target.replace(", ", ":")).collect();
            }
            ([distinguisher, prefix, ..], _) if !line.starts_with(['\t', ' ']) && prefix.contains('/') => {
                let route = PrefixRoute {
                    prefix: (*prefix).to_owned(),
                    distinguisher: (*distinguisher).to_owned(),
                    targets: BTreeSet::new(),
                    next_hop: String::new(),
                };
                all.push(VpnRoute { route, label: String::new() });
            }
            _ => {}
        }
    }
    each_once(all.into_iter())
}
