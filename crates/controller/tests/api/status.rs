//! How far hosts are, and what waits for them.

use serde_json::json;

use crate::support::Controller;

async fn gauge(controller: &Controller) -> String {
    let text = String::from_utf8(controller.get("/metrics").await.body).unwrap();
    let line = text.lines().find(|line| line.starts_with("weft_quarantined "));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[tokio::test]
async fn a_vni_that_waits_for_a_host_is_told_of_until_the_host_is_fenced() {
    let controller = Controller::start().await;
    for (host, number) in [("host1", 1), ("host2", 2)] {
        controller.host(host, number).await;
    }
    let network = controller.network("blue").await;
    let vni = controller.get(&format!("/v2.0/networks/{network}")).await.json();
    let vni = vni["network"]["provider:segmentation_id"].clone();
    assert_eq!(controller.get("/v1/status").await.json()["quarantine"], json!([]));
    assert_eq!(gauge(&controller).await, "weft_quarantined 0");
    let one = controller.port(&network, "host1", "one").await;
    let _two = controller.port(&network, "host2", "two").await;
    controller.ask("DELETE", &format!("/v2.0/ports/{one}"), json!(null)).await;
    let waits = json!([{ "what": format!("VNI {vni}"), "host": "host1" }]);
    assert_eq!(controller.get("/v1/status").await.json()["quarantine"], waits);
    assert_eq!(gauge(&controller).await, "weft_quarantined 1");
    assert_eq!(controller.ask("DELETE", "/v2.0/hosts/host1", json!(null)).await.status, 204);
    assert_eq!(controller.get("/v1/status").await.json()["quarantine"], json!([]));
    assert_eq!(gauge(&controller).await, "weft_quarantined 0");
}
