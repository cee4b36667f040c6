//! `get`, `describe`, `create`, `set`, `delete`, `watch`: what they say, send and end with.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod support;

use expect_test::expect;
use serde_json::json;
use support::fake::Fake;
use support::{blue, check, id, text, weft};

#[test]
fn a_list_in_a_pipe_is_a_table_without_lines_and_with_names_for_ids() {
    check(
        &blue(),
        &["get", "ports"],
        expect![[r#"
        exit 0
        out| NAME                                   NETWORK                                MAC ADDRESS         FIXED IPS   HOST   STATUS
        out| web                                    blue                                   02:00:00:00:00:01   10.0.0.5    hv1    ACTIVE
        out| 10000000-0000-4000-8000-000000000022   10000000-0000-4000-8000-000000000002   02:00:00:00:00:02                      DOWN
    "#]],
    );
    check(
        &blue(),
        &["get", "subnet", "--no-headers"],
        expect![[r#"
        exit 0
        out| s   blue   4   10.0.0.0/24   10.0.0.1
    "#]],
    );
    check(
        &blue(),
        &["get", "network", "-o", "wide"],
        expect![[r#"
            exit 0
            out| NAME   ADMIN STATE UP   SHARED   L2 ADJACENCY   MTU    NETWORK TYPE   PHYSICAL NETWORK   SEGMENTATION ID   SUBNETS                                STATUS   PROJECT ID   ID
            out| blue                                            1450                                                       10000000-0000-4000-8000-000000000011   ACTIVE                10000000-0000-4000-8000-000000000001
        "#]],
    );
}

#[test]
fn an_empty_list_says_so_beside_the_data() {
    check(
        &blue(),
        &["get", "instance-ports"],
        expect![[r#"
        exit 0
        err| There are no instance ports.
    "#]],
    );
    check(
        &blue(),
        &["-q", "get", "instance_port"],
        expect![[r#"
        exit 0
    "#]],
    );
    check(
        &blue(),
        &["get", "interfaces", "-o", "json"],
        expect![[r#"
        exit 0
        out| []
    "#]],
    );
}

#[test]
fn programs_get_json_yaml_or_names() {
    check(
        &blue(),
        &["get", "network", "blue", "-o", "json"],
        expect![[r#"
        exit 0
        out| {
        out|   "id": "10000000-0000-4000-8000-000000000001",
        out|   "name": "blue",
        out|   "description": "",
        out|   "mtu": 1450,
        out|   "status": "ACTIVE",
        out|   "subnets": [
        out|     "10000000-0000-4000-8000-000000000011"
        out|   ]
        out| }
    "#]],
    );
    check(
        &blue(),
        &["get", "networks", "-o", "yaml"],
        expect![[r#"
        exit 0
        out| - id: 10000000-0000-4000-8000-000000000001
        out|   name: blue
        out|   description: ""
        out|   mtu: 1450
        out|   status: ACTIVE
        out|   subnets:
        out|   - 10000000-0000-4000-8000-000000000011
    "#]],
    );
    check(
        &blue(),
        &["get", "ports", "-o", "name"],
        expect![[r#"
        exit 0
        out| web
        out| 10000000-0000-4000-8000-000000000022
    "#]],
    );
}

#[test]
fn a_filter_takes_names_and_is_checked() {
    let fake = blue();
    check(
        &fake,
        &["get", "ports", "--filter", "network=blue", "--filter", "host=hv1", "-o", "name"],
        expect![[r#"
            exit 0
            out| web
        "#]],
    );
    let line = fake.lines("GET /v2.0/ports").remove(0);
    assert!(
        line.contains(&format!("network_id={}", id(1))) && line.contains("binding%3Ahost_id=hv1"),
        "{line}"
    );
    check(
        &blue(),
        &["get", "ports", "--filter", "netwrok=blue"],
        expect![[r#"
            exit 1
            err| error: a port has no attribute 'netwrok'; did you mean 'network'?
        "#]],
    );
}

#[test]
fn every_attribute_is_a_filter_and_an_order() {
    let fake = blue();
    check(
        &fake,
        &[
            "get",
            "ports",
            "--network",
            "blue",
            "--status",
            "ACTIVE",
            "--host",
            "hv1",
            "--sort",
            "name:desc",
            "--sort",
            "host",
            "-o",
            "name",
        ],
        expect![[r#"
            exit 0
            out| web
        "#]],
    );
    let line = fake.lines("GET /v2.0/ports").remove(0);
    expect!["GET /v2.0/ports?network_id=10000000-0000-4000-8000-000000000001&binding%3Ahost_id=hv1&status=ACTIVE&sort_key=name&sort_dir=desc&sort_key=binding%3Ahost_id&sort_dir=asc&limit=500"].assert_eq(&line);
    check(
        &blue(),
        &["get", "port", "--sort", "nmae"],
        expect![[r#"
        exit 1
        err| error: a port has no attribute 'nmae'; did you mean 'name'?
    "#]],
    );
    let said = |arguments: &[&str]| text(&fake, &weft(&fake, arguments).output().unwrap());
    assert!(said(&["get", "ports", "--all"]).contains("unexpected argument '--all'"));
    let help = said(&["get", "interfaces", "-h"]);
    for flag in ["--filter", "--sort", "--parent-interface", "--type", "--segmentation-id", "--tags"] {
        assert!(help.contains(flag), "{help}");
    }
}

#[test]
fn what_can_be_made_is_described_in_sentences() {
    let fake = blue();
    let help = text(&fake, &weft(&fake, &["create", "-h"]).output().unwrap());
    let of_kinds = help.lines().filter(|line| line.contains("  Make "));
    expect![[r#"
        out|   network                     Make a network
        out|   subnet                      Make a subnet
        out|   port                        Make a port
        out|   instance-port               Make an instance port
        out|   interface                   Make an interface
        out|   service                     Make a service
        out|   service-port                Make a service port
        out|   router                      Make a router
        out|   bgpvpn                      Make a bgpvpn
        out|   bgpvpn-network-association  Make a bgpvpn network association
        out|   bgpvpn-router-association   Make a bgpvpn router association
        out|   bgpvpn-port-association     Make a bgpvpn port association
        out|   bgp-peer                    Make a bgp peer
        out|   bgp-speaker                 Make a bgp speaker
    "#]]
    .assert_eq(&of_kinds.map(|line| format!("{line}\n")).collect::<String>());
    let output = weft(&fake, &["create", "port", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(
        help.starts_with("Make a port.\n\nPorts of a network: a vNIC and its binding in one.\n"),
        "{help}"
    );
}

#[test]
fn what_cannot_be_changed_is_told_as_that() {
    let fake = blue();
    check(
        &fake,
        &["set", "port", "web", "--network", "red"],
        expect![[r#"
        exit 2
        err| error: the network_id of a port cannot be changed
    "#]],
    );
    check(
        &fake,
        &["set", "port", "web", "--status", "DOWN", "--description", "x"],
        expect![[r#"
        exit 2
        err| error: the status of a port cannot be changed
    "#]],
    );
    assert_eq!(fake.requests().len(), 0);
}

#[test]
fn what_is_not_there_is_an_error() {
    check(
        &blue(),
        &["get", "network", "green"],
        expect![[r#"
        exit 1
        err| error: no network is called 'green'
    "#]],
    );
    check(
        &blue(),
        &["get", "netwroks"],
        expect![[r#"
            exit 2
            err| error: unrecognized subcommand 'netwroks'
            err|
            err|   tip: some similar subcommands exist: 'bgpvpn-network-associations', 'bgpvpn_network_associations', 'bgpvpn-network-association', 'bgpvpn_network_association', 'network', 'networks'
            err|
            err| Usage: weft get [OPTIONS] <KIND>
            err|
            err| For more information, try '--help'.
        "#]],
    );
}

#[test]
fn a_description_has_attributes_neighbours_and_history() {
    let history = json!({ "history": [
        { "version": "1.7", "at": "2026-01-01T00:00:00Z", "summary": "update network blue",
          "changes": [{ "action": "update", "kind": "network", "id": id(1), "name": "blue" }] },
        { "version": "1.6", "changes": [{ "action": "create", "kind": "port", "id": id(9) }] },
    ]});
    let fake = blue().canned("GET /v1/history", 200, history);
    check(
        &fake,
        &["describe", "network", "blue"],
        expect![[r#"
        exit 0
        out| network blue  ACTIVE
        out|   id           10000000-0000-4000-8000-000000000001
        out|   name         blue
        out|   description
        out|   mtu          1450
        out|   status       ACTIVE
        out|   subnets      10000000-0000-4000-8000-000000000011
        out|
        out| Around it
        out|   <- subnet s (by network_id)
        out|   <- port web (by network_id)  ACTIVE
        out|
        out| History
        out|   1.7  2026-01-01T00:00:00Z  update network blue
    "#]],
    );
    check(
        &fake,
        &["describe", "port", "web"],
        expect![[r#"
        exit 0
        out| port web  ACTIVE
        out|   id                10000000-0000-4000-8000-000000000021
        out|   name              web
        out|   network_id        10000000-0000-4000-8000-000000000001
        out|   mac_address       02:00:00:00:00:01
        out|   fixed_ips         10.0.0.5
        out|   binding:host_id   hv1
        out|   binding:vif_type  tap
        out|   admin_state_up    true
        out|   status            ACTIVE
        out|   project_id        p
        out|
        out| Around it
        out|   -> network blue (by network_id)  ACTIVE
    "#]],
    );
}

#[test]
fn a_resource_is_made_with_names_in_place_of_ids() {
    let fake = blue();
    check(
        &fake,
        &["create", "network", "red", "--mtu", "1400", "--shared", "true"],
        expect![[r#"
        exit 0
        out| created network red (00000000-0000-4000-8000-000000000001)
    "#]],
    );
    assert_eq!(fake.body("POST"), json!({ "network": { "shared": true, "mtu": 1400, "name": "red" } }));
    check(
        &fake,
        &[
            "create",
            "subnet",
            "--name",
            "s3",
            "--network",
            "blue",
            "--cidr",
            "fd00::/64",
            "--gateway-ip",
            "null",
        ],
        expect![[r#"
            exit 0
            out| created subnet s3 (00000000-0000-4000-8000-000000000002)
        "#]],
    );
    assert_eq!(
        fake.body("POST"),
        json!({ "subnet": {
            "name": "s3", "network_id": id(1), "cidr": "fd00::/64", "gateway_ip": null, "ip_version": 6,
        }})
    );
    let ports = [
        "create",
        "port",
        "db",
        "--network",
        "blue",
        "--host",
        "hv1",
        "--fixed-ips",
        "subnet=s,ip_address=10.0.0.9",
        "--fixed-ips",
        "10.0.0.10",
        "--binding-profile",
        "namespace=db",
        "-o",
        "name",
    ];
    check(
        &fake,
        &ports,
        expect![[r#"
        exit 0
        out| db
    "#]],
    );
    assert_eq!(
        fake.body("POST"),
        json!({ "port": {
            "network_id": id(1),
            "fixed_ips": [{ "subnet_id": id(11), "ip_address": "10.0.0.9" }, { "ip_address": "10.0.0.10" }],
            "binding:host_id": "hv1",
            "binding:profile": { "namespace": "db" },
            "name": "db",
        }})
    );
}

#[test]
fn what_cannot_be_made_is_told_before_anything_is_sent() {
    let fake = blue();
    check(
        &fake,
        &["create", "port", "x"],
        expect![[r#"
        exit 2
        err| error: the following required arguments were not provided:
        err|   --network <NAME|ID>
        err|
        err| Usage: weft create port --network <NAME|ID> --url <URL> <NAME>
        err|
        err| For more information, try '--help'.
    "#]],
    );
    check(
        &fake,
        &["create", "network", "x", "--mtu", "a"],
        expect![[r#"
            exit 1
            err| error: --mtu cannot be that
            err|   because: 'a' is not a whole number
        "#]],
    );
    check(
        &fake,
        &["create", "subnet", "x", "--network", "blue", "--cidr", "10.0.0.0/99"],
        expect![[r#"
        exit 1
        err| error: --cidr: Invalid input for cidr. Reason: '10.0.0.0/99' is not a valid IP subnet.
    "#]],
    );
    check(
        &fake,
        &["create", "host", "x"],
        expect![[r#"
        exit 2
        err| error: unrecognized subcommand 'host'
        err|
        err| Usage: weft create [OPTIONS] <KIND>
        err|
        err| For more information, try '--help'.
    "#]],
    );
    assert_eq!(fake.lines("POST"), [] as [String; 0]);
}

#[test]
fn attributes_are_changed_if_the_resource_is_still_the_same() {
    let fake = blue();
    check(
        &fake,
        &["set", "network", "blue", "--description", "sky", "--if-revision", "3"],
        expect![[r#"
        exit 0
        out| updated network blue (10000000-0000-4000-8000-000000000001)
    "#]],
    );
    assert_eq!(fake.body("PUT"), json!({ "network": { "description": "sky" } }));
    check(
        &fake,
        &["set", "port", "web", "--host", "null"],
        expect![[r#"
        exit 0
        out| updated port web (10000000-0000-4000-8000-000000000021)
    "#]],
    );
    assert_eq!(fake.body("PUT"), json!({ "port": { "binding:host_id": null } }));
    check(
        &fake,
        &["set", "network", "blue"],
        expect![[r#"
        exit 2
        err| error: nothing is to be changed: give at least one attribute, as in --description TEXT
    "#]],
    );
}

#[test]
fn what_cannot_be_deleted_does_not_keep_the_rest() {
    let fake = blue();
    check(
        &fake,
        &["delete", "ports", "nobody", "web"],
        expect![[r#"
        exit 1
        out| deleted port web
        err| error: port nobody: no port is called 'nobody'
    "#]],
    );
    assert_eq!(fake.lines("DELETE"), [format!("DELETE /v2.0/ports/{}", id(21))]);
    check(
        &fake,
        &["delete", "port", "nobody", "--ignore-missing"],
        expect![[r#"
        exit 0
        err| There is no port nobody.
    "#]],
    );
}

#[test]
fn changes_are_shown_as_they_happen() {
    let events = format!(
        "id: 1.4\nevent: put\ndata: {{\"kind\":\"network\",\"id\":\"{0}\",\"object\":{{\"id\":\"{0}\",\"name\":\"blue\",\"status\":\"ACTIVE\"}}}}\n\n\
         id: 1.5\nevent: delete\ndata: {{\"kind\":\"port\",\"id\":\"{1}\",\"object\":null}}\n\n\
         id: 2.1\nevent: epoch\ndata: {{}}\n\n",
        id(1),
        id(21)
    );
    check(
        &Fake::start().watches(&[&events, ""]),
        &["watch", "--events", "3"],
        expect![[r#"
            exit 0
            out| 1.4       put        network blue  ACTIVE
            out| 1.5       delete     port 10000000-0000-4000-8000-000000000021
            out| 2.1       epoch      the model was replaced
        "#]],
    );
    check(
        &Fake::start().watches(&[&events]),
        &["watch", "networks", "--events", "1", "-o", "json"],
        expect![[r#"
            exit 0
            out| {"version":"1.4","event":"put","kind":"network","id":"10000000-0000-4000-8000-000000000001","project_id":null,"object":{"id":"10000000-0000-4000-8000-000000000001","name":"blue","status":"ACTIVE"}}
        "#]],
    );
}

#[test]
fn a_controller_that_is_away_is_told_with_what_to_do() {
    let fake = Fake::start();
    let mut command = weft(&fake, &["get", "networks"]);
    let output = command.env("WEFT_URL", "http://127.0.0.1:1").output().unwrap();
    expect![[r#"
        exit 1
        err| error: no controller answers; is weft-controller running at http://127.0.0.1:1? set WEFT_URL or --url
        err|   because: Connection refused (os error 111)
    "#]].assert_eq(&text(&fake, &output));
}

#[test]
fn flags_come_from_the_environment_too() {
    let fake = blue();
    let mut command = weft(&fake, &["get", "networks"]);
    let output =
        command.env("WEFT_OUTPUT", "name").env("WEFT_GET_FILTER", "name=blue").env("OS_TOKEN", "t").output();
    expect![[r#"
        exit 0
        out| blue
    "#]]
    .assert_eq(&text(&fake, &output.unwrap()));
    let request = fake.requests().remove(0);
    assert_eq!(request.headers["x-auth-token"], "t");
    assert!(request.line.contains("name=blue"), "{}", request.line);

    let mut command = weft(&fake, &["get", "networks"]);
    let output = command.env_remove("WEFT_URL").env("OS_ENDPOINT_OVERRIDE", format!("{}/v2.0", fake.url));
    let output = output.env("WEFT_NO_HEADERS", "1").env("WEFT_QUIET", "").output().unwrap();
    expect![[r#"
        exit 0
        out| blue      ACTIVE
    "#]]
    .assert_eq(&text(&fake, &output));
}
