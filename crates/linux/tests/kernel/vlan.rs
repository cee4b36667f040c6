//! VLANs: a network that is one on a physical interface, a vNIC that is a trunk, tags within tags.
//!
//! [`machine`](crate::machine) runs these where there are VLAN devices; on a host that has them, `--include-ignored` does.

use weft_dataplane::conformance::converge;
use weft_dataplane::{Driver, Object, PortRole, State};
use weft_linux::LinuxHost;
use weft_net::Capability;

use crate::capture::{Capture, Frame};
use crate::common::{
    Bench, address, await_plan, bridge, here, link, on, plan, port, reach, run, state, try_run, veth, vlan,
};
use crate::damage::check;
use crate::talk::{LONG_ENOUGH, SOON, arrives, ear, first_word, hears, say, shout};
use crate::traffic::wired;

fn open(bench: &Bench, host: &str) -> LinuxHost {
    let opened = bench.open(host);
    assert!(opened.capabilities().contains(&Capability::Vlan), "this kernel has no VLAN devices");
    opened
}

/// A network that is a VLAN of the physical network behind `up0`, with one workload.
fn network(vlan_id: u16, digit: u8) -> Vec<Object> {
    let [web, tap, br, vl] = ["web", "tap", "br-", "vl"].map(|prefix| format!("{prefix}{vlan_id}"));
    let mac = format!("02:00:00:00:{:02x}:{digit:02x}", vlan_id / 100);
    vec![
        Object::Namespace(web.parse().unwrap()),
        bridge(&br),
        Object::ForeignLink(here("up0")),
        vlan(&vl, "up0", vlan_id, 1500),
        port(&vl, &br, PortRole::Uplink),
        veth(&tap, on(&web, "eth0"), &mac),
        port(&tap, &br, PortRole::Workload),
        Object::ForeignLink(on(&web, "eth0")),
        address(on(&web, "eth0"), &format!("10.0.0.{digit}/24")),
        address(on(&web, "eth0"), &format!("2001:db8::{digit}/64")),
    ]
}

/// The VLANs of the frames that say a word; on one link, or on all.
fn vlans_of(frames: &[Frame], link: Option<usize>, word: &str) -> Vec<Vec<u16>> {
    let is_meant =
        |frame: &&Frame| link.is_none_or(|link| frame.link == link) && frame.rest.ends_with(word.as_bytes());
    let mut vlans: Vec<_> = frames.iter().filter(is_meant).map(|frame| frame.vlans.clone()).collect();
    vlans.dedup();
    vlans
}

fn index_of(namespace: &str, link: &str) -> usize {
    let shown = run(&format!("ip -n {namespace} -o link show {link}"));
    shown.split(':').next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs VLAN devices; runs in a virtual machine"]
fn a_network_that_is_a_vlan_is_tagged_on_the_wire_and_kept_from_the_others() {
    let bench = Bench::new();
    wired(&bench);
    let (mut a, mut b) = (open(&bench, "a"), open(&bench, "b"));
    reach(&mut a, &state([network(100, 1), network(200, 1)].concat()));
    reach(&mut b, &state([network(100, 2), network(200, 2)].concat()));
    let workload = |host: &str, vlan_id: u32| bench.named(host, &format!("web{vlan_id}"));
    for (near, far) in [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")] {
        let wire = Capture::begin(&bench.host("wire"));
        let (one, two) = (ear(&workload("b", 100), far), ear(&workload("b", 200), far));
        let said = first_word(&one, || say(&workload("a", 100), far, "one"));
        assert_eq!(said.as_deref(), Some("one"), "over VLAN 100 to {far}");
        let said = first_word(&two, || say(&workload("a", 200), far, "two"));
        assert_eq!(said.as_deref(), Some("two"), "over VLAN 200 to {far}");
        assert_eq!((hears(&one, LONG_ENOUGH), hears(&two, LONG_ENOUGH)), (None, None), "they are apart");
        let back = ear(&workload("a", 100), near);
        assert!(arrives(&workload("b", 100), near, &back, SOON), "and back");
        let seen = wire.frames();
        let tagged = ["one", "two"].map(|word| vlans_of(&seen, None, word));
        assert_eq!(tagged, [[[100]], [[200]]], "on the wire");
    }
    for host in [&mut a, &mut b] {
        converge(host, &State::default()).unwrap();
    }
    assert!(try_run(&format!("ip -n {} link show up0", bench.host("a"))).is_ok(), "the parent is not ours");
}

/// A vNIC whose frames belong to three networks: untagged ones, those of VLAN 7, and those of VLAN 8 within VLAN 7.
fn trunk() -> Vec<Object> {
    let mut objects = vec![
        Object::Namespace("vm".parse().unwrap()),
        veth("tap0", on("vm", "eth0"), "02:00:00:00:00:01"),
        vlan("vl7", "tap0", 7, 1400),
        vlan("vl78", "vl7", 8, 1400),
    ];
    for (slice, net) in [("tap0", 1), ("vl7", 7), ("vl78", 78)] {
        let [web, tap, br] = ["web", "w", "br-"].map(|prefix| format!("{prefix}{net}"));
        objects.extend([
            bridge(&br),
            port(slice, &br, PortRole::Workload),
            Object::Namespace(web.parse().unwrap()),
            veth(&tap, on(&web, "eth0"), &format!("02:00:00:00:01:{net:02x}")),
            port(&tap, &br, PortRole::Workload),
            Object::ForeignLink(on(&web, "eth0")),
            address(on(&web, "eth0"), &format!("10.0.{net}.2/24")),
        ]);
    }
    objects
}

/// What the trunk's owner does in it.
fn take_slices(vm: &str) {
    run(&format!("ip -n {vm} link add link eth0 name eth0.7 type vlan id 7"));
    run(&format!("ip -n {vm} link add link eth0.7 name eth0.7.8 type vlan id 8"));
    for (slice, net) in [("eth0", 1), ("eth0.7", 7), ("eth0.7.8", 78)] {
        run(&format!("ip -n {vm} addr add 10.0.{net}.1/24 dev {slice}"));
        run(&format!("ip -n {vm} link set {slice} up"));
    }
}

#[test]
#[ignore = "needs VLAN devices; runs in a virtual machine"]
fn each_slice_of_a_trunk_is_in_its_own_network_also_a_tag_within_a_tag() {
    let bench = Bench::new();
    bench.add_host("a");
    let mut host = open(&bench, "a");
    let want = state(trunk());
    reach(&mut host, &want);
    let vm = bench.named("a", "vm");
    take_slices(&vm);
    let web = |net: u8| bench.named("a", &format!("web{net}"));
    let capture = Capture::begin(&bench.host("a"));
    let tap = index_of(&bench.host("a"), "tap0");
    let slices = [("eth0", 1, &[][..]), ("eth0.7", 7, &[7]), ("eth0.7.8", 78, &[7, 8])];
    for (slice, net, tags) in slices {
        let ears = slices.map(|(_, net, _)| (net, ear(&web(net), "0.0.0.0")));
        let word = format!("to {net}.");
        let (_, meant) = ears.iter().find(|(heard_in, _)| *heard_in == net).unwrap();
        let heard = first_word(meant, || shout(&vm, slice, &word));
        assert_eq!(heard.as_ref(), Some(&word), "in network {net}");
        for (heard_in, ear) in &ears {
            assert_eq!(hears(ear, LONG_ENOUGH), None, "'{word}' in network {heard_in}");
        }
        assert_eq!(vlans_of(&capture.frames(), Some(tap), &word), [tags], "'{word}' on the vNIC");
        let back = ear(&vm, &format!("10.0.{net}.1"));
        say(&web(net), &format!("10.0.{net}.1"), "back");
        assert_eq!(hears(&back, SOON).as_deref(), Some("back"), "from network {net}");
        assert_eq!(vlans_of(&capture.frames(), Some(tap), "back"), [tags], "back on the vNIC");
    }
    let rest = plan(&mut host, &want);
    assert!(rest.is_at_rest(), "the owner's own VLANs are not ours: {rest}");
}

#[test]
#[ignore = "needs VLAN devices; runs in a virtual machine"]
fn each_damage_to_a_vlan_is_seen_and_mended_alone() {
    let bench = Bench::new();
    wired(&bench);
    let n = bench.host("a");
    let mut host = open(&bench, "a");
    let want = state([network(100, 1), trunk()].concat());
    reach(&mut host, &want);
    for (damage, mend) in [
        ("link del vl100", &["+ link vl100", "+ bridge-port vl100"][..]),
        ("link set vl100 down", &["~ link vl100"]),
        ("link set vl100 mtu 1300", &["~ link vl100"]),
        ("link set vl100 nomaster", &["+ bridge-port vl100"]),
        ("link set vl78 master br-7", &["~ bridge-port vl78"]),
        ("link del vl78", &["+ link vl78", "+ bridge-port vl78"]),
        ("link del vl7", &["+ link vl7", "+ link vl78", "+ bridge-port vl7", "+ bridge-port vl78"]),
        ("link set vl7 down", &["~ link vl7", "~ link vl78"]),
        ("link set tap0 mtu 1300", &["~ link tap0", "~ link vl7", "~ link vl78"]),
    ] {
        run(&format!("ip -n {n} {damage}"));
        check(&mut host, &want, damage, mend);
        assert_eq!(bench.open("a").observe().unwrap(), host.observe().unwrap(), "after '{damage}'");
    }
}

#[test]
#[ignore = "needs VLAN devices; runs in a virtual machine"]
fn a_vlan_waits_for_its_physical_interface_and_comes_back_with_it() {
    let bench = Bench::new();
    wired(&bench);
    let n = bench.host("a");
    let mut host = open(&bench, "a");
    let want = state(network(100, 1));
    run(&format!("ip -n {n} link set up0 down"));
    await_plan(&mut host, &want, |plan| !plan.is_at_rest());
    let first = plan(&mut host, &want);
    let outcomes = host.apply(&first);
    let refused: Vec<String> = outcomes.iter().filter_map(|o| Some(o.as_ref().err()?.to_string())).collect();
    assert!(refused.len() == 1 && refused[0].contains("Network is down"), "{refused:?} of\n{first}");
    run(&format!("ip -n {n} link set up0 up"));
    await_plan(&mut host, &want, |plan| !plan.to_string().contains("vl100"));
    reach(&mut host, &want);
    run(&format!("ip -n {n} link del up0"));
    let plan = await_plan(&mut host, &want, |plan| plan.is_at_rest() && plan.waiting.len() == 3);
    let waiting: Vec<String> = plan.waiting.iter().map(|waiting| waiting.key.to_string()).collect();
    assert_eq!(waiting, ["link up0", "link vl100", "bridge-port vl100"]);
    run(&format!("ip -n {n} link add up0 type veth peer name other"));
    run(&format!("ip -n {n} link set up0 up"));
    await_plan(&mut host, &want, |plan| plan.waiting.is_empty());
    reach(&mut host, &want);
}

#[test]
#[ignore = "needs VLAN devices; runs in a virtual machine"]
fn a_vlan_of_somebody_elses_stays_and_the_reason_is_told() {
    let bench = Bench::new();
    wired(&bench);
    let n = bench.host("a");
    run(&format!("ip -n {n} link add link up0 name theirs type vlan id 100"));
    let mut host = open(&bench, "a");
    let want = state(network(100, 1));
    let plan = plan(&mut host, &want);
    let outcomes = host.apply(&plan);
    let reasons: Vec<String> = outcomes.iter().filter_map(|o| Some(o.as_ref().err()?.to_string())).collect();
    assert!(reasons.iter().any(|reason| reason.contains("exist")), "{reasons:?}");
    assert!(run(&format!("ip -n {n} -d link show theirs")).contains("id 100"));
    run(&format!("ip -n {n} link del theirs"));
    reach(&mut host, &want);
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// VLANs on a physical interface, on a vNIC and on each other, some of them in bridges and some with addresses.
fn random_vlans(seed: u64) -> State {
    let mut random = Random(seed);
    let mut want = state([Object::Namespace("vm".parse().unwrap()), Object::ForeignLink(here("up0"))]);
    let tap_mtu = [1400, 1500][random.below(2) as usize];
    let kind = weft_dataplane::LinkKind::Veth {
        peer: on("vm", ["eth0", "eth1"][random.below(2) as usize]),
        peer_mac: "02:00:00:00:00:01".parse().unwrap(),
    };
    want.insert(link(here("tap0"), tap_mtu, kind));
    let bridges = random.below(3);
    (0..bridges).for_each(|n| drop(want.insert(bridge(&format!("br-{n}")))));
    let mut parents = vec![("up0".to_owned(), 1500), ("tap0".to_owned(), tap_mtu)];
    let mut taken = Vec::new();
    for n in 0..4 {
        let (parent, largest) = parents[random.below(parents.len() as u64) as usize].clone();
        let vlan_id = 100 + random.below(2) as u16;
        if random.below(4) == 0 || taken.contains(&(parent.clone(), vlan_id)) {
            continue;
        }
        let (name, mtu) = (format!("vl{n}"), largest - 40 * random.below(2) as u32);
        want.insert(vlan(&name, &parent, vlan_id, mtu));
        match random.below(3) {
            0 if bridges > 0 => {
                want.insert(port(&name, &format!("br-{}", random.below(bridges)), PortRole::Workload));
            }
            1 => {
                want.insert(address(here(&name), &format!("198.51.100.{n}/24")));
                want.insert(address(here(&name), &format!("2001:db8::{n}/64")));
            }
            _ => {}
        }
        taken.push((parent, vlan_id));
        parents.push((name, mtu));
    }
    want
}

#[test]
#[ignore = "needs VLAN devices; runs in a virtual machine"]
fn from_any_vlans_to_any_others_in_one_plan() {
    let bench = Bench::new();
    bench.add_host("a");
    let n = bench.host("a");
    run(&format!("ip -n {n} link add up0 mtu 1500 type veth peer name other"));
    run(&format!("ip -n {n} link set up0 up"));
    let mut host = open(&bench, "a");
    for seed in 0..40 {
        let want = random_vlans(seed);
        converge(&mut host, &want).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let mirrored = host.observe().unwrap().clone();
        assert_eq!(bench.open("a").observe().unwrap(), &mirrored, "seed {seed}");
        let of_ours = |state: &State| -> State {
            state.iter().map(|(_, object)| object.clone()).filter(|object| !object.is_foreign()).collect()
        };
        assert_eq!(of_ours(&mirrored), of_ours(&want), "seed {seed}");
    }
}
