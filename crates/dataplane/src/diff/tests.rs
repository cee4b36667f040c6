//! Plans, case by case.

use expect_test::{Expect, expect};

use super::*;
use crate::{BridgeFdb, BridgePort, Namespace, Path, PortRole, Route, RouteTo, Vrf, VxlanFdb};

fn name(text: &str) -> weft_net::IfName {
    text.parse().unwrap()
}

fn link(text: &str, kind: LinkKind) -> Object {
    Object::Link(Link {
        id: LinkId::on_host(name(text)),
        mark: format!("weft.test.{text}").parse().unwrap(),
        mtu: 1450,
        up: true,
        kind,
    })
}

fn vxlan(text: &str, vni: u32) -> Object {
    link(
        text,
        LinkKind::Vxlan { vni: vni.try_into().unwrap(), local: [192, 0, 2, 1].into(), port: 4789, mac: None },
    )
}

fn port(of: &str, bridge: &str, adopted: bool) -> Object {
    Object::BridgePort(BridgePort {
        link: LinkId::on_host(name(of)),
        bridge: name(bridge),
        role: if of.starts_with("vx") { PortRole::Tunnel } else { PortRole::Workload },
        adoption: adopted.then(|| "weft.adopted.1".parse().unwrap()),
    })
}

fn bridge_fdb(of: &str) -> Object {
    Object::BridgeFdb(BridgeFdb {
        link: LinkId::on_host(name(of)),
        mac: "02:00:00:00:00:01".parse().unwrap(),
    })
}

fn vxlan_fdb(of: &str, last: u8) -> Object {
    let link = LinkId::on_host(name(of));
    Object::VxlanFdb(VxlanFdb {
        link,
        mac: "02:00:00:00:00:01".parse().unwrap(),
        destination: [192, 0, 2, last].into(),
        vni: None,
    })
}

fn foreign(text: &str) -> Object {
    Object::ForeignLink(LinkId::on_host(name(text)))
}

fn check(have: Vec<Object>, want: Vec<Object>, expected: Expect) {
    let plan = diff(&have.into_iter().collect(), &want.into_iter().collect());
    expected.assert_eq(&plan.to_string());
}

#[test]
fn nothing_is_done_when_what_is_there_is_what_is_wanted() {
    let objects = vec![link("br-1", LinkKind::Bridge), vxlan("vx1", 1), port("vx1", "br-1", false)];
    check(objects.clone(), objects, expect![""]);
}

#[test]
fn links_are_made_before_what_joins_them() {
    let want =
        vec![port("vx1", "br-1", false), bridge_fdb("vx1"), vxlan("vx1", 1), link("br-1", LinkKind::Bridge)];
    check(
        vec![],
        want,
        expect![[r"
            + link br-1 bridge mtu 1450
            + link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
            + bridge-port vx1 in br-1 tunnel
            + bridge-fdb vx1 02:00:00:00:00:01
        "]],
    );
}

#[test]
fn what_goes_with_a_link_needs_no_step_of_its_own() {
    let have = vec![
        link("br-1", LinkKind::Bridge),
        vxlan("vx1", 1),
        port("vx1", "br-1", false),
        vxlan_fdb("vx1", 2),
    ];
    check(
        have,
        vec![link("br-1", LinkKind::Bridge)],
        expect![[r"
        - link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
    "]],
    );
}

#[test]
fn a_vni_is_freed_before_another_device_takes_it() {
    check(
        vec![vxlan("vx1", 1)],
        vec![vxlan("vx2", 1)],
        expect![[r"
        - link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
        + link vx2 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
    "]],
    );
}

#[test]
fn what_is_new_is_made_before_what_is_old_goes() {
    check(
        vec![vxlan("vx1", 1)],
        vec![vxlan("vx2", 2)],
        expect![[r"
        + link vx2 vxlan 2 from 192.0.2.1 port 4789 mtu 1450
        - link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
    "]],
    );
}

#[test]
fn a_link_that_is_made_anew_gets_back_what_it_had() {
    let rest = [link("br-1", LinkKind::Bridge), port("vx1", "br-1", false), vxlan_fdb("vx1", 2)];
    let have = [vec![vxlan("vx1", 1)], rest.to_vec()].concat();
    let want = [vec![vxlan("vx1", 7)], rest.to_vec()].concat();
    check(
        have,
        want,
        expect![[r"
        - link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
        + link vx1 vxlan 7 from 192.0.2.1 port 4789 mtu 1450
        + bridge-port vx1 in br-1 tunnel
        + vxlan-fdb vx1 02:00:00:00:00:01 at 192.0.2.2
    "]],
    );
}

#[test]
fn a_port_moves_from_bridge_to_bridge_in_place() {
    let links = [link("br-1", LinkKind::Bridge), link("br-2", LinkKind::Bridge), vxlan("vx1", 1)];
    let have = [links.to_vec(), vec![port("vx1", "br-1", false), bridge_fdb("vx1")]].concat();
    let want = [links.to_vec(), vec![port("vx1", "br-2", false), bridge_fdb("vx1")]].concat();
    check(
        have,
        want,
        expect![[r"
        ~ bridge-port vx1 in br-2 tunnel
        + bridge-fdb vx1 02:00:00:00:00:01
    "]],
    );
}

#[test]
fn a_workload_that_moved_to_another_host_is_one_change_in_place() {
    let base = vec![vxlan("vx1", 1)];
    check(
        [base.clone(), vec![vxlan_fdb("vx1", 2)]].concat(),
        [base, vec![vxlan_fdb("vx1", 3)]].concat(),
        expect![[r"
            ~ vxlan-fdb vx1 02:00:00:00:00:01 at 192.0.2.3
        "]],
    );
}

#[test]
fn a_link_that_somebody_else_has_yet_to_make_is_waited_for() {
    let want = vec![link("br-1", LinkKind::Bridge), foreign("tap1"), port("tap1", "br-1", true)];
    check(
        vec![link("br-1", LinkKind::Bridge)],
        want,
        expect![[r"
        ? link tap1 waits for link tap1
        ? bridge-port tap1 waits for link tap1
    "]],
    );
}

#[test]
fn a_link_that_somebody_else_made_is_joined_and_never_removed() {
    let want = vec![link("br-1", LinkKind::Bridge), foreign("tap1"), port("tap1", "br-1", true)];
    check(
        vec![link("br-1", LinkKind::Bridge), foreign("tap1")],
        want.clone(),
        expect![[r"
        + bridge-port tap1 in br-1 adopted
    "]],
    );
    check(
        want,
        vec![],
        expect![[r"
        - bridge-port tap1 in br-1 adopted
        - link br-1 bridge mtu 1450
    "]],
    );
}

#[test]
fn somebody_elses_link_in_our_place_blocks_what_needs_it() {
    let want = vec![link("br-1", LinkKind::Bridge), vxlan("vx1", 1), port("vx1", "br-1", false)];
    check(
        vec![foreign("br-1")],
        want,
        expect![[r"
        + link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
        ? bridge-port vx1 waits for link br-1
        ! link br-1 exists and is not ours
    "]],
    );
}

#[test]
fn a_vlan_is_freed_before_another_link_takes_it() {
    let vlan = |name: &str| link(name, LinkKind::Vlan { parent: self::name("eth1"), vlan_id: 100 });
    check(
        vec![foreign("eth1"), vlan("vl-a")],
        vec![foreign("eth1"), vlan("vl-b")],
        expect![[r#"
        - link vl-a vlan 100 on eth1 mtu 1450
        + link vl-b vlan 100 on eth1 mtu 1450
    "#]],
    );
}

#[test]
fn a_port_that_cannot_move_leaves_the_bridge_it_should_leave() {
    let stays = [link("br-1", LinkKind::Bridge), link("tap1", LinkKind::Tap)];
    let have = [stays.to_vec(), vec![foreign("br-2"), port("tap1", "br-1", false)]].concat();
    let want = [stays.to_vec(), vec![link("br-2", LinkKind::Bridge), port("tap1", "br-2", false)]].concat();
    check(
        have,
        want,
        expect![[r#"
        - bridge-port tap1 in br-1
        ? bridge-port tap1 waits for link br-2
        ! link br-2 exists and is not ours
    "#]],
    );
}

#[test]
fn a_link_leaves_its_bridge_before_it_gets_addresses_and_loses_them_before_it_joins_one() {
    let there = |more: Object| vec![link("br-1", LinkKind::Bridge), link("tap1", LinkKind::Tap), more];
    let as_port = there(port("tap1", "br-1", false));
    let routed = there(Object::Address(LinkId::on_host(name("tap1")), "2001:db8::1/64".parse().unwrap()));
    check(
        as_port.clone(),
        routed.clone(),
        expect![[r"
            - bridge-port tap1 in br-1
            + address tap1 2001:db8::1/64
        "]],
    );
    check(
        routed,
        as_port,
        expect![[r"
            - address tap1 2001:db8::1/64
            + bridge-port tap1 in br-1
        "]],
    );
}

#[test]
fn routes_that_go_with_the_last_ipv4_address_of_a_link_are_made_again() {
    let id = LinkId::on_host(name("tap1"));
    let address = |text: &str| Object::Address(id.clone(), text.parse().unwrap());
    let route = |names: &[&str]| {
        let to = RouteTo::paths(names.iter().map(|name| Path::on(self::name(name), None)));
        let destination = "203.0.113.1/32".parse().unwrap();
        Object::Route(Route { namespace: Namespace::Host, table: 254, destination, to })
    };
    let with = |more: &[Object]| {
        let links =
            [link("br-1", LinkKind::Bridge), link("tap1", LinkKind::Tap), link("tap2", LinkKind::Tap)];
        [&links[..], more].concat()
    };
    // Another address comes after the port, so that for a while there is none.
    check(
        with(&[address("198.51.100.1/24"), route(&["tap1"])]),
        with(&[address("198.51.100.2/24"), route(&["tap1"]), port("tap1", "br-1", false)]),
        expect![[r#"
            - address tap1 198.51.100.1/24
            + bridge-port tap1 in br-1
            + address tap1 198.51.100.2/24
            + route host 254 203.0.113.1/32 on tap1
        "#]],
    );
    // The kernel would leave a route along what is left.
    check(
        with(&[address("198.51.100.1/24"), route(&["tap1", "tap2"])]),
        with(&[route(&["tap1", "tap2"])]),
        expect![[r#"
            - route host 254 203.0.113.1/32 on tap1 on tap2
            - address tap1 198.51.100.1/24
            + route host 254 203.0.113.1/32 on tap1 on tap2
        "#]],
    );
    // It has another, or gets one first: nothing is lost.
    check(
        with(&[address("198.51.100.1/24"), route(&["tap1"])]),
        with(&[address("198.51.100.2/24"), route(&["tap1"])]),
        expect![[r#"
            + address tap1 198.51.100.2/24
            - address tap1 198.51.100.1/24
        "#]],
    );
}

fn vrf(table: u32) -> Object {
    Object::Vrf(Vrf { name: name("vrf-a"), mark: "weft.test.a".parse().unwrap(), table })
}

fn in_vrf(text: &str, vni: u32) -> Object {
    let Object::Link(mut link) = vxlan(text, vni) else { unreachable!() };
    link.id.namespace = Namespace::Vrf(name("vrf-a"));
    Object::Link(link)
}

fn route(links: &[&str]) -> Object {
    Object::Route(Route {
        namespace: Namespace::Vrf(name("vrf-a")),
        table: 254,
        destination: "10.0.0.0/24".parse().unwrap(),
        to: RouteTo::paths(links.iter().map(|link| Path { weight: 2, ..Path::on(name(link), None) })),
    })
}

#[test]
fn a_vrf_of_which_something_is_missing_is_made_whole_in_place() {
    check(
        vec![vrf(0), in_vrf("vx1", 1), route(&["vx1"])],
        vec![vrf(7), in_vrf("vx1", 1), route(&["vx1"])],
        expect![[r#"
            ~ vrf vrf-a table 7
        "#]],
    );
}

#[test]
fn a_vrf_with_another_table_is_made_anew_with_all_that_is_in_it() {
    check(
        vec![vrf(7), in_vrf("vx1", 1), route(&["vx1"])],
        vec![vrf(8), in_vrf("vx1", 1), route(&["vx1"])],
        expect![[r#"
            - vrf vrf-a table 7
            + vrf vrf-a table 8
            + link vrf-a/vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
            + route vrf-a 254 10.0.0.0/24 on vx1
        "#]],
    );
}

#[test]
fn a_link_that_changes_its_place_leaves_the_one_before_it_comes_to_the_other() {
    check(
        vec![vrf(7), in_vrf("vx1", 1)],
        vec![vrf(7), vxlan("vx1", 1)],
        expect![[r#"
        - link vrf-a/vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
        + link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
    "#]],
    );
    check(
        vec![vrf(7), vxlan("vx1", 1)],
        vec![vrf(7), in_vrf("vx1", 1)],
        expect![[r#"
        - link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
        + link vrf-a/vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
    "#]],
    );
}

#[test]
fn a_route_along_several_paths_changes_in_place_and_outlives_no_link_unasked() {
    let (one, two) = (in_vrf("vx1", 1), in_vrf("vx2", 2));
    // One path less, and its link with it: the route is changed, and needs the link no more.
    check(
        vec![vrf(7), one.clone(), two.clone(), route(&["vx1", "vx2"])],
        vec![vrf(7), one.clone(), route(&["vx1"])],
        expect![[r#"
            ~ route vrf-a 254 10.0.0.0/24 on vx1
            - link vrf-a/vx2 vxlan 2 from 192.0.2.1 port 4789 mtu 1450
        "#]],
    );
    // Both gone: the kernel would leave a route along what is left, so it goes by a step of its own, and first.
    check(
        vec![vrf(7), one.clone(), two, route(&["vx1", "vx2"])],
        vec![vrf(7), one],
        expect![[r#"
        - route vrf-a 254 10.0.0.0/24 on vx1 weight 2 on vx2 weight 2
        - link vrf-a/vx2 vxlan 2 from 192.0.2.1 port 4789 mtu 1450
    "#]],
    );
}

#[test]
fn paths_are_told_in_one_order_each_once_and_a_single_one_has_no_weight() {
    let path = |last: u8, weight| Path { weight, ..Path::on(name("vx1"), Some([10, 0, 0, last].into())) };
    assert_eq!(
        RouteTo::paths([path(2, 3), path(1, 1), path(2, 3)]),
        RouteTo::Paths(vec![path(1, 1), path(2, 3)])
    );
    assert_eq!(RouteTo::paths([path(2, 3)]), RouteTo::Paths(vec![path(2, 1)]));
}
