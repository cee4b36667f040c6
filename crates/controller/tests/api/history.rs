//! What the history and a rollback tell: of what was asked for, not of how it is kept.

use serde_json::{Value, json};

use crate::support::Controller;

/// Each change as `action kind name`, entry by entry, newest first.
async fn told(controller: &Controller, path: &str) -> Vec<Vec<String>> {
    let history = controller.get(path).await.json();
    let entries = history["history"].as_array().unwrap().clone();
    entries.iter().map(|entry| changes(&entry["changes"])).collect()
}

fn changes(value: &Value) -> Vec<String> {
    let word = |change: &Value, name: &str| change[name].as_str().unwrap_or("-").to_owned();
    let change = |change: &Value| {
        format!("{} {} {}", word(change, "action"), word(change, "kind"), word(change, "name"))
    };
    value.as_array().unwrap().iter().map(change).collect()
}

#[tokio::test]
async fn a_port_is_one_change_whatever_it_is_kept_as() {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    let network = controller.network("blue").await;
    let port = controller.port(&network, "host1", "web").await;
    let path = format!("/v2.0/ports/{port}");
    controller.ask("PUT", &path, json!({ "port": { "device_id": "vm1" } })).await;
    controller.ask("PUT", &path, json!({ "port": { "name": "www" } })).await;
    controller.ask("PUT", &path, json!({ "port": { "fixed_ips": [{ "ip_address": "10.1.0.77" }] } })).await;
    let expected = [["update port www"], ["update port www"], ["update port web"], ["create port web"]];
    assert_eq!(told(&controller, "/v1/history?limit=4").await, expected);

    let before_update = controller.revision() - 1;
    controller.ask("DELETE", &path, json!(null)).await;
    assert_eq!(told(&controller, "/v1/history?limit=1").await, [["delete port -"]]);
    // Of what is gone, a page that has nothing but a change of a part of it tells the same.
    for revision in before_update - 1..=before_update + 1 {
        let page = format!("/v1/history?limit=1&before={}", revision + 1);
        let told = told(&controller, &page).await.concat().concat();
        assert!(told.starts_with("update port w"), "{revision}: {told}");
    }
    let body = json!({ "revision": before_update, "project_id": "default", "dry_run": true });
    let plan = controller.ask("POST", "/v1/rollback", body).await.json();
    assert_eq!(changes(&plan["changes"]), ["create port www"], "{plan}");
    assert_eq!(plan["changes"][0]["id"], json!(port));
    let made = plan["changes"][0]["attributes"].as_object().unwrap();
    assert_eq!(made["device_id"], json!({ "from": null, "to": "vm1" }));
    assert!(!made.contains_key("status") && !made.contains_key("description"), "{made:?}");
}

#[tokio::test]
async fn a_rollback_tells_of_the_attributes_that_differ() {
    let controller = Controller::start().await;
    let network = controller.network("blue").await;
    let port = controller.port(&network, "", "web").await;
    let revision = controller.revision();
    let update = json!({ "port": { "name": "www", "fixed_ips": [{ "ip_address": "10.1.0.77" }] } });
    controller.ask("PUT", &format!("/v2.0/ports/{port}"), update).await;
    let body = json!({ "revision": revision, "project_id": "default" });
    let done = controller.ask("POST", "/v1/rollback", body).await.json();
    assert_eq!(changes(&done["changes"]), ["update port web"], "{done}");
    let attributes = done["changes"][0]["attributes"].as_object().unwrap();
    assert_eq!(attributes.keys().collect::<Vec<_>>(), ["name", "fixed_ips"], "{done}");
    assert_eq!(attributes["name"], json!({ "from": "www", "to": "web" }));
    assert_eq!(attributes["fixed_ips"]["from"][0]["ip_address"], "10.1.0.77");
}

#[tokio::test]
async fn what_was_made_by_its_own_name_is_told_of_by_it() {
    let controller = Controller::start().await;
    let network = controller.network("blue").await;
    let vnic = controller.create("instance-ports", "instance_port", json!({ "name": "vm1" })).await;
    let interface = json!({ "name": "vm1-0", "instance_port_id": vnic });
    let interface = controller.create("interfaces", "interface", interface).await;
    let binding = json!({ "name": "vm1-blue", "interface_id": interface, "service_id": network });
    let binding = controller.create("service-ports", "service_port", binding).await;
    controller.ask("DELETE", &format!("/v2.0/service-ports/{binding}"), json!(null)).await;
    let expected = [
        ["delete service_port -"],
        ["create service_port vm1-blue"],
        ["create interface vm1-0"],
        ["create instance_port vm1"],
    ];
    assert_eq!(told(&controller, "/v1/history?limit=4").await, expected);
}

#[tokio::test]
async fn what_keeps_a_vni_in_quarantine_is_nothing_that_anybody_asked_for() {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    let network = controller.network("blue").await;
    let port = controller.port(&network, "host1", "web").await;
    controller.ask("DELETE", &format!("/v2.0/ports/{port}"), json!(null)).await;
    controller.ask("DELETE", &format!("/v2.0/networks/{network}"), json!(null)).await;
    for told in told(&controller, "/v1/history").await.concat() {
        assert!(!told.contains("departure"), "{told}");
    }
}

#[tokio::test]
async fn what_was_not_there_before_is_created_also_by_a_rollback_and_by_an_agent() {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    assert_eq!(told(&controller, "/v1/history?limit=1").await, [["create host -"]]);
    controller.host("host1", 2).await;
    assert_eq!(told(&controller, "/v1/history?limit=1").await, [["update host -"]]);
    let network = controller.create("networks", "network", json!({ "name": "blue" })).await;
    let path = format!("/v2.0/networks/{network}");
    controller.ask("PUT", &path, json!({ "network": { "name": "navy" } })).await;
    let revision = controller.revision();
    controller.ask("DELETE", &path, json!(null)).await;
    controller.ask("POST", "/v1/rollback", json!({ "revision": revision, "project_id": "default" })).await;
    assert_eq!(told(&controller, "/v1/history?limit=1").await, [["create network navy"]]);
    assert!(controller.get(&path).await.json()["network"]["revision_number"].as_u64() > Some(1));
}
