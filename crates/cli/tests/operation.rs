//! `status`, `explain`, `doctor`, `snapshot`, `restore`, `certificates`, `completion`, `man`, `version`, and pipes.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod support;

use std::process::Stdio;

use expect_test::expect;
use serde_json::{Value, json};
use support::fake::Fake;
use support::{blue, check, id, text, weft};

fn status(is_at_rest: bool) -> Value {
    let not_done = if is_at_rest {
        json!([])
    } else {
        json!([{ "fragment": "network/x", "state": "failed", "object": "link vx100", "reason": "No such device" }])
    };
    json!({ "version": "1.42", "software_version": "0.1.0", "uptime_s": 4000, "counts": { "networks": 2, "ports": 0 },
        "hosts": [
            { "name": "hv1", "alive": true, "at_rest": true, "version": "1.42", "behind": 0, "steps_failed": 0, "not_done": [] },
            { "name": "hv2", "alive": true, "at_rest": is_at_rest, "version": "1.41", "behind": 1, "steps_failed": 1, "not_done": not_done },
        ] })
}

#[test]
fn the_status_fails_unless_all_hosts_are_at_rest() {
    check(
        &Fake::start().canned("GET /v1/status", 200, status(false)),
        &["status"],
        expect![[r#"
            exit 1
            out| HOST   ALIVE   AT REST   VERSION   BEHIND   FAILED
            out| hv1    yes     yes       1.42      0        0
            out| hv2    yes     no        1.41      1        1
            out| hv2: failed link vx100: No such device (for network/x)
            err| weft 0.1.0, version 1.42, up for 1 h 6 min
            err| 2 networks
        "#]],
    );
    check(
        &Fake::start().canned("GET /v1/status", 200, status(true)),
        &["status", "-q"],
        expect![[r#"
        exit 0
        out| HOST   ALIVE   AT REST   VERSION   BEHIND   FAILED
        out| hv1    yes     yes       1.42      0        0
        out| hv2    yes     yes       1.41      1        1
    "#]],
    );
    check(
        &Fake::start().canned("GET /v1/status", 200, status(true)),
        &["status", "-o", "name"],
        expect![[r#"
            exit 0
            out| hv1
            out| hv2
        "#]],
    );
}

/// A host that is not at rest because of a port of `blue`, another port whose binding failed, an older agent.
fn troubled() -> Fake {
    let not_done = json!([
        { "fragment": format!("port/{} of network/{}", id(21), id(1)), "state": "waiting", "object": "tap web", "reason": "not there yet" },
        { "fragment": format!("service-port/{} of network/{}", id(77), id(1)), "state": "failed", "object": null, "reason": "No" },
    ]);
    let status = json!({ "version": "1.42", "software_version": "0.1.0", "uptime_s": 5, "counts": {}, "hosts": [
        { "name": "hv1", "software_version": "0.0.9", "alive": true, "at_rest": false, "version": "1.42", "behind": 0,
          "steps_done": 7, "steps_failed": 0, "not_done": not_done },
    ]});
    let fake = blue().canned("GET /v1/status", 200, status);
    let port = json!({ "id": id(23), "name": "lost", "binding:host_id": "hv9", "binding:vif_type": "binding_failed",
        "binding:vif_details": { "failure": "the host hv9 is not known" } });
    fake.state.lock().unwrap().resources.get_mut("ports").unwrap().push(port.as_object().unwrap().clone());
    fake
}

#[test]
fn the_status_calls_resources_by_name_and_tells_of_failed_bindings() {
    check(
        &troubled(),
        &["status", "-q"],
        expect![[r#"
            exit 1
            out| HOST   ALIVE   AT REST   VERSION   BEHIND   FAILED
            out| hv1    yes     no        1.42      0        0
            out| hv1: waiting tap web: not there yet (for port web of network blue)
            out| hv1: failed service port 10000000-0000-4000-8000-000000000077 of network blue: No
            out| warning: port lost: its binding to hv9 has failed: the host hv9 is not known
        "#]],
    );
    check(
        &troubled(),
        &["status", "-q", "-o", "wide"],
        expect![[r#"
            exit 1
            out| HOST   ALIVE   AT REST   VERSION   BEHIND   FAILED   DONE   DRIFTS   SOFTWARE
            out| hv1    yes     no        1.42      0        0        7      0        0.0.9
            out| hv1: waiting tap web: not there yet (for port web of network blue)
            out| hv1: failed service port 10000000-0000-4000-8000-000000000077 of network blue: No
            out| warning: port lost: its binding to hv9 has failed: the host hv9 is not known
        "#]],
    );
}

#[test]
fn the_doctor_tells_of_failed_bindings_and_other_versions_of_agents() {
    let fake = troubled();
    let output = weft(&fake, &["doctor"]).output().unwrap();
    let said = text(&fake, &output);
    for line in [
        "out| warn  agent of hv1: is 0.0.9, the controller is 0.1.0",
        "out| warn  port lost: its binding to hv9 has failed: the host hv9 is not known",
    ] {
        assert!(said.lines().any(|said| said == line), "{said}");
    }
}

/// Something waits for a host that is away, something for one that is there.
fn quarantined() -> Value {
    let mut status = status(true);
    status["hosts"][1]["alive"] = json!(false);
    let far = (5001..5011).map(|vni| json!({ "what": format!("VNI {vni}"), "host": "hv2" }));
    let near = json!({ "what": "VNI 5000", "host": "hv1" });
    status["quarantine"] = far.chain([near]).collect();
    status
}

#[test]
fn what_is_in_quarantine_is_told_with_the_host_that_it_waits_for() {
    let fake = Fake::start().canned("GET /v1/status", 200, quarantined());
    check(
        &fake,
        &["status", "-q"],
        expect![[r#"
            exit 1
            out| HOST   ALIVE   AT REST   VERSION   BEHIND   FAILED
            out| hv1    yes     yes       1.42      0        0
            out| hv2    no      yes       1.41      1        1
            out| quarantine: VNI 5000 waits for hv1
            out| quarantine: VNI 5001, VNI 5002, VNI 5003, VNI 5004, VNI 5005, VNI 5006, VNI 5007, VNI 5008 and 2 more wait for hv2
        "#]],
    );
    let json = weft(&fake, &["status", "-o", "json"]).output().unwrap();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["quarantine"].as_array().unwrap().len(), 11);
    let said = text(&fake, &weft(&fake, &["doctor"]).output().unwrap());
    for line in [
        "out| ok    quarantine: VNI 5000 waits for hv1, which is alive",
        "out| warn  quarantine: VNI 5001, VNI 5002, VNI 5003, VNI 5004, VNI 5005, VNI 5006, VNI 5007, VNI 5008 and 2 more wait for hv2",
        "out|       it ends when hv2 is back; if it is gone for good, delete its ports and then `weft delete host hv2`",
    ] {
        assert!(said.lines().any(|said| said == line), "{said}");
    }
}

#[test]
fn waiting_ends_when_all_are_at_rest_or_the_time_is_over() {
    let fake = Fake::start().canned("GET /v1/status", 200, status(false));
    let output = weft(&fake, &["status", "--wait", "--timeout", "700ms", "-q"]).output().unwrap();
    assert_eq!(output.status.code(), Some(124), "{}", text(&fake, &output));
    assert!(fake.lines("GET").len() > 1);

    let child = weft(&fake, &["status", "--wait", "--timeout", "30s", "-q"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(400));
    fake.state.lock().unwrap().canned.insert("GET /v1/status".into(), (200, status(true)));
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn no_command_goes_on_for_longer_than_it_may() {
    let fake = Fake::start().watches(&[": hello\n\n"]);
    check(
        &fake,
        &["watch", "--timeout", "300ms"],
        expect![[r#"
            exit 124
            err| error: it has taken longer than 0.3 s; --timeout allows more
        "#]],
    );
}

#[test]
fn an_explanation_says_who_asked_for_what() {
    let objects = json!({ "objects": [
        { "object": "link vx100", "fragments": [
            { "id": "network/x", "kind": "network", "resource_id": "x", "name": "blue", "host": "hv1", "request_id": "req-1", "at": "2026-01-01T00:00:00Z",
              "because_of": { "count": 3, "first": [
                { "kind": "port", "resource_id": "p", "name": "web", "request_id": "req-2", "at": "2026-01-02T00:00:00Z" } ] },
              "changed": { "request_id": "req-3", "at": "2026-01-03T00:00:00Z", "version": "1.4", "summary": "PUT /v2.0/networks/x" } },
            { "id": "port/y" },
        ], "fragments_left_out": 4 },
    ], "left_out": 7 });
    check(
        &Fake::start().canned("GET /v1/explain", 200, objects),
        &["explain", "hv1", "vx"],
        expect![[r#"
        exit 0
        out| link vx100
        out|   because of network blue (x) on hv1, asked for by req-1 at 2026-01-01T00:00:00Z
        out|     which is here for port web (p), asked for by req-2 at 2026-01-02T00:00:00Z
        out|     and for 2 more
        out|     last changed by req-3 at 2026-01-03T00:00:00Z, version 1.4, PUT /v2.0/networks/x
        out|   because of fragment port/y
        out|   because of 4 more
        err| 7 more are left out; ask for a device or an address.
    "#]],
    );
    let nothing = Fake::start().canned("GET /v1/explain", 200, json!({ "objects": [] }));
    check(
        &nothing,
        &["explain", "hv1"],
        expect![[r#"
            exit 0
            err| Nothing is asked of hv1.
        "#]],
    );
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let tls = directory.path().join("tls").display().to_string();
    let fake = Fake::start().canned("GET /v1/status", 200, status(false));
    let made = weft(&fake, &["certificates", "--directory", &tls, "--host", "hv1,hv2"]).output().unwrap();
    assert!(made.status.success(), "{}", text(&fake, &made));
    let output = weft(&fake, &["doctor", "--tls-directory", &tls]).output().unwrap();
    // A second later a day has begun; and what this machine's kernel can do is another matter.
    let said: String = text(&fake, &output)
        .replace("for 3649 days", "for 3650 days")
        .replace("for 364 days", "for 365 days")
        .lines()
        .filter(|line| !line.contains("kernel"))
        .map(|line| format!("{line}\n"))
        .collect();
    let said: String = said
        .lines()
        .filter(|line| !line.contains("run it as root"))
        .map(|line| format!("{line}\n"))
        .collect();
    expect![[r#"
        exit 1
        out| ok    controller: answers at URL
        out| ok    readiness: the controller serves
        out| ok    version: both are 0.1.0
        out| ok    host hv1: alive and at rest
        out| fail  host hv2: not at rest, 1 behind, 1 not done: No such device
        out|       `weft status` says what failed, `weft explain hv2` who asked for it
        out| ok    certificate ca.pem: good for 3650 days
        out| ok    certificate controller.pem: good for 365 days
        out| ok    certificate hv1.pem: good for 365 days
        out| ok    certificate hv2.pem: good for 365 days
    "#]]
    .assert_eq(&said);

    let mut away = weft(&fake, &["doctor"]);
    let output = away.env("WEFT_URL", "http://127.0.0.1:1").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&fake, &output).contains("out| fail  controller: nobody answers at http://127.0.0.1:1\n"));
}

#[test]
fn certificates_are_made_once_and_again_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let tls = directory.path().display().to_string();
    let fake = Fake::start();
    let run = |more: &[&str]| {
        let arguments = [&["certificates", "--directory", tls.as_str(), "--host", "hv1"], more].concat();
        let output = weft(&fake, &arguments).output().unwrap();
        text(&fake, &output).replace(&tls, "DIRECTORY")
    };
    expect![[r#"
        exit 0
        out| NAME         CERTIFICATE                      KEY
        out| ca           DIRECTORY/ca.pem           DIRECTORY/ca.key           made
        out| controller   DIRECTORY/controller.pem   DIRECTORY/controller.key   made
        out| hv1          DIRECTORY/hv1.pem          DIRECTORY/hv1.key          made
        err| A host needs ca.pem and its own two files. ca.key is best kept elsewhere.
    "#]]
    .assert_eq(&run(&[]));
    let before = std::fs::read(directory.path().join("hv1.pem")).unwrap();
    expect![[r#"
        exit 0
        out| ca           DIRECTORY/ca.pem           DIRECTORY/ca.key           kept
        out| controller   DIRECTORY/controller.pem   DIRECTORY/controller.key   kept
        out| hv1          DIRECTORY/hv1.pem          DIRECTORY/hv1.key          kept
        out| hv2          DIRECTORY/hv2.pem          DIRECTORY/hv2.key          made
        err| A host needs ca.pem and its own two files. ca.key is best kept elsewhere.
    "#]]
    .assert_eq(&run(&["--host", "hv2", "--no-headers"]));
    assert_eq!(std::fs::read(directory.path().join("hv1.pem")).unwrap(), before);
    run(&["--renew"]);
    assert_ne!(std::fs::read(directory.path().join("hv1.pem")).unwrap(), before);
}

#[test]
fn a_snapshot_is_a_file_that_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.snapshot");
    let name = path.display().to_string();
    let fake = Fake::start().canned("GET /v1/snapshot", 200, json!("all of it")).canned(
        "POST /v1/restore",
        200,
        json!({ "version": "2.1" }),
    );
    let output = weft(&fake, &["snapshot", &name]).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&fake, &output));
    assert_eq!(std::fs::read(&path).unwrap(), b"all of it");
    check(
        &fake,
        &["restore", &name],
        expect![[r#"
        exit 2
        err| error: `restore` is asked about, and there is no terminal to ask at: --yes says yes in advance
    "#]],
    );
    assert_eq!(fake.lines("POST"), [] as [String; 0]);
    check(
        &fake,
        &["restore", &name, "--yes"],
        expect![[r#"
        exit 0
        out| restored; the model is at version 2.1
    "#]],
    );
    assert_eq!(fake.body("POST")["bytes"], 9);
    check(
        &fake,
        &["snapshot", "-"],
        expect![[r#"
        exit 0
        out| all of it
    "#]],
    );
    check(
        &Fake::start(),
        &["snapshot", &format!("{name}2")],
        expect![[r#"
        exit 1
        err| error: /v1/snapshot could not be found.
    "#]],
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn the_version_is_told_with_and_without_a_controller() {
    check(
        &Fake::start(),
        &["version"],
        expect![[r#"
        exit 0
        out| weft 0.1.0
        out| controller 0.1.0 at URL
    "#]],
    );
    let fake = Fake::start();
    let output = weft(&fake, &["version", "-q"]).env("WEFT_URL", "http://127.0.0.1:1").output().unwrap();
    expect![[r#"
        exit 0
        out| weft 0.1.0
    "#]]
    .assert_eq(&text(&fake, &output));
}

#[test]
fn every_shell_gets_a_script_that_knows_the_catalogue() {
    let fake = Fake::start();
    for shell in ["bash", "zsh", "fish"] {
        let output = weft(&fake, &["completion", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && script.contains("instance-port") && script.contains("cidr"),
            "{shell}"
        );
    }
}

#[test]
fn every_command_gets_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start();
    let name = directory.path().display().to_string();
    assert!(weft(&fake, &["man", &name]).output().unwrap().status.success());
    for page in ["weft.1", "weft-apply.1", "weft-create-subnet.1", "weft-set-port.1", "weft-lab-up.1"] {
        assert!(directory.path().join(page).is_file(), "{page}");
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let fake = Fake::start();
    for arguments in [&["completion", "bash"][..], &["version"][..], &["get", "networks", "-o", "json"][..]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = weft(&fake, arguments).stdout(writer).output().unwrap();
        assert_eq!(text(&fake, &output), "exit 0\n", "{arguments:?}");
    }
}

#[test]
fn wrong_usage_ends_with_two() {
    let fake = Fake::start();
    for arguments in [
        &["frobnicate"][..],
        &["apply"],
        &["get", "networks", "-o", "xml"],
        &["lab", "up", "--name", "Not A Name"],
    ] {
        let output = weft(&fake, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn colour_is_for_terminals_and_for_who_insists() {
    let fake = Fake::start().canned("GET /v1/explain", 200, json!({ "objects": [{ "object": "link a" }] }));
    let run = |name: &str, value: &str| {
        let output = weft(&fake, &["explain", "hv1"]).env(name, value).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("IGNORED", "1"), "link a\n");
    assert_eq!(run("CLICOLOR_FORCE", "1"), "\u{1b}[1mlink a\u{1b}[0m\n");
}
