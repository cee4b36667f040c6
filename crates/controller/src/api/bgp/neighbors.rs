//! Neighbours: sessions, and how many routes of each family.

use std::net::IpAddr;

use serde_json::{Value, json};
use weft_bgp::speaker::NeighborStatus;
use weft_services::Id;

use super::parameters::{no_such_neighbor, only, speakers};
use crate::api::respond::{Answer, Problem, ok};
use crate::api::route::{Api, Asked};

pub(super) async fn list(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let query = asked.query();
    only(&query, &["speaker"])?;
    let mut neighbors = Vec::new();
    for (id, handle) in speakers(api, &query)? {
        // A speaker that has just ended has none.
        let its = handle.with(|speaker, now| speaker.neighbors(now)).await.unwrap_or_default();
        neighbors.extend(its.iter().map(|neighbor| told(api, id, neighbor)));
    }
    Ok(ok(&json!({ "neighbors": neighbors })))
}

pub(super) async fn show(api: &Api, asked: &Asked, address: IpAddr) -> Result<Answer, Problem> {
    let query = asked.query();
    only(&query, &["speaker"])?;
    for (id, handle) in speakers(api, &query)? {
        let its = handle.with(|speaker, now| speaker.neighbors(now)).await.unwrap_or_default();
        if let Some(neighbor) = its.iter().find(|neighbor| neighbor.address == address) {
            return Ok(ok(&json!({ "neighbor": told(api, id, neighbor) })));
        }
    }
    Err(no_such_neighbor(address))
}

fn told(api: &Api, speaker: Id, neighbor: &NeighborStatus) -> Value {
    let mut told = json!(neighbor);
    let snapshot = api.site.durable();
    let model = &snapshot.model.0;
    let row = model.bgp_speakers().find(|row| row.standard.id == speaker);
    let peer = row.and_then(|row| row.peer_at(model, neighbor.address));
    told["speaker_id"] = json!(speaker);
    told["peer_id"] = json!(peer.map(|peer| peer.standard.id));
    told["name"] = json!(peer.map(|peer| &peer.standard.name));
    // What it is to be, before it has said what it is.
    if told["asn"].is_null() {
        told["asn"] = json!(peer.map(|peer| peer.remote_as));
    }
    told
}
