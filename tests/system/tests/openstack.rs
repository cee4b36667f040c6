//! The real `openstack` command and SDK, as they come from PyPI, against what is shipped.

use weft_system_tests::{Bench, Openstack, column, environment};

fn networks_and_subnets(openstack: &Openstack) {
    let blue = openstack.json("network create blue --description first --tag team-a --mtu 1400");
    assert_eq!(
        (&blue["name"], &blue["status"], &blue["mtu"]),
        (&"blue".into(), &"ACTIVE".into(), &1400.into())
    );
    assert_eq!(blue["tags"], serde_json::json!(["team-a"]));
    let subnet = openstack.json("subnet create v4 --network blue --subnet-range 10.1.0.0/24 --gateway 10.1.0.254 --dns-nameserver 192.0.2.53");
    assert_eq!((&subnet["cidr"], &subnet["gateway_ip"]), (&"10.1.0.0/24".into(), &"10.1.0.254".into()));
    openstack.says("subnet create v6 --network blue --ip-version 6 --subnet-range 2001:db8:1::/64");
    assert_eq!(
        column(&openstack.json("subnet list --network blue --sort-column Name"), "Name"),
        ["v4", "v6"]
    );
    openstack.says("network set blue --name azure --description second --tag team-b");
    let azure = openstack.json("network show azure");
    assert_eq!(azure["id"], blue["id"]);
    assert_eq!(
        (&azure["description"], &azure["tags"]),
        (&"second".into(), &serde_json::json!(["team-a", "team-b"]))
    );
    openstack.says("network unset azure --tag team-a");
    assert_eq!(openstack.json("network show azure")["tags"], serde_json::json!(["team-b"]));
    assert_eq!(column(&openstack.json("network list --tags team-b"), "Name"), ["azure"]);
    openstack.says("subnet set v4 --no-dns-nameservers --name four");
    assert_eq!(openstack.json("subnet show four")["dns_nameservers"], serde_json::json!([]));
}

fn ports(openstack: &Openstack) {
    let port = openstack.json("port create web --network azure --fixed-ip ip-address=10.1.0.10 --host host1 --binding-profile namespace=web --tag front");
    assert_eq!(
        (&port["binding_vif_type"], &port["binding_host_id"]),
        (&"tap".into(), &"host1".into()),
        "{port}"
    );
    openstack.says("port create other --network azure --fixed-ip subnet=four --device-owner compute:nova");
    let found = |filter: &str| column(&openstack.json(&format!("port list {filter}")), "Name");
    assert_eq!(found("--fixed-ip ip-address=10.1.0.10"), ["web"]);
    assert_eq!(found("--host host1"), ["web"]);
    assert_eq!(found("--device-owner compute:nova"), ["other"]);
    assert_eq!(found("--tags front"), ["web"]);
    let mut all = found("--network azure");
    all.sort();
    assert_eq!(all, ["other", "web"]);
    openstack.says("port set web --description named --fixed-ip subnet=v6,ip-address=2001:db8:1::10");
    let addresses = |name: &str| {
        let port = openstack.json(&format!("port show {name}"));
        port["fixed_ips"]
            .as_array()
            .expect("addresses")
            .iter()
            .map(|one| one["ip_address"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let mut both = addresses("web");
    both.sort();
    assert_eq!(both, ["10.1.0.10", "2001:db8:1::10"]);
    openstack.says("port unset web --fixed-ip subnet=v6,ip-address=2001:db8:1::10");
    assert_eq!(addresses("web"), ["10.1.0.10"]);
}

fn complaints(openstack: &Openstack) {
    let cases = [
        ("network show nobody", "nobody"),
        ("network delete azure", "ports still in use"),
        ("subnet create x --network azure --subnet-range 10.1.0.0/25", "10.1.0.0/25"),
        ("port create x --network azure --fixed-ip ip-address=10.9.9.9", "10.9.9.9"),
        ("port create x --network azure --fixed-ip ip-address=10.1.0.10", "10.1.0.10"),
        ("network create x --mtu 20", "mtu"),
    ];
    for (words, why) in cases {
        let said = openstack.complains(words);
        assert!(said.contains(why), "openstack {words} complains of '{said}', not of '{why}'");
        println!("$ openstack {words}\n  {}", said.trim().replace('\n', "\n  "));
    }
    assert!(openstack.complains("network delete nobody").contains("nobody"));
}

fn removal(openstack: &Openstack) {
    openstack.says("port delete web other");
    openstack.says("subnet delete four v6");
    openstack.says("network delete azure");
    for kind in ["port", "subnet", "network"] {
        assert_eq!(openstack.json(&format!("{kind} list")), serde_json::json!([]), "{kind}");
    }
}

#[test]
fn the_openstack_command_makes_shows_changes_and_removes_networks_subnets_and_ports() {
    let Some(environment) = environment() else { return };
    let bench = Bench::up("t-osc", 1, 9781);
    let openstack = Openstack::new(environment, bench.lab().controller_url());
    networks_and_subnets(&openstack);
    ports(&openstack);
    bench.await_rest();
    let web = openstack.json("port show web");
    assert_eq!(web["status"], "ACTIVE", "{web}");
    complaints(&openstack);
    removal(&openstack);
    bench.await_rest();
    assert!(!bench.nodes().contains(&"host1.web".to_owned()), "and the workload's namespace is gone");
    assert!(
        column(&openstack.json("extension list --network"), "Alias")
            .contains(&"standard-attr-revisions".to_owned())
    );
}

#[test]
fn the_sdk_works_in_bulk_by_pages_by_filters_and_under_conditions() {
    let Some(environment) = environment() else { return };
    let bench = Bench::up("t-sdk", 1, 9782);
    let openstack = Openstack::new(environment, bench.lab().controller_url());
    let mut python = openstack.command("python");
    let output =
        python.args(["-c", include_str!("openstack/sdk.py")]).output().expect("python can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(bench.http().list("ports").is_empty() && bench.http().list("networks").is_empty());
    println!("{}", said.trim());
}
