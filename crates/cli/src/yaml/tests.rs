//! What is said of files that are wrong, and what becomes of those that are right.

use expect_test::{Expect, expect};

use super::documents::{Input, Reader};
use super::problem::{Problems, Source};

fn read(text: &str) -> Result<Input, Problems> {
    let mut reader = Reader::default();
    reader.read(Source { name: "blue.yaml".into(), text: text.into() });
    reader.finish()
}

fn check_problems(text: &str, expected: Expect) {
    let problems = read(text).expect_err("something is wrong with this");
    expected.assert_eq(&problems.to_string());
}

fn check_bodies(text: &str, expected: Expect) {
    let bodies = read(text).unwrap_or_else(|problems| panic!("{problems}")).bodies();
    let text: String = bodies.iter().map(|body| serde_json::to_string(body).unwrap() + "\n").collect();
    expected.assert_eq(&text);
}

#[test]
fn an_error_of_syntax_points_at_its_line() {
    check_problems(
        "kind: network\nname: \"blue\nmtu: 1400\n",
        expect![[r#"
        blue.yaml:3:1: invalid indentation in multiline quoted scalar
           |
         3 | mtu: 1400
           | ^
    "#]],
    );
    check_problems(
        "kind: network\n name: blue\n",
        expect![[r#"
        blue.yaml:2:6: mapping values are not allowed in this context
           |
         2 |  name: blue
           |      ^
    "#]],
    );
}

#[test]
fn an_unknown_kind_gets_a_suggestion() {
    check_problems(
        "kind: netwrok\nname: blue\n",
        expect![[r#"
        blue.yaml:1:7: there is no kind 'netwrok'; did you mean 'network'?
           |
         1 | kind: netwrok
           |       ^^^^^^^
    "#]],
    );
    check_problems(
        "name: blue\n",
        expect![[r#"
        blue.yaml:1:1: the document does not say of which 'kind' it is
           |
         1 | name: blue
           | ^
    "#]],
    );
    check_problems(
        "kind: host\nname: hv1\n",
        expect![[r#"
        blue.yaml:1:7: a host is not made by documents: it says itself what it is
           |
         1 | kind: host
           |       ^^^^
    "#]],
    );
}

#[test]
fn an_unknown_attribute_gets_a_suggestion_and_all_problems_are_told_at_once() {
    check_problems(
        "kind: port\nname: web\nnetwrok: blue\nfixed_ip: [10.0.0.5]\n---\nkind: subnet\nname: s\ncdir: 10.0.0.0/24\n",
        expect![[r#"
            blue.yaml:3:1: a port has no attribute 'netwrok'; did you mean 'network'?
               |
             3 | netwrok: blue
               | ^^^^^^^
            blue.yaml:4:1: a port has no attribute 'fixed_ip'; did you mean 'fixed_ips'?
               |
             4 | fixed_ip: [10.0.0.5]
               | ^^^^^^^^
            blue.yaml:8:1: a subnet has no attribute 'cdir'; did you mean 'cidr'?
               |
             8 | cdir: 10.0.0.0/24
               | ^^^^
        "#]],
    );
}

#[test]
fn a_value_that_an_attribute_cannot_have_is_pointed_at() {
    check_problems(
        "kind: subnet\nname: s\nnetwork: blue\n\tcidr: x\n",
        expect![[r#"
        blue.yaml:3:10: while scanning a plain scalar, found a tab
           |
         3 | network: blue
           |          ^
    "#]],
    );
    check_problems(
        "kind: subnet\nname: s\nnetwork: blue\ncidr: 10.0.0.0/33\n",
        expect![[r#"
        blue.yaml:4:7: Invalid input for cidr. Reason: '10.0.0.0/33' is not a valid IP subnet.
           |
         4 | cidr: 10.0.0.0/33
           |       ^^^^^^^^^^^
    "#]],
    );
    check_problems(
        "kind: network\nname: n\nmtu:\n  - 1400\n",
        expect![[r#"
        blue.yaml:3:1: Invalid input for mtu. Reason: '[1400]' is not a whole number.
           |
         3 | mtu:
           | ^^^
    "#]],
    );
    check_problems(
        "kind: network\nname: n\nid: 5\n",
        expect![[r#"
        blue.yaml:3:1: 'id' is not given to a network: it can only be read
           |
         3 | id: 5
           | ^^
    "#]],
    );
}

#[test]
fn a_key_or_a_document_that_is_there_twice_is_refused() {
    check_problems(
        "kind: network\nname: a\nname: b\n",
        expect![[r#"
        blue.yaml:3:1: 'name' is already given in line 2
           |
         3 | name: b
           | ^^^^
    "#]],
    );
    check_problems(
        "kind: network\nname: a\n---\nkind: network\nname: a\n",
        expect![[r#"
        blue.yaml:5:7: the network 'a' is already in blue.yaml:2
           |
         5 | name: a
           |       ^
    "#]],
    );
    check_problems(
        "kind: network\n",
        expect![[r#"
        blue.yaml:1:1: the network needs a 'name', by which it is known in its set
           |
         1 | kind: network
           | ^
    "#]],
    );
}

#[test]
fn a_text_stays_the_text_that_was_written() {
    check_bodies(
        "kind: network\nname: no\ndescription: 1.10\nshared: yes\ntags: [1.0, true, web]\nmtu: 1400\n",
        expect![[r#"
            {"kind":"network","name":"no","description":"1.10","shared":true,"tags":["1.0","true","web"],"mtu":1400}
        "#]],
    );
    check_bodies(
        "kind: network\nname: 007\nproject_id: 1e3\nmtu: \"1400\"\n",
        expect![[r#"
        {"kind":"network","name":"007","project_id":"1e3","mtu":"1400"}
    "#]],
    );
}

#[test]
fn the_version_of_a_prefix_follows_from_it() {
    check_bodies(
        "kind: subnet\nname: s\nnetwork: 12\ncidr: fd00::/64\ngateway_ip: ~\n",
        expect![[r#"
        {"kind":"subnet","name":"s","network":"12","cidr":"fd00::/64","gateway_ip":null,"ip_version":6}
    "#]],
    );
}

#[test]
fn several_documents_lists_anchors_and_merges_are_understood() {
    check_bodies(
        "# ports\n- &base {kind: port, name: a, network: blue, host: hv1, namespace: a}\n- <<: *base\n  name: b\n  fixed_ips: [10.0.0.5, {subnet: s, ip_address: fd00::5}]\n---\n---\nkind: networks\nname: blue\n",
        expect![[r#"
            {"kind":"port","name":"a","network":"blue","host":"hv1","namespace":"a"}
            {"kind":"port","name":"b","fixed_ips":["10.0.0.5",{"subnet":"s","ip_address":"fd00::5"}],"network":"blue","host":"hv1","namespace":"a"}
            {"kind":"network","name":"blue"}
        "#]],
    );
}

#[test]
fn aliases_that_multiply_are_stopped() {
    let mut text = String::from("kind: network\nname: a\ntags: &t0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..9 {
        let before = level - 1;
        text.push_str(&format!("k{level}: &t{level} [*t{before},*t{before},*t{before},*t{before},*t{before},*t{before},*t{before},*t{before},*t{before},*t{before}]\n"));
    }
    let problems = read(&text).expect_err("too many").to_string();
    assert!(problems.contains("more than 1000000 values"), "{problems}");
}

#[test]
fn what_the_controller_says_of_a_document_is_put_where_it_belongs() {
    let input =
        read("kind: network\nname: blue\n---\nkind: port\nname: web\nnetwork: green\nhost: hv9\n").unwrap();
    let refusal = |document, field: &str| weft_client::Refusal {
        status: 409,
        kind: "X".into(),
        message: "this cannot be".into(),
        detail: String::new(),
        document: Some(document),
        field: Some(field.into()),
    };
    let located: String =
        [(1, "network_id"), (1, "binding:host_id"), (1, "mac_address"), (0, "name"), (7, "name")]
            .into_iter()
            .map(|(document, field)| {
                let problems = input.locate(&refusal(document, field));
                format!(
                    "{document} {field}:\n{}",
                    problems.map(|problems| problems.to_string()).unwrap_or_default()
                )
            })
            .collect();
    expect![[r#"
        1 network_id:
        blue.yaml:6:10: this cannot be
           |
         6 | network: green
           |          ^^^^^
        1 binding:host_id:
        blue.yaml:7:7: this cannot be
           |
         7 | host: hv9
           |       ^^^
        1 mac_address:
        blue.yaml:4:1: this cannot be
           |
         4 | kind: port
           | ^
        0 name:
        blue.yaml:2:7: this cannot be
           |
         2 | name: blue
           |       ^^^^
        7 name:
    "#]]
    .assert_eq(&located);
}
