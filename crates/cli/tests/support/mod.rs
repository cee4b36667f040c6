//! Runs the real program against a small controller.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "it is of tests")]

#[path = "../../../client/tests/fake/mod.rs"]
pub mod fake;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use expect_test::Expect;
use fake::Fake;
use serde_json::{Value, json};

pub fn id(number: usize) -> String {
    format!("10000000-0000-4000-8000-{number:012}")
}

/// A controller with a network, a subnet and two ports.
pub fn blue() -> Fake {
    let ports = json!([
        { "id": id(21), "name": "web", "network_id": id(1), "mac_address": "02:00:00:00:00:01",
          "fixed_ips": [{ "subnet_id": id(11), "ip_address": "10.0.0.5" }], "binding:host_id": "hv1",
          "binding:vif_type": "tap", "admin_state_up": true, "status": "ACTIVE", "project_id": "p" },
        { "id": id(22), "name": "", "network_id": id(2), "mac_address": "02:00:00:00:00:02",
          "fixed_ips": [], "binding:host_id": null, "status": "DOWN" },
    ]);
    Fake::start()
        .with("networks", json!([
            { "id": id(1), "name": "blue", "description": "", "mtu": 1450, "status": "ACTIVE", "subnets": [id(11)] },
        ]))
        .with("subnets", json!([
            { "id": id(11), "name": "s", "network_id": id(1), "ip_version": 4, "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1" },
        ]))
        .with("ports", ports)
}

pub fn weft(fake: &Fake, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("WEFT_URL", &fake.url).args(arguments).stdin(Stdio::null());
    command
}

pub fn text(fake: &Fake, output: &Output) -> String {
    let mut text = format!("exit {}\n", output.status.code().unwrap_or(-1));
    for (name, bytes) in [("out", &output.stdout), ("err", &output.stderr)] {
        let said = String::from_utf8_lossy(bytes).replace(&fake.url, "URL");
        text.extend(said.lines().map(|line| format!("{name}| {line}").trim_end().to_owned() + "\n"));
    }
    text
}

/// What a command says and ends with.
pub fn check(fake: &Fake, arguments: &[&str], expected: Expect) {
    let output = weft(fake, arguments).output().unwrap();
    expected.assert_eq(&text(fake, &output));
}

/// The same, with standard input.
pub fn check_with_input(fake: &Fake, arguments: &[&str], input: &str, expected: Expect) {
    let mut child = weft(fake, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    expected.assert_eq(&text(fake, &child.wait_with_output().unwrap()));
}

/// The answer to an apply: something of each.
pub fn plan(revision: Value) -> Value {
    json!({ "revision": revision, "changes": [
        { "action": "create", "kind": "network", "id": id(3), "name": "green", "attributes": {} },
        { "action": "create", "kind": "subnet", "id": null, "name": "s2",
          "attributes": { "network_id": { "from": null, "to": id(3) }, "cidr": { "from": null, "to": "10.1.0.0/24" }, "gateway_ip": { "from": null, "to": null } } },
        { "action": "update", "kind": "network", "id": id(1), "name": "blue",
          "attributes": { "mtu": { "from": 1450, "to": 1400 } } },
        { "action": "delete", "kind": "port", "id": id(21), "name": "web", "attributes": {} },
        { "action": "none", "kind": "subnet", "id": id(11), "name": "s", "attributes": {} },
    ]})
}

pub fn nothing() -> Value {
    json!({ "revision": null, "changes": [
        { "action": "none", "kind": "network", "id": id(1), "name": "blue", "attributes": {} },
    ]})
}
