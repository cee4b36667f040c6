//! The routes of a table, in pages.

use std::sync::Arc;

use serde_json::{Value, json};
use weft_bgp::io::Handle;
use weft_bgp::speaker::{PageSize, RibView, RouteFilter, RouteStatus};
use weft_bgp::wire::Family;
use weft_services::Id;

use super::parameters::{families, filter, no_such_neighbor, only, speakers};
use crate::api::respond::{Answer, Problem, ok};
use crate::api::route::{Api, Asked};
use crate::site::Site;

/// The most routes in one answer, and where nothing is said.
const ROUTES_MAX: usize = 1000;
/// How many routes are looked at while the speaker does nothing else: less than a millisecond of it.
const LOOKED_AT_MAX: usize = 1024;

const PARAMETERS: [&str; 10] = [
    "family",
    "prefix",
    "vrf",
    "route_distinguisher",
    "route_target",
    "route_type",
    "local",
    "speaker",
    "limit",
    "marker",
];

/// Where a page ends and the next begins: of which speaker, in which family, from which place on.
type Place = (Id, Family, u32);

pub(super) async fn list(api: &Api, asked: &Asked, view: RibView) -> Result<Answer, Problem> {
    let query = asked.query();
    only(&query, &PARAMETERS)?;
    let limit = query.limit()?.unwrap_or(ROUTES_MAX).min(ROUTES_MAX);
    let filter = filter(&query, &api.site.durable().model.0)?;
    let marker = query.get("marker").map(parse_marker).transpose()?;
    let families = families(&query)?;
    let mut speakers = speakers(api, &query)?;
    if let RibView::AdjRibIn(address) | RibView::AdjRibOut(address) = view {
        let mut having = Vec::new();
        for (id, handle) in speakers {
            if handle.with(move |speaker, _| speaker.has_neighbor(address)).await == Some(true) {
                having.push((id, handle));
            }
        }
        if having.is_empty() {
            return Err(no_such_neighbor(address));
        }
        speakers = having;
    }
    let mut reader = Reader { site: Arc::clone(&api.site), view, filter, limit, routes: Vec::new() };
    let mut next = None;
    'pages: for (id, handle) in speakers {
        for family in &families {
            let from = match marker {
                Some(marker) if (marker.0, marker.1) > (id, *family) => continue,
                Some((speaker, of, place)) if (speaker, of) == (id, *family) => place,
                _ => 0,
            };
            if let Some(place) = reader.read(id, &handle, *family, from).await {
                next = Some(format!("{id}.{family}.{place}"));
                break 'pages;
            }
        }
    }
    Ok(ok(&json!({ "routes": reader.routes, "next_marker": next })))
}

fn parse_marker(text: &str) -> Result<Place, Problem> {
    let parse = || {
        let mut parts = text.split('.');
        let place = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(place)
    };
    parse().ok_or_else(|| Problem::malformed(format!("marker: '{text}' is not the next_marker of an answer")))
}

/// What is read, and how far that is.
struct Reader {
    site: Arc<Site>,
    view: RibView,
    filter: RouteFilter,
    limit: usize,
    routes: Vec<Value>,
}

impl Reader {
    /// Reads a family from a place on; answers the place to go on from, if the answer is full before the table ends.
    async fn read(&mut self, speaker: Id, handle: &Handle, family: Family, from: u32) -> Option<u32> {
        let mut from = Some(from);
        while let Some(place) = from {
            if self.routes.len() >= self.limit {
                return Some(place);
            }
            let (view, filter) = (self.view, self.filter.clone());
            let size = PageSize { routes_max: self.limit - self.routes.len(), looked_at_max: LOOKED_AT_MAX };
            let page =
                handle.with(move |speaker, _| speaker.page((view, family), &filter, place, size)).await?;
            let told = page.routes.iter().map(|route| told(&self.site, (speaker, family), route));
            self.routes.extend(told);
            from = page.next;
        }
        None
    }
}

fn told(site: &Site, (speaker, family): (Id, Family), route: &RouteStatus) -> Value {
    let distinguisher = route.destination.distinguisher();
    let mut told = json!(route);
    told["speaker_id"] = json!(speaker);
    told["family"] = json!(family.to_string());
    told["prefix"] = json!(route.destination.prefix());
    told["route_distinguisher"] = json!(distinguisher.map(|it| it.to_string()));
    let alarm = site.alarms.open_of(&route.destination.to_string());
    told["alarm"] = json!(alarm.map(|alarm| alarm.finding));
    told
}
