//! The resources of the catalogue: list, show, create, update, delete. One set of functions for all of them.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use weft_services::catalogue::Entry;
use weft_services::{Change, Refusal};

use super::live::Live;
use super::respond::{Answer, Problem, empty, json_answer, ok};
use super::route::{Api, Asked};
use super::url_query::UrlQuery;

/// The most resources that one request may make.
const BULK_MAX: usize = 1000;

pub(crate) fn list(api: &Api, asked: &Asked, entry: &Entry) -> Result<Answer, Problem> {
    let url_query = asked.query();
    let query = url_query.to_query()?;
    let snapshot = api.site.durable();
    let page = query.run(entry, &snapshot.model.0, &Live(&api.site))?;
    let links = query.limit.map(|limit| page_links(asked, &url_query, &page.items, limit));
    let fields = url_query.fields();
    let items: Vec<Value> =
        page.items.into_iter().map(|item| Value::Object(chosen(item, fields.as_deref()))).collect();
    let mut body = Map::new();
    body.insert(entry.collection.into(), Value::Array(items));
    if let Some(links) = links {
        body.insert(format!("{}_links", entry.collection), links);
    }
    Ok(ok(&Value::Object(body)))
}

/// Neutron's links: `next` unless a forward page is short, `previous` unless a backward page is.
fn page_links(asked: &Asked, query: &UrlQuery, items: &[Map<String, Value>], limit: usize) -> Value {
    let reverse = query.flag("page_reverse");
    let is_short = items.len() < limit;
    let id =
        |item: Option<&Map<String, Value>>| item.and_then(|item| item.get("id")?.as_str().map(str::to_owned));
    let (first, last) = (id(items.first()), id(items.last()));
    let link = |rel: &str, marker: Option<&str>, reverse| {
        let href = format!("{}{}?{}", asked.origin(), asked.uri.path(), query.link(marker, reverse));
        json!({ "rel": rel, "href": href })
    };
    let mut links = Vec::new();
    if !is_short || reverse {
        links.push(link("next", last.as_deref(), false));
    }
    if !is_short || !reverse {
        links.push(link("previous", first.as_deref(), true));
    }
    Value::Array(links)
}

/// The attributes of a resource that are asked for; without a choice, all.
pub(super) fn chosen(mut item: Map<String, Value>, fields: Option<&[impl AsRef<str>]>) -> Map<String, Value> {
    if let Some(fields) = fields {
        item.retain(|name, _| fields.iter().any(|field| field.as_ref() == name));
    }
    item
}

pub(crate) fn show(api: &Api, asked: &Asked, entry: &Entry, id: &str) -> Result<Answer, Problem> {
    let snapshot = api.site.durable();
    let item = entry.render(&snapshot.model.0, id, &Live(&api.site)).ok_or_else(|| entry.not_found(id))?;
    let query = asked.query();
    let item = chosen(item, query.fields().as_deref());
    Ok(ok(&json!({ entry.member: item })))
}

// What was made or changed is rendered after the commit, of the model as it was then: the head is held no longer than it must.

pub(crate) async fn create(api: &Api, asked: &Asked, entry: &'static Entry) -> Result<Answer, Problem> {
    let mut body = asked.object()?;
    if let Some(many) = body.remove(entry.collection) {
        return create_many(api, asked, entry, many).await;
    }
    let request = member(&mut body, entry)?;
    let make =
        |change: &mut Change| Ok::<_, Refusal>((entry.create(change, &request)?, change.model().clone()));
    let (_, (id, model)) = api.site.transact(&asked.caller(), None, make).await?;
    let made = entry.render(&model, &id, &Live(&api.site));
    Ok(json_answer(StatusCode::CREATED, &json!({ entry.member: made })))
}

async fn create_many(
    api: &Api,
    asked: &Asked,
    entry: &'static Entry,
    many: Value,
) -> Result<Answer, Problem> {
    let Value::Array(many) = many else {
        return Err(Problem::malformed(format!("'{}' in the request body is not a list", entry.collection)));
    };
    if many.is_empty() {
        return Err(Problem::malformed("Resources required"));
    }
    if many.len() > BULK_MAX {
        return Err(Problem::malformed(format!(
            "More than {BULK_MAX} {} are asked for at once",
            entry.collection
        )));
    }
    let requests: Vec<Map<String, Value>> =
        many.into_iter().map(|one| unwrap_member(one, entry)).collect::<Result<_, _>>()?;
    let make = |change: &mut Change| {
        let ids = requests
            .iter()
            .map(|request| entry.create(change, request))
            .collect::<Result<Vec<_>, Refusal>>()?;
        Ok::<_, Refusal>((ids, change.model().clone()))
    };
    let (_, (ids, model)) = api.site.transact(&asked.caller(), None, make).await?;
    let made: Vec<_> = ids.iter().map(|id| entry.render(&model, id, &Live(&api.site))).collect();
    Ok(json_answer(StatusCode::CREATED, &json!({ entry.collection: made })))
}

/// Neutron takes `{"ports": [{…}]}` and also `{"ports": [{"port": {…}}]}`.
fn unwrap_member(one: Value, entry: &Entry) -> Result<Map<String, Value>, Problem> {
    match one {
        Value::Object(mut object) => match object.remove(entry.member) {
            Some(Value::Object(inner)) => Ok(inner),
            Some(_) => Err(Problem::malformed("Body contains invalid data")),
            None => Ok(object),
        },
        _ => Err(Problem::malformed("Body contains invalid data")),
    }
}

fn member(body: &mut Map<String, Value>, entry: &Entry) -> Result<Map<String, Value>, Problem> {
    match body.remove(entry.member) {
        Some(Value::Object(request)) => Ok(request),
        Some(_) => Err(Problem::malformed("Body contains invalid data")),
        None => Err(Problem::malformed(format!("Unable to find '{}' in request body", entry.member))),
    }
}

pub(crate) async fn update(
    api: &Api,
    asked: &Asked,
    entry: &'static Entry,
    id: &str,
) -> Result<Answer, Problem> {
    let request = member(&mut asked.object()?, entry)?;
    let required = required_revision(asked);
    let make = |change: &mut Change| {
        entry.update(change, id, &request, required)?;
        Ok::<_, Refusal>(change.model().clone())
    };
    let (_, model) = api.site.transact(&asked.caller(), None, make).await?;
    let made = entry.render(&model, id, &Live(&api.site));
    Ok(ok(&json!({ entry.member: made })))
}

pub(crate) async fn delete(
    api: &Api,
    asked: &Asked,
    entry: &'static Entry,
    id: &str,
) -> Result<Answer, Problem> {
    let required = required_revision(asked);
    api.site.transact(&asked.caller(), None, |change| entry.delete(change, id, required)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `If-Match: revision_number=N`; what is not of this form is passed over, as Neutron does.
fn required_revision(asked: &Asked) -> Option<u64> {
    let text = asked.headers.get("if-match")?.to_str().ok()?;
    text.strip_prefix("revision_number=")?.parse().ok()
}
