//! From what is announced to routes of BGP, and from what was learned back to facts. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_bgp::speaker::{Learned, LearnedPath, Route};
use weft_bgp::wire::{
    Attributes, Destination, EthernetTag, EvpnDestination, ExtendedCommunity, Payload, PrefixSid,
};
use weft_net::{Mac, MplsLabel, RouteDistinguisher};
use weft_services::vrf::{self, LOCAL_PREF};
use weft_services::{Announcement, LearnedEncapsulation, LearnedRoute, Model};

use super::bridged;

/// The routes by which something is announced.
pub(super) fn routes(announcement: &Announcement) -> Vec<Route> {
    match announcement {
        Announcement::Routed(one) => routed(one),
        Announcement::Bridged(one) => vec![bridged::route(one)],
    }
}

/// The routes by which a prefix is announced: EVPN type 5 over VXLAN (RFC 9136 §4.4.1, the interface-less model), and VPNv4 or
/// VPNv6 where the host forwards MPLS (RFC 4364, RFC 4659).
fn routed(announcement: &vrf::Announcement) -> Vec<Route> {
    let mut routes = vec![ip_prefix(announcement)];
    routes.extend(announcement.label.map(|label| vpn(announcement, label)));
    routes
}

fn ip_prefix(announcement: &vrf::Announcement) -> Route {
    let destination = Destination::evpn_ip_prefix(announcement.route_distinguisher, announcement.destination);
    let payload = Payload::vni(announcement.vni);
    let tunnel = [
        ExtendedCommunity::encapsulation(ExtendedCommunity::ENCAPSULATION_VXLAN),
        ExtendedCommunity::routers_mac(announcement.router_mac),
    ];
    Route { destination, payload, attributes: attributes(announcement, tunnel) }
}

fn vpn(announcement: &vrf::Announcement, label: MplsLabel) -> Route {
    let destination = Destination::vpn(announcement.route_distinguisher, announcement.destination);
    let payload = Payload::label(label);
    let mut attributes = attributes(announcement, []);
    if announcement.destination.addr().is_ipv6() {
        attributes.next_hop = attributes.next_hop.to_ipv6();
    }
    Route { destination, payload, attributes }
}

fn attributes(
    announcement: &vrf::Announcement,
    tunnel: impl IntoIterator<Item = ExtendedCommunity>,
) -> Attributes {
    let mut attributes = Attributes::new(announcement.next_hop.into());
    attributes.local_pref = Some(announcement.local_pref);
    let targets = announcement.targets.iter().copied().map(ExtendedCommunity::from);
    attributes.set_extended_communities(targets.chain(tunnel));
    attributes
}

/// By which kind of route a prefix was learned; of equally preferred ones the first is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    /// EVPN.
    Evpn,
    /// VPNv4 or VPNv6.
    Vpn,
    /// EVPN, as the address of a station with this MAC address (RFC 9135 §6).
    Station(Mac),
}

/// The prefix that something was learned of, by which kind of route, and the routes as they are to be used; nothing of what is not
/// about a prefix.
pub(super) fn learned(learned: &Learned, model: &Model) -> Option<(IpNet, By, Vec<LearnedRoute>)> {
    let (prefix, by) = prefix_of(&learned.destination)?;
    Some((prefix, by, usable(by, &learned.paths, model)))
}

/// To which destinations something is announced.
pub(crate) fn announced_destinations(announcement: &vrf::Announcement) -> Vec<Destination> {
    routed(announcement).into_iter().map(|route| route.destination).collect()
}

/// The destinations under which an instance may have a prefix.
pub(crate) fn imported_destinations(prefix: IpNet) -> [Destination; 2] {
    [destination_of(prefix, By::Evpn), destination_of(prefix, By::Vpn)]
}

/// The prefix that a destination is, and by which kind of route it is told; nothing of what is not a prefix, or is one of a VLAN of
/// several in one instance (RFC 7432 §6.3): a VRF has none.
pub(super) fn prefix_of(destination: &Destination) -> Option<(IpNet, By)> {
    match destination {
        Destination::Vpnv4(vpn) => Some((IpNet::V4(vpn.prefix), By::Vpn)),
        Destination::Vpnv6(vpn) => Some((IpNet::V6(vpn.prefix), By::Vpn)),
        Destination::Evpn(EvpnDestination::IpPrefix { tag, prefix, .. })
            if *tag == EthernetTag::default() =>
        {
            Some((*prefix, By::Evpn))
        }
        Destination::Evpn(EvpnDestination::MacIp { tag, mac, address: Some(address), .. })
            if *tag == EthernetTag::default() && is_host(*address) && mac.is_unicast() =>
        {
            Some(((*address).into(), By::Station(*mac)))
        }
        _ => None,
    }
}

/// The destination under which an instance has a prefix that is told by a kind of route: without a route distinguisher.
pub(super) fn destination_of(prefix: IpNet, by: By) -> Destination {
    let distinguisher = RouteDistinguisher::ZERO;
    match by {
        By::Evpn => Destination::evpn_ip_prefix(distinguisher, prefix),
        By::Station(mac) => Destination::evpn_mac_ip(distinguisher, mac, Some(prefix.addr())),
        By::Vpn => Destination::vpn(distinguisher, prefix),
    }
}

/// Whether an address can be a host's.
pub(super) fn is_host(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback() && !is_broadcast
}

/// Paths as they are to be used, without those that lead to hosts of ours or to what can be no host's.
pub(super) fn usable(by: By, paths: &[LearnedPath], model: &Model) -> Vec<LearnedRoute> {
    let leads_to = |path: &&LearnedPath| path.attributes.next_hop.address();
    let paths = paths.iter().filter(|path| is_host(leads_to(path)) && !model.is_own_endpoint(leads_to(path)));
    let mut routes: Vec<LearnedRoute> =
        paths.filter_map(|path| learned_route(by, (&path.attributes, &path.payload))).collect();
    routes.retain(|route| can_be_reached(&route.encapsulation));
    routes.sort();
    routes.dedup();
    routes
}

/// Whether frames can be sent to it: a router's MAC address is one router's.
const fn can_be_reached(encapsulation: &LearnedEncapsulation) -> bool {
    match encapsulation {
        LearnedEncapsulation::Vxlan { router_mac, .. } => router_mac.is_unicast(),
        LearnedEncapsulation::Mpls { .. } => true,
    }
}

/// Whether a path wants packets at a SID of SRv6 (RFC 9252), which hosts do not send.
pub(super) fn is_srv6(attributes: &Attributes) -> bool {
    attributes.rare().prefix_sid.as_ref().is_some_and(PrefixSid::is_srv6_l3)
}

/// A path as it is to be used; `None` where it cannot be: no VNI, no router's MAC address, or a SID of SRv6. With that its label is
/// none of MPLS, but a part of the SID (RFC 9252 §4).
fn learned_route(by: By, (attributes, payload): (&Attributes, &Payload)) -> Option<LearnedRoute> {
    if is_srv6(attributes) {
        return None;
    }
    let encapsulation = match payload {
        Payload::Evpn(payload) => LearnedEncapsulation::Vxlan {
            vni: match by {
                // The first is for frames, the second for what is routed (RFC 9135 §5.2).
                By::Station(_) => payload.label2?.vni()?,
                By::Evpn | By::Vpn => payload.label.vni()?,
            },
            router_mac: attributes.extended_communities().iter().find_map(|one| one.as_routers_mac())?,
        },
        Payload::Label(label) => LearnedEncapsulation::Mpls { label: label.label() },
        Payload::None => return None,
    };
    let local_pref = attributes.local_pref.unwrap_or(LOCAL_PREF);
    Some(LearnedRoute { next_hop: attributes.next_hop.address(), encapsulation, local_pref })
}

/// Of what was learned of a prefix by several kinds of route, what is preferred most; of equals the first. Where that is for hosts that
/// forward MPLS alone, also what is preferred most of what every host can send.
pub(super) fn best<K>(by: &BTreeMap<K, Vec<LearnedRoute>>) -> Vec<LearnedRoute> {
    let is_for_few = |routes: &&Vec<LearnedRoute>| routes.iter().any(LearnedRoute::needs_mpls);
    let mut best = preferred(by.values()).to_vec();
    if is_for_few(&&best) {
        best.extend_from_slice(preferred(by.values().filter(|routes| !is_for_few(routes))));
    }
    best
}

fn preferred<'r>(all: impl Iterator<Item = &'r Vec<LearnedRoute>>) -> &'r [LearnedRoute] {
    let preference = |routes: &[LearnedRoute]| routes.iter().map(|route| route.local_pref).max();
    let mut best: &[LearnedRoute] = &[];
    for routes in all {
        if preference(routes) > preference(best) {
            best = routes;
        }
    }
    best
}

/// Takes over what a source has of a prefix now; answers the best of all sources if that is something else than before.
pub(super) fn take_over<K: Ord>(
    by: &mut BTreeMap<K, Vec<LearnedRoute>>,
    source: K,
    routes: Vec<LearnedRoute>,
) -> Option<Vec<LearnedRoute>> {
    let before = best(by);
    if routes.is_empty() {
        by.remove(&source);
    } else {
        by.insert(source, routes);
    }
    Some(best(by)).filter(|after| *after != before)
}

#[cfg(test)]
mod tests {
    use weft_bgp::wire::{NextHop, PrefixSidTlv};

    use super::*;

    fn announcement(destination: &str) -> vrf::Announcement {
        vrf::Announcement {
            route_distinguisher: "64512:7".parse().unwrap(),
            destination: destination.parse().unwrap(),
            targets: ["64512:1".parse().unwrap()].into(),
            host: "host1".parse().unwrap(),
            next_hop: [192, 0, 2, 1].into(),
            vni: 5000.try_into().unwrap(),
            router_mac: Mac::new([2, 0, 0, 0, 0, 1]),
            label: Some(100_001.try_into().unwrap()),
            local_pref: 100,
        }
    }

    #[test]
    fn a_prefix_of_ipv6_is_told_by_an_endpoint_of_ipv4_and_learned_as_that() {
        for (destination, next_hop) in [("10.1.0.0/24", "192.0.2.1"), ("fd00::/64", "::ffff:192.0.2.1")] {
            let [evpn, vpn] = routed(&announcement(destination)).try_into().unwrap();
            assert_eq!(evpn.attributes.next_hop, NextHop::Ipv4([192, 0, 2, 1].into()));
            assert_eq!(vpn.attributes.next_hop.to_string(), next_hop);
            let learned = learned_route(By::Vpn, (&vpn.attributes, &vpn.payload)).unwrap();
            assert_eq!(learned.next_hop, IpAddr::from([192, 0, 2, 1]), "never a mapped address");
        }
    }

    #[test]
    fn a_route_by_srv6_is_none_by_mpls() {
        let vpn = vpn(&announcement("10.1.0.0/24"), 100_001.try_into().unwrap());
        assert!(learned_route(By::Vpn, (&vpn.attributes, &vpn.payload)).is_some());
        let mut attributes = vpn.attributes.clone();
        let tlvs = vec![PrefixSidTlv::Srv6L3(Default::default())];
        attributes.edit_rare(|rare| rare.prefix_sid = Some(PrefixSid { tlvs }));
        assert_eq!(learned_route(By::Vpn, (&attributes, &vpn.payload)), None);
    }

    #[test]
    fn a_better_route_by_mpls_does_not_hide_what_every_host_can_send() {
        let mpls = |local_pref| LearnedRoute {
            next_hop: [198, 51, 100, 1].into(),
            encapsulation: LearnedEncapsulation::Mpls { label: 1000.try_into().unwrap() },
            local_pref,
        };
        let vxlan = |local_pref| {
            let router_mac = Mac::new([2, 0, 0, 0, 0, 9]);
            let encapsulation = LearnedEncapsulation::Vxlan { vni: 7001.try_into().unwrap(), router_mac };
            LearnedRoute { encapsulation, ..mpls(local_pref) }
        };
        let best_of = |of: &[(By, LearnedRoute)]| {
            best(&of.iter().cloned().map(|(by, route)| (by, vec![route])).collect::<BTreeMap<_, _>>())
        };
        let evpn = (By::Evpn, vxlan(100));
        assert_eq!(best_of(&[evpn.clone(), (By::Vpn, mpls(200))]), [mpls(200), vxlan(100)]);
        assert_eq!(best_of(&[evpn.clone(), (By::Vpn, mpls(100))]), [vxlan(100)], "of equals the first");
        assert_eq!(best_of(&[evpn, (By::Vpn, mpls(50))]), [vxlan(100)]);
        assert_eq!(best_of(&[(By::Vpn, mpls(50))]), [mpls(50)]);
    }

    #[test]
    fn what_can_be_no_hosts_is_neither_station_nor_next_hop_nor_router() {
        for address in [
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.5",
            "255.255.255.255",
            "::",
            "::1",
            "ff02::5",
            "::ffff:127.0.0.1",
        ] {
            assert!(!is_host(address.parse().unwrap()), "{address}");
        }
        assert!(["192.0.2.1", "2001:db8::1"].into_iter().all(|address| is_host(address.parse().unwrap())));
        let (mac, distinguisher) = (Mac::new([2, 0, 0, 0, 0, 1]), RouteDistinguisher::ZERO);
        let station = |mac, address: &str| {
            let (tag, address) = (EthernetTag::default(), Some(address.parse().unwrap()));
            prefix_of(&Destination::Evpn(EvpnDestination::MacIp { distinguisher, tag, mac, address }))
        };
        assert!(station(mac, "192.0.2.1").is_some());
        assert_eq!(station(mac, "224.0.0.5"), None);
        assert_eq!(station(Mac::new([0; 6]), "192.0.2.1"), None);
        let vxlan = |octets| {
            let vni = 7_u32.try_into().unwrap();
            can_be_reached(&LearnedEncapsulation::Vxlan { vni, router_mac: Mac::new(octets) })
        };
        assert_eq!([[2, 0, 0, 0, 0, 1], [0; 6], [1, 0, 0x5e, 0, 0, 5]].map(vxlan), [true, false, false]);
    }

    #[test]
    fn what_does_not_change_the_best_is_no_news() {
        let route = |host: u8, local_pref| {
            let encapsulation = LearnedEncapsulation::Mpls { label: 1000.try_into().unwrap() };
            vec![LearnedRoute { next_hop: [192, 0, 2, host].into(), encapsulation, local_pref }]
        };
        let mut by = BTreeMap::new();
        assert_eq!(take_over(&mut by, By::Vpn, Vec::new()), None);
        assert_eq!(take_over(&mut by, By::Vpn, route(1, 200)), Some(route(1, 200)));
        assert_eq!(take_over(&mut by, By::Vpn, route(1, 200)), None, "told again");
        assert_eq!(take_over(&mut by, By::Evpn, route(2, 100)), None, "not as good");
        assert_eq!(take_over(&mut by, By::Vpn, Vec::new()), Some(route(2, 100)));
        assert_eq!(take_over(&mut by, By::Evpn, Vec::new()), Some(Vec::new()));
        assert!(by.is_empty());
    }

    #[test]
    fn a_prefix_is_led_back_to_the_destination_that_it_was_learned_of() {
        let prefix: IpNet = "203.0.113.9/32".parse().unwrap();
        let mac = Mac::new([2, 0, 0, 0, 0, 1]);
        for by in [By::Evpn, By::Vpn, By::Station(mac)] {
            assert_eq!(prefix_of(&destination_of(prefix, by)), Some((prefix, by)));
        }
        // Of another VLAN's it would be led back to what nobody has told.
        let (distinguisher, tag) = (RouteDistinguisher::ZERO, EthernetTag(7));
        let tagged = [
            EvpnDestination::IpPrefix { distinguisher, tag, prefix },
            EvpnDestination::MacIp { distinguisher, tag, mac, address: Some(prefix.addr()) },
        ];
        assert_eq!(tagged.map(|one| prefix_of(&Destination::Evpn(one))), [None, None]);
    }
}
