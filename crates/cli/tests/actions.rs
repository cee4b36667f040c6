//! `do`, and what is below a resource of another: what they say, send and end with.

mod support;

use expect_test::expect;
use serde_json::json;
use support::fake::Fake;
use support::{blue, check, check_with_input, id};

/// The same with a router, a BGP VPN, and a network that is in it.
fn routed() -> Fake {
    let association = json!({ "id": id(41), "name": "", "bgpvpn_id": id(31), "network_id": id(1) });
    let below = |rest: &str| format!("/v2.0/bgpvpn/bgpvpns/{rest}");
    blue()
        .with("routers", json!([{ "id": id(51), "name": "r", "routes": [], "status": "ACTIVE" }]))
        .canned("GET /v2.0/bgpvpn/bgpvpns", 200, json!({ "bgpvpns": [{ "id": id(31), "name": "v" }] }))
        .canned(
            &format!("GET {}", below("-/network_associations")),
            200,
            json!({ "network_associations": [association] }),
        )
        .canned(
            &format!("POST {}", below(&format!("{}/network_associations", id(31)))),
            201,
            json!({ "network_association": association }),
        )
        .canned(&format!("DELETE {}", below(&format!("-/network_associations/{}", id(41)))), 204, json!(null))
        .canned(
            &format!("PUT /v2.0/routers/{}/add_router_interface", id(51)),
            200,
            json!({ "id": id(51), "port_id": id(22), "subnet_ids": [id(11)] }),
        )
        .canned(
            &format!("PUT /v2.0/routers/{}/add_extraroutes", id(51)),
            200,
            json!({ "router": { "id": id(51), "name": "r" } }),
        )
}

#[test]
fn an_action_takes_names_and_says_what_was_done() {
    let fake = routed();
    check(
        &fake,
        &["do", "router", "add-router-interface", "r", "--subnet", "s"],
        expect![[r#"
            exit 0
            out| add router interface: router r
        "#]],
    );
    assert_eq!(fake.body("PUT"), json!({ "subnet_id": id(11) }));
    check(
        &fake,
        &["do", "router", "add-router-interface", "r", "--subnet", "s", "-o", "json"],
        expect![[r#"
            exit 0
            out| {
            out|   "id": "10000000-0000-4000-8000-000000000051",
            out|   "port_id": "10000000-0000-4000-8000-000000000022",
            out|   "subnet_ids": [
            out|     "10000000-0000-4000-8000-000000000011"
            out|   ]
            out| }
        "#]],
    );
    let routes = "destination=10.8.0.0/16,nexthop=10.0.0.9";
    check(
        &fake,
        &["do", "router", "add-extraroutes", "r", "--if-revision", "7", "--routes", routes],
        expect![[r#"
            exit 0
            out| add extraroutes: router r (10000000-0000-4000-8000-000000000051)
        "#]],
    );
    let sent = fake.requests().pop().unwrap();
    assert_eq!(sent.headers["if-match"], "revision_number=7");
    assert_eq!(
        sent.body,
        json!({ "router": { "routes": [{ "destination": "10.8.0.0/16", "nexthop": "10.0.0.9" }] } })
    );
    let before = fake.requests().len();
    check(
        &fake,
        &["do", "router", "add-extraroutes", "r", "--routes", "destination=10.8.0.0/16"],
        expect![[r#"
            exit 1
            err| error: --routes: Invalid input for routes[0].nexthop. Reason: it is not given.
        "#]],
    );
    assert!(fake.requests().len() == before, "it is told before anything is sent");
}

#[test]
fn what_is_below_another_is_made_there_and_found_wherever_it_is() {
    let fake = routed();
    check(
        &fake,
        &["create", "bgpvpn-network-association", "--bgpvpn", "v", "--network", "blue", "-o", "name"],
        expect![[r#"
            exit 0
            out| 10000000-0000-4000-8000-000000000041
        "#]],
    );
    assert_eq!(fake.lines("POST"), [format!("POST /v2.0/bgpvpn/bgpvpns/{}/network_associations", id(31))]);
    assert_eq!(fake.body("POST"), json!({ "network_association": { "network_id": id(1) } }));
    check(
        &fake,
        &["get", "bgpvpn-network-associations"],
        expect![[r#"
            exit 0
            out| NAME                                   BGPVPN   NETWORK
            out| 10000000-0000-4000-8000-000000000041   v        blue
        "#]],
    );
    check(
        &fake,
        &["delete", "bgpvpn-network-association", &id(41)],
        expect![[r#"
            exit 0
            out| deleted bgpvpn_network_association 10000000-0000-4000-8000-000000000041
        "#]],
    );
}

#[test]
fn what_is_said_inline_is_sent_as_it_is_written() {
    let fake = Fake::start().canned("POST /v1/apply", 200, support::nothing());
    let document = "kind: router\nname: r\ninterfaces: [10, {port: leg}]\nroutes: [{destination: 10.8.0.0/16, nexthop: 10.0.0.9}]\n";
    check_with_input(
        &fake,
        &["plan", "-f", "-"],
        document,
        expect![[r#"
            exit 0
            out| Nothing to do: everything is as it should be.
        "#]],
    );
    let sent = fake.body("POST")["documents"][0].clone();
    assert_eq!(sent["interfaces"], json!(["10", { "port": "leg" }]), "a name may be a number");
    assert_eq!(sent["routes"], json!([{ "destination": "10.8.0.0/16", "nexthop": "10.0.0.9" }]));
    check_with_input(
        &fake,
        &["plan", "-f", "-"],
        "kind: bgpvpn\nname: v\ninterfaces: [s]\nroute_targets: [64512:100, x]\n",
        expect![[r#"
            exit 1
            err| error: standard input:3:1: a bgpvpn has no attribute 'interfaces'
            err|    |
            err|  3 | interfaces: [s]
            err|    | ^^^^^^^^^^
            err| error: standard input:4:1: Invalid input for route_targets[1]. Reason: 'x' is not valid: 'x' is not a valid route target: an AS number or an IPv4 address, a colon and a number are needed, as in 65000:100.
            err|    |
            err|  4 | route_targets: [64512:100, x]
            err|    | ^^^^^^^^^^^^^
        "#]],
    );
}
