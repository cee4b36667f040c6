//! Watches of a part of a collection: who keeps a list by them, keeps the list that the same query answers.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use weft_controller::agents;
use weft_protocol::wire;
use weft_services::compile::FragmentKey;

use crate::support::Controller;

/// How long something that is to be told may take.
const WITHIN: Duration = Duration::from_secs(20);

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

/// A host's agent, as far as it reports.
struct Agent {
    connection: u64,
    version: Option<wire::Version>,
}

impl Agent {
    /// One that has come and was sent everything.
    async fn come(controller: &Controller) -> Self {
        tokio::spawn(agents::follow_store(controller.site.clone(), controller.links.clone()));
        while controller.site.distribution.lock().version() < controller.site.durable().version {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut distribution = controller.site.distribution.lock();
        let (connection, updates) =
            distribution.connect(&"host1".parse().unwrap(), wire::Version::default(), None);
        Self { connection, version: updates.last().and_then(|update| update.version) }
    }

    /// It says that this is not done, and that the rest is; answers of what that is news.
    fn report(&self, controller: &Controller, not_done: Vec<wire::NotDone>) -> Vec<FragmentKey> {
        let status = wire::Status {
            version: self.version,
            at_rest: not_done.is_empty(),
            not_done,
            ..Default::default()
        };
        let host = "host1".parse().unwrap();
        let (_, news) = controller.site.distribution.lock().report(&host, self.connection, &status);
        controller.notices.status(news.clone());
        news
    }
}

#[tokio::test]
async fn a_router_whose_status_alone_has_changed_is_told_of_and_so_are_its_interfaces() {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    let network = controller.network("blue").await;
    let subnet = controller.get("/v2.0/subnets").await.json()["subnets"][0]["id"].clone();
    let router = controller.create("routers", "router", json!({"name": "r"})).await;
    let place = format!("/v2.0/routers/{router}/add_router_interface");
    let answer = controller.ask("PUT", &place, json!({"subnet_id": subnet})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let interface = answer.json()["port_id"].clone();
    controller.port(&network, "host1", "web").await;
    let agent = Agent::come(&controller).await;
    let mut routers = Feed::open(&controller, "/v2.0/routers?watch=true").await;
    let of_router = format!("/v2.0/ports?watch=true&device_id={router}");
    let mut ports = Feed::open(&controller, &of_router).await;
    let mut told = async |status: &str| {
        for (feed, id) in [(&mut routers, json!(router)), (&mut ports, interface.clone())] {
            let next = tokio::time::timeout(WITHIN, feed.next()).await;
            let (event, data) = next.unwrap_or_else(|_| panic!("{status} is not told"));
            assert_eq!((event.as_str(), &data["id"]), ("status", &id), "{data}");
            assert_eq!(data["object"]["status"], status, "{data}");
        }
    };
    assert_eq!(controller.get(&format!("/v2.0/routers/{router}")).await.json()["router"]["status"], "BUILD");
    let news = agent.report(&controller, Vec::new());
    told("ACTIVE").await;
    // That it is still so is no news.
    controller.notices.status(news);
    let failed = wire::NotDone {
        service: format!("vrf/{router}"),
        subject: "host/host1".into(),
        reason: "no".into(),
        ..Default::default()
    };
    let _news = agent.report(&controller, vec![failed]);
    told("ERROR").await;
    let _news = agent.report(&controller, Vec::new());
    told("ACTIVE").await;
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
