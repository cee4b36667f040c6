//! The client against a small controller in the same process.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod fake;

use std::time::Duration;

use expect_test::expect;
use fake::Fake;
use serde_json::{Value, json};
use weft_client::{Client, Config, Error, Rollback, Scope, WatchKind};
use weft_services::catalogue::{Entry, by_any_name};

fn client(fake: &Fake) -> Client {
    Client::new(&Config { url: fake.url.clone(), ..Config::default() }).unwrap()
}

fn networks() -> &'static Entry {
    by_any_name("network").unwrap()
}

fn id(number: usize) -> String {
    format!("10000000-0000-4000-8000-{number:012}")
}

fn many(count: usize) -> Value {
    (1..=count).map(|number| json!({ "id": id(number), "name": format!("n{number}") })).collect()
}

#[tokio::test]
async fn a_list_is_read_page_after_page_as_the_controller_cuts_them() {
    let fake = Fake::start().with("networks", many(7));
    fake.state.lock().unwrap().page_max = Some(3);
    let all = client(&fake).list(networks(), &[]).await.unwrap();
    let names: Vec<&str> = all.iter().filter_map(|object| object["name"].as_str()).collect();
    assert_eq!(names, ["n1", "n2", "n3", "n4", "n5", "n6", "n7"]);
    assert_eq!(fake.lines("GET").len(), 3);
    assert!(fake.lines("GET")[1].ends_with(&format!("limit=500&marker={}", id(3))));
}

#[tokio::test]
async fn a_list_without_links_ends_with_a_page_that_is_not_full() {
    let fake = Fake::start().canned("GET /v2.0/networks", 200, json!({ "networks": many(2) }));
    assert_eq!(client(&fake).list(networks(), &[]).await.unwrap().len(), 2);
    assert_eq!(fake.lines("GET").len(), 1);
}

#[tokio::test]
async fn what_is_called_so_is_found_by_id_then_by_name_and_not_if_several_are() {
    let twins = json!([
        { "id": id(1), "name": "blue" }, { "id": id(2), "name": "red" }, { "id": id(3), "name": "red" },
    ]);
    let fake = Fake::start().with("networks", twins);
    let client = client(&fake);
    assert_eq!(client.find(networks(), "blue").await.unwrap()["id"], id(1));
    assert_eq!(client.find(networks(), &id(2)).await.unwrap()["name"], "red");
    let error = client.find(networks(), "red").await.unwrap_err();
    assert!(matches!(&error, Error::Ambiguous { ids, .. } if ids.len() == 2), "{error}");
    let error = client.find(networks(), "green").await.unwrap_err();
    assert_eq!(error.to_string(), "no network is called 'green'");
}

#[tokio::test]
async fn a_resource_is_made_changed_on_condition_and_deleted() {
    let fake = Fake::start();
    let client = client(&fake);
    let made =
        client.create(networks(), json!({ "name": "blue" }).as_object().unwrap().clone()).await.unwrap();
    let id = made["id"].as_str().unwrap();
    let change = json!({ "description": "sky" }).as_object().unwrap().clone();
    let changed = client.update(networks(), id, change, Some(4)).await.unwrap();
    assert_eq!(changed["description"], "sky");
    client.delete(networks(), id, None).await.unwrap();
    let put = fake.requests().into_iter().find(|request| request.line.starts_with("PUT")).unwrap();
    assert_eq!(put.headers["if-match"], "revision_number=4");
    assert_eq!(put.body, json!({ "network": { "description": "sky" } }));
    let error = client.get(networks(), id).await.unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal) if refusal.status == 404), "{error}");
}

#[tokio::test]
async fn a_token_is_sent_and_an_id_stays_one_segment_of_the_path() {
    let fake = Fake::start();
    let config =
        Config { url: format!("{}/v2.0/", fake.url), token: Some("secret".into()), ..Config::default() };
    let client = Client::new(&config).unwrap();
    client.get(networks(), "a/../../v1/apply?x#y").await.unwrap_err();
    let request = fake.requests().remove(0);
    assert_eq!(request.line, "GET /v2.0/networks/a%2F..%2F..%2Fv1%2Fapply%3Fx%23y");
    assert_eq!(request.headers["x-auth-token"], "secret");
}

#[tokio::test]
async fn the_controllers_words_come_through_and_so_do_those_of_a_proxy() {
    let refusal = json!({ "NeutronError": {
        "type": "Conflict", "message": "it is in use", "detail": "", "document": 3, "field": "network_id",
    }});
    let fake = Fake::start().canned("POST /v1/apply", 409, refusal).canned(
        "GET /v1/status",
        502,
        json!("bad gateway"),
    );
    let client = client(&fake);
    match client.apply(&weft_client::Apply::default()).await.unwrap_err() {
        Error::Refused(refusal) => {
            assert_eq!(
                (refusal.status, refusal.document, refusal.field.as_deref()),
                (409, Some(3), Some("network_id"))
            );
            assert_eq!(refusal.to_string(), "it is in use");
        }
        other => panic!("{other}"),
    }
    let error = client.status().await.unwrap_err();
    assert_eq!(error.to_string(), "the controller answered 502: bad gateway");
    assert!(error.is_temporary());
}

#[tokio::test]
async fn who_is_not_there_or_not_in_time_is_told_with_what_to_do() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", unused.local_addr().unwrap());
    let config = Config { url: url.clone(), timeout: Duration::from_millis(200), ..Config::default() };
    // It listens, but never answers.
    let error = Client::new(&config).unwrap().status().await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    drop(unused);
    let error = Client::new(&config).unwrap().status().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no controller answers; is weft-controller running at {url}? set WEFT_URL or --url")
    );
    for url in ["https://host", "ftp://host", "nonsense"] {
        assert!(Client::new(&Config { url: url.into(), ..Config::default() }).is_err(), "{url}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_apis_is_no_panic() {
    let fake = Fake::start().canned("GET /v2.0/networks", 200, json!("<html>"));
    let error = client(&fake).list(networks(), &[]).await.unwrap_err();
    assert!(matches!(error, Error::Answer { .. }), "{error}");
}

#[tokio::test]
async fn history_rollback_explain_and_status_are_asked_for_as_the_api_has_them() {
    let fake = Fake::start()
        .canned("GET /v1/history", 200, json!({ "history": [{ "version": "1.5", "changes": [{ "action": "create", "kind": "network" }] }] }))
        .canned("POST /v1/rollback", 200, json!({ "revision": "1.6", "changes": [] }))
        .canned("GET /v1/explain", 200, json!({ "objects": [{ "object": "link a", "fragments": [{ "id": "f" }] }] }))
        .canned("GET /v1/status", 200, json!({ "version": "1.6", "hosts": [{ "name": "hv1", "alive": true, "at_rest": false }] }));
    let client = client(&fake);
    assert_eq!(client.history(5, Some(9)).await.unwrap()[0].version, "1.5");
    let rollback = Rollback { revision: 4, scope: Scope::Project("p".into()), dry_run: true };
    assert_eq!(client.rollback(&rollback).await.unwrap().revision.as_deref(), Some("1.6"));
    assert_eq!(client.explain("hv1", Some("br-a")).await.unwrap().objects[0].object, "link a");
    assert!(!client.status().await.unwrap().is_at_rest());
    let lines: String =
        fake.requests().iter().map(|request| format!("{} {}\n", request.line, request.body)).collect();
    expect![[r#"
        GET /v1/history?limit=5&before=9 {"bytes":0}
        POST /v1/rollback {"revision":4,"project_id":"p","dry_run":true}
        GET /v1/explain?host=hv1&object=br-a {"bytes":0}
        GET /v1/status {"bytes":0}
    "#]]
    .assert_eq(&lines);
}

#[tokio::test]
async fn a_snapshot_goes_out_and_comes_back_as_it_is() {
    let fake = Fake::start().canned("GET /v1/snapshot", 200, json!("bytes of it")).canned(
        "POST /v1/restore",
        200,
        json!({ "version": "2.1" }),
    );
    let client = client(&fake);
    let mut bytes = Vec::new();
    assert_eq!(client.snapshot(&mut bytes).await.unwrap(), 11);
    assert_eq!(client.restore(bytes).await.unwrap(), "2.1");
    let request = fake.requests().remove(1);
    assert_eq!(request.headers["content-type"], "application/octet-stream");
    assert_eq!(request.body["bytes"], 11);
}

#[tokio::test]
async fn a_watch_whose_connection_is_lost_goes_on_after_the_last_event() {
    let event = |id: &str, event: &str, name: &str| {
        format!(
            "id: {id}\nevent: {event}\ndata: {{\"kind\":\"network\",\"id\":\"x\",\"object\":{{\"name\":\"{name}\"}}}}\n\n"
        )
    };
    let first = format!(
        ": hello\n\n{}{}id: 1.9\nevent: put\ndata: {{\"kind",
        event("1.4", "put", "a"),
        event("1.5", "put", "b")
    );
    let second = "id: 1.6\n\n".to_owned();
    let third = event("1.7", "status", "c") + "id: 2.1\nevent: epoch\ndata: {}\n\n";
    let fake = Fake::start().watches(&[&first, &second, &third, ""]);
    let mut watch = client(&fake).watch(Some(networks()), Some("1.3".into()));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let event = watch.next().await.unwrap();
        let name = event.object.and_then(|object| object["name"].as_str().map(str::to_owned));
        seen.push((event.version.unwrap(), event.event, name));
    }
    let expected = [
        ("1.4".to_owned(), WatchKind::Put, Some("a".to_owned())),
        ("1.5".to_owned(), WatchKind::Put, Some("b".to_owned())),
        ("1.7".to_owned(), WatchKind::Status, Some("c".to_owned())),
        ("2.1".to_owned(), WatchKind::Epoch, None),
    ];
    assert_eq!(seen, expected);
    let places: Vec<(String, Option<String>)> = fake
        .requests()
        .into_iter()
        .map(|request| (request.line, request.headers.get("last-event-id").cloned()))
        .collect();
    assert_eq!(
        places,
        [
            ("GET /v2.0/networks?watch=true&since=1.3".to_owned(), None),
            ("GET /v2.0/networks?watch=true".to_owned(), Some("1.5".to_owned())),
            ("GET /v2.0/networks?watch=true".to_owned(), Some("1.6".to_owned())),
            ("GET /v2.0/networks?watch=true".to_owned(), None),
        ]
    );
}

#[tokio::test]
async fn a_watch_that_cannot_go_on_from_its_place_says_so_once_and_goes_on_from_now() {
    for kind in [WatchKind::Epoch, WatchKind::Compacted] {
        let over = format!("event: {}\ndata: {{}}\n\n", kind.as_str());
        let put = "id: 2.1\nevent: put\ndata: {\"kind\":\"network\",\"id\":\"x\",\"object\":{}}\n\n";
        let first = format!("{put}{over}");
        let fake = Fake::start().watches(&[&over, &first, put]);
        let mut watch = client(&fake).watch(None, Some("1.3".into()));
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(watch.next().await.unwrap().event);
        }
        assert_eq!(seen, [kind.clone(), WatchKind::Put, kind, WatchKind::Put]);
        let places: Vec<(String, Option<String>)> = fake
            .requests()
            .into_iter()
            .map(|request| (request.line, request.headers.get("last-event-id").cloned()))
            .collect();
        let from_now = ("GET /v1/watch".to_owned(), None);
        assert_eq!(places, [("GET /v1/watch?since=1.3".to_owned(), None), from_now.clone(), from_now]);
    }
}

#[tokio::test]
async fn a_watch_that_never_began_or_is_refused_fails_at_once() {
    let config = Config { url: "http://127.0.0.1:9".into(), ..Config::default() };
    let error = Client::new(&config).unwrap().watch(None, None).next().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let refusal =
        json!({ "NeutronError": { "type": "BadRequest", "message": "no such version", "detail": "" } });
    let fake = Fake::start().canned("GET /v1/watch", 400, refusal);
    let error = client(&fake).watch(None, Some("x".into())).next().await.unwrap_err();
    assert_eq!(error.to_string(), "no such version");
}
