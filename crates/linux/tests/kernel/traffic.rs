//! Two hosts, joined by a wire, built by the driver alone: who reaches whom, and who must not.

use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;

use crate::common::{
    Bench, address, await_plan, bridge, here, on, plan, port, reach, run, state, try_run, veth, vxlan,
};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, socket};
use weft_dataplane::conformance::converge;
use weft_dataplane::{BridgeFdb, Driver, Flood, Neighbour, Object, PortRole, VxlanFdb};
use weft_linux::LinuxHost;

use crate::talk::{LONG_ENOUGH, PORT, SOON, arrives, ear, first_word, hears, inside, say, shout};

/// One side of a tenant's network: VNI, and the last digit of its workload's addresses.
struct Side {
    vni: u32,
    digit: u8,
    local: &'static str,
    remote: &'static str,
}

fn mac(vni: u32, digit: u8) -> String {
    format!("02:00:00:00:{:02x}:{digit:02x}", vni / 100)
}

impl Side {
    fn objects(&self) -> Vec<Object> {
        let (web, tap) = (format!("web{}", self.vni), format!("tap{}", self.vni));
        let (br, vx) = (format!("br-{}", self.vni), format!("vx{}", self.vni));
        let other = 3 - self.digit;
        let far: weft_net::Mac = mac(self.vni, other).parse().unwrap();
        let destination: IpAddr = self.remote.parse().unwrap();
        let neighbour = |address: String| {
            Object::Neighbour(Neighbour { link: here(&br), address: address.parse().unwrap(), mac: far })
        };
        vec![
            Object::Namespace(web.parse().unwrap()),
            bridge(&br),
            vxlan(&vx, self.vni, self.local),
            port(&vx, &br, PortRole::Tunnel),
            veth(&tap, on(&web, "eth0"), &mac(self.vni, self.digit)),
            port(&tap, &br, PortRole::Workload),
            Object::ForeignLink(on(&web, "eth0")),
            address(on(&web, "eth0"), &format!("10.0.0.{}/24", self.digit)),
            address(on(&web, "eth0"), &format!("2001:db8::{}/64", self.digit)),
            Object::Flood(Flood { link: here(&vx), destination, vni: None }),
            Object::BridgeFdb(BridgeFdb { link: here(&vx), mac: far }),
            Object::VxlanFdb(VxlanFdb { link: here(&vx), mac: far, destination, vni: None }),
            neighbour(format!("10.0.0.{other}")),
            neighbour(format!("2001:db8::{other}")),
        ]
    }
}

/// Two hosts and the wire between them, which is a namespace of its own with a bridge.
pub(crate) fn wired(bench: &Bench) {
    bench.add_host("wire");
    let wire = bench.host("wire");
    run(&format!("ip -n {wire} link add w type bridge mcast_snooping 0"));
    run(&format!("ip -n {wire} link set w addrgenmode none up"));
    for (host, digit) in [("a", 1), ("b", 2)] {
        bench.add_host(host);
        let n = bench.host(host);
        run(&format!("ip -n {n} link add up0 mtu 1600 type veth peer name {host} netns {wire}"));
        run(&format!("ip -n {wire} link set dev {host} mtu 1600 master w addrgenmode none up"));
        run(&format!("ip -n {n} addr add 192.0.2.{digit}/24 dev up0"));
        run(&format!("ip -n {n} addr add 2001:db8:ffff::{digit}/64 dev up0 nodad"));
        run(&format!("ip -n {n} link set up0 up"));
    }
}

fn sides(vni: u32, locals: [&'static str; 2]) -> [Side; 2] {
    [
        Side { vni, digit: 1, local: locals[0], remote: locals[1] },
        Side { vni, digit: 2, local: locals[1], remote: locals[0] },
    ]
}

fn build(bench: &Bench, locals: [&'static str; 2]) -> [LinuxHost; 2] {
    wired(bench);
    let [a1, b1] = sides(100, locals);
    let [a2, b2] = sides(200, locals);
    let (mut a, mut b) = (bench.open("a"), bench.open("b"));
    reach(&mut a, &state([a1.objects(), a2.objects()].concat()));
    reach(&mut b, &state([b1.objects(), b2.objects()].concat()));
    [a, b]
}

fn tenants_reach_their_own_and_nobody_elses(locals: [&'static str; 2]) {
    let bench = Bench::new();
    let _hosts = build(&bench, locals);
    let workload = |host: &str, vni: u32| bench.named(host, &format!("web{vni}"));
    let outer = if locals[0].contains(':') { 70 } else { 50 };
    for (near, far) in [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")] {
        let wire = sniffer(&bench.host("wire"));
        let (one, two) = (ear(&workload("b", 100), far), ear(&workload("b", 200), far));
        let said = first_word(&one, || say(&workload("a", 100), far, "one"));
        assert_eq!(said.as_deref(), Some("one"), "over VNI 100 to {far}");
        let said = first_word(&two, || say(&workload("a", 200), far, "two"));
        assert_eq!(said.as_deref(), Some("two"), "over VNI 200 to {far}");
        assert_eq!((hears(&one, LONG_ENOUGH), hears(&two, LONG_ENOUGH)), (None, None), "tenants are apart");
        let back = ear(&workload("a", 100), near);
        assert!(arrives(&workload("b", 100), near, &back, SOON), "and back");
        let seen = inner_frames(&wire, outer);
        let questions = seen.iter().filter(|frame| asks_for_neighbour(frame)).count();
        assert!(seen.len() >= 3, "the frames are on the wire: {}", seen.len());
        assert_eq!(questions, 0, "who has {far} is answered by the bridge, and asked on no wire");
    }
}

/// Hears all frames in a namespace.
fn sniffer(namespace: &str) -> std::os::fd::OwnedFd {
    inside(namespace, || {
        socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_NONBLOCK, SockProtocol::EthAll).unwrap()
    })
}

/// The frames within the VXLAN packets heard so far; `outer` is the length of what is around them.
fn inner_frames(sniffer: &std::os::fd::OwnedFd, outer: usize) -> Vec<Vec<u8>> {
    let (mut frames, mut buffer) = (Vec::new(), [0; 4000]);
    while let Ok(length) = recv(sniffer.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
        let udp = outer - 16;
        if length > outer + 14 && buffer[udp + 2..udp + 4] == 4789_u16.to_be_bytes() {
            frames.push(buffer[outer..length].to_vec());
        }
    }
    frames
}

/// An ARP request, or a neighbour solicitation of somebody who has an address of the tenants'.
fn asks_for_neighbour(frame: &[u8]) -> bool {
    let solicits = frame.len() >= 78 && frame[20] == 58 && frame[54] == 135;
    frame[12..14] == [8, 6] || (frame[12..14] == [0x86, 0xdd] && solicits && frame[62..64] == [0x20, 1])
}

#[test]
fn tenants_reach_their_own_and_nobody_elses_over_ipv4() {
    tenants_reach_their_own_and_nobody_elses(["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn tenants_reach_their_own_and_nobody_elses_over_ipv6() {
    tenants_reach_their_own_and_nobody_elses(["2001:db8:ffff::1", "2001:db8:ffff::2"]);
}

#[test]
fn a_workload_cannot_reach_its_host() {
    let bench = Bench::new();
    let [mut a, _b] = build(&bench, ["192.0.2.1", "192.0.2.2"]);
    let (host, web) = (bench.host("a"), bench.named("a", "web100"));
    let mac_of = |link: &str| {
        let shown = run(&format!("ip -n {host} -o link show {link}"));
        shown.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap().to_owned()
    };
    let macs = [mac_of("br-100"), mac_of("tap100"), "01:80:c2:00:00:0e".to_owned()];
    for (target, length) in [("192.0.2.1", 32), ("2001:db8:ffff::1", 128)] {
        let host_ear = ear(&host, target);
        run(&format!("ip -n {web} route add {target}/{length} dev eth0"));
        assert!(!arrives(&web, target, &host_ear, LONG_ENOUGH), "{target} by asking for its MAC address");
        for mac in &macs {
            run(&format!("ip -n {web} neigh replace {target} lladdr {mac} dev eth0 nud permanent"));
            assert!(!arrives(&web, target, &host_ear, LONG_ENOUGH), "{target} at {mac}");
        }
        // The test would see it: without the guard the bridge's own MAC address is a way in.
        run(&format!("ip -n {web} neigh replace {target} lladdr {} dev eth0 nud permanent", macs[0]));
        run(&format!("tc -n {host} qdisc del dev br-100 clsact"));
        assert!(arrives(&web, target, &host_ear, SOON), "{target} is reached where there is no guard");
        // The driver sees that the guard is gone, and puts it there again.
        let [side, _] = sides(100, ["192.0.2.1", "192.0.2.2"]);
        let [other, _] = sides(200, ["192.0.2.1", "192.0.2.2"]);
        let want = state([side.objects(), other.objects()].concat());
        let plan = await_plan(&mut a, &want, |plan| plan.steps.len() == 1);
        assert!(plan.to_string().starts_with("~ link br-100"), "{plan}");
        converge(&mut a, &want).unwrap();
        assert!(!arrives(&web, target, &host_ear, LONG_ENOUGH), "{target} once it is back");
    }
}

#[test]
fn a_port_that_is_not_in_a_bridge_and_a_broadcast_reach_nothing_either() {
    let bench = Bench::new();
    let _hosts = build(&bench, ["192.0.2.1", "192.0.2.2"]);
    let (host, web) = (bench.host("a"), bench.named("a", "web100"));
    let everybody = ear(&host, "0.0.0.0");
    shout(&web, "eth0", "hello");
    assert_eq!(hears(&everybody, LONG_ENOUGH), None, "a broadcast of a tenant's stays in its network");
}

#[test]
fn a_frame_of_a_network_that_the_host_has_not_goes_nowhere() {
    let bench = Bench::new();
    let mut hosts = build(&bench, ["192.0.2.1", "192.0.2.2"]);
    let near = bench.named("a", "web100");
    let listener = ear(&near, "10.0.0.1");
    let tunnel = inside(&bench.host("b"), || UdpSocket::bind("192.0.2.2:0").unwrap());
    let inject = |vni: u32| tunnel.send_to(&frame(vni), "192.0.2.1:4789").unwrap();
    inject(999);
    assert_eq!(hears(&listener, LONG_ENOUGH), None);
    inject(200);
    assert_eq!(hears(&listener, LONG_ENOUGH), None, "the address is another tenant's, too");
    inject(100);
    assert_eq!(hears(&listener, SOON).as_deref(), Some("hi"), "the test would see it");
    assert!(try_run(&format!("ip -n {near} link show eth0")).is_ok());
    let nothing = state([]);
    converge(&mut hosts[0], &nothing).unwrap();
    assert!(
        plan(&mut hosts[0], &nothing).is_at_rest()
            && hosts[0].observe().unwrap().iter().all(|(_, o)| o.is_foreign())
    );
}

/// A VXLAN packet with "hi" from 10.0.0.2 to 10.0.0.1.
fn frame(vni: u32) -> Vec<u8> {
    let mut bytes = vec![8, 0, 0, 0];
    bytes.extend_from_slice(&(vni << 8).to_be_bytes());
    bytes.extend_from_slice(&[2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 2, 8, 0]);
    let mut ip = vec![0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1];
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    ip[10..12].copy_from_slice(&folded.to_be_bytes());
    bytes.extend_from_slice(&ip);
    let [high, low] = PORT.to_be_bytes();
    bytes.extend_from_slice(&[9, 9, high, low, 0, 10, 0, 0, b'h', b'i']);
    bytes
}
