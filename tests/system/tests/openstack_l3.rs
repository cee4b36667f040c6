//! The real `openstack` command, as it comes from PyPI: routers, BGP VPNs, BGP speakers and peers.

use serde_json::{Value, json};
use weft_system_tests::{Bench, Http, Openstack, column, environment};

fn id(object: &Value) -> String {
    object["id"].as_str().expect("an identifier").to_owned()
}

fn routers(openstack: &Openstack) {
    openstack.says("network create blue");
    openstack.says("network create red");
    openstack.says("subnet create blue4 --network blue --subnet-range 10.1.0.0/24");
    openstack.says("subnet create red4 --network red --subnet-range 10.2.0.0/24");
    let router = openstack.json("router create r --description first --distributed --tag team-a");
    assert_eq!((&router["distributed"], &router["status"]), (&json!(true), &json!("ACTIVE")), "{router}");
    openstack.says("router add subnet r blue4");
    openstack.says("port create leg --network red");
    openstack.says("router add port r leg");
    let shown = openstack.json("router show r");
    let interfaces = shown["interfaces_info"].as_array().expect("interfaces");
    let mut addresses: Vec<&str> = interfaces.iter().filter_map(|one| one["ip_address"].as_str()).collect();
    addresses.sort_unstable();
    assert_eq!(addresses[0], "10.1.0.1", "{shown}");
    assert_eq!(addresses.len(), 2, "{shown}");
    assert_eq!(openstack.json("port list --router r").as_array().map(Vec::len), Some(2));
    let routes = |openstack: &Openstack| {
        let shown = openstack.json("router show r");
        let routes = shown["routes"].as_array().expect("routes").iter();
        routes.map(|route| route["nexthop"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    openstack.says("router set r --name r --route destination=10.8.0.0/16,gateway=10.1.0.8");
    openstack.says("router add route r --route destination=10.8.0.0/16,gateway=10.1.0.9");
    assert_eq!(routes(openstack), ["10.1.0.8", "10.1.0.9"]);
    let held = openstack.complains("router remove subnet r blue4");
    assert!(held.contains("required by one or more routes"), "{held}");
    openstack.says("router remove route r --route destination=10.8.0.0/16,gateway=10.1.0.8");
    openstack.says("router unset r --route destination=10.8.0.0/16,gateway=10.1.0.9");
    assert_eq!(routes(openstack), Vec::<String>::new());
    openstack.says("router set r --no-route --disable --description second");
    assert_eq!(column(&openstack.json("router list --tags team-a"), "Name"), ["r"]);
    for (words, why) in [
        ("router add subnet r blue4", "already has a port on subnet"),
        ("router delete r", "still has ports"),
        ("router create x --centralized", "distributed"),
        ("router set r --route destination=10.8.0.0/16,gateway=192.0.2.1", "not connected with router"),
        ("subnet delete blue4", "one or more ports have an ip allocation"),
    ] {
        let said = openstack.complains(words);
        assert!(said.to_lowercase().contains(why), "openstack {words} complains of '{said}', not of '{why}'");
        println!("$ openstack {words}\n  {}", said.trim().replace('\n', "\n  "));
    }
    openstack.says("router remove port r leg");
    openstack.says("router remove subnet r blue4");
}

fn bgp_vpns(openstack: &Openstack, http: Http) {
    let vpn = openstack.json(
        "bgpvpn create --name v --route-target 64512:100 --import-target 64512:1 --export-target 64512:2 --route-distinguisher 64512:77 --local-pref 200 --vni 5000",
    );
    assert_eq!(
        (&vpn["type"], &vpn["local_pref"], &vpn["vni"]),
        (&json!("l3"), &json!(200), &json!(5000)),
        "{vpn}"
    );
    openstack.says("bgpvpn set v --route-target 64512:101");
    let shown = openstack.json("bgpvpn show v");
    assert_eq!(shown["route_targets"].to_string().matches("64512:10").count(), 2, "{shown}");
    openstack.says("bgpvpn unset v --route-target 64512:101");
    openstack.says("bgpvpn network association create v blue");
    openstack.says("bgpvpn router association create v r --no-advertise_extra_routes");
    let port = id(&openstack.json("port create hub --network blue"));
    openstack.says(&format!(
        "bgpvpn port association create v {port} --prefix-route prefix=0.0.0.0/0,local_pref=300"
    ));
    let associations = |kind: &str| openstack.json(&format!("bgpvpn {kind} association list v"));
    let router = associations("router");
    assert_eq!(router.as_array().map(Vec::len), Some(1), "{router}");
    let of_router = column(&router, "ID").remove(0);
    let shown = openstack.json(&format!("bgpvpn router association show {of_router} v"));
    assert_eq!(shown["advertise_extra_routes"], false, "{shown}");
    let of_port = column(&associations("port"), "ID").remove(0);
    openstack.says(&format!(
        "bgpvpn port association set {of_port} v --no-advertise-fixed-ips --prefix-route prefix=10.9.0.0/16"
    ));
    let shown = openstack.json(&format!("bgpvpn port association show {of_port} v"));
    assert_eq!(shown["advertise_fixed_ips"], false, "{shown}");
    // The command shows no routes; that it sent them is seen in the API.
    let shown = http.get(&format!("/v2.0/bgpvpn/bgpvpns/-/port_associations/{of_port}"));
    let routes = json!([{"type": "prefix", "prefix": "0.0.0.0/0", "local_pref": 300}, {"type": "prefix", "prefix": "10.9.0.0/16"}]);
    assert_eq!(shown["port_association"]["routes"], routes);
    let of_network = column(&associations("network"), "ID").remove(0);
    for (words, why) in [
        ("bgpvpn network association create v blue".to_owned(), "already associated"),
        ("bgpvpn create --route-target 0".to_owned(), "route_targets[0]"),
        ("router add subnet r blue4".to_owned(), "while attempting the operation"),
        (format!("bgpvpn network association show {port} v"), "could not be found"),
        ("bgpvpn show nobody".to_owned(), "nobody"),
    ] {
        let said = openstack.complains(&words);
        assert!(said.to_lowercase().contains(why), "openstack {words} complains of '{said}', not of '{why}'");
        println!("$ openstack {words}\n  {}", said.trim().replace('\n', "\n  "));
    }
    openstack.says(&format!("bgpvpn network association delete {of_network} v"));
    openstack.says("router add subnet r blue4");
    openstack.says("bgpvpn delete v");
    assert_eq!(openstack.json("bgpvpn list"), json!([]));
    openstack.says("port delete hub");
}

fn speakers(openstack: &Openstack) {
    openstack.says("bgp speaker create s --local-as 64512 --ip-version 4");
    openstack.says(
        "bgp peer create edge --peer-ip 192.0.2.1 --remote-as 4200000000 --auth-type md5 --password hunter2",
    );
    let peer = openstack.json("bgp peer show edge");
    assert!(
        peer["remote_as"].to_string().contains("4200000000") && !peer.to_string().contains("hunter2"),
        "{peer}"
    );
    openstack.says("bgp speaker add peer s edge");
    for (words, why) in [
        ("bgp speaker set s --advertise-tenant-networks", "no external gateways"),
        ("bgp speaker set s --advertise-floating-ip-host-routes", "no floating addresses"),
    ] {
        let said = openstack.complains(words);
        assert!(said.contains(why), "openstack {words} complains of '{said}', not of '{why}'");
    }
    openstack.says("bgp speaker set s --no-advertise-tenant-networks");
    // That is refused, too, and the command does not look at the answer.
    openstack.says("bgp speaker add network s blue");
    assert_eq!(openstack.json("bgp speaker show s")["networks"], json!([]));
    let speaker = openstack.json("bgp speaker show s");
    assert!(speaker["peers"].to_string().contains(&id(&peer)), "{speaker}");
    assert_eq!(openstack.json("bgp speaker list advertised routes s"), json!([]));
    openstack.says("bgp peer set edge --name core --password hunter3");
    let twice = openstack.complains("bgp speaker add peer s core");
    assert!(twice.contains("already configured"), "{twice}");
    openstack.says("bgp speaker remove peer s core");
    openstack.says("bgp speaker delete s");
    openstack.says("bgp peer delete core");
}

#[test]
fn the_openstack_command_makes_routers_bgp_vpns_and_speakers() {
    let Some(environment) = environment() else { return };
    let bench = Bench::up("t-ol3", 1, 9783);
    let openstack = Openstack::new(environment, bench.lab().controller_url());
    routers(&openstack);
    bgp_vpns(&openstack, bench.http());
    speakers(&openstack);
    openstack.says("router remove subnet r blue4");
    openstack.says("router delete r");
    openstack.says("network delete blue red");
    let aliases = column(&openstack.json("extension list --network"), "Alias");
    for alias in
        ["bgpvpn", "bgpvpn-routes-control", "bgpvpn-vni", "extraroute-atomic", "bgp", "bgp_4byte_asn"]
    {
        assert!(aliases.contains(&alias.to_owned()), "{alias} is not in {aliases:?}");
    }
}
