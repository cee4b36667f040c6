//! Collections below a resource, and actions on one: over HTTP, with all that other collections have.

use serde_json::{Value, json};

use crate::support::Controller;
use crate::watch::Feed;

/// Two BGP VPNs, of which the first has the network.
struct Vpns {
    network: String,
    vpns: [String; 2],
    association: String,
}

async fn vpns(controller: &Controller) -> Vpns {
    let network = controller.network("blue").await;
    let mut vpns = Vec::new();
    for name in ["one", "two"] {
        vpns.push(controller.create("bgpvpn/bgpvpns", "bgpvpn", json!({"name": name})).await);
    }
    let vpns: [String; 2] = vpns.try_into().unwrap();
    let association = json!({"network_id": network, "name": "first"});
    let association =
        controller.create(&below(&vpns[0], "network_associations"), "network_association", association).await;
    Vpns { network, vpns, association }
}

fn below(vpn: &str, what: &str) -> String {
    format!("bgpvpn/bgpvpns/{vpn}/{what}")
}

async fn names(controller: &Controller, path: &str, collection: &str) -> Vec<String> {
    let answer = controller.get(&format!("/v2.0/{path}")).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    let body = answer.json();
    let items = body[collection].as_array().unwrap();
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_collection_below_a_resource_has_what_other_collections_have() {
    let controller = Controller::start().await;
    let Vpns { network, vpns: [one, two], association } = vpns(&controller).await;
    let red = controller.network("red").await;
    let many = json!({"network_associations": [{"network_id": red, "name": "second"}]});
    let path = below(&one, "network_associations");
    let made = controller.ask("POST", &format!("/v2.0/{path}"), many).await;
    assert_eq!(made.status, 201, "{made:?}");
    controller
        .create(
            &below(&two, "network_associations"),
            "network_association",
            json!({"network_id": network, "name": "third"}),
        )
        .await;
    let list = |query: &str| format!("{path}{query}");
    let listed = async |query: &str| names(&controller, &list(query), "network_associations").await;
    assert_eq!(listed("?sort_key=name&sort_dir=desc").await, ["second", "first"]);
    assert_eq!(listed(&format!("?network_id={network}")).await, ["first"]);
    assert_eq!(listed(".json?sort_key=name&sort_dir=asc&limit=1").await, ["first"]);
    let page = controller.get(&format!("/v2.0/{}", list("?limit=1"))).await.json();
    let next = page["network_associations_links"][0]["href"].as_str().unwrap().to_owned();
    assert!(next.contains(&path), "{next}");
    let all = below("-", "network_associations");
    assert_eq!(
        names(&controller, &format!("{all}?sort_key=name&sort_dir=asc"), "network_associations").await,
        ["first", "second", "third"]
    );
    let one_of = format!("/v2.0/{path}/{association}");
    let shown = controller.get(&format!("{one_of}?fields=bgpvpn_id&fields=network_id")).await.json();
    assert_eq!(shown, json!({"network_association": {"bgpvpn_id": one, "network_id": network}}));
    assert_eq!(
        controller.ask("PUT", &one_of, json!({"network_association": {}})).await.status,
        200,
        "nothing is nothing"
    );
    assert_eq!(controller.ask("PUT", &format!("{one_of}/tags/red"), Value::Null).await.status, 201);
    assert_eq!(listed("?tags=red").await, ["first"]);
    let body = controller.get("/v2.0/").await.json();
    let found = body["resources"].as_array().unwrap().iter().find(|one| one["name"] == "network_association");
    let href = found.unwrap()["links"][0]["href"].as_str().unwrap().to_owned();
    assert!(href.ends_with("/v2.0/bgpvpn/bgpvpns/-/network_associations"), "{href}");
    assert_eq!(controller.send("DELETE", &one_of, &[], b"").await.status, 204);
    assert_eq!(listed("").await, ["second"]);
}

#[tokio::test]
async fn what_is_anothers_is_not_found() {
    let controller = Controller::start().await;
    let Vpns { network, vpns: [one, two], association } = vpns(&controller).await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    let missing = "BGPVPNNetAssocNotFound";
    for (method, parent, rest, kind) in [
        ("GET", two.as_str(), format!("/{association}"), missing),
        ("PUT", &two, format!("/{association}"), missing),
        ("DELETE", &two, format!("/{association}"), missing),
        ("GET", &two, format!("/{association}/tags"), missing),
        ("PUT", &two, format!("/{association}/tags/red"), missing),
        ("GET", nobody, String::new(), "BGPVPNNotFound"),
        ("GET", nobody, "?watch=true".into(), "BGPVPNNotFound"),
        ("POST", nobody, String::new(), "BGPVPNNotFound"),
        ("GET", &one, format!("/{nobody}"), missing),
        ("GET", "-", format!("/{nobody}"), missing),
    ] {
        let path = format!("/v2.0/{}{rest}", below(parent, "network_associations"));
        let answer =
            controller.ask(method, &path, json!({"network_association": {"network_id": network}})).await;
        assert_eq!((answer.status, answer.error().0.as_str()), (404, kind), "{method} {path}");
    }
    for path in ["bgpvpn", "bgpvpns", "bgpvpn/bgpvpns/x/other", "bgpvpn/bgpvpns/x/network_associations/y/z"] {
        assert_eq!(controller.get(&format!("/v2.0/{path}")).await.status, 404, "{path}");
    }
    let other = json!({"network_association": {"network_id": network, "bgpvpn_id": one}});
    let answer =
        controller.ask("POST", &format!("/v2.0/{}", below(&two, "network_associations")), other).await;
    assert_eq!(answer.status, 400);
    assert!(answer.error().1.contains("bgpvpn_id"));
    let duplicate = json!({"network_association": {"network_id": network}});
    let answer =
        controller.ask("POST", &format!("/v2.0/{}", below(&one, "network_associations")), duplicate).await;
    assert_eq!((answer.status, answer.error().0.as_str()), (400, "BGPVPNNetAssocAlreadyExists"));
    let theirs = controller.create("bgpvpn/bgpvpns", "bgpvpn", json!({"project_id": "theirs"})).await;
    let forbidden = json!({"network_association": {"network_id": network}});
    let answer =
        controller.ask("POST", &format!("/v2.0/{}", below(&theirs, "network_associations")), forbidden).await;
    assert_eq!((answer.status, answer.error().0.as_str()), (403, "NotAuthorized"));
    assert_eq!(
        controller.get(&format!("/v2.0/{}/{association}", below("-", "network_associations"))).await.status,
        200
    );
}

#[tokio::test]
async fn a_put_of_a_port_association_goes_to_the_bgp_vpn_that_it_is_in() {
    let controller = Controller::start().await;
    let Vpns { network, vpns: [one, two], .. } = vpns(&controller).await;
    let [port, another] = [(); 2].map(|()| json!({"network_id": network}));
    let (port, another) =
        (controller.create("ports", "port", port).await, controller.create("ports", "port", another).await);
    let at = |vpn: &str, rest: &str| format!("/v2.0/{}{rest}", below(vpn, "port_associations"));
    let made = json!({"port_id": port, "routes": [{"type": "prefix", "prefix": "10.0.0.0/8"}]});
    let association = controller.create(&below(&one, "port_associations"), "port_association", made).await;
    let own = format!("/{association}");
    let (revision, nobody) = (controller.revision(), "/00000000-0000-4000-8000-000000000000");
    let missing = "BGPVPNPortAssocNotFound";
    for (path, body, status, kind, says) in [
        (at(&two, &own), json!({"routes": []}), 404, missing, association.as_str()),
        (at(&one, nobody), json!({"routes": []}), 404, missing, &nobody[1..]),
        (at(&nobody[1..], &own), json!({"routes": []}), 404, "BGPVPNNotFound", &nobody[1..]),
        (at(&one, &own), json!({"bgpvpn_id": two}), 400, "HTTPBadRequest", "bgpvpn_id"),
        (at(&one, &own), json!({"port_id": another}), 400, "HTTPBadRequest", "port_id"),
        (at(&one, &own), json!({"routes": [{"type": "prefix"}]}), 400, "HTTPBadRequest", "routes[0].prefix"),
    ] {
        let answer = controller.ask("PUT", &path, json!({"port_association": body})).await;
        let (told, message) = answer.error();
        assert_eq!((answer.status, told.as_str()), (status, kind), "{path} {body}: {message}");
        assert!(message.contains(says), "{path} {body}: {message}");
    }
    assert_eq!(controller.revision(), revision, "nothing was written");
    let again = controller.ask("POST", &at(&one, ""), json!({"port_association": {"port_id": port}})).await;
    assert_eq!((again.status, again.error().0.as_str()), (400, "BGPVPNPortAssocAlreadyExists"));
    for parent in [one.as_str(), "-"] {
        let body = json!({"port_association": {"routes": [], "advertise_fixed_ips": false}});
        let answer = controller.ask("PUT", &at(parent, &own), body).await;
        assert_eq!(answer.status, 200, "{parent}: {answer:?}");
        let changed = &answer.json()["port_association"];
        assert_eq!((&changed["port_id"], &changed["routes"]), (&json!(port), &json!([])));
    }
}

#[tokio::test]
async fn a_watch_below_a_resource_tells_of_what_is_there_and_the_resource_tells_of_it_too() {
    let controller = Controller::start().await;
    let Vpns { network, vpns: [one, two], association } = vpns(&controller).await;
    let mut feed =
        Feed::open(&controller, &format!("/v2.0/{}?watch=true", below(&one, "network_associations"))).await;
    let mut vpns = Feed::open(&controller, "/v2.0/bgpvpn/bgpvpns?watch=true").await;
    let elsewhere = json!({"network_id": network, "name": "elsewhere"});
    controller.create(&below(&two, "network_associations"), "network_association", elsewhere).await;
    let path = format!("/v2.0/{}/{association}", below(&one, "network_associations"));
    controller.ask("PUT", &path, json!({"network_association": {"name": "renamed"}})).await;
    assert_eq!(feed.told().await, "put renamed");
    let (event, told) = vpns.next().await;
    assert_eq!((event.as_str(), &told["object"]["networks"]), ("put", &json!([network])));
    assert_eq!(controller.send("DELETE", &path, &[], b"").await.status, 204);
    let (event, told) = feed.next().await;
    assert_eq!((event.as_str(), &told["kind"]), ("delete", &json!("bgpvpn_network_association")));
}

#[tokio::test]
async fn actions_answer_as_neutron_does() {
    let controller = Controller::start().await;
    let network = controller.network("blue").await;
    let subnet = controller.get("/v2.0/subnets").await.json()["subnets"][0]["id"].clone();
    let router = controller.create("routers", "router", json!({"name": "r"})).await;
    let at = |action: &str| format!("/v2.0/routers/{router}/{action}");
    let added = controller.ask("PUT", &at("add_router_interface"), json!({"subnet_id": subnet})).await;
    assert_eq!(added.status, 200, "{added:?}");
    let added = added.json();
    assert_eq!((&added["id"], &added["network_id"]), (&json!(router), &json!(network)));
    let port = added["port_id"].as_str().unwrap().to_owned();
    let refused = controller.send("DELETE", &format!("/v2.0/ports/{port}"), &[], b"").await;
    assert_eq!((refused.status, refused.error().0.as_str()), (409, "ServicePortInUse"));
    let routes = json!({"router": {"routes": [{"destination": "10.8.0.0/16", "nexthop": "10.1.0.9"}]}});
    let with = controller.ask("PUT", &at("add_extraroutes"), routes.clone()).await;
    assert_eq!(with.status, 200, "{with:?}");
    assert_eq!(with.json()["router"]["routes"], routes["router"]["routes"]);
    let bad = json!({"router": {"routes": [{"destination": "10.8.0.0/16", "nexthop": "10.1.0.9"}, {"destination": "10.9.0.0/16"}]}});
    let refused = controller.ask("PUT", &at("add_extraroutes"), bad).await;
    assert_eq!(refused.status, 400);
    assert!(refused.error().1.contains("routes[1].nexthop"), "{refused:?}");
    let revision = with.json()["router"]["revision_number"].as_u64().unwrap();
    let stale = [("If-Match", "revision_number=1")];
    let body = routes.to_string();
    let outdated = controller.send("PUT", &at("remove_extraroutes"), &stale, body.as_bytes()).await;
    assert_eq!((outdated.status, revision), (412, 2));
    let wrong = controller.get(&at("add_extraroutes")).await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("PUT")));
    assert_eq!(controller.ask("PUT", &at("add_everything"), json!({})).await.status, 404);
    let nobody = "/v2.0/routers/00000000-0000-4000-8000-000000000000/add_router_interface";
    let missing = controller.ask("PUT", nobody, json!({"subnet_id": subnet})).await;
    assert_eq!((missing.status, missing.error().0.as_str()), (404, "RouterNotFound"));
    let speaker = controller.create("bgp-speakers", "bgp_speaker", json!({"local_as": 64512})).await;
    let routes = controller.get(&format!("/v2.0/bgp-speakers/{speaker}/get_advertised_routes")).await;
    assert_eq!(routes.json(), json!({"advertised_routes": []}));
}

#[tokio::test]
async fn a_password_is_nowhere_to_be_seen() {
    let controller = Controller::start().await;
    let mut feed = Feed::open(&controller, "/v1/watch").await;
    let peer = json!({"name": "edge", "peer_ip": "192.0.2.1", "remote_as": 64512, "auth_type": "md5", "password": "hunter2"});
    let made = controller.ask("POST", "/v2.0/bgp-peers", json!({"bgp_peer": peer})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["bgp_peer"]["id"].as_str().unwrap().to_owned();
    let mut seen = vec![made.body, feed.next().await.1.to_string().into_bytes()];
    let revision = controller.revision();
    let path = format!("/v2.0/bgp-peers/{id}");
    let changed =
        controller.ask("PUT", &path, json!({"bgp_peer": {"password": "hunter3", "name": "core"}})).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    seen.extend([changed.body, feed.next().await.1.to_string().into_bytes()]);
    let documents = json!({"set": "s", "dry_run": true, "documents": [{"kind": "bgp_peer", "name": "declared",
        "peer_ip": "192.0.2.2", "remote_as": 1, "auth_type": "md5", "password": "hunter4"}]});
    let bad = json!({"bgp_peer": {"password": ["hunter5"]}});
    for (method, path, body) in [
        ("GET", path.as_str(), Value::Null),
        ("GET", "/v2.0/bgp-peers?fields=password&password=hunter3", Value::Null),
        ("GET", "/v2.0/bgp-peers?sort_key=password&sort_dir=asc", Value::Null),
        ("GET", "/v1/history", Value::Null),
        ("GET", "/v1/status", Value::Null),
        ("PUT", &path, bad),
        ("POST", "/v1/apply", documents),
        ("POST", "/v1/rollback", json!({"revision": revision, "project_id": "default", "dry_run": true})),
    ] {
        let answer = controller.ask(method, path, body).await;
        assert!(answer.status < 500, "{method} {path}: {answer:?}");
        seen.push(answer.body);
    }
    for body in seen {
        let text = String::from_utf8(body).unwrap();
        assert!(!text.contains("hunter"), "{text}");
    }
    let none = controller.get("/v2.0/bgp-peers?password=hunter3").await.json();
    assert_eq!(none["bgp_peers"], json!([]), "not even guessed");
    let document = controller.get("/openapi.json").await.json();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["bgp_peer_create"]["properties"]["password"]["writeOnly"], true);
    assert!(schemas["bgp_peer"]["properties"].get("password").is_none());
}
