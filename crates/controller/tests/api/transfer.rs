//! The store as a file, there and back.

use crate::support::Controller;

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
