//! How long each daemon takes for very many routes from one neighbour of another AS, and how much memory: one line each.
//!
//! `cargo run --release -p weft-interop-tests --example ingest [UPDATES]`: UPDATEs of ten routes, 100000 if not said.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::json;
use weft_interop_tests::{Bird, Fabric, Family, Frr, Generator, Gobgp, Setup, Weft, until};

const PATIENCE: Duration = Duration::from_secs(120);
const ROUTES_EACH: u32 = 10;
const ASN: u16 = 65_001;

fn main() {
    let updates = std::env::args().nth(1).map_or(100_000, |text| text.parse().expect("a number of UPDATEs"));
    let routes = updates * ROUTES_EACH;
    println!("{routes} routes in {updates} UPDATEs");
    let names = std::env::args().nth(2).unwrap_or_else(|| "weft bird frr gobgp".to_owned());
    for name in names.split_whitespace() {
        let fabric = Fabric::new(2);
        let generator = Generator::new(ASN, Ipv4Addr::new(192, 0, 2, 2), updates, ROUTES_EACH);
        let (seconds, kib) = measure(name, &fabric, &generator, routes);
        println!("{name:6} {seconds:7.2} s {:6.0} MB", kib as f64 * 1024.0 / 1e6);
    }
}

fn measure(name: &str, fabric: &Fabric, generator: &Generator, routes: u32) -> (f64, u64) {
    let (namespace, directory) = (fabric.namespace(1), fabric.directory());
    let mut setup = Setup::new(fabric.address(1), fabric.address(2), &[Family::Ipv4Unicast]);
    setup.peer_asn = ASN.into();
    let wanted = routes.to_string();
    let run = |is_there: &mut dyn FnMut() -> bool| {
        let (_stream, begin) = generator.run(&fabric.namespace(2), fabric.address(1)).expect("a session");
        until("all routes are there", PATIENCE, is_there);
        begin.elapsed().as_secs_f64()
    };
    match name {
        "weft" => {
            let mut configuration = Weft::configuration(fabric.address(1));
            let peer: IpAddr = fabric.address(2);
            configuration["neighbors"] = json!([{ "address": peer, "asn": ASN.to_string(), "is_passive": true,
                "families": [{ "family": "ipv4-unicast" }] }]);
            let weft = Weft::start(&namespace, directory, &configuration);
            let seconds = run(&mut || weft.neighbor_status(peer)["families"][0]["received"] == routes);
            (seconds, weft.process().resident_kib())
        }
        "bird" => {
            let bird = Bird::start(&namespace, directory, &setup, &[]);
            let seconds =
                run(&mut || bird.show("show route count table master4").contains(&format!("{wanted} of")));
            (seconds, bird.process().resident_kib())
        }
        "frr" => {
            let frr = Frr::start(&namespace, directory, &setup, &[]);
            let said = format!("\"pfxRcd\":{wanted}");
            let seconds =
                run(&mut || frr.show("show bgp ipv4 unicast summary json").replace(' ', "").contains(&said));
            (seconds, frr.process().resident_kib())
        }
        "gobgp" => {
            let gobgp = Gobgp::start(&namespace, directory, &setup, &[]);
            let seconds = run(&mut || gobgp.ask("global rib summary -a ipv4").contains(&wanted));
            (seconds, gobgp.process().resident_kib())
        }
        _ => panic!("{name} is none of weft, bird, frr, gobgp"),
    }
}
