//! Rollbacks: whose, and of what.

use serde_json::{Value, json};

use crate::support::{Answer, Controller};

async fn apply(controller: &Controller, set: &str, project: Option<&str>, names: &[&str]) {
    let documents: Vec<Value> = names.iter().map(|name| json!({ "kind": "network", "name": name })).collect();
    let body = json!({ "set": set, "project_id": project, "prune": true, "documents": documents });
    let answer = controller.ask("POST", "/v1/apply", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn back(controller: &Controller, revision: u64, mut scope: Value) -> Answer {
    scope["revision"] = json!(revision);
    controller.ask("POST", "/v1/rollback", scope).await
}

async fn changes(controller: &Controller, revision: u64, scope: Value) -> usize {
    let answer = back(controller, revision, scope).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["changes"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_scope_that_never_was_is_not_found_and_one_that_was_has_nothing_to_do() {
    let controller = Controller::start().await;
    apply(&controller, "tenant", None, &["blue"]).await;
    apply(&controller, "gone", Some("p"), &["red"]).await;
    apply(&controller, "gone", Some("p"), &[]).await;
    assert_eq!(changes(&controller, 2, json!({ "set": "gone" })).await, 1, "red is back");
    apply(&controller, "gone", Some("p"), &[]).await;
    let other = json!({ "network": { "project_id": "q" } });
    assert_eq!(controller.ask("POST", "/v2.0/networks", other).await.status, 201);
    // More than is read of the log at a time.
    for _ in 0..600 {
        controller.create("networks", "network", json!({})).await;
    }
    let now = controller.revision();
    for (scope, named) in [
        (json!({ "set": "tenent" }), "'tenent'"),
        (json!({ "project_id": "nobody" }), "'nobody'"),
        (json!({ "set": "tenant", "project_id": "p" }), "'tenant' of project 'p'"),
        (json!({ "set": "tenent", "dry_run": true }), "'tenent'"),
    ] {
        let answer = back(&controller, now - 1, scope.clone()).await;
        let (kind, message) = answer.error();
        assert!(answer.status == 404 && kind.ends_with("NotFound"), "{scope}: {answer:?}");
        assert!(message.contains(named), "{scope}: {message}");
    }
    assert_eq!(controller.revision(), now);
    for scope in [
        json!({ "set": "tenant" }),
        json!({ "set": "gone" }),
        json!({ "set": "gone", "project_id": "p" }),
        json!({ "project_id": "p" }),
        json!({ "project_id": "q" }),
    ] {
        assert_eq!(changes(&controller, now, scope.clone()).await, 0, "{scope}");
    }
}

#[tokio::test]
async fn a_rollback_is_carried_out_however_much_else_is_written_meanwhile() {
    let controller = Controller::start().await;
    apply(&controller, "tenant", None, &["blue"]).await;
    let then = controller.revision();
    apply(&controller, "tenant", None, &["red"]).await;
    let done = std::cell::Cell::new(false);
    let write = || async {
        let mut written = 0;
        while !done.get() {
            controller.create("networks", "network", json!({})).await;
            written += 1;
        }
        written
    };
    let roll_back = async {
        let count = changes(&controller, then, json!({ "set": "tenant" })).await;
        done.set(true);
        count
    };
    let (written, more, count) = tokio::join!(write(), write(), roll_back);
    let written: usize = written + more;
    assert_eq!(count, 2, "blue is back, red is gone");
    assert!(written > 0, "nothing was written meanwhile");
}
