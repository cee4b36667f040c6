//! Declared sets: what documents say is there afterwards, whatever was there before.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "these are tests")]

mod common;

use common::Site;
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use weft_services::{Action, Declaration, DeclareError, Declared, Reason, declare, in_set};

fn documents() -> Vec<Value> {
    vec![
        json!({"kind": "port", "name": "web1", "network": "blue", "host": "host1", "namespace": "web1",
            "mac_address": "02:00:00:00:00:01"}),
        json!({"kind": "port", "name": "db", "network": "blue", "host": "host2", "namespace": "db",
            "interface": "data0", "fixed_ips": ["10.1.1.2", {"subnet": "blue6"}], "tags": ["b", "a"]}),
        json!({"kind": "subnet", "name": "blue4", "network": "blue", "ip_version": 4, "cidr": "10.1.1.7/24"}),
        json!({"kind": "subnet", "name": "blue6", "network": "blue", "ip_version": 6, "cidr": "fd00::/64"}),
        json!({"kind": "networks", "name": "blue", "mtu": 1400}),
        json!({"kind": "instance-port", "name": "vm", "host": "host1", "vnic": {"type": "tap"}}),
        json!({"kind": "interface", "name": "vm.10.20", "parent_interface": "vm.10", "type": "vlan", "segmentation_id": 20}),
        json!({"kind": "interface", "name": "vm.10", "instance_port": "vm", "type": "vlan", "segmentation_id": 10}),
        json!({"kind": "service_port", "name": "vm-blue", "interface": "vm.10.20", "service": "blue"}),
        json!({"kind": "interface", "name": "web1.5", "instance_port": "web1", "type": "vlan", "segmentation_id": 5}),
    ]
}

fn declaration(prune: bool, documents: &[Value]) -> Declaration {
    let documents = documents.iter().map(|document| document.as_object().unwrap().clone()).collect();
    Declaration { set: "test".into(), prune, documents }
}

fn apply(site: &mut Site, prune: bool, documents: &[Value]) -> Result<Vec<Declared>, DeclareError> {
    let mut change = site.change();
    let declared = declare(&mut change, &declaration(prune, documents))?;
    site.commit(change);
    common::check(&site.model);
    Ok(declared)
}

fn applied(documents: &[Value]) -> Site {
    let mut site = Site::with_hosts(2, &[]);
    apply(&mut site, false, documents).unwrap();
    site
}

fn actions(declared: &[Declared]) -> Vec<String> {
    declared
        .iter()
        .map(|declared| {
            let attributes: Vec<String> = (declared.attributes.iter())
                .map(|(name, both)| format!("{name}: {} -> {}", both.from, both.to))
                .collect();
            let action = json!(declared.action).as_str().unwrap().to_owned();
            format!("{action} {} {} {}", declared.kind, declared.name, attributes.join(", "))
                .trim_end()
                .to_owned()
        })
        .collect()
}

fn check_actions(declared: &[Declared], expected: Expect) {
    expected.assert_eq(&(actions(declared).join("\n") + "\n"));
}

/// Refused, with the document and the field to blame, and nothing written.
fn check_error(site: &mut Site, documents: &[Value], expected: Expect) {
    let mut change = site.change();
    let error = declare(&mut change, &declaration(true, documents)).unwrap_err();
    let place = error.document.map_or("-".to_owned(), |document| (document + 1).to_string());
    expected.assert_eq(&format!("{place} {}: {error}", error.field.as_deref().unwrap_or("-")));
}

#[test]
fn documents_in_any_order_are_made_in_the_order_in_which_they_need_each_other() {
    let mut site = Site::with_hosts(2, &[]);
    let declared = apply(&mut site, false, &documents()).unwrap();
    assert!(declared.iter().all(|declared| declared.action == Action::Create && declared.id.is_some()));
    let db = site.get("ports", declared[1].id.as_deref().unwrap()).unwrap();
    assert_eq!(db["tags"], json!(["a", "b"]));
    assert_eq!(db["revision_number"], 1);
    assert_eq!(db["binding:profile"], json!({"namespace": "db", "interface": "data0"}));
    assert_eq!(db["fixed_ips"][0]["ip_address"], "10.1.1.2");
    let web = site.get("ports", declared[0].id.as_deref().unwrap()).unwrap();
    assert_eq!(web["binding:host_id"], "host1");
    assert_eq!(web["fixed_ips"][0]["ip_address"], "10.1.1.3", "what is asked for by value is taken first");
    let sub = site.get("interfaces", declared[6].id.as_deref().unwrap()).unwrap();
    assert_eq!(sub["parent_interface_id"].as_str(), declared[7].id.as_deref());
    check_actions(
        &declared[4..8],
        expect![[r#"
        create network blue mtu: null -> 1400
        create instance_port vm host_id: null -> "host1", vnic: null -> {"type":"tap"}
        create interface vm.10.20 parent_interface_id: null -> "40e3692e-e17e-43dc-9a9d-4d473a900972", segmentation_id: null -> 20, type: null -> "vlan"
        create interface vm.10 instance_port_id: null -> "1438fc4a-9761-4d0b-9ff5-ec29770a44d8", segmentation_id: null -> 10, type: null -> "vlan"
    "#]],
    );
}

#[test]
fn what_is_declared_again_changes_nothing() {
    let mut site = applied(&documents());
    let before = site.model.clone();
    let declared = apply(&mut site, true, &documents()).unwrap();
    assert!(declared.iter().all(|declared| declared.action == Action::None), "{:?}", actions(&declared));
    assert!(site.writes.is_empty());
    assert_eq!(common::rows(&before), common::rows(&site.model));
}

#[test]
fn the_order_of_documents_does_not_matter() {
    let (mut forth, mut back) = (documents(), documents());
    let one = applied(&forth);
    for _ in 0..forth.len() {
        forth.rotate_left(1);
        assert_eq!(common::rows(&applied(&forth).model), common::rows(&one.model));
    }
    back.reverse();
    assert_eq!(common::rows(&applied(&back).model), common::rows(&one.model));
}

#[test]
fn only_what_differs_is_changed_and_what_is_not_mentioned_is_left_alone() {
    let mut site = applied(&documents());
    let web1 = common::id_named(&site, "ports", "web1");
    site.update("ports", &web1, json!({"description": "by hand", "device_id": "vm7"})).unwrap();
    let mut documents = documents();
    documents[0]["host"] = json!("host2");
    documents[4]["mtu"] = json!("1400");
    documents[1]["tags"] = json!(["c"]);
    let declared = apply(&mut site, true, &documents).unwrap();
    let changed: Vec<Declared> =
        declared.into_iter().filter(|declared| declared.action != Action::None).collect();
    check_actions(
        &changed,
        expect![[r#"
        update port web1 binding:host_id: "host1" -> "host2"
        update port db tags: ["a","b"] -> ["c"]
    "#]],
    );
    let port = site.get("ports", &web1).unwrap();
    assert_eq!((&port["description"], &port["device_id"]), (&json!("by hand"), &json!("vm7")));
}

#[test]
fn what_is_no_longer_declared_is_deleted_with_prune_and_stays_without() {
    let mut site = applied(&documents());
    let kept = [documents()[3].clone(), documents()[4].clone()];
    assert_eq!(apply(&mut site, false, &kept).unwrap().len(), 2);
    let others = site.create("networks", json!({"name": "not of the set"})).unwrap();
    let declared = apply(&mut site, true, &kept).unwrap();
    let names: Vec<String> =
        actions(&declared).iter().map(|text| text.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect();
    expect![[r#"
        none subnet blue6
        none network blue
        delete service_port vm-blue
        delete interface vm.10.20
        delete interface web1.5
        delete port db
        delete port web1
        delete subnet blue4
        delete interface vm.10
        delete instance_port vm
    "#]]
    .assert_eq(&(names.join("\n") + "\n"));
    assert_eq!(in_set(&site.model, "test").count(), 2);
    apply(&mut site, true, &[]).unwrap();
    assert_eq!(in_set(&site.model, "test").count(), 0);
    assert!(site.get("networks", others["id"].as_str().unwrap()).is_some());
}

#[test]
fn a_name_that_moves_takes_address_and_namespace_along() {
    let mut documents = documents();
    documents[0]["fixed_ips"] = json!(["10.1.1.50"]);
    let mut site = applied(&documents);
    documents[0]["name"] = json!("web2");
    documents[9]["instance_port"] = json!("web2");
    let declared = apply(&mut site, true, &documents);
    // The interface is on a port that would go, and cannot be moved.
    assert_eq!(declared.unwrap_err().refusal.reason, Reason::Conflict);
    documents[9]["name"] = json!("web2.5");
    let declared = apply(&mut site, true, &documents).unwrap();
    assert_eq!(declared[0].action, Action::Create);
    assert_eq!(declared[10..].iter().map(|declared| &*declared.name).collect::<Vec<_>>(), ["web1.5", "web1"]);
    let port = site.get("ports", declared[0].id.as_deref().unwrap()).unwrap();
    assert_eq!(port["fixed_ips"][0]["ip_address"], "10.1.1.50");
}

#[test]
fn a_binding_moves_to_a_new_service_before_the_old_one_goes() {
    let mut documents = documents()[4..9].to_vec();
    let mut site = applied(&documents);
    documents[0]["name"] = json!("green");
    documents[4]["service"] = json!("green");
    let declared = apply(&mut site, true, &documents).unwrap();
    let changed: Vec<Declared> =
        declared.into_iter().filter(|declared| declared.action != Action::None).collect();
    let kinds: Vec<(Action, &str, &str)> =
        changed.iter().map(|declared| (declared.action, declared.kind, &*declared.name)).collect();
    assert_eq!(
        kinds,
        [
            (Action::Create, "network", "green"),
            (Action::Update, "service_port", "vm-blue"),
            (Action::Delete, "network", "blue")
        ]
    );
}

#[test]
fn an_address_passes_from_one_port_to_another_in_one_change() {
    let mut documents = documents();
    let mut site = applied(&documents);
    documents[1]["fixed_ips"] = json!(["10.1.1.77"]);
    documents
        .push(json!({"kind": "port", "name": "a-new-one", "network": "blue", "fixed_ips": ["10.1.1.2"]}));
    let declared = apply(&mut site, false, &documents).unwrap();
    assert_eq!(declared[10].action, Action::Create);
}

#[test]
fn a_set_of_another_project_is_another_set() {
    let mut site = applied(&documents());
    let mut change = site.change_for("other");
    let own = [json!({"kind": "network", "name": "blue"})];
    let declared = declare(&mut change, &declaration(true, &own)).unwrap();
    site.commit(change);
    check_actions(
        &declared,
        expect![[r#"
        create network blue
    "#]],
    );
    assert_eq!(common::all(&site, "networks").len(), 2);
    assert!(
        apply(&mut site, true, &documents()).unwrap().iter().all(|declared| declared.action == Action::None)
    );
}

#[test]
fn what_refers_to_something_else_than_documents_finds_it_by_name_or_identifier() {
    let mut site = Site::with_hosts(1, &[]);
    let blue = site.create("networks", json!({"name": "blue"})).unwrap();
    for network in [&json!("blue"), &blue["id"]] {
        for key in ["network", "network_id"] {
            let mut port = json!({"kind": "port", "name": format!("{key} {network}")});
            port[key] = network.clone();
            apply(&mut site, false, &[port]).unwrap();
        }
    }
    assert_eq!(common::all(&site, "ports").len(), 4);
    site.create("networks", json!({"name": "blue"})).unwrap();
    let port = json!({"kind": "port", "name": "x", "network": "blue"});
    check_error(
        &mut site,
        &[port],
        expect!["1 network: Invalid input for network. Reason: 2 of kind network are named 'blue'."],
    );
}

#[test]
fn a_declaration_that_cannot_be_carried_out_names_document_and_field() {
    let mut site = applied(&documents());
    let cases: Vec<(Value, Expect)> = vec![
        (
            json!({"name": "x"}),
            expect!["11 kind: Invalid input for kind. Reason: the document does not say what it is."],
        ),
        (
            json!({"kind": "netwerk", "name": "x"}),
            expect![
                "11 kind: Invalid input for kind. Reason: 'netwerk' is no kind of resource that can be declared."
            ],
        ),
        (
            json!({"kind": "host", "name": "x"}),
            expect![
                "11 kind: Invalid input for kind. Reason: 'host' is no kind of resource that can be declared."
            ],
        ),
        (
            json!({"kind": "network"}),
            expect![
                "11 name: Invalid input for name. Reason: a network needs a name, by which its set knows it."
            ],
        ),
        (
            json!({"kind": "network", "name": "blue"}),
            expect![
                "11 name: Invalid input for name. Reason: network 'blue' is declared by document 5 already."
            ],
        ),
        (
            json!({"kind": "service", "name": "blue"}),
            expect![
                "11 name: Invalid input for name. Reason: service 'blue' is declared by document 5 already."
            ],
        ),
        (
            json!({"kind": "network", "name": "x", "colour": "red"}),
            expect!["11 colour: Unrecognized attribute(s) 'colour'"],
        ),
        (
            json!({"kind": "network", "name": "x", "mtu": "large"}),
            expect!["11 mtu: Invalid input for mtu. Reason: 'large' is not a whole number."],
        ),
        (
            json!({"kind": "network", "name": "x", "status": "ACTIVE"}),
            expect!["11 status: Attribute 'status' not allowed in POST"],
        ),
        (
            json!({"kind": "network", "name": "x", "project_id": "other"}),
            expect![
                "11 project_id: Invalid input for project_id. Reason: the set is one of project 'default'."
            ],
        ),
        (
            json!({"kind": "network", "name": "x", "tags": [1]}),
            expect!["11 tags: Invalid input for tags. Reason: 1 is not a text of 1 to 255 characters."],
        ),
        (
            json!({"kind": "port", "name": "x"}),
            expect!["11 network_id: Failed to parse request. Required attribute 'network_id' not specified"],
        ),
        (
            json!({"kind": "port", "name": "x", "network": "red"}),
            expect!["11 network: Invalid input for network. Reason: no network is named 'red'."],
        ),
        (
            json!({"kind": "port", "name": "x", "network": 5}),
            expect!["11 network: Invalid input for network_id. Reason: '5' is not a valid string."],
        ),
        (
            json!({"kind": "port", "name": "x", "network": "blue", "network_id": "blue"}),
            expect!["11 network_id: Invalid input for network_id. Reason: 'network' says it already."],
        ),
        (
            json!({"kind": "port", "name": "x", "network": "blue", "fixed_ips": ["10.9.9.9"]}),
            expect![
                "11 fixed_ips: fixed_ips: IP address 10.9.9.9 is not a valid IP for any of the subnets on the specified network."
            ],
        ),
        (
            json!({"kind": "port", "name": "x", "network": "blue", "fixed_ips": ["10.1.1.2"]}),
            expect![
                "11 fixed_ips: fixed_ips: IP address 10.1.1.2 already allocated in subnet 521a135c-3d46-4289-ba8c-d95361bf8167."
            ],
        ),
        (
            json!({"kind": "port", "name": "x", "network": "blue", "fixed_ips": [{"subnet": "red"}]}),
            expect!["11 fixed_ips: Invalid input for fixed_ips. Reason: no subnet is named 'red'."],
        ),
        (
            json!({"kind": "port", "name": "x", "network": "blue", "fixed_ips": ["ten"]}),
            expect!["11 fixed_ips: Invalid input for fixed_ips. Reason: invalid IP address syntax."],
        ),
        (
            json!({"kind": "port", "name": "x", "network": "blue", "mac_address": "02:00:00:00:00:01"}),
            expect![
                "11 mac_address: mac_address: Unable to complete operation for network 4a2d396a-288c-448b-b5c6-7f0227d70f2c. The mac address 02:00:00:00:00:01 is in use. It is that of port 6ab0f0cc-4c03-4126-ac3e-a03b2d31b31f."
            ],
        ),
        (
            json!({"kind": "port", "name": "x", "network": "blue", "host": "a b"}),
            expect![
                "11 host: Invalid input for binding:host_id. Reason: 'a b' is not valid: 'a b' is not a valid host name: 1 to 253 letters, digits, '.', '_' or '-' are needed, the first a letter, a digit or '_'."
            ],
        ),
        (
            json!({"kind": "port", "name": "x", "network": "blue", "host": "host1", "namespace": "web1"}),
            expect![
                "11 namespace: interface 'eth0' of namespace 'web1' on host 'host1' is that of port 6ab0f0cc-4c03-4126-ac3e-a03b2d31b31f."
            ],
        ),
        (
            json!({"kind": "instance_port", "name": "x", "host": "host9"}),
            expect!["11 host: Invalid input for host_id. Reason: no host 'host9' is known."],
        ),
        (
            json!({"kind": "interface", "name": "x", "parent_interface": "x", "type": "vlan", "segmentation_id": 1}),
            expect![
                "11 parent_interface: Invalid input for parent_interface. Reason: 'x' leads back to this document, or from one to the next too often."
            ],
        ),
        (
            json!({"kind": "subnet", "name": "x", "network": "blue", "ip_version": 4, "cidr": "10.1.0.0/16"}),
            expect![
                "11 cidr: cidr: Invalid input for operation: Requested subnet with cidr: 10.1.0.0/16 for network: 4a2d396a-288c-448b-b5c6-7f0227d70f2c overlaps with another subnet. It is subnet 521a135c-3d46-4289-ba8c-d95361bf8167 with cidr 10.1.1.0/24."
            ],
        ),
    ];
    for (document, expected) in cases {
        let mut all = documents();
        all.push(document);
        check_error(&mut site, &all, expected);
    }
    let mut all = documents();
    all[2]["cidr"] = json!("10.2.0.0/24");
    check_error(&mut site, &all, expect!["3 cidr: Cannot update read-only attribute cidr"]);
}

#[test]
fn what_somebody_renamed_is_still_what_its_document_declares() {
    let mut site = applied(&documents());
    let before = common::all(&site, "ports").len();
    for (path, name) in [("networks", "blue"), ("ports", "db"), ("service-ports", "vm-blue")] {
        let id = common::id_named(&site, path, name);
        site.update(path, &id, json!({"name": ""})).unwrap();
    }
    // Others that are declared, and refer to it by the name that it was declared by, find it as well.
    let alone =
        json!({"kind": "subnet", "name": "blue4", "network": "blue", "ip_version": 4, "cidr": "10.1.1.0/24"});
    assert_eq!(apply(&mut site, false, &[alone]).unwrap()[0].action, Action::None);
    let declared = apply(&mut site, true, &documents()).unwrap();
    let changed: Vec<Declared> =
        declared.into_iter().filter(|declared| declared.action != Action::None).collect();
    check_actions(
        &changed,
        expect![[r#"
            update port db name: "" -> "db"
            update network blue name: "" -> "blue"
            update service_port vm-blue name: "" -> "vm-blue"
        "#]],
    );
    assert_eq!(common::all(&site, "ports").len(), before);
    let again = apply(&mut site, true, &documents()).unwrap();
    assert!(again.iter().all(|declared| declared.action == Action::None));
}
