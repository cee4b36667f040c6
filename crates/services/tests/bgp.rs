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

#[test]
fn a_speaker_speaks_to_peers_of_different_addresses_for_networks() {
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
    act("add_gateway_network", json!({"network_id": network})).unwrap();
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (action, request, reason, kind) in [
        ("add_bgp_peer", json!({"bgp_peer_id": same}), Reason::Conflict, "DuplicateBgpPeerIpException"),
        ("add_bgp_peer", json!({"bgp_peer_id": one}), Reason::Conflict, "DuplicateBgpPeerIpException"),
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
    ] {
        let refusal = act(action, request.clone()).unwrap_err();
        assert_eq!((refusal.reason, refusal.kind), (reason, kind), "{action} {request}: {refusal}");
    }
    act("remove_bgp_peer", json!({"bgp_peer_id": other})).unwrap();
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
    assert_eq!(
        site.create("bgp_speakers", json!({"local_as": 1, "ip_version": 5})).unwrap_err().reason,
        Reason::Invalid
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
