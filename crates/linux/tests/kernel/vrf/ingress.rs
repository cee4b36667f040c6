//! What comes into a VRF from elsewhere goes no further than to what is local to it.

use weft_dataplane::conformance::converge;
use weft_dataplane::{INGRESS_TABLE, Object, Route, RouteTo, State};
use weft_linux::VrfMode;

use super::{Site, answers, hosts, ping, site};
use crate::capture::Capture;
use crate::common::{Bench, reach, state};

/// A destination that every host believes to be behind the other, but for what the hub has behind a port of its own.
const BEYOND: [&str; 2] = ["10.9.0.5", "2001:db8:9::5"];

fn ingress_route(site: Site, destination: &str, to: RouteTo) -> Object {
    let Object::Route(route) = site.route(destination, to) else { unreachable!("it is a route") };
    Object::Route(Route { table: INGRESS_TABLE, ..route })
}

/// The hub is host 1: what comes to it from elsewhere goes to its workload. Host 2 has what is local to it alone.
fn wanted(site: Site, hub_leads_on: bool) -> State {
    let (there, vx) = (site.there(), site.inside(&site.vx()));
    let local =
        |via: Option<&str>| RouteTo::link(site.gw().parse().unwrap(), via.map(|v| v.parse().unwrap()));
    let mut objects = site.objects();
    objects.push(Object::Ingress(vx));
    for beyond in BEYOND {
        let length = if beyond.contains(':') { 128 } else { 32 };
        objects.push(site.route(&format!("{beyond}/{length}"), site.via(there)));
    }
    objects.push(site.route(&format!("10.{}.0.1/32", there.host), site.via(there)));
    objects.push(site.route(&format!("2001:db8:{}::1/128", there.host), site.via(there)));
    let (host, own) = (site.host, !(hub_leads_on && site.host == 1));
    if own {
        objects.push(ingress_route(site, &format!("10.{host}.0.5/32"), local(None)));
        objects.push(ingress_route(site, &format!("2001:db8:{host}::5/128"), local(None)));
    } else {
        objects.push(ingress_route(site, "0.0.0.0/0", local(Some("10.1.0.5"))));
        objects.push(ingress_route(site, "::/0", local(Some("2001:db8:1::5"))));
    }
    state(objects)
}

/// How many echo requests with this destination were heard, and with which time to live.
fn requests(capture: &Capture, to: &str) -> Vec<u8> {
    let to: std::net::IpAddr = to.parse().unwrap();
    let of_request = |rest: &[u8]| match to {
        std::net::IpAddr::V4(to) => {
            (rest.len() > 22 && rest[..2] == [8, 0] && rest[18..22] == to.octets() && rest[22] == 8)
                .then(|| rest[10])
        }
        std::net::IpAddr::V6(to) => {
            (rest.len() > 42 && rest[..2] == [0x86, 0xdd] && rest[26..42] == to.octets() && rest[42] == 128)
                .then(|| rest[9])
        }
    };
    capture.frames().iter().filter_map(|frame| of_request(&frame.rest)).collect()
}

fn a_hub_routes_nothing_onwards(mode: VrfMode) {
    let bench = Bench::with(mode);
    let wants = [1, 2].map(|host| wanted(site('a', host), true));
    let mut hosts = hosts(&bench, [&wants[0], &wants[1]]);
    let [near, far] = [1, 2].map(|host| site('a', host).workload(&bench));
    // From the hub's own port, by the VRF's own table; the answers come back by the ingress tables.
    assert!(answers(&near, "10.2.0.5") && answers(&near, "2001:db8:2::5"));
    assert!(answers(&far, "10.1.0.5") && answers(&far, "2001:db8:1::5"));
    // The hub's own table has a route to it, back to where it comes from; and yet it goes to the port, once.
    for beyond in BEYOND {
        let heard = Capture::begin(&near);
        ping(&far, beyond, "");
        let ttls = requests(&heard, beyond);
        assert_eq!(ttls.first(), Some(&62), "{beyond}: two routers on the way, of {ttls:?}");
    }
    // What is for an address of the VRF itself comes to it.
    assert!(answers(&far, "10.1.0.1") && answers(&far, "2001:db8:1::1"));
    // What a VRF itself has to say goes by its own table.
    for (to, says) in [("10.1.0.5", "10.1.0.1"), ("2001:db8:1::5", "2001:db8:1::1")] {
        let said = ping(&far, to, "-t 2");
        assert!(said.contains(&format!("From {says}")), "{to}: {said}");
    }
    for ((host, want), name) in hosts.iter_mut().zip(&wants).zip(["a", "b"]) {
        assert_eq!(converge(&mut bench.open(name), want), Ok(0), "a fresh look");
        assert_eq!(converge(host, want), Ok(0));
    }
    // Without the way to the port, there is none.
    reach(&mut hosts[0], &wanted(site('a', 1), false));
    for (beyond, says) in BEYOND.into_iter().zip(["10.1.0.1", "2001:db8:1::1"]) {
        let said = ping(&far, beyond, "");
        assert!(said.contains(&format!("From {says}")) && said.contains("nreachable"), "{beyond}: {said}");
    }
    assert!(answers(&far, "10.1.0.5") && answers(&far, "2001:db8:1::5"));
    for (host, name) in hosts.iter_mut().zip(["a", "b"]) {
        converge(host, &State::default()).unwrap();
        assert_eq!(crate::common::ours(host), []);
        let place = bench.host(name);
        for family in ["-4", "-6"] {
            let rules = crate::common::run(&format!("ip -n {place} {family} rule"));
            assert!(!rules.contains("proto 217"), "{rules}");
        }
    }
}

super::in_both_modes! {
    a_hub_routes_nothing_onwards => super::a_hub_routes_nothing_onwards,
}
