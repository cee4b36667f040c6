//! `apply`, `plan`, `diff`, `rollback`, `history`: what they say, send and end with.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod support;

use std::path::Path;

use expect_test::expect;
use serde_json::json;
use support::fake::Fake;
use support::{blue, check, check_with_input, id, nothing, plan, text, weft};

const FILE: &str =
    "kind: network\nname: blue\nmtu: 1400\n---\nkind: subnet\nname: s2\nnetwork: blue\ncidr: 10.1.0.0/24\n";

fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_plan_says_what_would_be_done_and_its_exit_code_whether_anything() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "tenant.yaml", FILE);
    let fake = blue().canned("POST /v1/apply", 200, plan(json!(null)));
    check(
        &fake,
        &["plan", "-f", &path],
        expect![[r#"
            exit 0
            out| + network green
            out| + subnet s2
            out|     network_id: green
            out|     cidr: 10.1.0.0/24
            out|     gateway_ip: none
            out| ~ network blue (10000000-0000-4000-8000-000000000001)
            out|     mtu: 1450 -> 1400
            out| - port web (10000000-0000-4000-8000-000000000021)
            out| Plan: 2 to create, 1 to update, 1 to delete; 1 unchanged.
        "#]],
    );
    assert_eq!(
        fake.body("POST"),
        json!({ "set": "tenant", "prune": false, "dry_run": true, "documents": [
            { "kind": "network", "name": "blue", "mtu": 1400 },
            { "kind": "subnet", "name": "s2", "network": "blue", "cidr": "10.1.0.0/24", "ip_version": 4 },
        ]})
    );
    let code = |fake: &Fake| {
        weft(fake, &["plan", "--detailed-exitcode", "-f", &path]).output().unwrap().status.code()
    };
    assert_eq!(code(&fake), Some(2));
    let idle = Fake::start().canned("POST /v1/apply", 200, nothing());
    assert_eq!(code(&idle), Some(0));
    assert_eq!(code(&Fake::start()), Some(1));
    check(
        &idle,
        &["plan", "-f", &path],
        expect![[r#"
        exit 0
        out| Nothing to do: everything is as it should be.
    "#]],
    );
}

#[test]
fn an_apply_without_a_terminal_does_not_ask_and_says_what_was_done() {
    let fake = Fake::start().canned("POST /v1/apply", 200, plan(json!("1.42")));
    check_with_input(
        &fake,
        &["apply", "-f", "-", "--prune", "--project", "p", "--yes"],
        FILE,
        expect![[r#"
            exit 0
            out| created network green (10000000-0000-4000-8000-000000000003)
            out| created subnet s2
            out| updated network blue (10000000-0000-4000-8000-000000000001)
            out| deleted port web (10000000-0000-4000-8000-000000000021)
            out| Done: 2 created, 1 updated, 1 deleted; 1 unchanged. Revision 1.42.
        "#]],
    );
    let body = fake.body("POST");
    assert_eq!(
        (&body["set"], &body["prune"], &body["dry_run"]),
        (&json!("default"), &json!(true), &json!(false))
    );
    assert_eq!(body["project_id"], "p");
    check_with_input(
        &fake,
        &["apply", "-f", "-", "-o", "name", "--set", "mine"],
        FILE,
        expect![[r#"
            exit 0
            out| green
            out| s2
            out| blue
            out| web
        "#]],
    );
    assert_eq!(fake.body("POST")["set"], "mine");
    check_with_input(
        &fake,
        &["apply", "-f", "-", "-q"],
        FILE,
        expect![[r#"
        exit 0
    "#]],
    );
}

#[test]
fn what_may_destroy_is_not_done_where_nobody_can_be_asked() {
    let fake = Fake::start().canned("POST /v1/apply", 200, nothing());
    check_with_input(
        &fake,
        &["apply", "-f", "-", "--prune"],
        FILE,
        expect![[r#"
            exit 2
            err| error: `apply --prune` is asked about, and there is no terminal to ask at: --yes says yes in advance
        "#]],
    );
    check(
        &fake,
        &["rollback", "41", "--set", "tenant"],
        expect![[r#"
            exit 2
            err| error: `rollback` is asked about, and there is no terminal to ask at: --yes says yes in advance
        "#]],
    );
    assert_eq!(fake.lines("POST"), [] as [String; 0]);
}

#[test]
fn several_files_and_directories_are_one_apply() {
    let directory = tempfile::tempdir().unwrap();
    file(directory.path(), "b.yml", "kind: network\nname: b\n");
    file(directory.path(), "a.json", "{\"kind\": \"network\", \"name\": \"a\"}");
    file(directory.path(), "notes.txt", "not: yaml: at all");
    let fake = Fake::start().canned("POST /v1/apply", 200, nothing());
    let directory = directory.path().display().to_string();
    let mut command = weft(&fake, &["apply", "--dry-run", "-f", &directory]);
    let output = command.env("WEFT_SET", "all").output().unwrap();
    expect![[r#"
        exit 0
        out| Nothing to do: everything is as it should be.
    "#]]
    .assert_eq(&text(&fake, &output));
    let names: Vec<String> = fake.body("POST")["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].to_string())
        .collect();
    assert_eq!(names, ["\"a\"", "\"b\""]);
    assert_eq!(fake.body("POST")["set"], "all");
}

#[test]
fn an_error_in_a_file_is_shown_where_it_is_and_nothing_is_sent() {
    let fake = Fake::start();
    let wrong = "kind: port\nname: web\nnetwrok: blue\n---\nkind: prot\nname: x\n";
    check_with_input(
        &fake,
        &["apply", "-f", "-"],
        wrong,
        expect![[r#"
        exit 1
        err| error: standard input:3:1: a port has no attribute 'netwrok'; did you mean 'network'?
        err|    |
        err|  3 | netwrok: blue
        err|    | ^^^^^^^
        err| error: standard input:5:7: there is no kind 'prot'; did you mean 'port'?
        err|    |
        err|  5 | kind: prot
        err|    |       ^^^^
    "#]],
    );
    check_with_input(
        &fake,
        &["diff", "-f", "-"],
        "a: [1\n",
        expect![[r#"
        exit 2
        err| error: standard input:1:4: unclosed bracket '['
        err|    |
        err|  1 | a: [1
        err|    |    ^
    "#]],
    );
    check_with_input(
        &fake,
        &["apply", "-f", "-"],
        "# nothing\n",
        expect![[r#"
        exit 1
        err| error: the files hold no documents
    "#]],
    );
    check(
        &fake,
        &["apply", "-f", "absent.yaml"],
        expect![[r#"
        exit 1
        err| error: absent.yaml cannot be read
        err|   because: No such file or directory (os error 2)
    "#]],
    );
    assert_eq!(fake.requests().len(), 0);
}

#[test]
fn what_the_controller_refuses_is_shown_where_it_is() {
    let refusal = json!({ "NeutronError": {
        "type": "InvalidInput", "message": "the prefix overlaps with 10.1.0.0/16", "detail": "",
        "document": 1, "field": "cidr",
    }});
    let fake = Fake::start().canned("POST /v1/apply", 400, refusal);
    check_with_input(
        &fake,
        &["apply", "-f", "-"],
        FILE,
        expect![[r#"
        exit 1
        err| error: standard input:8:7: the prefix overlaps with 10.1.0.0/16
        err|    |
        err|  8 | cidr: 10.1.0.0/24
        err|    |       ^^^^^^^^^^^
    "#]],
    );
}

#[test]
fn a_diff_is_unified_and_its_exit_code_says_whether_there_is_one() {
    let fake = blue().canned("POST /v1/apply", 200, plan(json!(null)));
    check_with_input(
        &fake,
        &["diff", "-f", "-"],
        FILE,
        expect![[r#"
            exit 1
            out| --- /dev/null
            out| +++ wanted/network/green
            out| @@ -0,0 +1,2 @@
            out| +kind: network
            out| +name: green
            out| --- /dev/null
            out| +++ wanted/subnet/s2
            out| @@ -0,0 +1,5 @@
            out| +kind: subnet
            out| +name: s2
            out| +network_id: green
            out| +cidr: 10.1.0.0/24
            out| +gateway_ip: null
            out| --- current/network/blue
            out| +++ wanted/network/blue
            out| @@ -1,4 +1,4 @@
            out|  kind: network
            out|  name: blue
            out|  description: ""
            out| -mtu: 1450
            out| +mtu: 1400
            out| --- current/port/web
            out| +++ /dev/null
            out| @@ -1,10 +0,0 @@
            out| -kind: port
            out| -name: web
            out| -network_id: 10000000-0000-4000-8000-000000000001
            out| -mac_address: 02:00:00:00:00:01
            out| -fixed_ips:
            out| -- subnet_id: 10000000-0000-4000-8000-000000000011
            out| -  ip_address: "10.0.0.5"
            out| -"binding:host_id": hv1
            out| -admin_state_up: true
            out| -project_id: p
        "#]],
    );
    let idle = Fake::start().canned("POST /v1/apply", 200, nothing());
    check_with_input(
        &idle,
        &["diff", "-f", "-"],
        FILE,
        expect![[r#"
        exit 0
    "#]],
    );
}

#[test]
fn a_diff_names_what_is_not_made_yet_wherever_it_is_referred_to() {
    let plan = json!({ "revision": null, "changes": [
        { "action": "create", "kind": "subnet", "id": id(11), "name": "s2", "attributes": {} },
        { "action": "create", "kind": "port", "id": id(12), "name": "web", "attributes": {
            "fixed_ips": { "from": null, "to": [{ "subnet_id": id(11), "ip_address": "10.1.0.5" }] } } },
    ]});
    let fake = Fake::start().canned("POST /v1/apply", 200, plan);
    check_with_input(
        &fake,
        &["diff", "-f", "-"],
        FILE,
        expect![[r#"
        exit 1
        out| --- /dev/null
        out| +++ wanted/subnet/s2
        out| @@ -0,0 +1,2 @@
        out| +kind: subnet
        out| +name: s2
        out| --- /dev/null
        out| +++ wanted/port/web
        out| @@ -0,0 +1,5 @@
        out| +kind: port
        out| +name: web
        out| +fixed_ips:
        out| +- subnet_id: s2
        out| +  ip_address: "10.1.0.5"
    "#]],
    );
    check_with_input(
        &fake,
        &["plan", "-f", "-"],
        FILE,
        expect![[r#"
        exit 0
        out| + subnet s2
        out| + port web
        out|     fixed_ips: 10.1.0.5
        out| Plan: 2 to create, 0 to update, 0 to delete; 0 unchanged.
    "#]],
    );
}

#[test]
fn the_history_is_a_table() {
    let history = json!({ "history": [
        { "version": "1.42", "at": "2026-01-01T00:00:00Z", "request_id": "req-1", "project_id": "p", "set": "tenant",
          "summary": "create network blue", "changes": [{ "action": "create", "kind": "network", "id": id(1), "name": "blue" }] },
    ]});
    let fake = Fake::start().canned("GET /v1/history", 200, history);
    check(
        &fake,
        &["history", "--before", "1.43", "--limit", "5"],
        expect![[r#"
            exit 0
            out| VERSION   AT                     REQUEST   PROJECT   SET      SUMMARY               NAMES
            out| 1.42      2026-01-01T00:00:00Z   req-1     p         tenant   create network blue   +network blue
        "#]],
    );
    assert_eq!(fake.lines("GET"), ["GET /v1/history?limit=5&before=43"]);
    check(
        &fake,
        &["history", "-o", "wide"],
        expect![[r#"
            exit 0
            out| VERSION   AT                     REQUEST   PROJECT   SET      SUMMARY               CHANGES
            out| 1.42      2026-01-01T00:00:00Z   req-1     p         tenant   create network blue   +network blue
        "#]],
    );
    let empty = Fake::start().canned("GET /v1/history", 200, json!({ "history": [] }));
    check(
        &empty,
        &["history"],
        expect![[r#"
        exit 0
        err| Nothing has been changed yet.
    "#]],
    );
}

#[test]
fn the_history_of_a_set_is_found_page_by_page_with_names_and_rollbacks_marked() {
    let history = json!({ "history": [
        { "version": "1.9", "request_id": "req-0123456789abcdef", "project_id": "p", "set": "tenant", "summary": "POST /v1/rollback to 3",
          "changes": [{ "action": "delete", "kind": "network", "id": id(1), "name": null }, { "action": "update", "kind": "port", "id": id(2), "name": "web" }] },
        { "version": "1.8", "project_id": "p", "set": "other", "summary": format!("DELETE /v2.0/ports/{}", id(9)), "changes": [] },
        { "version": "1.7", "project_id": "q", "set": "tenant", "summary": "POST /v1/apply", "changes": [] },
        { "version": "1.6", "project_id": "p", "set": "tenant", "summary": "POST /v1/apply",
          "changes": [{ "action": "create", "kind": "network", "id": id(1), "name": "blue" }] },
    ]});
    let fake = Fake::start().canned("GET /v1/history", 200, history.clone());
    let arguments = ["history", "--set", "tenant", "--project", "p", "--limit", "2"];
    check(
        &fake,
        &arguments,
        expect![[r#"
        exit 0
        out| VERSION   AT   REQUEST        PROJECT   SET      SUMMARY          NAMES
        out| 1.9            req-01234567   p         tenant   rollback to 3    -network blue, 1 more
        out| 1.6                           p         tenant   POST /v1/apply   +network blue
    "#]],
    );
    assert_eq!(fake.lines("GET"), ["GET /v1/history?limit=500"]);
    let all = text(&fake, &weft(&fake, &["history"]).output().unwrap());
    assert!(all.contains(" DELETE /v2.0/ports\n"), "{all}");
    let fake = Fake::start().canned("GET /v1/history", 200, history);
    check(
        &fake,
        &["history", "--set", "absent"],
        expect![[r#"
            exit 0
            err| There are no such changes.
        "#]],
    );
    assert_eq!(fake.lines("GET"), ["GET /v1/history?limit=500", "GET /v1/history?limit=500&before=6"]);
}

#[test]
fn a_rollback_needs_a_scope_and_can_be_tried() {
    let fake = Fake::start().canned("POST /v1/rollback", 200, plan(json!("1.43")));
    check(
        &fake,
        &["rollback", "1.41", "--set", "tenant", "--dry-run"],
        expect![[r#"
            exit 0
            out| + network green
            out| + subnet s2
            out|     network_id: green
            out|     cidr: 10.1.0.0/24
            out|     gateway_ip: none
            out| ~ network blue (10000000-0000-4000-8000-000000000001)
            out|     mtu: 1450 -> 1400
            out| - port web (10000000-0000-4000-8000-000000000021)
            out| Plan: 2 to create, 1 to update, 1 to delete; 1 unchanged.
        "#]],
    );
    assert_eq!(fake.body("POST"), json!({ "revision": 41, "set": "tenant", "dry_run": true }));
    check(
        &fake,
        &["rollback", "41", "--project", "p", "--yes"],
        expect![[r#"
            exit 0
            out| created network green (10000000-0000-4000-8000-000000000003)
            out| created subnet s2
            out| updated network blue (10000000-0000-4000-8000-000000000001)
            out| deleted port web (10000000-0000-4000-8000-000000000021)
            out| Done: 2 created, 1 updated, 1 deleted; 1 unchanged. Revision 1.43.
        "#]],
    );
    assert_eq!(fake.body("POST"), json!({ "revision": 41, "project_id": "p", "dry_run": false }));
    check(
        &fake,
        &["rollback", "41"],
        expect![[r#"
        exit 2
        err| error: the following required arguments were not provided:
        err|   <--set <NAME>|--project <PROJECT>>
        err|
        err| Usage: weft rollback --url <URL> <--set <NAME>|--project <PROJECT>> <REVISION>
        err|
        err| For more information, try '--help'.
    "#]],
    );
}
