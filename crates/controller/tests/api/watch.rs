//! Watches of a part of a collection: who keeps a list by them, keeps the list that the same query answers.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::support::Controller;

/// A stream of events.
pub(crate) struct Feed {
    stream: TcpStream,
    read: String,
}

impl Feed {
    /// A watch that has begun.
    pub(crate) async fn open(controller: &Controller, path: &str) -> Self {
        let mut feed = Self { stream: controller.open(path).await, read: String::new() };
        feed.until(": alive").await;
        feed
    }

    /// Reads until this has come; answers what came before it.
    async fn until(&mut self, end: &str) -> String {
        let mut bytes = [0; 4096];
        loop {
            if let Some(place) = self.read.find(end) {
                let rest = self.read.split_off(place + end.len());
                return std::mem::replace(&mut self.read, rest);
            }
            let count = self.stream.read(&mut bytes).await.unwrap();
            assert!(count > 0, "the stream ended: {}", self.read);
            self.read.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }

    /// The next event: what it is called, and what it says.
    pub(crate) async fn next(&mut self) -> (String, Value) {
        self.until("event: ").await;
        let name = self.until("\n").await.trim().to_owned();
        self.until("data: ").await;
        let data = self.until("\n").await;
        (name, serde_json::from_str(&data).unwrap())
    }

    /// The next event as `event name`, which is that of the object.
    pub(crate) async fn told(&mut self) -> String {
        let (event, data) = self.next().await;
        format!("{event} {}", data["object"]["name"].as_str().unwrap_or("-"))
    }
}

async fn rename(controller: &Controller, id: &str, name: &str) {
    let body = json!({ "network": { "name": name } });
    let answer = controller.ask("PUT", &format!("/v2.0/networks/{id}"), body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_watch_tells_of_what_fulfils_its_conditions_and_of_what_no_longer_does() {
    let controller = Controller::start().await;
    let mut feed =
        Feed::open(&controller, "/v2.0/networks?watch=true&name=blue&name=navy&project_id=p1").await;
    let make = async |name: &str, project: &str| {
        controller.create("networks", "network", json!({ "name": name, "project_id": project })).await
    };
    make("red", "p1").await;
    make("blue", "p2").await;
    let first = make("blue", "p1").await;
    rename(&controller, &first, "navy").await;
    rename(&controller, &first, "red").await;
    rename(&controller, &first, "pink").await;
    rename(&controller, &first, "blue").await;
    controller.ask("DELETE", &format!("/v2.0/networks/{first}"), json!(null)).await;
    for expected in ["put blue", "put navy", "delete -", "put blue", "delete -"] {
        assert_eq!(feed.told().await, expected);
    }
}

#[tokio::test]
async fn a_watch_shows_the_attributes_that_are_asked_for() {
    let controller = Controller::start().await;
    let mut feed = Feed::open(&controller, "/v2.0/networks?watch=true&fields=id&fields=name").await;
    let id = controller.create("networks", "network", json!({ "name": "blue" })).await;
    let (event, data) = feed.next().await;
    assert_eq!(event, "put");
    assert_eq!(data["object"], json!({ "id": id, "name": "blue" }));
    assert_eq!((&data["kind"], &data["id"]), (&json!("network"), &json!(id)));
}

#[tokio::test]
async fn a_watch_by_status_follows_the_status() {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    let network = controller.network("blue").await;
    let mut feed = Feed::open(&controller, "/v2.0/ports?watch=true&status=BUILD&fields=name").await;
    let port = controller.port(&network, "host1", "web").await;
    assert_eq!(feed.told().await, "put web");
    let unbound = json!({ "port": { "binding:host_id": "" } });
    controller.ask("PUT", &format!("/v2.0/ports/{port}"), unbound).await;
    assert_eq!(feed.told().await, "delete -");
}

#[tokio::test]
async fn a_watch_goes_on_in_the_midst_of_a_commit_with_the_same_conditions() {
    let controller = Controller::start().await;
    let before = controller.site.durable().version;
    let networks: Vec<Value> =
        ["a", "x", "b", "c"].iter().map(|name| json!({ "name": name, "description": "d" })).collect();
    controller.ask("POST", "/v2.0/networks", json!({ "networks": networks })).await;
    let path = "/v2.0/networks?watch=true&name=a&name=b&name=c";
    let mut all = Vec::new();
    let mut feed = Feed::open(&controller, &format!("{path}&since={before}")).await;
    for _ in 0..3 {
        all.push(feed.told().await);
    }
    let after_the_first = format!("{}.1", controller.site.durable().version);
    let mut feed = Feed::open(&controller, &format!("{path}&since={after_the_first}")).await;
    for expected in &all[1..] {
        assert_eq!(feed.told().await, *expected);
    }
}

#[tokio::test]
async fn what_a_watch_does_not_honour_is_refused() {
    let controller = Controller::start().await;
    for (path, name) in [
        ("/v2.0/ports?watch=true&limit=5", "limit"),
        ("/v2.0/ports?watch=true&sort_key=name&sort_dir=asc", "sort_key"),
        ("/v2.0/ports?watch=true&marker=x", "marker"),
        ("/v2.0/ports?watch=true&page_reverse=true", "page_reverse"),
        ("/v2.0/ports?watch=true&admin_state_up=perhaps", "admin_state_up"),
        ("/v1/watch?project_id=p1", "project_id"),
        ("/v1/watch?fields=id", "fields"),
    ] {
        let answer = controller.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert!(answer.error().1.contains(name), "{path}: {answer:?}");
    }
}
