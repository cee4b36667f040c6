//! BGP speakers and peers; and that a password is never seen again.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "these are tests")]

mod common;

use common::{Site, check, id};
use serde_json::{Map, Value, json};
use weft_services::catalogue::{NoStatuses, by_any_name};
use weft_services::{Action, Declaration, Reason, Refusal, Row, declare};

fn peer(site: &mut Site, request: Value) -> Result<Map<String, Value>, Refusal> {
    let mut whole = json!({"peer_ip": "192.0.2.1", "remote_as": 4_200_000_000_u32});
    whole.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
    site.create("bgp_peers", whole)
}

fn in_range(site: &mut Site, range: &str, request: Value) -> Result<Map<String, Value>, Refusal> {
    peer(site, json!({"peer_ip": null, "listen_range": range})).and_then(|made| {
        if request == json!({}) { Ok(made) } else { site.update("bgp_peers", &id(&made), request) }
    })
}

#[test]
fn a_speaker_speaks_to_peers_of_different_places_and_for_no_networks() {
    let mut site = Site::with_hosts(1, &[]);
    let network = id(&site.create("networks", json!({})).unwrap());
    let speaker = site.create("bgp_speakers", json!({"local_as": 64512, "ip_version": 6})).unwrap();
    assert_eq!((&speaker["peers"], &speaker["networks"]), (&json!([]), &json!([])));
    let speaker = id(&speaker);
    let [one, same, other] = ["192.0.2.1", "192.0.2.1", "2001:db8::1"]
        .map(|address| id(&peer(&mut site, json!({"peer_ip": address})).unwrap()));
    let mut act = |action: &str, request: Value| site.act(("bgp_speakers", &speaker), action, request);
    let answer = act("add_bgp_peer", json!({"bgp_peer_id": one})).unwrap();
    assert_eq!(json!(answer), json!({"bgp_peer_id": one}));
    act("add_bgp_peer", json!({"bgp_peer_id": other})).unwrap();
    let [near, again] = ["2001:db8:1::/48", "2001:db8:1::5/48"]
        .map(|range| id(&in_range(&mut site, range, json!({})).unwrap()));
    let mut act = |action: &str, request: Value| site.act(("bgp_speakers", &speaker), action, request);
    act("add_bgp_peer", json!({"bgp_peer_id": near})).unwrap();
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (action, request, reason, kind) in [
        ("add_bgp_peer", json!({"bgp_peer_id": same}), Reason::Conflict, "DuplicateBgpPeerIpException"),
        ("add_bgp_peer", json!({"bgp_peer_id": one}), Reason::Conflict, "DuplicateBgpPeerIpException"),
        ("add_bgp_peer", json!({"bgp_peer_id": again}), Reason::Conflict, "DuplicateBgpPeerIpException"),
        ("add_bgp_peer", json!({"bgp_peer_id": nobody}), Reason::NotFound, "BgpPeerNotFound"),
        ("add_bgp_peer", json!({}), Reason::Invalid, "HTTPBadRequest"),
        ("remove_bgp_peer", json!({"bgp_peer_id": same}), Reason::NotFound, "BgpSpeakerPeerNotAssociated"),
        (
            "add_gateway_network",
            json!({"network_id": network}),
            Reason::Conflict,
            "BgpSpeakerNetworkBindingError",
        ),
        ("add_gateway_network", json!({"network_id": nobody}), Reason::NotFound, "NetworkNotFound"),
        (
            "remove_gateway_network",
            json!({"network_id": network}),
            Reason::NotFound,
            "BgpSpeakerNetworkNotAssociated",
        ),
    ] {
        let refusal = act(action, request.clone()).unwrap_err();
        assert_eq!((refusal.reason, refusal.kind), (reason, kind), "{action} {request}: {refusal}");
    }
    act("remove_bgp_peer", json!({"bgp_peer_id": other})).unwrap();
    act("remove_bgp_peer", json!({"bgp_peer_id": near})).unwrap();
    let ask = by_any_name("bgp_speakers").unwrap().action("get_advertised_routes").unwrap();
    let answer = ask.ask(&site.model, speaker.parse().unwrap(), &NoStatuses).unwrap();
    assert_eq!(json!(answer), json!({"advertised_routes": []}));
    site.delete("bgp_peers", &one).unwrap();
    site.delete("networks", &network).unwrap();
    let shown = site.get("bgp_speakers", &speaker).unwrap();
    assert_eq!((&shown["peers"], &shown["networks"]), (&json!([]), &json!([])), "what goes is forgotten");
    check(&site.model);
    assert_eq!(site.create("bgp_speakers", json!({"local_as": 0})).unwrap_err().reason, Reason::Invalid);
    let trans = site.create("bgp_speakers", json!({"local_as": 23456})).unwrap_err();
    assert_eq!(
        (trans.reason, trans.message.contains("local_as")),
        (Reason::Invalid, true),
        "{}",
        trans.message
    );
    for (bad, says) in [
        (json!({"ip_version": 5}), "'5' is neither 4 nor 6"),
        (json!({"advertise_tenant_networks": true}), "routers have no external gateways"),
        (json!({"advertise_floating_ip_host_routes": true}), "there are no floating addresses"),
        (json!({"cluster_id": "2001:db8::1"}), "'2001:db8::1' is not an IPv4 address"),
    ] {
        let field = bad.as_object().unwrap().keys().next().unwrap().clone();
        let mut whole = json!({"local_as": 1});
        whole.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
        let refusal = site.create("bgp_speakers", whole).unwrap_err();
        let is_told = refusal.message.contains(&format!("{field}. ")) && refusal.message.contains(says);
        assert!(refusal.reason == Reason::Invalid && is_told, "{refusal}");
        if field != "ip_version" {
            assert_eq!(site.update("bgp_speakers", &speaker, bad).unwrap_err(), refusal);
        }
    }
    let clustered = site.update("bgp_speakers", &speaker, json!({"cluster_id": "10.0.0.9"})).unwrap();
    assert_eq!(clustered["cluster_id"], json!("10.0.0.9"));
}

#[test]
fn a_neighbour_is_the_peer_of_its_address_or_of_the_narrowest_range() {
    let mut site = Site::with_hosts(1, &[]);
    let speaker = id(&site.create("bgp_speakers", json!({"local_as": 64512})).unwrap());
    let wide = id(&in_range(&mut site, "192.0.2.0/24", json!({})).unwrap());
    let narrow = id(&in_range(&mut site, "192.0.2.64/26", json!({"listen_limit": 3})).unwrap());
    let one = id(&peer(&mut site, json!({"peer_ip": "192.0.2.65"})).unwrap());
    for peer in [&wide, &narrow, &one] {
        site.act(("bgp_speakers", &speaker), "add_bgp_peer", json!({"bgp_peer_id": peer})).unwrap();
    }
    let row = site.model.bgp_speakers().next().unwrap();
    let at = |address: &str| {
        row.peer_at(&site.model, address.parse().unwrap()).map(|peer| peer.standard.id.to_string())
    };
    assert_eq!(
        ["192.0.2.65", "192.0.2.66", "192.0.2.1", "198.51.100.1"].map(at),
        [Some(one), Some(narrow), Some(wide), None]
    );
}

#[test]
fn options_of_a_session_are_shown_as_they_were_asked_for_and_go_together() {
    let mut site = Site::with_hosts(1, &[]);
    let options = json!({
        "families": ["ipv4-unicast", "evpn"], "add_path_send": ["evpn", "ipv4-unicast"], "add_path_receive": ["evpn"],
        "extended_next_hop": true, "peer_port": 1179, "local_ip": "192.0.2.9", "connect_retry_seconds": 30,
        "prefix_limit": 1000, "prefix_limits": [{"family": "evpn", "limit": null}, {"family": "ipv4-unicast", "limit": 5}],
        "prefix_limit_idle_seconds": 60, "restart_time_seconds": 240, "long_lived_stale_time_seconds": 3600,
        "import_policy": [{
            "verdict": "accept", "families": ["evpn"], "prefixes": ["10.0.0.0/8"], "length_min": 8, "length_max": 32,
            "route_targets": ["64512:1"], "communities": ["64512:2"], "local_pref": 50, "multi_exit_disc": null,
            "add_communities": ["64512:3"],
        }],
    });
    let made = peer(&mut site, options.clone()).unwrap();
    for (name, value) in options.as_object().unwrap() {
        let sorted = |value: &Value| {
            let mut items: Vec<String> =
                value.as_array().into_iter().flatten().map(Value::to_string).collect();
            items.sort();
            items
        };
        assert!(made[name] == *value || sorted(&made[name]) == sorted(value), "{name}: {}", made[name]);
    }
    let plain = peer(&mut site, json!({})).unwrap();
    for (name, value) in [
        ("add_path_send", json!([])),
        ("prefix_limits", json!([])),
        ("extended_next_hop", json!(false)),
        ("long_lived_stale_time_seconds", json!(0)),
        ("listen_range", json!(null)),
        ("listen_limit", json!(null)),
    ] {
        assert_eq!(plain[name], value, "{name}");
    }
    let range = in_range(&mut site, "192.0.2.7/24", json!({})).unwrap();
    assert_eq!((&range["listen_range"], &range["listen_limit"]), (&json!("192.0.2.0/24"), &json!(100)));
    assert_eq!(range["peer_ip"], json!(null));
    for (bad, field, says) in [
        (json!({"peer_ip": null}), "peer_ip", "neither is given"),
        (json!({"listen_range": "192.0.2.0/24"}), "listen_range", "not both"),
        (json!({"listen_limit": 5}), "listen_limit", "there is no listen_range"),
        (json!({"listen_range": "x", "peer_ip": null}), "listen_range", "not a valid IP subnet"),
        (json!({"local_ip": "2001:db8::1"}), "local_ip", "not of one IP version"),
        (json!({"add_path_send": ["evpn", "ipv4-unicast"]}), "add_path_send[1]", "'ipv4-unicast' is not one"),
        (json!({"add_path_receive": ["ipv6-unicast"]}), "add_path_receive[0]", "'ipv6-unicast' is not one"),
        (json!({"extended_next_hop": true, "families": ["evpn"]}), "extended_next_hop", "needs ipv4-unicast"),
        (
            json!({"prefix_limits": [{"family": "route-target", "limit": 1}]}),
            "prefix_limits[0]",
            "not one of",
        ),
        (
            json!({"prefix_limits": [{"family": "evpn", "limit": 1}, {"family": "evpn", "limit": 2}]}),
            "prefix_limits[1].family",
            "has a limit already",
        ),
        (json!({"prefix_limits": [{"family": "evpn", "limit": 0}]}), "prefix_limits[0].limit", "range"),
        (json!({"prefix_limits": [{"family": "evpn"}]}), "prefix_limits[0].limit", "not given"),
        (json!({"restart_time_seconds": 4096}), "restart_time_seconds", "from 0 to 4095"),
        (json!({"long_lived_stale_time_seconds": 16_777_216}), "long_lived_stale_time_seconds", "range"),
        (
            json!({"long_lived_stale_time_seconds": 60, "graceful_restart": false}),
            "long_lived_stale_time_seconds",
            "needs graceful_restart",
        ),
        (json!({"connect_retry_seconds": 0}), "connect_retry_seconds", "range"),
        (json!({"import_policy": [{}]}), "import_policy[0].verdict", "not given"),
        (
            json!({"import_policy": [{"verdict": "drop"}]}),
            "import_policy[0].verdict",
            "not one of accept, reject",
        ),
        (
            json!({"export_policy": [{"verdict": "accept"}, {"verdict": "reject", "local_pref": 1}]}),
            "export_policy[1].verdict",
            "is not changed",
        ),
        (
            json!({"export_policy": [{"verdict": "reject", "communities": ["1:2", "1:70000"]}]}),
            "export_policy[0].communities[1]",
            "'1:70000' is not a community",
        ),
        (
            json!({"import_policy": [{"verdict": "reject", "length_max": 24}]}),
            "import_policy[0].length_max",
            "there are no prefixes",
        ),
        (
            json!({"import_policy": [{"verdict": "reject", "prefixes": ["10.0.0.0/8"], "length_max": 64}]}),
            "import_policy[0].length_max",
            "no prefix within '10.0.0.0/8' has a length of 64",
        ),
        (
            json!({"import_policy": [{"verdict": "reject", "prefixes": ["10.0.0.0/8"], "length_min": 24,
                "length_max": 16}]}),
            "import_policy[0].length_max",
            "'16' is less than length_min",
        ),
        (
            json!({"import_policy": [{"verdict": "reject", "prefix": "10.0.0.0/8"}]}),
            "import_policy[0]",
            "it has 'prefix'",
        ),
    ] {
        let refusal = peer(&mut site, bad).unwrap_err();
        let is_told = refusal.message.contains(&format!("for {field}. ")) && refusal.message.contains(says);
        assert!(refusal.reason == Reason::Invalid && is_told, "{refusal}");
    }
    for (bad, field) in
        [(json!({"local_ip": "192.0.2.1"}), "local_ip"), (json!({"peer_port": 180}), "peer_port")]
    {
        let refusal = site.update("bgp_peers", &id(&range), bad).unwrap_err();
        assert!(refusal.message.contains(&format!("for {field}. ")), "{refusal}");
    }
    assert_eq!(
        site.update("bgp_peers", &id(&range), json!({"listen_limit": 2})).unwrap()["listen_limit"],
        json!(2)
    );
}

#[test]
fn a_password_is_kept_and_never_seen_again() {
    let mut site = Site::with_hosts(1, &[]);
    let missing = peer(&mut site, json!({"auth_type": "md5"})).unwrap_err();
    assert_eq!((missing.reason, missing.kind), (Reason::Invalid, "InvalidBgpPeerMd5Authentication"));
    let too_long = "hunter2".repeat(20);
    let refusal = peer(&mut site, json!({"auth_type": "md5", "password": too_long})).unwrap_err();
    assert!(refusal.message.contains("password") && !refusal.message.contains("hunter2"), "{refusal}");
    let made = peer(&mut site, json!({"auth_type": "md5", "password": "hunter2"})).unwrap();
    assert!(!json!(made).to_string().contains("hunter2") && !made.contains_key("password"), "{made:?}");
    let kept = |site: &Site| {
        let row =
            site.model.rows().find_map(|row| if let Row::BgpPeer(peer) = row { Some(peer) } else { None });
        let row = row.unwrap();
        assert!(!format!("{row:?}").contains(row.password.as_ref().unwrap().reveal()));
        row.password.as_ref().unwrap().reveal().to_owned()
    };
    assert_eq!(kept(&site), "hunter2");
    site.update("bgp_peers", &id(&made), json!({"name": "a"})).unwrap();
    assert_eq!(kept(&site), "hunter2", "what is not mentioned stays");
    let revised = site.update("bgp_peers", &id(&made), json!({"password": "hunter3"})).unwrap();
    assert_eq!((kept(&site).as_str(), &revised["revision_number"]), ("hunter3", &json!(3)));
    let again = site.update("bgp_peers", &id(&made), json!({"password": "hunter3"})).unwrap();
    assert_eq!(again["revision_number"], 3, "the same again writes nothing");
    let cleared = site.update("bgp_peers", &id(&made), json!({"password": null})).unwrap_err();
    assert_eq!(cleared.kind, "InvalidBgpPeerMd5Authentication");
    let open = peer(&mut site, json!({"peer_ip": "192.0.2.2"})).unwrap();
    let refusal = site.update("bgp_peers", &id(&open), json!({"password": "hunter2"})).unwrap_err();
    assert_eq!((refusal.reason, refusal.kind), (Reason::NotFound, "BgpPeerNotAuthenticated"));
}

#[test]
fn a_declared_password_is_changed_without_a_word() {
    let mut site = Site::with_hosts(1, &[]);
    let mut declared = |password: &str| {
        let peer = json!({"kind": "bgp_peer", "name": "edge", "peer_ip": "192.0.2.1", "remote_as": 64512,
            "auth_type": "md5", "password": password});
        let documents = vec![peer.as_object().unwrap().clone()];
        let declaration = Declaration { set: "s".into(), prune: false, documents };
        let mut change = site.change();
        let done = declare(&mut change, &declaration).unwrap().remove(0);
        site.commit(change);
        assert!(!serde_json::to_string(&done).unwrap().contains("hunter"), "{done:?}");
        (done.action, done.attributes.contains_key("password"))
    };
    assert_eq!(declared("hunter2"), (Action::Create, false));
    assert_eq!(declared("hunter2"), (Action::None, false));
    assert_eq!(declared("hunter3"), (Action::Update, false));
}

#[test]
fn what_a_session_needs_besides_has_bounds() {
    let mut site = Site::with_hosts(1, &[]);
    let made =
        peer(&mut site, json!({"families": ["evpn"], "ttl_security": 1, "hold_time_seconds": 9})).unwrap();
    assert_eq!((&made["families"], &made["ttl_security"]), (&json!(["evpn"]), &json!(1)));
    let changed = site
        .update("bgp_peers", &id(&made), json!({"families": ["vpnv4", "evpn"], "passive": true}))
        .unwrap();
    assert_eq!((&changed["families"], &changed["passive"]), (&json!(["vpnv4", "evpn"]), &json!(true)));
    for bad in [
        json!({"hold_time_seconds": 2}),
        json!({"families": []}),
        json!({"families": ["ipx"]}),
        json!({"ttl_security": 255}),
        json!({"prefix_limit": 0}),
        json!({"remote_as": 4_294_967_296_u64}),
        json!({"auth_type": "tcp-ao"}),
    ] {
        let field = bad.as_object().unwrap().keys().next().unwrap().clone();
        let refusal = peer(&mut site, bad).unwrap_err();
        assert!(refusal.reason == Reason::Invalid && refusal.message.contains(&field), "{refusal}");
    }
    assert_eq!(
        site.update("bgp_peers", &id(&made), json!({"peer_ip": "192.0.2.9"})).unwrap_err().reason,
        Reason::Invalid
    );
}
