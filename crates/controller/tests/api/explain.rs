//! Why an object is on a host: what brings it there, and who asked for that, however much is written besides.

use serde_json::{Value, json};

use crate::support::{Answer, Controller};

/// The request that a commit of this revision was asked for with.
async fn request_of(controller: &Controller, revision: u64) -> Value {
    let path = format!("/v1/history?limit=1&before={}", revision + 1);
    controller.get(&path).await.json()["history"][0]["request_id"].clone()
}

async fn explain(controller: &Controller, host: &str, object: &str) -> Value {
    controller.get(&format!("/v1/explain?host={host}&object={object}")).await.json()
}

/// The fragment of the one object that there is.
fn only(explained: &Value) -> &Value {
    assert_eq!(explained["objects"].as_array().map(Vec::len), Some(1), "{explained}");
    assert_eq!(explained["objects"][0]["fragments"].as_array().map(Vec::len), Some(1), "{explained}");
    &explained["objects"][0]["fragments"][0]
}

async fn put(controller: &Controller, path: &str, body: Value) -> Answer {
    let answer = controller.ask("PUT", path, body).await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
    answer
}

#[tokio::test]
async fn a_bridge_is_on_a_host_because_of_its_ports_there_and_was_asked_for_by_who_made_the_network() {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    controller.host("host2", 2).await;
    let network = controller.create("networks", "network", json!({ "name": "blue" })).await;
    let made = request_of(&controller, controller.revision()).await;
    let port = controller.port(&network, "host1", "web").await;
    let joined = request_of(&controller, controller.revision()).await;
    controller.port(&network, "host2", "db").await;
    // Neither a tag nor a name is anything that a host sees.
    put(&controller, &format!("/v2.0/networks/{network}/tags/x"), json!({})).await;
    put(&controller, &format!("/v2.0/networks/{network}"), json!({ "network": { "name": "navy" } })).await;
    let told = explain(&controller, "host1", "%20from%20").await;
    let bridge = only(&told);
    assert_eq!((&bridge["kind"], &bridge["name"]), (&json!("network"), &json!("navy")), "{bridge}");
    assert_eq!(bridge["request_id"], made, "{bridge}");
    assert_eq!(bridge["host"], "host1");
    let because = &bridge["because_of"];
    assert_eq!(because["count"], 1, "{bridge}");
    assert_eq!(because["first"][0]["kind"], "port");
    assert_eq!(because["first"][0]["resource_id"], json!(port));
    assert_eq!(because["first"][0]["name"], "web");
    assert_eq!(because["first"][0]["request_id"], joined);
    assert_eq!(
        bridge["changed"]["request_id"], joined,
        "with the port, the network came to the host: {bridge}"
    );
    put(&controller, &format!("/v2.0/networks/{network}"), json!({ "network": { "mtu": 1400 } })).await;
    let changed = request_of(&controller, controller.revision()).await;
    let told = explain(&controller, "host1", "%20from%20").await;
    assert_eq!(only(&told)["changed"]["request_id"], changed, "{told}");
    assert_eq!(only(&told)["request_id"], made, "{told}");
}

#[tokio::test]
async fn what_is_sent_to_another_host_is_explained_by_the_port_there_and_by_those_here() {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    controller.host("host2", 2).await;
    let network = controller.network("blue").await;
    let there = controller.port(&network, "host2", "db").await;
    let made = request_of(&controller, controller.revision()).await;
    for number in 0..7 {
        controller.port(&network, "host1", &format!("web{number}")).await;
    }
    let mac = controller.get(&format!("/v2.0/ports/{there}")).await.json()["port"]["mac_address"].clone();
    let told = explain(&controller, "host1", mac.as_str().unwrap()).await;
    for object in told["objects"].as_array().unwrap() {
        let fragment = &object["fragments"][0];
        assert_eq!(fragment["kind"], "port", "{fragment}");
        assert_eq!(fragment["resource_id"], json!(there));
        assert_eq!(fragment["host"], "host2");
        assert_eq!(fragment["request_id"], made);
        assert_eq!(fragment["because_of"]["count"], 7, "{fragment}");
        assert_eq!(fragment["because_of"]["first"].as_array().unwrap().len(), 5);
    }
}

#[tokio::test]
async fn who_made_something_stays_known_and_agents_that_mend_it_are_not_taken_for_them() {
    let controller = Controller::start().await;
    let network = controller.network("blue").await;
    // The host is not known yet: the binding fails until its agent has described it.
    let port = controller.port(&network, "host1", "web").await;
    let made = request_of(&controller, controller.revision()).await;
    controller.host("host1", 1).await;
    let told = explain(&controller, "host1", "10.1.0.").await;
    let link = &told["objects"][0]["fragments"][0];
    assert_eq!((&link["kind"], &link["resource_id"]), (&json!("port"), &json!(port)), "{told}");
    assert_eq!(link["request_id"], made);
    assert_eq!(link["changed"]["request_id"], "agent host1", "{link}");
    assert_eq!(link["because_of"], json!(null), "it is on its own host");
    // Nor does it depend on how long the log is.
    let all = weft_store::Revision::new(controller.revision() + 1);
    controller.site.store.compact(all).await.unwrap();
    let told = explain(&controller, "host1", "10.1.0.").await;
    let link = &told["objects"][0]["fragments"][0];
    assert_eq!((&link["request_id"], &link["changed"]), (&made, &json!(null)), "{told}");
}

#[tokio::test]
async fn an_answer_is_bounded_and_says_what_it_leaves_out() {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    let network = controller.network("blue").await;
    let port = |number: usize| {
        json!({ "network_id": network, "name": format!("p{number}"),
        "binding:host_id": "host1", "binding:profile": { "namespace": "shared", "interface": format!("e{number}") } })
    };
    let ports: Vec<Value> = (0..200).map(port).collect();
    let answer = controller.ask("POST", "/v2.0/ports", json!({ "ports": ports })).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let told = controller.get("/v1/explain?host=host1").await.json();
    let (shown, left_out) = (told["objects"].as_array().unwrap().len(), told["left_out"].as_u64().unwrap());
    assert_eq!(shown, 500);
    assert!(left_out > 0, "{left_out}");
    let shared = explain(&controller, "host1", "shared").await;
    let is_used_by_all = |object: &&Value| object["fragments_left_out"] != 0;
    let namespace = shared["objects"].as_array().unwrap().iter().find(is_used_by_all);
    let namespace = namespace.unwrap_or_else(|| panic!("{shared}"));
    assert_eq!(namespace["fragments"].as_array().unwrap().len(), 10, "{shared}");
    assert_eq!(namespace["fragments_left_out"], 190, "{namespace}");
}
