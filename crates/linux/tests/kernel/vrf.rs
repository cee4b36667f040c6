//! VRFs of two hosts, joined by VXLAN: routed symmetrically, each to itself; the same whether VRFs are namespaces or devices.

use weft_dataplane::conformance::converge;
use weft_dataplane::{
    BridgeFdb, Driver, Key, Link, LinkId, LinkKind, Mark, Namespace, Neighbour, Object, PortRole, Route,
    RouteTo, State, Vrf, VxlanFdb,
};
use weft_linux::{LinuxHost, VrfMode};
use weft_net::{IfName, Mac, Vni};

use crate::common::{Bench, address, bridge, here, on, port, reach, run, state, try_run, veth};
use crate::traffic::wired;

/// Each test of this, with VRFs of one sort.
macro_rules! in_both_modes {
    ($($name:ident => $body:path),* $(,)?) => {
        mod in_namespaces {
            $(#[test] fn $name() { $body(weft_linux::VrfMode::Namespace); })*
        }
        mod as_devices {
            $(#[test] #[ignore = "needs VRF devices; runs in a virtual machine"]
              fn $name() { $body(weft_linux::VrfMode::Device); })*
        }
    };
}
pub(crate) use in_both_modes;

mod damage;
mod ingress;
mod labels;
mod paths;
mod steering;
mod switch;

const GATEWAY: &str = "00:00:5e:00:01:01";

/// A tenant's VRF on one of two hosts, with a network of its own and one workload in it.
#[derive(Clone, Copy)]
pub(crate) struct Site {
    pub(crate) tenant: char,
    /// 1 or 2.
    pub(crate) host: u8,
}

impl Site {
    pub(crate) fn vrf(self) -> IfName {
        format!("vrf-{}", self.tenant).parse().unwrap()
    }

    pub(crate) fn inside(self, name: &str) -> LinkId {
        LinkId { namespace: Namespace::Vrf(self.vrf()), name: name.parse().unwrap() }
    }

    fn number(self) -> u8 {
        self.tenant as u8 - b'a' + 1
    }

    pub(crate) fn vni(self) -> Vni {
        (5000 + u32::from(self.number())).try_into().unwrap()
    }

    fn vtep(self) -> String {
        format!("192.0.2.{}", self.host)
    }

    fn router_mac(self) -> Mac {
        Mac::new([2, 0, 0, self.host, 0, self.number()])
    }

    /// The link-local address of its router's MAC (RFC 4291 appendix A).
    pub(crate) fn router(self) -> String {
        format!("fe80::{:x}:ff:fe00:{:x}", u16::from(self.host), u16::from(self.number()))
    }

    fn there(self) -> Self {
        Self { host: 3 - self.host, ..self }
    }

    pub(crate) fn vx(self) -> String {
        format!("vx{}", self.vni())
    }

    pub(crate) fn gw(self) -> String {
        format!("gw-{}", self.tenant)
    }

    pub(crate) fn web(self) -> String {
        format!("web-{}", self.tenant)
    }

    pub(crate) fn workload(self, bench: &Bench) -> String {
        bench.named(["a", "b"][usize::from(self.host) - 1], &self.web())
    }

    pub(crate) fn route(self, destination: &str, to: RouteTo) -> Object {
        let (namespace, destination) = (Namespace::Vrf(self.vrf()), destination.parse().unwrap());
        Object::Route(Route { namespace, table: 254, destination, to })
    }

    pub(crate) fn link(self, name: &str, kind: LinkKind) -> Object {
        let mark = format!("weft.test.{name}").parse().unwrap();
        Object::Link(Link { id: self.inside(name), mark, mtu: 1450, up: true, kind })
    }

    /// What there is on the host for it, but the way to the other host.
    pub(crate) fn local(self) -> Vec<Object> {
        let (host, vx, gw, web) = (self.host, self.vx(), self.gw(), self.web());
        let (br, tap, gb) =
            (format!("br-{}", self.tenant), format!("tap-{}", self.tenant), format!("gb-{}", self.tenant));
        let mark: Mark = format!("weft.vrf.{}", self.tenant).parse().unwrap();
        let kind = LinkKind::Vxlan {
            vni: self.vni(),
            local: self.vtep().parse().unwrap(),
            port: 4789,
            mac: Some(self.router_mac()),
        };
        let given = |destination: &str, via: String| {
            let to = RouteTo::link("eth0".parse().unwrap(), Some(via.parse().unwrap()));
            let namespace = Namespace::Named(web.parse().unwrap());
            Object::Route(Route { namespace, table: 254, destination: destination.parse().unwrap(), to })
        };
        vec![
            Object::Vrf(Vrf { name: self.vrf(), mark, table: 1000 + u32::from(self.number()) }),
            self.link(&vx, kind),
            bridge(&br),
            veth(&tap, on(&web, "eth0"), &format!("02:00:00:00:{host:02x}:{:02x}", self.number())),
            port(&tap, &br, PortRole::Workload),
            veth(&gb, self.inside(&gw), GATEWAY),
            port(&gb, &br, PortRole::Gateway),
            Object::BridgeFdb(BridgeFdb { link: here(&gb), mac: GATEWAY.parse().unwrap() }),
            Object::ForeignLink(self.inside(&gw)),
            address(self.inside(&gw), &format!("10.{host}.0.1/24")),
            address(self.inside(&gw), &format!("2001:db8:{host}::1/64")),
            // From a link-local address, a router asks for neighbours.
            address(self.inside(&gw), "fe80::1/64"),
            Object::Namespace(web.parse().unwrap()),
            Object::ForeignLink(on(&web, "eth0")),
            address(on(&web, "eth0"), &format!("10.{host}.0.5/24")),
            address(on(&web, "eth0"), &format!("2001:db8:{host}::5/64")),
            given("0.0.0.0/0", format!("10.{host}.0.1")),
            given("::/0", format!("2001:db8:{host}::1")),
        ]
    }

    /// The way to another VRF's router, which is on the other host.
    pub(crate) fn towards(self, router: Self) -> Vec<Object> {
        let (vx, far) = (self.inside(&self.vx()), router.router_mac());
        vec![
            Object::Neighbour(Neighbour {
                link: vx.clone(),
                address: router.router().parse().unwrap(),
                mac: far,
            }),
            Object::VxlanFdb(VxlanFdb {
                link: vx,
                mac: far,
                destination: router.vtep().parse().unwrap(),
                vni: (router.vni() != self.vni()).then(|| router.vni()),
            }),
        ]
    }

    /// By way of a router.
    pub(crate) fn via(self, router: Self) -> RouteTo {
        RouteTo::link(self.vx().parse().unwrap(), Some(router.router().parse().unwrap()))
    }

    /// All of it, with routes to the same tenant's workload on the other host.
    pub(crate) fn objects(self) -> Vec<Object> {
        let there = self.there();
        let mut objects = self.local();
        objects.extend(self.towards(there));
        objects.push(self.route(&format!("10.{}.0.5/32", there.host), self.via(there)));
        objects.push(self.route(&format!("2001:db8:{}::5/128", there.host), self.via(there)));
        objects
    }
}

pub(crate) fn site(tenant: char, host: u8) -> Site {
    Site { tenant, host }
}

/// What `ping` says: that it is answered, and with which TTL, or who says why not.
pub(crate) fn ping(namespace: &str, to: &str, options: &str) -> String {
    let command = format!("ip netns exec {namespace} ping -n -c 1 -W 1 {options} {to}");
    let mut words = command.split_whitespace();
    let output = std::process::Command::new(words.next().unwrap()).args(words).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn answers(namespace: &str, to: &str) -> bool {
    (0..3).any(|_| ping(namespace, to, "").contains(" 0% packet loss"))
}

/// Two hosts, with these objects each.
fn hosts(bench: &Bench, wants: [&State; 2]) -> [LinuxHost; 2] {
    wired(bench);
    ["a", "b"]
        .map(|name| name)
        .into_iter()
        .zip(wants)
        .map(|(name, want)| {
            let mut host = bench.open(name);
            reach(&mut host, want);
            host
        })
        .collect::<Vec<_>>()
        .try_into()
        .unwrap_or_else(|_| panic!("two hosts"))
}

fn symmetric_routing(mode: VrfMode) {
    let bench = Bench::with(mode);
    let wants = [1, 2].map(|host| state(site('a', host).objects()));
    let mut hosts = hosts(&bench, [&wants[0], &wants[1]]);
    let from = site('a', 1).workload(&bench);
    assert!(answers(&from, "10.2.0.5") && answers(&from, "2001:db8:2::5"));
    // Two routers on the way, and each tells with an address of its own that a packet has grown too old.
    assert!(ping(&from, "10.2.0.5", "").contains("ttl=62"), "{}", ping(&from, "10.2.0.5", ""));
    assert!(ping(&from, "2001:db8:2::5", "").contains("ttl=62"));
    for (to, sources) in
        [("10.2.0.5", ["10.1.0.1", "10.2.0.1"]), ("2001:db8:2::5", ["2001:db8:1::1", "2001:db8:2::1"])]
    {
        for (ttl, source) in (1..).zip(sources) {
            let said = ping(&from, to, &format!("-t {ttl}"));
            assert!(said.contains(&format!("From {source}")), "{to} with TTL {ttl}: {said}");
        }
    }
    // Nothing is routed where there is no route, and the sender is told.
    let said = ping(&from, "10.9.9.9", "");
    assert!(said.contains("From 10.1.0.1") && said.contains("Unreachable"), "{said}");
    for ((host, want), name) in hosts.iter_mut().zip(&wants).zip(["a", "b"]) {
        assert_eq!(converge(host, want), Ok(0));
        assert_eq!(converge(&mut bench.open(name), want), Ok(0), "a fresh look");
        converge(host, &State::default()).unwrap();
        let left: Vec<&Key> =
            host.observe().unwrap().iter().filter(|(_, o)| !o.is_foreign()).map(|(key, _)| key).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn tenants_with_the_same_addresses(mode: VrfMode) {
    let bench = Bench::with(mode);
    let both = |host| state(site('a', host).objects().into_iter().chain(site('b', host).objects()));
    // On the second host the tenants' workloads differ in what they answer: only the first one's is there.
    let second = state(site('a', 2).objects());
    let _hosts = hosts(&bench, [&both(1), &second]);
    let (a, b) = (site('a', 1).workload(&bench), site('b', 1).workload(&bench));
    assert!(answers(&a, "10.2.0.5"));
    for to in ["10.2.0.5", "2001:db8:2::5", "192.0.2.1", "192.0.2.2", "2001:db8:ffff::1", "2001:db8:ffff::2"]
    {
        assert!(!ping(&b, to, "").contains(" 0% packet loss"), "b reaches {to}");
    }
    // Nor does one reach the host, or what the host reaches, through its gateway, by any destination.
    for to in ["192.0.2.1", "192.0.2.2", "2001:db8:ffff::1", "2001:db8:ffff::2", "127.0.0.1"] {
        let route = if to.contains(':') { "-6 route replace ::/0" } else { "route replace default" };
        let via = if to.contains(':') { "2001:db8:1::1" } else { "10.1.0.1" };
        run(&format!("ip -n {a} {route} via {via} dev eth0"));
        assert!(to == "127.0.0.1" || !ping(&a, to, "").contains(" 0% packet loss"), "a reaches {to}");
    }
}

fn another_vni_and_a_leak(mode: VrfMode) {
    let bench = Bench::with(mode);
    let (a, b, far) = (site('a', 1), site('b', 1), site('b', 2));
    // a and b leak into each other on host 1 by a bridge that each has a leg in; b of host 2 is reached with its own VNI.
    let leg = |site: Site, mac: &str| {
        let (name, end) = (format!("lb-{}", site.tenant), format!("lk-{}", site.tenant));
        [
            veth(&name, site.inside(&end), mac),
            port(&name, "br-leak", PortRole::Workload),
            Object::ForeignLink(site.inside(&end)),
        ]
    };
    let macs = ["02:00:00:00:0f:01", "02:00:00:00:0f:02"];
    let leak = |from: Site, mac: &str, to: &str| {
        let (link, router) = (format!("lk-{}", from.tenant), "fe80::1");
        let neighbour = Neighbour {
            link: from.inside(&link),
            address: router.parse().unwrap(),
            mac: mac.parse().unwrap(),
        };
        [
            Object::Neighbour(neighbour),
            from.route(to, RouteTo::link(link.parse().unwrap(), Some(router.parse().unwrap()))),
        ]
    };
    let b_network = |objects: Vec<Object>| -> Vec<Object> {
        // The second tenant's workload has other addresses, so that both can be reached from one place.
        objects
            .into_iter()
            .map(|object| match object {
                Object::Address(link, found)
                    if link.namespace != Namespace::Vrf(b.vrf()) && found.to_string() == "10.1.0.5/24" =>
                {
                    address(link, "10.3.0.5/24")
                }
                Object::Address(link, found) if found.to_string() == "10.1.0.1/24" => {
                    address(link, "10.3.0.1/24")
                }
                Object::Route(Route { namespace: namespace @ Namespace::Named(_), destination, .. })
                    if destination.addr().is_ipv4() =>
                {
                    let to = RouteTo::link("eth0".parse().unwrap(), Some("10.3.0.1".parse().unwrap()));
                    Object::Route(Route { namespace, table: 254, destination, to })
                }
                object => object,
            })
            .collect()
    };
    let mut first = a.local();
    first.extend(b_network(b.local()));
    first.push(bridge("br-leak"));
    first.extend(leg(a, macs[0]).into_iter().chain(leg(b, macs[1])));
    first.extend(leak(a, macs[1], "10.3.0.5/32").into_iter().chain(leak(b, macs[0], "10.1.0.5/32")));
    first.extend(a.towards(far));
    first.push(a.route("10.2.0.5/32", a.via(far)));
    let mut second = far.local();
    second.extend(far.towards(a));
    second.push(far.route("10.1.0.5/32", far.via(a)));
    let _hosts = hosts(&bench, [&state(first), &state(second)]);
    let from = a.workload(&bench);
    assert!(answers(&from, "10.3.0.5"), "the other VRF of the same host");
    assert!(answers(&from, "10.2.0.5"), "another VRF of the other host");
    assert!(!ping(&b.workload(&bench), "10.2.0.5", "").contains(" 0% packet loss"), "b has no route there");
    let show = |name: &str| run(&format!("ip -n {} link show {name}", bench.host("a")));
    assert!(show("lb-a").contains("mtu 1400"), "{}", show("lb-a"));
    let sysctl = |name: &str| {
        try_run(&format!("ip netns exec {} cat /proc/sys/net/ipv6/conf/{name}/disable_ipv6", bench.host("a")))
    };
    assert_eq!(sysctl("lb-a").unwrap().trim(), "1", "no IPv6 on the bridge's end");
}

in_both_modes! {
    two_hosts_route_symmetrically => super::symmetric_routing,
    tenants_with_the_same_addresses_are_kept_apart_and_from_the_host => super::tenants_with_the_same_addresses,
    another_vni_and_a_leak_between_vrfs => super::another_vni_and_a_leak,
}
