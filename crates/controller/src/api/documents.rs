//! What describes the API and the process: versions, extensions, OpenAPI, health, metrics.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use weft_services::catalogue::{CATALOGUE, EXTENSIONS, Entry, Extension, Place, Target};

use super::respond::{Answer, Problem, ok, typed_answer};
use super::route::{Api, Asked};
use super::{openapi, status};
use crate::bgp::BgpMoment;
use crate::metrics::Moment;

const READ_ONLY: &str = "GET, HEAD";

pub(crate) async fn answer(api: &Api, asked: &Asked, path: &[&str]) -> Result<Answer, Problem> {
    let found = match path {
        ["metrics"] => metrics(api).await,
        other => document(api, asked, other)?,
    };
    asked.allow(READ_ONLY)?;
    Ok(found)
}

fn document(api: &Api, asked: &Asked, path: &[&str]) -> Result<Answer, Problem> {
    match path {
        [""] => Ok(versions(asked)),
        ["healthz" | "healthcheck"] => Ok(typed_answer(StatusCode::OK, "text/plain", "OK")),
        ["readyz"] => Ok(ready(api)),
        ["version"] => Ok(ok(&json!({ "version": env!("CARGO_PKG_VERSION") }))),
        ["openapi.json"] => Ok(ok(&openapi::document())),
        ["docs"] => Ok(moved("/docs/")),
        ["docs", rest @ ..] => swagger(&rest.join("/")),
        _ => Err(Problem::no_such_path()),
    }
}

fn version(asked: &Asked) -> Value {
    let link = json!({ "rel": "self", "href": format!("{}/v2.0/", asked.origin()) });
    json!({ "id": "v2.0", "status": "CURRENT", "links": [link] })
}

fn versions(asked: &Asked) -> Answer {
    ok(&json!({ "versions": [version(asked)] }))
}

pub(crate) fn collections(asked: &Asked) -> Result<Answer, Problem> {
    asked.allow(READ_ONLY)?;
    let resource = |entry: &'static Entry| {
        let place = Place { entry, parent: None, target: Target::Collection };
        let href = format!("{}/v2.0/{}", asked.origin(), place.path(str::to_owned));
        json!({ "name": entry.member_in_json(), "collection": entry.collection_in_json(), "links": [{ "rel": "self", "href": href }] })
    };
    let resources: Vec<Value> = CATALOGUE.iter().map(resource).collect();
    // A client that was told the version looks for it here.
    Ok(ok(&json!({ "version": version(asked), "resources": resources })))
}

fn extension_value((alias, name): &Extension) -> Value {
    json!({ "alias": alias, "name": name, "description": name, "updated": "2026-11-21T00:00:00-00:00", "links": [] })
}

pub(crate) fn extensions(asked: &Asked) -> Result<Answer, Problem> {
    asked.allow(READ_ONLY)?;
    let mut all: Vec<&Extension> = EXTENSIONS.iter().copied().flatten().collect();
    all.sort();
    let extensions: Vec<Value> = all.into_iter().map(extension_value).collect();
    Ok(ok(&json!({ "extensions": extensions })))
}

pub(crate) fn extension(asked: &Asked, alias: &str) -> Result<Answer, Problem> {
    asked.allow(READ_ONLY)?;
    let found = EXTENSIONS.iter().copied().flatten().find(|(known, _)| *known == alias);
    // In Neutron's words.
    let message = || format!("Extension with alias {alias} does not exist");
    let missing = || Problem::Http(StatusCode::NOT_FOUND, "HTTPNotFound", message());
    let found = found.ok_or_else(missing)?;
    Ok(ok(&json!({ "extension": extension_value(found) })))
}

/// Ready: what the store holds has been handed to the agents' side, and what was last to be written has been.
fn ready(api: &Api) -> Answer {
    let (durable, distributed) = (api.site.durable().version, api.site.distribution.lock().version());
    let can_write = api.site.can_write();
    let body = json!({
        "version": durable.to_string(), "distributed": distributed.to_string(), "can_write": can_write,
    });
    let is_ready = can_write && distributed.epoch == durable.epoch;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    super::respond::json_answer(status, &body)
}

async fn metrics(api: &Api) -> Answer {
    let bgp = BgpMoment::of(&api.site).await;
    let snapshot = api.site.durable();
    let (agents, hosts_behind) = {
        let distribution = api.site.distribution.lock();
        (distribution.connected(), distribution.behind())
    };
    let text = api.site.metrics.text(Moment {
        agents,
        hosts_behind,
        quarantined: status::quarantined(&snapshot.model.0).count(),
        revision: snapshot.version.revision.get(),
        bgp,
    });
    typed_answer(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text)
}

fn moved(to: &'static str) -> Answer {
    let mut answer = super::respond::empty(StatusCode::PERMANENT_REDIRECT);
    answer.headers_mut().insert("location", axum::http::HeaderValue::from_static(to));
    answer
}

fn swagger(path: &str) -> Result<Answer, Problem> {
    let path = if path.is_empty() { "index.html" } else { path };
    let config = Arc::new(utoipa_swagger_ui::Config::from("/openapi.json"));
    match utoipa_swagger_ui::serve(path, config) {
        Ok(Some(file)) => {
            let mut answer =
                typed_answer(StatusCode::OK, "application/octet-stream", file.bytes.into_owned());
            if let Ok(media_type) = file.content_type.parse() {
                answer.headers_mut().insert("content-type", media_type);
            }
            Ok(answer)
        }
        Ok(None) | Err(_) => Err(Problem::no_such_path()),
    }
}
