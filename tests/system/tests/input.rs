//! Bad input over real HTTP: the right status, a message that names what is wrong, nothing written.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_system_tests::{Answer, Bench, Http};

/// A request that is wrong, the status that it gets, and what its message has to name.
struct Case {
    what: &'static str,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    status: u16,
    names: &'static str,
}

fn case(
    what: &'static str,
    request: (&'static str, &str),
    body: impl Into<Vec<u8>>,
    expected: (u16, &'static str),
) -> Case {
    let ((method, path), (status, names)) = (request, expected);
    Case { what, method, path: path.to_owned(), headers: Vec::new(), body: body.into(), status, names }
}

impl Case {
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What there is to be wrong about.
struct There {
    network: String,
    subnet: String,
    port: Value,
}

fn prepare(http: Http) -> There {
    let network = http.create_id("networks", &json!({ "network": { "name": "blue" } }));
    let subnet = json!({ "subnet": { "network_id": network, "cidr": "10.1.0.0/24", "ip_version": 4 } });
    let subnet = http.create_id("subnets", &subnet);
    let port = json!({ "port": { "network_id": network, "fixed_ips": [{ "ip_address": "10.1.0.7" }] } });
    There { port: http.create("ports", &port), network, subnet }
}

const POST_NETWORK: (&str, &str) = ("POST", "/v2.0/networks");

/// What is wrong with the HTTP, whatever is asked for.
fn transport(there: &There) -> Vec<Case> {
    let good = r#"{"network": {}}"#;
    let network = format!("/v2.0/networks/{}", there.network);
    let renamed = r#"{"network": {"name": "other"}}"#;
    vec![
        case("malformed JSON", POST_NETWORK, "{\"network\": ", (400, "JSON")),
        case("JSON that is no object", POST_NETWORK, "[1]", (400, "object")),
        case("no body", POST_NETWORK, "", (400, "JSON")),
        case("the wrong member", POST_NETWORK, r#"{"port": {}}"#, (400, "network")),
        case("a member that is no object", POST_NETWORK, r#"{"network": 7}"#, (400, "")),
        case("a bulk that is no list", POST_NETWORK, r#"{"networks": 7}"#, (400, "networks")),
        case("an empty bulk", POST_NETWORK, r#"{"networks": []}"#, (400, "Resources")),
        case("a body of 10 MB", POST_NETWORK, vec![b' '; 10 << 20], (413, "body")),
        case(
            "a body that is not UTF-8",
            POST_NETWORK,
            b"{\"network\": {\"name\": \"\xff\xfe\"}}".to_vec(),
            (400, "UTF-8"),
        ),
        case("a path that is not UTF-8", ("GET", "/v2.0/networks/%ff%fe"), "", (400, "UTF-8")),
        case("a bad escape", ("GET", "/v2.0/networks/%zz"), "", (400, "hexadecimal")),
        case("a method that is none of it", ("PATCH", &network), renamed, (405, "method")),
        case("DELETE of a collection", ("DELETE", "/v2.0/networks"), "", (405, "method")),
        case("PUT of a host", ("PUT", "/v2.0/hosts/host1"), r#"{"host": {}}"#, (405, "method")),
        case("an unknown collection", ("GET", "/v2.0/nonsense"), "", (404, "")),
        case("a path beside the API", ("GET", "/etc/passwd"), "", (404, "")),
        case("another host's name", POST_NETWORK, good, (403, "loopback")).with("Host", "evil.example"),
        case("another origin", POST_NETWORK, good, (403, "pages")).with("Origin", "http://evil.example"),
        case("an outdated If-Match", ("PUT", &network), renamed, (412, "revision is 1"))
            .with("If-Match", "revision_number=99"),
        case("a negative limit", ("GET", "/v2.0/networks?limit=-1"), "", (400, "limit")),
        case("a sort_key alone", ("GET", "/v2.0/networks?sort_key=name"), "", (400, "sort_key")),
        case(
            "a sort_dir that is none",
            ("GET", "/v2.0/networks?sort_key=name&sort_dir=up"),
            "",
            (400, "sort_dir"),
        ),
        case("a sort_key that is none", ("GET", "/v2.0/networks?sort_key=x&sort_dir=asc"), "", (400, "'x'")),
        case("an unknown marker", ("GET", "/v2.0/networks?marker=nobody"), "", (404, "nobody")),
        case(
            "a filter of the wrong type",
            ("GET", "/v2.0/networks?admin_state_up=perhaps"),
            "",
            (400, "admin_state_up"),
        ),
        case("a watch from nowhere", ("GET", "/v2.0/networks?watch=true&since=x"), "", (400, "since")),
        case("nothing of JSON taken", ("GET", "/v2.0/networks"), "", (406, "Accept"))
            .with("Accept", "application/xml"),
        case("a query that is not UTF-8", ("GET", "/v2.0/networks?name=%ff"), "", (400, "name")),
        case("an extension that is none", ("GET", "/v2.0/extensions/foo"), "", (404, "foo")),
        case("an explanation of no host", ("GET", "/v1/explain"), "", (400, "host")),
        case(
            "a rollback of a set that never was",
            ("POST", "/v1/rollback"),
            r#"{"revision": 1, "set": "tenent"}"#,
            (404, "tenent"),
        ),
        case(
            "a rollback of a project that never was",
            ("POST", "/v1/rollback"),
            r#"{"revision": 1, "project_id": "nobody"}"#,
            (404, "nobody"),
        ),
        case("a rollback without a scope", ("POST", "/v1/rollback"), r#"{"revision": 1}"#, (400, "set")),
        case("a snapshot that is none", ("POST", "/v1/restore"), "rubbish", (400, "snapshot")),
    ]
}

fn post(collection: &'static str) -> (&'static str, &'static str) {
    match collection {
        "networks" => POST_NETWORK,
        "subnets" => ("POST", "/v2.0/subnets"),
        "ports" => ("POST", "/v2.0/ports"),
        other => panic!("{other}"),
    }
}

/// A port of the network, with more attributes.
fn port_of(there: &There, more: Value) -> String {
    member("port", json!({ "network_id": there.network }), more)
}

/// A subnet of the network, with more attributes.
fn subnet_of(there: &There, cidr: &str, more: Value) -> String {
    member("subnet", json!({ "network_id": there.network, "cidr": cidr, "ip_version": 4 }), more)
}

fn member(name: &str, mut object: Value, more: Value) -> String {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    json!({ name: object }).to_string()
}

/// What is wrong with an attribute, whatever else there is.
fn attributes(there: &There) -> Vec<Case> {
    let one_subnet = format!("/v2.0/subnets/{}", there.subnet);
    vec![
        case("an unknown attribute", post("networks"), r#"{"network": {"colour": "blue"}}"#, (400, "colour")),
        case(
            "a wrong type",
            post("networks"),
            r#"{"network": {"admin_state_up": "perhaps"}}"#,
            (400, "admin_state_up"),
        ),
        case(
            "a read-only attribute",
            post("networks"),
            r#"{"network": {"status": "ACTIVE"}}"#,
            (400, "status"),
        ),
        case(
            "a name too long",
            post("networks"),
            json!({ "network": { "name": "x".repeat(256) } }).to_string(),
            (400, "name"),
        ),
        case("a required attribute missing", post("ports"), r#"{"port": {}}"#, (400, "network_id")),
        case(
            "a MAC address of a group",
            post("ports"),
            port_of(there, json!({ "mac_address": "01:00:5e:00:00:01" })),
            (400, "mac_address"),
        ),
        case(
            "an immutable attribute",
            ("PUT", &one_subnet),
            r#"{"subnet": {"cidr": "10.3.0.0/24"}}"#,
            (400, "cidr"),
        ),
        case(
            "an unknown host, natively",
            ("POST", "/v2.0/instance-ports"),
            r#"{"instance_port": {"host_id": "nobody"}}"#,
            (400, "host_id"),
        ),
        case(
            "a bulk of which one is bad",
            post("networks"),
            r#"{"networks": [{}, {"mtu": "big"}]}"#,
            (400, "mtu"),
        ),
    ]
}

/// What is wrong because of what else there is.
fn relations(there: &There) -> Vec<Case> {
    let one_network = format!("/v2.0/networks/{}", there.network);
    let one_subnet = format!("/v2.0/subnets/{}", there.subnet);
    let taken_mac = there.port["mac_address"].clone();
    let pools = json!([{ "start": "10.9.0.1", "end": "10.9.0.99" }]);
    let gateway = json!({ "allocation_pools": pools, "gateway_ip": "10.9.0.5" });
    vec![
        case(
            "an overlapping subnet",
            post("subnets"),
            subnet_of(there, "10.1.0.128/25", Value::Null),
            (400, "10.1.0.128/25"),
        ),
        case(
            "a gateway in a pool",
            post("subnets"),
            subnet_of(there, "10.9.0.0/24", gateway),
            (409, "10.9.0.5"),
        ),
        case(
            "an address outside the subnet",
            post("ports"),
            port_of(there, json!({ "fixed_ips": [{ "ip_address": "10.2.0.1" }] })),
            (400, "10.2.0.1"),
        ),
        case(
            "an address in use",
            post("ports"),
            port_of(there, json!({ "fixed_ips": [{ "ip_address": "10.1.0.7" }] })),
            (409, "10.1.0.7"),
        ),
        case(
            "a MAC address in use",
            post("ports"),
            port_of(there, json!({ "mac_address": taken_mac })),
            (409, "mac address"),
        ),
        case("a network in use", ("DELETE", &one_network), "", (409, "network")),
        case("a subnet in use", ("DELETE", &one_subnet), "", (409, "subnet")),
    ]
}

fn send(http: Http, case: &Case) -> Answer {
    let headers: Vec<(&str, &str)> =
        case.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = http.send(case.method, &case.path, &headers, &case.body);
    answer.unwrap_or_else(|error| panic!("{}: no answer: {error}", case.what))
}

/// Writes that change nothing but for the version that they would raise.
fn check(http: Http, case: &Case) -> Result<(), String> {
    let before = http.version();
    let answer = send(http, case);
    let (message, after) = (answer.message(), http.version());
    let head = format!("{}: {} '{message}'", case.what, answer.status);
    if answer.status != case.status {
        return Err(format!("{head}, where {} was expected", case.status));
    }
    if !message.to_lowercase().contains(&case.names.to_lowercase())
        || message.is_empty()
        || answer.kind().is_empty()
    {
        return Err(format!("{head} does not name '{}'", case.names));
    }
    if after != before {
        return Err(format!("{head}: {before} has become {after}"));
    }
    Ok(())
}

#[test]
fn bad_input_is_refused_by_its_right_name_and_changes_nothing() {
    let bench = Bench::up("t-input", 1, 9731);
    let there = prepare(bench.http());
    let cases: Vec<Case> =
        transport(&there).into_iter().chain(attributes(&there)).chain(relations(&there)).collect();
    let faults: Vec<String> = cases.iter().filter_map(|case| check(bench.http(), case).err()).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
    println!("{} kinds of bad input refused, nothing written", cases.len());
}

/// Sends the beginning of something and then a byte now and then; answers how it ended, and after how long.
fn dribble(http: Http, beginning: &str) -> (Option<Answer>, Duration) {
    let begin = Instant::now();
    let mut stream = http.connect().expect("the API listens");
    stream.write_all(beginning.as_bytes()).expect("a beginning can be sent");
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a connection can be impatient");
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while begin.elapsed() < Duration::from_secs(50) {
        let sent = stream.write_all(b"a");
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        if sent.is_err() {
            break;
        }
    }
    (Answer::read(&bytes), begin.elapsed())
}

#[test]
fn a_client_that_dribbles_is_let_go_and_disturbs_nobody() {
    let bench = Bench::up("t-slow", 1, 9732);
    let http = bench.http();
    let before = http.version();
    let host = http.address();
    let headers = format!("POST /v2.0/networks HTTP/1.1\r\nHost: {host}\r\nX-Slow: ");
    let body = format!("POST /v2.0/networks HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n\r\n{{\"");
    let mut slow = Vec::new();
    for beginning in [headers, body] {
        slow.push(thread::spawn(move || dribble(http, &beginning)));
    }
    let mut slowest = Duration::ZERO;
    while slow.iter().any(|thread| !thread.is_finished()) {
        let begin = Instant::now();
        assert_eq!(http.version(), before, "nothing is written by halves");
        slowest = slowest.max(begin.elapsed());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(slowest < Duration::from_secs(1), "others wait {slowest:?}");
    let ends: Vec<_> = slow.into_iter().map(|thread| thread.join().expect("a client ends")).collect();
    let [(by_headers, headers_took), (by_body, body_took)] = ends.as_slice() else { panic!("two clients") };
    assert!(*headers_took < Duration::from_secs(15), "its headers were waited for {headers_took:?}");
    assert!(by_headers.as_ref().is_none_or(|answer| answer.status == 408), "{by_headers:?}");
    assert!(*body_took < Duration::from_secs(40), "its body was waited for {body_took:?}");
    assert_eq!(by_body.as_ref().map(|answer| answer.status), Some(408), "{by_body:?}");
    println!(
        "dribbled headers let go after {headers_took:.0?}, a dribbled body after {body_took:.0?} with 408; others waited {slowest:.1?} at most"
    );
}
