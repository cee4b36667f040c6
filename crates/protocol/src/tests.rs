//! Objects over the wire: round trips, the very bytes, and what a newer controller may send.

use bytes::Bytes;
use expect_test::expect;
use proptest::prelude::*;
use prost::Message;
use weft_dataplane::conformance::random_state;
use weft_dataplane::{
    BridgePort, Flood, FragmentId, LabelRoute, Link, LinkId, LinkKind, Namespace, Object, Path, PortRole,
    Route, RouteTo, State, Steering, Vrf, VxlanFdb,
};
use weft_net::Mac;

use crate::{KINDS, decode_fragment, encode_objects, wire};

fn id() -> FragmentId {
    FragmentId { service: "network/1".into(), subject: "port/2".into() }
}

fn on_host(name: &str) -> LinkId {
    LinkId::on_host(name.parse().unwrap())
}

fn link(name: &str, kind: LinkKind) -> Object {
    let mark = format!("weft.test.{name}").parse().unwrap();
    Object::Link(Link { id: on_host(name), mark, mtu: 1450, up: true, kind })
}

/// One object of every kind that the random states do not have in every form.
fn rarities() -> Vec<Object> {
    let peer = LinkId { namespace: Namespace::Named("web1".parse().unwrap()), name: "eth0".parse().unwrap() };
    let adoption = Some("weft.adopted.77ab".parse().unwrap());
    let bridge = "br-1".parse().unwrap();
    let to = RouteTo::link("eth0".parse().unwrap(), Some("2001:db8::1".parse().unwrap()));
    vec![
        Object::Namespace("web1".parse().unwrap()),
        link("tap1", LinkKind::Tap),
        link("tap2", LinkKind::Veth { peer: peer.clone(), peer_mac: Mac::new([2, 0, 0, 0, 0, 7]) }),
        Object::ForeignLink(on_host("tap9")),
        Object::BridgePort(BridgePort { link: on_host("tap9"), bridge, role: PortRole::Workload, adoption }),
        Object::Address(peer.clone(), "10.0.0.7/24".parse().unwrap()),
        Object::Route(Route {
            namespace: peer.namespace,
            table: 254,
            destination: "2001:db8:1::/48".parse().unwrap(),
            to,
        }),
    ]
    .into_iter()
    .chain(layer_three())
    .collect()
}

/// What is in a VRF, and leads into it.
fn layer_three() -> Vec<Object> {
    let vrf: weft_net::IfName = "vrf-a".parse().unwrap();
    let place = Namespace::Vrf(vrf);
    let inside = |name: &str| LinkId { namespace: place.clone(), name: name.parse().unwrap() };
    let mac = Mac::new([2, 0, 0, 0, 0, 8]);
    let label = |number: u32| number.try_into().unwrap();
    let path = |via: &str, link: Option<&str>, labels: Vec<_>, weight| Path {
        via: Some(via.parse().unwrap()),
        link: link.map(|name| name.parse().unwrap()),
        labels,
        weight,
    };
    let route = |destination: &str, to| {
        let destination = destination.parse().unwrap();
        Object::Route(Route { namespace: place.clone(), table: 254, destination, to })
    };
    let vxlan = LinkKind::Vxlan {
        vni: 5001.try_into().unwrap(),
        local: "192.0.2.1".parse().unwrap(),
        port: 4789,
        mac: Some(mac),
    };
    let mark = |name: &str| format!("weft.test.{name}").parse().unwrap();
    let addresses = vec!["10.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    vec![
        Object::Vrf(Vrf { name: vrf, mark: mark("a"), table: 1001 }),
        Object::Link(Link { id: inside("vx5001"), mark: mark("vx"), mtu: 1450, up: true, kind: vxlan }),
        Object::BridgePort(BridgePort {
            link: on_host("gb1"),
            bridge: "br-1".parse().unwrap(),
            role: PortRole::Gateway,
            adoption: None,
        }),
        Object::Steering(Steering { link: on_host("tap1"), mac, addresses, to: on_host("st1") }),
        Object::VxlanFdb(VxlanFdb {
            link: inside("vx5001"),
            mac,
            destination: "192.0.2.2".parse().unwrap(),
            vni: Some(5002.try_into().unwrap()),
        }),
        Object::Flood(Flood {
            link: on_host("vx100"),
            destination: "2001:db8::2".parse().unwrap(),
            vni: Some(5002.try_into().unwrap()),
        }),
        Object::ProxyNeighbour(inside("gw1"), "10.0.0.9".parse().unwrap()),
        Object::ProxyArp(inside("gw1")),
        Object::Ingress(inside("vx5001")),
        route(
            "10.1.0.0/24",
            RouteTo::paths([
                path("fe80::2", Some("vx5001"), vec![], 2),
                path("fe80::1", Some("vx5001"), vec![], 1),
            ]),
        ),
        route("10.2.0.0/24", RouteTo::paths([path("192.0.2.2", None, vec![label(110), label(16)], 1)])),
        route("10.3.0.0/24", RouteTo::Unreachable),
        route("2001:db8:9::/64", RouteTo::Blackhole),
        Object::LabelRoute(LabelRoute { label: label(110), vrf }),
    ]
}

fn assert_comes_back(objects: Vec<Object>) {
    let (fragment, unknown) = decode_fragment(id(), &encode_objects(&objects)).unwrap();
    assert_eq!(fragment.objects, objects);
    assert_eq!(fragment.id, id());
    assert!(unknown.is_empty());
}

fn values(state: &State) -> Vec<Object> {
    state.iter().map(|(_, object)| object.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(500), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_over_the_wire_comes_back_as_it_was(seed: u64) {
        assert_comes_back(values(&random_state(seed, "n", |_| true)));
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused_and_never_a_panic(bytes: Vec<u8>) {
        let _ = decode_fragment(id(), &Bytes::from(bytes));
    }
}

#[test]
fn the_forms_that_random_states_lack_come_back_as_well() {
    assert_comes_back(rarities());
}

#[test]
fn the_list_of_kinds_is_that_of_the_objects() {
    let mut seen = std::collections::BTreeSet::new();
    let states = (0..200).flat_map(|seed| values(&random_state(seed, "n", |_| true)));
    for object in states.chain(rarities()) {
        seen.insert(match object {
            Object::Namespace(_) => "namespace",
            Object::Vrf(_) => "vrf",
            Object::Link(link) => match link.kind {
                LinkKind::Bridge => "link.bridge",
                LinkKind::Tap => "link.tap",
                LinkKind::Veth { .. } => "link.veth",
                LinkKind::Vlan { .. } => "link.vlan",
                LinkKind::Vxlan { .. } => "link.vxlan",
            },
            Object::ForeignLink(_) => "foreign_link",
            Object::BridgePort(_) => "bridge_port",
            Object::Steering(_) => "steering",
            Object::Address(..) => "address",
            Object::BridgeFdb(_) => "bridge_fdb",
            Object::VxlanFdb(_) => "vxlan_fdb",
            Object::Flood(_) => "flood",
            Object::Neighbour(_) => "neighbour",
            Object::ProxyNeighbour(..) => "proxy_neighbour",
            Object::ProxyArp(_) => "proxy_arp",
            Object::Ingress(_) => "ingress",
            Object::Route(_) => "route",
            Object::LabelRoute(_) => "label_route",
        });
    }
    assert_eq!(seen, KINDS.into_iter().collect());
}

#[test]
fn the_bytes_on_the_wire_stay_what_they_are() {
    let local = "192.0.2.1".parse().unwrap();
    let mut objects = rarities();
    objects.push(link("br-1", LinkKind::Bridge));
    objects
        .push(link("vx100", LinkKind::Vxlan { vni: 100.try_into().unwrap(), local, port: 4789, mac: None }));
    objects.push(Object::VxlanFdb(VxlanFdb {
        link: on_host("vx100"),
        mac: Mac::new([2, 0, 0, 0, 0, 9]),
        destination: "192.0.2.2".parse().unwrap(),
        vni: None,
    }));
    let lines: Vec<String> = objects
        .iter()
        .map(|object| {
            let bytes = encode_objects(std::slice::from_ref(object));
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{}\n  {hex}\n", object.key())
        })
        .collect();
    expect![[r#"
        namespace web1
          0a080a060a0477656231
        link tap1
          0a2212200a06120474617031120e776566742e746573742e7461703118aa0b20018a0100
        link tap2
          0a3812360a06120474617032120e776566742e746573742e7461703218aa0b20019201160a0c0a04776562311204657468301206020000000007
        link tap9
          0a081a06120474617039
        bridge-port tap9
          0a2322210a06120474617039120462722d312211776566742e61646f707465642e37376162
        address web1/eth0 10.0.0.7/24
          0a1a2a180a0c0a047765623112046574683012080a040a0000071018
        route web1 254 2001:db8:1::/48
          0a3952370a047765623110fe011a140a1020010db80001000000000000000000001030221020010db80000000000000000000000012a0465746830
        vrf vrf-a
          0a195a170a057672662d61120b776566742e746573742e6118e907
        link vrf-a/vx5001
          0a3d123b0a0f12067678353030311a057672662d61120c776566742e746573742e767818aa0b2001a201140889271204c000020118b5252206020000000008
        bridge-port gb1
          0a11220f0a051203676231120462722d312803
        steering tap1
          0a31622f0a0612047461703112060200000000081a040a0000011a1020010db800000000000000000000000122051203737431
        vxlan-fdb vrf-a/vx5001 02:00:00:00:00:08
          0a243a220a0f12067678353030311a057672662d6112060200000000081a04c0000202208a27
        flood vx100 2001:db8::2
          0a20421e0a0712057678313030121020010db8000000000000000000000002188a27
        proxy-neighbour vrf-a/gw1 10.0.0.9
          0a166a140a0c12036777311a057672662d6112040a000009
        proxy-arp vrf-a/gw1
          0a0e720c12036777311a057672662d61
        ingress vrf-a/vx5001
          0a1282010f12067678353030311a057672662d61
        route vrf-a 254 10.1.0.0/24
          0a52525010fe011a080a040a0100001018321c0a10fe80000000000000000000000000000112067678353030312001321c0a10fe8000000000000000000000000000021206767835303031200242057672662d61
        route vrf-a 254 10.2.0.0/24
          0a24522210fe011a080a040a0200001018320c0a04c00002021a026e10200142057672662d61
        route vrf-a 254 10.3.0.0/24
          0a18521610fe011a080a040a0300001018380142057672662d61
        route vrf-a 254 2001:db8:9::/64
          0a24522210fe011a140a1020010db80009000000000000000000001040380242057672662d61
        label 110
          0a0b7a09086e12057672662d61
        link br-1
          0a2212200a06120462722d31120e776566742e746573742e62722d3118aa0b2001820100
        link vx100
          0a2f122d0a0712057678313030120f776566742e746573742e767831303018aa0b2001a2010b08641204c000020118b525
        vxlan-fdb vx100 02:00:00:00:00:09
          0a193a170a071205767831303012060200000000091a04c0000202
    "#]].assert_eq(&lines.concat());
}

fn raw(objects: &[Vec<u8>]) -> Bytes {
    let mut list = Vec::new();
    for object in objects {
        list.push(0x0a);
        list.push(u8::try_from(object.len()).unwrap());
        list.extend(object);
    }
    list.into()
}

/// A field with a length, of a number above 15.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let key = (u16::from(number) << 3) | 2;
    let mut bytes = vec![u8::try_from(key & 0x7f).unwrap() | 0x80, u8::try_from(key >> 7).unwrap()];
    bytes.push(u8::try_from(content.len()).unwrap());
    bytes.extend(content);
    bytes
}

#[test]
fn an_object_of_an_unknown_kind_is_reported_and_the_others_are_read() {
    let known = wire::Object {
        kind: Some(wire::object::Kind::Namespace(wire::Namespace { name: "web1".to_owned() })),
    };
    let link = wire::Link { mtu: 1500, ..wire::Link::default() }.encode_to_vec();
    let new_link = [link, field(21, b"wireguard")].concat();
    let new_link = [vec![0x12, u8::try_from(new_link.len()).unwrap()], new_link].concat();
    let bytes = raw(&[field(50, b"a filter"), known.encode_to_vec(), new_link]);
    let (fragment, unknown) = decode_fragment(id(), &bytes).unwrap();
    assert_eq!(fragment.objects, [Object::Namespace("web1".parse().unwrap())]);
    let unknown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    expect![[r#"
        [
            "object 0: object of kind 50 is not known to this version",
            "object 2: link of kind 21 is not known to this version",
        ]
    "#]]
    .assert_debug_eq(&unknown);
}

#[test]
fn fields_that_only_a_newer_controller_knows_are_passed_over() {
    let namespace = wire::Namespace { name: "web1".to_owned() }.encode_to_vec();
    let namespace = [namespace, field(60, b"more")].concat();
    let object = [vec![0x0a, u8::try_from(namespace.len()).unwrap()], namespace].concat();
    let (fragment, unknown) = decode_fragment(id(), &raw(&[object])).unwrap();
    assert_eq!(fragment.objects, [Object::Namespace("web1".parse().unwrap())]);
    assert!(unknown.is_empty());
}

#[test]
fn what_is_wrong_is_said_with_object_and_field() {
    let name = wire::LinkId { name: "br-1".to_owned(), ..wire::LinkId::default() };
    let flood = wire::Flood { link: Some(name.clone()), destination: Bytes::from_static(&[1, 2, 3]), vni: 0 };
    let fdb = wire::BridgeFdb { link: None, mac: Bytes::from_static(&[0; 6]) };
    let too_long = wire::LinkId { name: "0123456789abcdef".to_owned(), ..wire::LinkId::default() };
    let kinds = [
        Some(wire::object::Kind::Flood(flood)),
        Some(wire::object::Kind::BridgeFdb(fdb)),
        Some(wire::object::Kind::ForeignLink(too_long)),
        Some(wire::object::Kind::ProxyArp(wire::LinkId {
            namespace: "web1".to_owned(),
            name: "gw1".to_owned(),
            vrf: "vrf-a".to_owned(),
        })),
        Some(wire::object::Kind::Vrf(wire::Vrf { name: "vrf-a".to_owned(), ..wire::Vrf::default() })),
        Some(wire::object::Kind::Route(wire::Route {
            paths: vec![wire::Path { weight: 1, ..wire::Path::default() }],
            ..wire::Route::default()
        })),
        Some(wire::object::Kind::Route(wire::Route {
            paths: vec![wire::Path { link: "eth0".to_owned(), ..wire::Path::default() }],
            ..wire::Route::default()
        })),
        None,
    ];
    let errors = kinds.map(|kind| {
        let list = wire::ObjectList { objects: vec![wire::Object { kind }] };
        decode_fragment(id(), &list.encode_to_vec().into()).unwrap_err().to_string()
    });
    expect![[r#"
        object 0: flood.destination: 3 bytes are not an IP address
        object 0: bridge_fdb.link: is missing
        object 0: foreign_link: '0123456789abcdef' is not a valid interface name: 1 to 15 bytes are needed
        object 0: proxy_arp: is in a namespace or in a VRF, and not in both
        object 0: vrf.table: 0 is not the number of a table
        object 0: path.link: is missing, and there are no labels and no router
        object 0: path.weight: 0 is not in 1 to 65535
        object 0: kind: is missing"#]]
    .assert_eq(&errors.join("\n"));
}
