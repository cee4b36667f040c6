//! What can be said in the query.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::StatusCode;
use ipnet::IpNet;
use weft_bgp::io::Handle;
use weft_bgp::speaker::RouteFilter;
use weft_bgp::wire::Family;
use weft_net::RouteTarget;
use weft_services::{Id, Model};

use crate::api::respond::Problem;
use crate::api::route::Api;
use crate::api::url_query::UrlQuery;

/// Refuses parameters that are not among these.
pub(super) fn only(query: &UrlQuery, known: &[&str]) -> Result<(), Problem> {
    match query.names().find(|name| !known.contains(name)) {
        Some(name) => {
            let known = known.join(", ");
            Err(Problem::malformed(format!("{name}: there is no such parameter; there are {known}")))
        }
        None => Ok(()),
    }
}

/// The value of a parameter, if it is given.
pub(super) fn value<T: FromStr<Err: std::fmt::Display>>(
    query: &UrlQuery,
    name: &str,
) -> Result<Option<T>, Problem> {
    let parse = |text: &str| text.parse().map_err(|error| Problem::malformed(format!("{name}: {error}")));
    query.get(name).filter(|text| !text.is_empty()).map(parse).transpose()
}

/// A neighbour's address, of a path.
pub(super) fn address(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| Problem::malformed(format!("address: '{text}' is not an IP address")))
}

/// A prefix, or an address as the prefix that holds nothing else.
pub(crate) fn prefix(name: &str, text: &str) -> Result<IpNet, Problem> {
    let of_address = || text.parse::<IpAddr>().map(IpNet::from);
    let parsed = text.parse::<IpNet>().map(|prefix| prefix.trunc()).or_else(|_| of_address());
    parsed.map_err(|_| Problem::malformed(format!("{name}: '{text}' is neither an address nor a prefix")))
}

/// The families that are asked about: all, if none is named.
pub(super) fn families(query: &UrlQuery) -> Result<Vec<Family>, Problem> {
    let family = value::<Family>(query, "family")?;
    Ok(family.map_or_else(|| Family::ALL.to_vec(), |family| vec![family]))
}

/// Which routes are asked about.
pub(super) fn filter(query: &UrlQuery, model: &Model) -> Result<RouteFilter, Problem> {
    let target = value::<RouteTarget>(query, "route_target")?;
    let of_vrf = query.get("vrf").map(|text| targets_of(model, text)).transpose()?;
    let targets = match (target, of_vrf) {
        (None, of_vrf) => of_vrf,
        (Some(target), None) => Some(BTreeSet::from([target])),
        (Some(target), Some(of_vrf)) => Some(of_vrf.into_iter().filter(|one| *one == target).collect()),
    };
    Ok(RouteFilter {
        exactly: None,
        within: query.get("prefix").map(|text| prefix("prefix", text)).transpose()?,
        distinguisher: value(query, "route_distinguisher")?,
        targets,
        route_type: value(query, "route_type")?,
        is_local: query.flag("local"),
    })
}

/// The route targets by which routes get into the VRFs of this name or identifier and out of them.
fn targets_of(model: &Model, text: &str) -> Result<BTreeSet<RouteTarget>, Problem> {
    let vrfs = vrfs(model, "vrf", text)?;
    let vrfs = vrfs.into_iter().filter_map(|id| model.vrf(id));
    let targets = vrfs.flat_map(|vrf| vrf.imports.iter().chain(&vrf.exports));
    Ok(targets.filter_map(|target| target.route_target()).collect())
}

/// The VRFs that are meant by a name or an identifier.
pub(crate) fn vrfs(model: &Model, field: &str, text: &str) -> Result<BTreeSet<Id>, Problem> {
    let found = weft_services::vrf::called(model, text);
    if found.is_empty() {
        let message =
            format!("{field}: no VRF, router, BGP VPN, network or port that is in a VRF is called '{text}'");
        return Err(Problem::Http(StatusCode::NOT_FOUND, "VrfNotFound", message));
    }
    Ok(found)
}

/// The speakers that are asked: all, or the one of this name or identifier.
pub(super) fn speakers(api: &Api, query: &UrlQuery) -> Result<Vec<(Id, Handle)>, Problem> {
    let running = api.site.speakers.all();
    let Some(wanted) = query.get("speaker") else { return Ok(running) };
    let snapshot = api.site.durable();
    let rows = snapshot.model.0.bgp_speakers().map(|speaker| &speaker.standard);
    let meant: BTreeSet<Id> =
        rows.filter(|row| row.name == wanted || row.id.to_string() == wanted).map(|row| row.id).collect();
    if meant.is_empty() {
        let message = format!("speaker: no BGP speaker is called '{wanted}'");
        return Err(Problem::Http(StatusCode::NOT_FOUND, "BgpSpeakerNotFound", message));
    }
    Ok(running.into_iter().filter(|(id, _)| meant.contains(id)).collect())
}

/// What is said where nobody has such a neighbour.
pub(super) fn no_such_neighbor(address: IpAddr) -> Problem {
    let message = format!("address: no BGP speaker has a neighbor {address}");
    Problem::Http(StatusCode::NOT_FOUND, "BgpNeighborNotFound", message)
}
