//! The store as a file, there and back.

use serde_json::json;

use crate::support::Controller;

/// How many changes ended like this.
async fn commits(controller: &Controller, outcome: &str) -> u64 {
    let text = String::from_utf8(controller.get("/metrics").await.body).unwrap();
    let name = format!("weft_commits_total{{outcome=\"{outcome}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_full_disk_is_not_the_fault_of_a_snapshot_and_who_asks_whether_all_is_ready_hears_of_it() {
    let controller = Controller::start().await;
    let snapshot = controller.get("/v1/snapshot").await.body;
    let bad = controller.send("POST", "/v1/restore", &[], b"no snapshot").await;
    assert_eq!((bad.status, controller.get("/readyz").await.status), (400, 200), "{bad:?}");
    controller.disk.fill(true);
    let restored = controller.send("POST", "/v1/restore", &[], &snapshot).await;
    assert_eq!((restored.status, controller.get("/readyz").await.status), (503, 503), "{restored:?}");
    controller.disk.fill(false);
    let restored = controller.send("POST", "/v1/restore", &[], &snapshot).await;
    assert_eq!(restored.status, 200, "{restored:?}");
    // What hands the store's content to the agents does not run here.
    assert_eq!(controller.get("/readyz").await.json()["can_write"], true);
}

#[tokio::test]
async fn while_nothing_can_be_written_the_controller_is_not_ready() {
    let controller = Controller::start().await;
    let network = controller.network("blue").await;
    let path = format!("/v2.0/networks/{network}");
    let rename =
        async |name: &str| controller.ask("PUT", &path, json!({ "network": { "name": name } })).await.status;
    assert_eq!(controller.get("/readyz").await.status, 200);
    controller.disk.fill(true);
    assert_eq!(rename("navy").await, 503);
    assert_eq!(controller.get("/readyz").await.status, 503);
    assert_eq!(commits(&controller, "unavailable").await, 1);
    // What writes nothing is no sign that something can be written.
    assert_eq!(rename("blue").await, 200);
    assert_eq!(controller.get("/readyz").await.status, 503);
    controller.disk.fill(false);
    assert_eq!(rename("navy").await, 200);
    assert_eq!(controller.get("/readyz").await.status, 200);
    let refused = controller.ask("PUT", &path, json!({ "network": { "id": "x" } })).await;
    assert_eq!((refused.status, commits(&controller, "refused").await), (400, 1));
    let plan = json!({ "set": "s", "dry_run": true, "documents": [{ "kind": "network" }] });
    controller.ask("POST", "/v1/apply", plan).await;
    assert_eq!(commits(&controller, "refused").await, 1, "a plan is no commit");
}

#[tokio::test]
async fn a_restore_is_told_of_in_the_history_also_where_nothing_else_changes() {
    let controller = Controller::start().await;
    controller.network("blue").await;
    let snapshot = controller.get("/v1/snapshot").await;
    let answer = controller.send("POST", "/v1/restore", &[], &snapshot.body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let history = controller.get("/v1/history").await.json();
    let newest = &history["history"][0];
    assert_eq!(newest["summary"], "POST /v1/restore", "{history}");
    assert!(newest["request_id"].as_str().unwrap().starts_with("req-"), "{newest}");
    assert_eq!(newest["version"], controller.site.durable().version.to_string());
    assert_eq!(newest["changes"].as_array().unwrap().len(), 0, "{newest}");
}
