//! Tags of any resource: `/v2.0/{collection}/{id}/tags[/{tag}]`.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use weft_services::catalogue::{Entry, NoStatuses, Place};
use weft_services::{Change, Model, Refusal};

use super::respond::{Answer, Problem, empty, json_answer, ok};
use super::route::{Api, Asked};

/// Refuses what has no tags, whether it is there or not.
fn check_has_tags(entry: &Entry) -> Result<(), Problem> {
    if entry.attribute("tags").is_some() {
        return Ok(());
    }
    let message = format!("{}: these have no tags.", entry.collection);
    Err(Problem::Http(StatusCode::NOT_FOUND, "HTTPNotFound", message))
}

fn tags_of(model: &Model, entry: &Entry, id: &str) -> Result<BTreeSet<String>, Refusal> {
    let resource = entry.render(model, id, &NoStatuses).ok_or_else(|| entry.not_found(id))?;
    resource.get("tags").map_or_else(|| Err(entry.not_found(id)), weft_services::tags)
}

/// Replaces the tags of a resource by what `f` makes of them.
async fn replace(
    api: &Api,
    asked: &Asked,
    (place, id): (&Place<'_>, &str),
    f: impl Fn(BTreeSet<String>) -> Result<BTreeSet<String>, Refusal>,
) -> Result<BTreeSet<String>, Problem> {
    let entry = place.entry;
    let make = |change: &mut Change| {
        place.check(change.model())?;
        let before = tags_of(change.model(), entry, id)?;
        let after = f(before.clone())?;
        if before != after {
            entry.set_tags(change, id, after.clone())?;
        }
        Ok::<_, Refusal>(after)
    };
    Ok(api.site.transact(&asked.caller(), None, make).await?.1)
}

pub(crate) async fn all(api: &Api, asked: &Asked, place: &Place<'_>, id: &str) -> Result<Answer, Problem> {
    let entry = place.entry;
    check_has_tags(entry)?;
    match asked.method {
        Method::GET => {
            let snapshot = api.site.durable();
            place.check(&snapshot.model.0)?;
            let tags = tags_of(&snapshot.model.0, entry, id)?;
            Ok(ok(&json!({ "tags": tags })))
        }
        Method::PUT | Method::POST => {
            let body = asked.object()?;
            let given = body
                .get("tags")
                .ok_or_else(|| Problem::malformed("Unable to find 'tags' in request body"))?;
            let given = weft_services::tags(given)?;
            let adds = asked.method == Method::POST;
            let merge = |before: BTreeSet<String>| {
                Ok(if adds { before.into_iter().chain(given.clone()).collect() } else { given.clone() })
            };
            let tags = replace(api, asked, (place, id), merge).await?;
            Ok(ok(&json!({ "tags": tags })))
        }
        Method::DELETE => {
            replace(api, asked, (place, id), |_| Ok(BTreeSet::new())).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Err(Problem::Method("GET, HEAD, POST, PUT, DELETE")),
    }
}

pub(crate) async fn one(
    api: &Api,
    asked: &Asked,
    (place, id): (&Place<'_>, &str),
    tag: &str,
) -> Result<Answer, Problem> {
    let entry = place.entry;
    check_has_tags(entry)?;
    let missing = || Refusal::not_found("TagNotFound", "Tag", tag);
    match asked.method {
        Method::GET => {
            let snapshot = api.site.durable();
            place.check(&snapshot.model.0)?;
            let tags = tags_of(&snapshot.model.0, entry, id)?;
            if tags.contains(tag) { Ok(empty(StatusCode::NO_CONTENT)) } else { Err(missing().into()) }
        }
        Method::PUT => {
            let given = weft_services::tags(&json!([tag]))?;
            replace(api, asked, (place, id), |before| Ok(before.into_iter().chain(given.clone()).collect()))
                .await?;
            Ok(json_answer(StatusCode::CREATED, &Value::Null))
        }
        Method::DELETE => {
            let remove =
                |mut before: BTreeSet<String>| if before.remove(tag) { Ok(before) } else { Err(missing()) };
            replace(api, asked, (place, id), remove).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Err(Problem::Method("GET, HEAD, PUT, DELETE")),
    }
}
