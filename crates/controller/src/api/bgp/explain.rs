//! How the paths to a destination were compared (RFC 4271 §9.1).

use std::net::IpAddr;

use axum::http::StatusCode;
use ipnet::IpNet;
use serde_json::{Value, json};
use weft_bgp::io::Handle;
use weft_bgp::speaker::{PageSize, RibView, RouteFilter};
use weft_bgp::wire::{Destination, Family};

use super::parameters::{only, speakers};
use crate::api::respond::{Answer, Problem, ok};
use crate::api::route::{Api, Asked};

/// The most destinations in one answer: a prefix has one for each route distinguisher.
const DESTINATIONS_MAX: usize = 100;
const LOOKED_AT_MAX: usize = 1024;

pub(super) async fn explain(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let query = asked.query();
    only(&query, &["destination", "speaker"])?;
    let text = query.get("destination").filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Problem::malformed("destination: this parameter is missing"))?;
    let wanted = parse(text)?;
    let mut explained: Vec<Value> = Vec::new();
    for (id, handle) in speakers(api, &query)? {
        for destination in meant(&handle, &wanted).await {
            let of = destination.clone();
            let explanation = handle.with(move |speaker, _| speaker.explain(&of)).await.flatten();
            explained.extend(explanation.map(|explanation| {
                let mut told = json!(explanation);
                told["speaker_id"] = json!(id);
                told["family"] = json!(destination.family().to_string());
                told["destination"] = json!(destination.to_string());
                told
            }));
        }
    }
    if explained.is_empty() {
        let message = format!("destination: there is no path to '{text}'");
        return Err(Problem::Http(StatusCode::NOT_FOUND, "BgpRouteNotFound", message));
    }
    Ok(ok(&json!({ "destinations": explained })))
}

/// A destination as it is shown, or a prefix or an address: then what leads there, with whatever route distinguisher.
fn parse(text: &str) -> Result<Destination, Problem> {
    let of_address =
        || text.parse::<IpAddr>().ok().and_then(|address| IpNet::from(address).to_string().parse().ok());
    let parsed = text.parse::<Destination>();
    parsed.or_else(|error| of_address().ok_or_else(|| Problem::malformed(format!("destination: {error}"))))
}

/// The destinations that are meant.
async fn meant(handle: &Handle, wanted: &Destination) -> Vec<Destination> {
    let (Destination::Ipv4(_) | Destination::Ipv6(_), Some(prefix)) = (wanted, wanted.prefix()) else {
        return vec![wanted.clone()];
    };
    let mut found = vec![wanted.clone()];
    let filter = RouteFilter { exactly: Some(prefix), ..RouteFilter::default() };
    for family in [Family::Vpnv4, Family::Vpnv6, Family::Evpn] {
        let mut from = Some(0);
        while let Some(place) = from
            && found.len() < DESTINATIONS_MAX
        {
            let filter = filter.clone();
            let size = PageSize { routes_max: DESTINATIONS_MAX, looked_at_max: LOOKED_AT_MAX };
            let page =
                handle.with(move |speaker, _| speaker.page((RibView::LocRib, family), &filter, place, size));
            let Some(page) = page.await else { return found };
            found.extend(page.routes.into_iter().map(|route| route.destination));
            from = page.next;
        }
    }
    found.truncate(DESTINATIONS_MAX);
    found
}
