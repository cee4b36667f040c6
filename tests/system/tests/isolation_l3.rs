//! Two tenants with the same addresses behind routers and VPNs of their own, on two hosts. One of them is root in its workload and
//! sends what no IP stack would: nothing of it gets to the other, to a host or to the controller, and nobody's tables change.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::sockopt::RcvBufForce;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket};
use serde_json::{Value, json};
use weft_lab::LabSpec;
use weft_system_tests::frames::{
    ARP, BROADCAST, Capture, Captured, IPV4, IPV6, TIMES, arp, frame, icmp, icmpv6, inject, syn, udp, vxlan,
};
use weft_system_tests::l3::{network, ttl, vpn, workload};
use weft_system_tests::{
    Bench, Node, Vrf, has_vrf_devices, machine, patience, run, run_again_in, spec_of, until,
};

const WITHIN: Duration = Duration::from_secs(10);
/// How long somebody who may not connect tries to.
const PATIENCE: Duration = Duration::from_millis(50);
/// What the attacker's frames bear.
const MARKER: &[u8] = b"weft-break-in";
/// What those bear that may get there.
const CONTROL: &[u8] = b"weft-control";
/// So many frames go by a link beside them: what hosts and workloads say by themselves.
const OTHERS_MAX: u64 = 1000;
/// How long is listened for what still goes round, and how many frames by one link in that time are none that do.
const SILENCE: (Duration, u64) = (Duration::from_millis(500), 100);
const PORT: u16 = 7777;
/// Where a service of a host's listens.
const SERVICE: u16 = 22;
/// Where the controller's speaker listens.
const BGP: u16 = 179;
/// As what its neighbour is in the management network.
const NEIGHBOR: u8 = 201;
const GATEWAY: [u8; 4] = [10, 1, 0, 1];
const UNDERLAY: [[u8; 4]; 2] = [[198, 51, 100, 1], [198, 51, 100, 2]];
/// The workloads of the other tenant.
const BLUE: [&str; 5] = ["host1.blue-w1", "host2.blue-w2", "host2.blue-f2", "host1.blue-d1", "host2.blue-d2"];
const HOSTS: [&str; 2] = ["host1", "host2"];
/// The VNIs of the routers.
const BLUE_VNI: u32 = 70_001;
const RED_VNI: u32 = 80_001;

/// A tenant: a router with a network on both hosts, one on the second, and one in a VPN.
fn tenant(bench: &Bench, name: &str, vni: u32, alone: &str) {
    let cidrs = ["10.1.0.0/24", "2001:db8:1::/64"];
    let (web, web_subnets) = network(bench, name, json!({"name": format!("{name}-web")}), &cidrs);
    let (db, db_subnets) =
        network(bench, name, json!({"name": format!("{name}-db")}), &["10.2.0.0/24", "2001:db8:2::/64"]);
    let (far, _) = network(bench, name, json!({"name": format!("{name}-far")}), &[&format!("{alone}.0/24")]);
    let at = |network: &str, at: (&str, &str, &str)| {
        workload(bench, name, network, (&format!("{name}-{}", at.0), at.1, at.2), false)
    };
    at(&web, ("w1", "host1", "10.1.0.11 2001:db8:1::11"));
    at(&web, ("w2", "host2", "10.1.0.12 2001:db8:1::12"));
    at(&db, ("d1", "host1", "10.2.0.11 2001:db8:2::11"));
    at(&db, ("d2", "host2", "10.2.0.12 2001:db8:2::12"));
    at(&far, ("f2", "host2", &format!("{alone}.12")));
    let router = json!({"router": {"name": name, "project_id": name, "evpn_vni": vni}});
    let router = bench.http().create_id("routers", &router);
    for subnet in web_subnets.iter().chain(&db_subnets) {
        let path = format!("/v2.0/routers/{router}/add_router_interface");
        let answer = bench.http().ask("PUT", &path, &json!({"subnet_id": subnet}));
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
    let members = [("router", json!({"router_id": router})), ("network", json!({"network_id": far}))];
    vpn(bench, name, json!({"name": name, "route_targets": [format!("64512:{vni}")]}), &members);
}

fn two_tenants(name: &str) -> Bench {
    let bench = Bench::up_as(LabSpec { bgp_port: Some(BGP), ..spec_of(name, 2, 9783) });
    // As somebody has them whose own services are in VRFs; here a tenant would reach them by any of its gateways.
    for host in HOSTS.into_iter().filter(|host| has_vrf_devices(host)) {
        for setting in ["tcp", "udp", "raw"] {
            let host = bench.namespace(host);
            run(&format!("ip netns exec {host} sysctl -qw net.ipv4.{setting}_l3mdev_accept=1"));
        }
    }
    tenant(&bench, "blue", BLUE_VNI, "10.7.0");
    tenant(&bench, "red", RED_VNI, "10.8.0");
    bench.await_rest();
    for host in HOSTS {
        let vrfs = bench.vrfs_on(host);
        assert!(vrfs.iter().all(|vrf| vrf.is_device == has_vrf_devices(host)), "{vrfs:?}");
    }
    for (tenant, alone) in [("blue", "10.7.0.12"), ("red", "10.8.0.12")] {
        for to in ["10.1.0.12", "10.2.0.11", "10.2.0.12", alone, "2001:db8:1::12", "2001:db8:2::12"] {
            let from = format!("host1.{tenant}-w1");
            until(&format!("{from} reaches {to}"), WITHIN, || ttl(&bench, &from, to));
        }
    }
    bench
}

fn mac_of_port(bench: &Bench, name: &str) -> String {
    bench.mac_of(name, "eth0")
}

/// The MAC address of a tenant's gateway in its network on both hosts.
fn gateway_of(bench: &Bench, tenant: &str) -> String {
    let neighbours = bench.ip_json(&format!("host1.{tenant}-w1"), "neigh show 10.1.0.1");
    neighbours[0]["lladdr"].as_str().expect("it is known").to_owned()
}

fn all_vrfs(bench: &Bench) -> Vec<Vrf> {
    HOSTS.iter().flat_map(|host| bench.vrfs_on(host)).collect()
}

/// Who is whose neighbour, and where routes lead: of the other tenant's workloads, and of all VRFs what was told them. That a
/// gateway remembers who asks it, of its own networks, is left out, and so are links' own addresses, which come in their time.
fn tables(bench: &Bench) -> Vec<String> {
    let mut tables = Vec::new();
    let blue = BLUE.map(str::to_owned).into_iter();
    for node in blue.chain(HOSTS.iter().flat_map(|host| bench.routing_nodes(host))) {
        let is_told = |one: &&Value| {
            one["lladdr"].is_string()
                && (BLUE.contains(&node.as_str()) || one["state"] == json!(["PERMANENT"]))
        };
        let neighbours = bench.ip_json(&node, "neigh show");
        let neighbours = neighbours.iter().filter(is_told);
        let mut lines: Vec<String> =
            neighbours.map(|one| format!("{} {} {}", one["dst"], one["dev"], one["lladdr"])).collect();
        for family in ["-4", "-6"] {
            let routes = bench.ip(&node, &format!("{family} route show table all"));
            lines.extend(routes.lines().filter(|line| !line.starts_with("local fe80::")).map(str::to_owned));
        }
        lines.sort();
        tables.extend(lines.into_iter().map(|line| format!("{node}: {line}")));
    }
    tables
}

/// The VRFs that have a neighbour of this MAC address, but those of its own tenant.
fn fooled(bench: &Bench, tenant: &str, mac: &str) -> Vec<String> {
    let all = ["routers", "bgpvpn/bgpvpns"].iter().flat_map(|kind| bench.http().list(kind));
    let own = all.filter(|one| one["project_id"] == tenant);
    let ids: Vec<String> = own.map(|one| one["id"].as_str().expect("an id").to_owned()).collect();
    let is_own = |vrf: &Vrf| ids.iter().any(|id| vrf.name.ends_with(&id[..11]));
    let knows = |vrf: &Vrf| {
        let mut neighbours = ["-4", "-6"].into_iter().flat_map(|family| vrf.neighbours(bench, family));
        neighbours.any(|one| one["lladdr"] == mac)
    };
    let others = all_vrfs(bench).into_iter().filter(|vrf| !is_own(vrf));
    others.filter(knows).map(|vrf| vrf.name).collect()
}

fn vni_of(bench: &Bench, network: &str) -> u32 {
    let found =
        bench.http().list(&format!("networks?name={network}"))[0]["provider:segmentation_id"].as_u64();
    found.and_then(|vni| u32::try_from(vni).ok()).expect("a VNI")
}

/// The MAC address of a VRF with this VNI on a host.
fn router_mac(bench: &Bench, vni: u32, host: &str) -> String {
    let link = format!("vx{vni}");
    let node = bench.routing_nodes(host).into_iter().find(|node| bench.links(node).contains_key(&link));
    bench.mac_of(&node.expect("a VRF of this VNI"), &link)
}

fn management(bench: &Bench, host: &str) -> [u8; 4] {
    let shown = bench.ip_json(host, "-4 address show dev mgmt0")[0]["addr_info"][0]["local"].clone();
    let address: std::net::Ipv4Addr = shown.as_str().and_then(|text| text.parse().ok()).expect("an address");
    address.octets()
}

/// Packets to wherever a tenant should not get, from whoever it may say that it is.
fn packets(bench: &Bench) -> Vec<Vec<u8>> {
    let sources = [
        [10, 1, 0, 11],
        GATEWAY,
        [10, 1, 0, 12],
        [10, 2, 0, 12],
        [10, 7, 0, 12],
        UNDERLAY[0],
        [127, 0, 0, 1],
    ];
    let mut targets =
        vec![[10, 7, 0, 12], [127, 0, 0, 1], [127, 0, 0, 53], [169, 254, 169, 254], [224, 0, 0, 1]];
    targets.extend(UNDERLAY);
    // The gateway's addresses are the host's own, where VRFs are devices.
    targets.extend([GATEWAY, [10, 2, 0, 1]]);
    targets.extend([[255, 255, 255, 255], management(bench, "host1"), management(bench, "host2")]);
    let mut packets = Vec::new();
    let tunnelled = tunnelled(bench);
    for source in sources {
        packets.extend(targets.iter().map(|target| udp(source, *target, PORT, MARKER)));
        packets.extend(tunnelled.iter().flat_map(|inner| {
            UNDERLAY
                .iter()
                .chain([&GATEWAY])
                .map(|target| udp(source, *target, 4789, inner))
                .collect::<Vec<_>>()
        }));
    }
    packets
}

/// VXLAN of the tenant's own making, into the networks and VRFs of the other.
fn tunnelled(bench: &Bench) -> Vec<Vec<u8>> {
    let (victim, gateway) = (mac_of_port(bench, "host2.blue-w2"), gateway_of(bench, "blue"));
    let within = udp([10, 1, 0, 11], [10, 1, 0, 12], PORT, MARKER);
    let routers = ["host1", "host2"].map(|host| router_mac(bench, BLUE_VNI, host));
    let routed = routers.iter().map(|to| vxlan(BLUE_VNI, &frame(to, &routers[0], IPV4, &within)));
    let bridged = vxlan(vni_of(bench, "blue-web"), &frame(&victim, &gateway, IPV4, &within));
    routed.chain([bridged]).collect()
}

/// Claims about who has which address, and about better ways.
fn claims(own: &str, gateway: &str) -> Vec<(u16, Vec<u8>)> {
    let mut claims = Vec::new();
    let everybody: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    for address in [GATEWAY, [10, 1, 0, 11], [10, 1, 0, 12], [10, 2, 0, 1], [10, 2, 0, 12], [10, 7, 0, 12]] {
        for operation in [1, 2] {
            claims.push((ARP, arp(operation, (own, address), ("00:00:00:00:00:00", address))));
            claims.push((ARP, arp(operation, (own, address), (gateway, GATEWAY))));
            claims.push((ARP, arp(operation, (own, address), (BROADCAST, [10, 1, 0, 12]))));
        }
    }
    let option = |kind: u8| [&[kind, 1][..], &weft_system_tests::frames::mac(own)].concat();
    let address = |text: &str| text.parse::<Ipv6Addr>().expect("an address");
    for target in ["2001:db8:1::1", "2001:db8:1::11", "2001:db8:1::12", "fe80::1"].map(address) {
        // An answer that nobody has asked for, to override what is known (RFC 4861 §4.4).
        let advertisement = [&[0x20, 0, 0, 0][..], &target.octets(), &option(2)].concat();
        claims.push((IPV6, icmpv6(target, everybody, (136, 0), &advertisement)));
        // A better way to the other (§4.5), as if the gateway said so.
        let better = [&[0; 4][..], &address("fe80::bad").octets(), &target.octets(), &option(2)].concat();
        claims.push((IPV6, icmpv6(address("fe80::1"), target, (137, 0), &better)));
    }
    // A router (§4.2) of hop limit 64, for 1,800 s, and its prefix (§4.6.2), on the link and for addresses.
    let prefix = [&[3, 4, 64, 0xc0][..], &[0xff; 8], &[0; 4], &address("2001:db8:bad::").octets()].concat();
    let router = [&[64, 0, 7, 8][..], &[0; 8], &option(1), &prefix].concat();
    claims.push((IPV6, icmpv6(address("fe80::bad"), everybody, (134, 0), &router)));
    // A better way (RFC 792), of a packet that might have been.
    let packet = udp([10, 1, 0, 11], [10, 2, 0, 12], PORT, MARKER);
    for victim in [[10, 1, 0, 11], [10, 1, 0, 12], GATEWAY] {
        claims.push((IPV4, icmp(GATEWAY, victim, (5, 1), &[&[10, 1, 0, 66][..], &packet[..28]].concat())));
    }
    claims
}

/// All that red's first workload tries.
fn attempts(bench: &Bench) -> Vec<Vec<u8>> {
    let own = mac_of_port(bench, "host1.red-w1");
    let gateways = ["red", "blue"].map(|tenant| gateway_of(bench, tenant));
    let victims = ["host1.blue-w1", "host2.blue-w2"].map(|node| mac_of_port(bench, node));
    let everybody = [BROADCAST, "33:33:00:00:00:01", "01:00:5e:00:00:01", "01:80:c2:00:00:03"];
    let targets: Vec<&str> = gateways.iter().chain(&victims).map(String::as_str).chain(everybody).collect();
    let mut frames = Vec::new();
    let packets = packets(bench);
    for to in &targets {
        frames.extend(packets.iter().map(|packet| frame(to, &own, IPV4, packet)));
        frames.extend(claims(&own, &gateways[0]).iter().map(|(kind, claim)| frame(to, &own, *kind, claim)));
        for from in gateways.iter().chain(&victims) {
            frames.push(frame(to, from, 0x88b5, MARKER));
            frames.push(frame(to, from, IPV4, &udp([10, 1, 0, 11], [10, 7, 0, 12], PORT, MARKER)));
        }
    }
    frames
}

/// A socket in a node that takes what is for the node itself.
fn ear(bench: &Bench, node: &str) -> UdpSocket {
    let socket = bench.within(node, || UdpSocket::bind(("::", PORT))).expect("the port is free");
    socket.set_nonblocking(true).expect("a socket can be made so");
    socket
}

/// What an ear has heard.
fn heard(ear: &UdpSocket) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut bytes = [0; 2048];
    loop {
        match ear.recv(&mut bytes) {
            Ok(length) => all.push(bytes[..length].to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return all,
            Err(error) => panic!("an ear: {error}"),
        }
    }
}

fn tell(bench: &Bench, node: &str, to: SocketAddr, bytes: &[u8]) {
    let sent =
        bench.within(node, || UdpSocket::bind(("0.0.0.0", 0)).and_then(|socket| socket.send_to(bytes, to)));
    sent.unwrap_or_else(|error| panic!("{node} to {to}: {error}"));
}

/// The same by who may: so the captures see, the ears hear, and the forgeries were well made.
fn prove(bench: &Bench, captures: &mut [Capture], ears: &[UdpSocket]) {
    let victims = ["host1.blue-w1", "host2.blue-w2"].map(|node| mac_of_port(bench, node));
    let within = udp([10, 1, 0, 11], [10, 1, 0, 12], PORT, CONTROL);
    let routers = ["host1", "host2"].map(|host| router_mac(bench, BLUE_VNI, host));
    let inner = [
        vxlan(vni_of(bench, "blue-web"), &frame(&victims[1], &victims[0], IPV4, &within)),
        vxlan(BLUE_VNI, &frame(&routers[1], &routers[0], IPV4, &within)),
    ];
    for (number, inner) in inner.iter().enumerate() {
        tell(bench, "host1", SocketAddr::from((UNDERLAY[1], 4789)), inner);
        let what = format!("what host1 has tunnelled itself, in way {number}");
        until(&what, WITHIN, || captures[1].take().iter().any(|seen| seen.has(CONTROL)).then_some(()));
    }
    inject(
        bench,
        "host2.blue-w2",
        &[frame(&victims[0], &victims[1], IPV4, &udp([10, 1, 0, 12], [10, 1, 0, 11], PORT, CONTROL))],
    );
    until("what blue sends itself", WITHIN, || {
        captures[0].take().iter().any(|seen| seen.has(CONTROL)).then_some(())
    });
    inject(
        bench,
        "host1.blue-w1",
        &[frame(
            &gateway_of(bench, "blue"),
            &victims[0],
            IPV4,
            &udp([10, 1, 0, 11], [10, 7, 0, 12], PORT, CONTROL),
        )],
    );
    until("what blue sends to its own", WITHIN, || {
        captures[2].take().iter().any(|seen| seen.has(CONTROL)).then_some(())
    });
    for ((from, target), ear) in [("host2", UNDERLAY[0]), ("host1", UNDERLAY[1])].into_iter().zip(ears) {
        tell(bench, from, SocketAddr::from((target, PORT)), CONTROL);
        until("what a host sends to the other", WITHIN, || {
            heard(ear).iter().any(|bytes| bytes == CONTROL).then_some(())
        });
    }
}

/// How many frames have gone by each link since.
fn frames_since(bench: &Bench, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let since = |(link, count): (String, u64)| {
        let begin = before.get(&link).copied().unwrap_or(0);
        (link, count.saturating_sub(begin))
    };
    bench.frames().into_iter().map(since).collect()
}

/// No link carries more than was sent at one, and then all are silent: nothing goes round in circles, nor is answered for ever.
fn assert_nothing_goes_round(bench: &Bench, before: &BTreeMap<String, u64>, sent: u64) {
    let (time, silent_max) = SILENCE;
    until("the links are silent", WITHIN, || {
        let begin = bench.frames();
        std::thread::sleep(time);
        frames_since(bench, &begin).values().all(|count| *count <= silent_max).then_some(())
    });
    let mut carried = frames_since(bench, before);
    carried.retain(|_, count| *count > sent + OTHERS_MAX);
    assert!(carried.is_empty(), "more than the {sent} that were sent: {carried:?}");
}

#[test]
fn nothing_that_a_tenant_forges_crosses_at_layer_3() {
    let bench = two_tenants("t-isol3");
    let mut captures = BLUE.map(|node| Capture::start(&bench, node));
    let mut partners = ["host2.red-w2", "host2.red-f2"].map(|node| Capture::start(&bench, node));
    let ears = ["host1", "host2"].map(|host| ear(&bench, host));
    let before = tables(&bench);
    let frames = attempts(&bench);
    let frames_before = bench.frames();
    inject(&bench, "host1.red-w1", &frames);
    // What red may send comes last, and through all the same places; so whatever could get through before has done so.
    let (own, gateway) = (mac_of_port(&bench, "host1.red-w1"), gateway_of(&bench, "red"));
    let last = [
        frame(
            &mac_of_port(&bench, "host2.red-w2"),
            &own,
            IPV4,
            &udp([10, 1, 0, 11], [10, 1, 0, 12], PORT, CONTROL),
        ),
        frame(&gateway, &own, IPV4, &udp([10, 1, 0, 11], [10, 8, 0, 12], PORT, CONTROL)),
    ];
    inject(&bench, "host1.red-w1", &last);
    for partner in &mut partners {
        until("red reaches red", WITHIN, || {
            partner.take().iter().any(|seen| seen.has(CONTROL)).then_some(())
        });
    }
    assert_nothing_goes_round(&bench, &frames_before, frames.len() as u64 * TIMES);
    for (node, capture) in BLUE.iter().zip(&mut captures) {
        let forged: Vec<_> =
            capture.take().into_iter().filter(|seen| seen.has(MARKER) || seen.from == own).collect();
        assert_eq!(forged, [], "{node}");
    }
    for ear in &ears {
        assert_eq!(heard(ear), Vec::<Vec<u8>>::new());
    }
    let after = tables(&bench);
    let gone: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(gone.is_empty() && new.is_empty(), "of neighbours and routes, gone: {gone:#?}, new: {new:#?}");
    assert_eq!(fooled(&bench, "red", &own), Vec::<String>::new(), "other VRFs know the attacker");
    prove(&bench, &mut captures, &ears);
    println!("{} forged frames, {TIMES} times each: none crossed", frames.len());
}

/// The controller's address for agents, as one of them has logged it.
fn controller(bench: &Bench) -> SocketAddr {
    let log = bench.log("host1");
    let address = log.split("controller=\"").nth(1).and_then(|rest| rest.split('"').next());
    address.and_then(|text| text.parse().ok()).expect("an agent says to whom it speaks")
}

/// The packets that a raw socket has.
fn raw_packets(raw: &OwnedFd) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut bytes = [0; 2048];
    loop {
        match recv(raw.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
            Ok(length) => packets.push(bytes[..length].to_vec()),
            Err(Errno::EAGAIN) => return packets,
            Err(error) => panic!("a raw socket: {error}"),
        }
    }
}

/// From which addresses a raw socket has packets.
fn senders(raw: &OwnedFd) -> Vec<[u8; 4]> {
    raw_packets(raw).iter().map(|packet| packet[12..16].try_into().expect("four bytes")).collect()
}

/// From which addresses a raw socket of TCP has segments for BGP.
fn bgp_senders(raw: &OwnedFd) -> BTreeSet<[u8; 4]> {
    let is_bgp = |packet: &&Vec<u8>| {
        let header = usize::from(packet[0] & 0xf) * 4;
        packet[header + 2..header + 4] == BGP.to_be_bytes()
    };
    let all = raw_packets(raw);
    all.iter().filter(is_bgp).map(|packet| packet[12..16].try_into().expect("four bytes")).collect()
}

/// A raw socket that hears all of TCP where it is made.
fn ear_of_tcp() -> OwnedFd {
    let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_NONBLOCK, SockProtocol::Tcp);
    let raw = raw.expect("root may have one");
    setsockopt(&raw, RcvBufForce, &(16 * 1024 * 1024)).expect("root has what buffers it likes");
    raw
}

/// A neighbour of the controller's that is to connect to it, as a node of the lab.
fn passive_neighbor(bench: &Bench) -> (Node, [u8; 4]) {
    let address = bench.fabric_address("mgmt", NEIGHBOR);
    let node = Node::of_lab(bench, "dc");
    node.join(bench, "mgmt", ("eth0", address));
    let speaker =
        bench.http().create_id("bgp-speakers", &json!({"bgp_speaker": {"name": "site", "local_as": 64512}}));
    let peer = json!({"bgp_peer": {"name": "edge", "peer_ip": address, "remote_as": 64512, "passive": true}});
    let peer = bench.http().create_id("bgp-peers", &peer);
    let path = format!("/v2.0/bgp-speakers/{speaker}/add_bgp_peer");
    let answer = bench.http().ask("PUT", &path, &json!({ "bgp_peer_id": peer }));
    assert_eq!(answer.status, 200, "{}", answer.json());
    (node, address.octets())
}

/// Whether the speaker says OPEN (RFC 4271 §4.2) to the neighbour, which connects to it.
fn is_let_in(bench: &Bench, speaker: SocketAddr) -> bool {
    let header = bench.within("dc", || {
        let mut stream = TcpStream::connect_timeout(&speaker, patience(WITHIN))?;
        stream.set_read_timeout(Some(patience(WITHIN)))?;
        let mut header = [0; 19];
        stream.read_exact(&mut header).map(|()| header)
    });
    header.is_ok_and(|header| header[18] == 1)
}

#[test]
fn a_tenants_bgp_reaches_no_speaker_whoever_it_says_that_it_is() {
    let bench = two_tenants("t-nobgp");
    let speaker = SocketAddr::new(controller(&bench).ip(), BGP);
    let IpAddr::V4(controller) = speaker.ip() else { panic!("a lab has its controller at an IPv4 address") };
    let (_node, neighbor) = passive_neighbor(&bench);
    until("the neighbour is let in", WITHIN, || is_let_in(&bench, speaker).then_some(()));
    // Somebody listens on the hosts and in a workload, too.
    let listening = ["host1", "host2", "host2.red-f2"]
        .map(|node| bench.within(node, || TcpListener::bind(("::", BGP))).expect("the port is free"));
    let connect = |node: &str, to: SocketAddr| {
        bench.within(node, || TcpStream::connect_timeout(&to, patience(PATIENCE)))
    };
    let mut targets = UNDERLAY.to_vec();
    targets.extend(HOSTS.map(|host| management(&bench, host)));
    let ears = [ear_of_tcp(), bench.within("host1", ear_of_tcp), bench.within("host2", ear_of_tcp)];
    targets.extend([controller.octets(), GATEWAY, [10, 2, 0, 1], [10, 7, 0, 12]]);
    let all = targets.iter().map(|target| SocketAddr::from((*target, BGP)));
    let gateways = ["2001:db8:1::1", "2001:db8:2::1"].map(|address| address.parse().expect("an address"));
    for target in all.chain(gateways.map(|gateway: IpAddr| SocketAddr::new(gateway, BGP))) {
        for from in ["host1.red-w1", "host2.red-w2"] {
            assert!(connect(from, target).is_err(), "{from} to {target}");
        }
    }
    // As the neighbour, the controller, a host; to the gateway, and to everybody.
    let (own, gateway) = (mac_of_port(&bench, "host1.red-w1"), gateway_of(&bench, "red"));
    let sources = [[10, 1, 0, 11], neighbor, controller.octets(), UNDERLAY[1], management(&bench, "host2")];
    let forged =
        sources.iter().flat_map(|source| targets.iter().map(move |target| syn(*source, *target, BGP)));
    let frames: Vec<Vec<u8>> = forged
        .flat_map(|packet| [gateway.as_str(), BROADCAST].map(|to| frame(to, &own, IPV4, &packet)))
        .collect();
    let mut capture = Capture::start(&bench, "host1.red-w1");
    inject(&bench, "host1.red-w1", &frames);
    // What it may send comes last, and is answered: so the others were well made, and have been where they get to.
    inject(&bench, "host1.red-w1", &[frame(&gateway, &own, IPV4, &syn([10, 1, 0, 11], [10, 8, 0, 12], BGP))]);
    until("red's own is answered", WITHIN, || {
        let is_answer = |seen: &Captured| {
            seen.ipv4().is_some_and(|(from, _)| from == [10, 8, 0, 12]) && seen.payload[9] == 6
        };
        capture.take().iter().any(is_answer).then_some(())
    });
    for (ear, node) in ears.iter().zip(["the controller", "host1", "host2"]) {
        assert_eq!(bgp_senders(ear), BTreeSet::new(), "{node} has it from these");
    }
    assert!(is_let_in(&bench, speaker), "the neighbour still is");
    assert_eq!(bgp_senders(&ears[0]), BTreeSet::from([neighbor]), "and is heard");
    for (number, ear) in [(0, &ears[1]), (1, &ears[2])] {
        let from = management(&bench, HOSTS[1 - number]);
        let to = SocketAddr::from((management(&bench, HOSTS[number]), BGP));
        assert!(connect(HOSTS[1 - number], to).is_ok(), "a host may");
        assert_eq!(bgp_senders(ear), BTreeSet::from([from]), "and is heard");
    }
    drop(listening);
}

#[test]
fn a_tenant_connects_to_no_host_and_no_controller_by_its_gateway() {
    let bench = two_tenants("t-noconnect");
    let controller = controller(&bench);
    let connect = |node: &str, to: SocketAddr| {
        bench.within(node, || TcpStream::connect_timeout(&to, patience(PATIENCE)))
    };
    assert!(connect("host1", controller).is_ok(), "a host may");
    // A service of the host's that listens on whatever address it has, and somebody there who hears all of ICMP.
    let _services = HOSTS.map(|host| {
        let listener = bench.within(host, || TcpListener::bind(("::", SERVICE)));
        listener.expect("the port is free")
    });
    assert!(connect("host2", SocketAddr::from((UNDERLAY[0], SERVICE))).is_ok(), "another host may");
    let icmp = bench.within("host1", || {
        socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_NONBLOCK, SockProtocol::Icmp)
    });
    let icmp = icmp.expect("root may have one");
    let mut targets = vec![controller];
    let hosts = UNDERLAY.into_iter().chain(["host1", "host2"].map(|host| management(&bench, host)));
    for address in hosts.chain([GATEWAY, [10, 2, 0, 1], [169, 254, 169, 254], [10, 7, 0, 12]]) {
        targets.extend([SERVICE, 4789, controller.port()].map(|port| SocketAddr::from((address, port))));
    }
    for gateway in ["2001:db8:1::1", "2001:db8:2::1"] {
        let gateway = gateway.parse().expect("an address");
        targets.push(SocketAddr::new(gateway, SERVICE));
    }
    for target in &targets {
        assert!(connect("host1.red-w1", *target).is_err(), "{target}");
    }
    // A VRF has no way to them either: a namespace has no link to where they are, a device no route.
    let vrfs = all_vrfs(&bench);
    assert!(vrfs.len() >= 4, "each tenant's on each host: {vrfs:?}");
    for vrf in &vrfs {
        for address in UNDERLAY.into_iter().chain([management(&bench, "host1")]) {
            let address = std::net::Ipv4Addr::from(address).to_string();
            assert!(!vrf.pings_at_once(&bench, &address), "{vrf:?} to {address}");
        }
    }
    for address in UNDERLAY.into_iter().chain([management(&bench, "host1"), [10, 7, 0, 12]]) {
        let address = std::net::Ipv4Addr::from(address).to_string();
        assert!(!bench.pings_at_once("host1.red-w1", &address), "{address}");
    }
    assert!(bench.pings("host1.red-w1", "10.1.0.1"), "its gateway answers");
    assert!(bench.pings("host2", "198.51.100.1"), "a host answers another");
    let senders = senders(&icmp);
    assert!(senders.contains(&UNDERLAY[1]) && !senders.contains(&[10, 1, 0, 11]), "{senders:?}");
    // The addresses of next hops are of the links between routers, and not of a tenant's.
    let next_hops: Vec<Value> =
        bench.vrfs_on("host1").iter().flat_map(|vrf| vrf.neighbours(&bench, "-6")).collect();
    let next_hops =
        next_hops.iter().filter(|one| one["dev"].as_str().is_some_and(|dev| dev.starts_with("vx")));
    let mut count = 0;
    for next_hop in next_hops {
        let to = format!("{}%eth0", next_hop["dst"].as_str().expect("an address"));
        assert!(!bench.pings_at_once("host1.red-w1", &to), "{to}");
        count += 1;
    }
    assert!(count > 0, "there are next hops");
}

mod machine {
    const CASES: &[&str] = &["nothing_that_a_tenant_forges", "a_tenants_bgp", "a_tenant_connects"];

    #[test]
    fn the_same_with_vrf_devices() {
        super::run_again_in(&super::machine("1,2"), &[], CASES);
    }

    #[test]
    fn the_same_with_namespaces_on_one_host_and_vrf_devices_on_the_other() {
        super::run_again_in(&super::machine("2"), &[], CASES);
    }
}
