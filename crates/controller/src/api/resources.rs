//! The resources of the catalogue: list, show, create, update, delete. One set of functions for all of them.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use weft_services::catalogue::{Entry, MemberAction, Method, Place};
use weft_services::{Change, Id, Query, Refusal};

use super::bgp;
use super::live::{Advertising, Live};
use super::respond::{Answer, Problem, empty, json_answer, ok};
use super::route::{Api, Asked};
use super::url_query::UrlQuery;

/// The most resources that one request may make.
const BULK_MAX: usize = 1000;

/// What is asked of a collection, and that it is the parent's where it is one's.
pub(super) fn query(asked: &UrlQuery, place: &Place<'_>) -> Result<Query, Refusal> {
    let mut query = asked.to_query()?;
    query.conditions.splice(0..0, place.condition());
    Ok(query)
}

pub(crate) fn list(api: &Api, asked: &Asked, place: &Place<'_>) -> Result<Answer, Problem> {
    let (entry, url_query) = (place.entry, asked.query());
    let query = query(&url_query, place)?;
    let snapshot = api.site.durable();
    place.check(&snapshot.model.0)?;
    let page = query.run(entry, &snapshot.model.0, &Live(&api.site))?;
    let links = query.limit.map(|limit| page_links(asked, &url_query, &page.items, limit));
    let fields = url_query.fields();
    let items: Vec<Value> =
        page.items.into_iter().map(|item| Value::Object(chosen(item, fields.as_deref()))).collect();
    let mut body = Map::new();
    body.insert(entry.collection_in_json().into(), Value::Array(items));
    if let Some(links) = links {
        body.insert(format!("{}_links", entry.collection_in_json()), links);
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

pub(crate) fn show(api: &Api, asked: &Asked, place: &Place<'_>, id: &str) -> Result<Answer, Problem> {
    let (entry, snapshot) = (place.entry, api.site.durable());
    place.check(&snapshot.model.0)?;
    let item = entry.render(&snapshot.model.0, id, &Live(&api.site)).ok_or_else(|| entry.not_found(id))?;
    let query = asked.query();
    let item = chosen(item, query.fields().as_deref());
    Ok(ok(&json!({ entry.member_in_json(): item })))
}

// What was made or changed is rendered after the commit, of the model as it was then: the head is held no longer than it must.

pub(crate) async fn create(api: &Api, asked: &Asked, place: &Place<'_>) -> Result<Answer, Problem> {
    let (entry, mut body) = (place.entry, asked.object()?);
    if let Some(many) = body.remove(entry.collection_in_json()) {
        return create_many(api, asked, place, many).await;
    }
    let request = place.within(member(&mut body, entry)?)?;
    let make = |change: &mut Change| {
        place.check(change.model())?;
        Ok::<_, Refusal>((entry.create(change, &request)?, change.model().clone()))
    };
    let (_, (id, model)) = api.site.transact(&asked.caller(), None, make).await?;
    let made = entry.render(&model, &id, &Live(&api.site));
    Ok(json_answer(StatusCode::CREATED, &json!({ entry.member_in_json(): made })))
}

async fn create_many(api: &Api, asked: &Asked, place: &Place<'_>, many: Value) -> Result<Answer, Problem> {
    let (entry, collection) = (place.entry, place.entry.collection_in_json());
    let Value::Array(many) = many else {
        return Err(Problem::malformed(format!("'{collection}' in the request body is not a list")));
    };
    if many.is_empty() {
        return Err(Problem::malformed("Resources required"));
    }
    if many.len() > BULK_MAX {
        return Err(Problem::malformed(format!("More than {BULK_MAX} {collection} are asked for at once")));
    }
    let within = |one| Ok::<_, Problem>(place.within(unwrap_member(one, entry)?)?);
    let requests: Vec<Map<String, Value>> = many.into_iter().map(within).collect::<Result<_, _>>()?;
    let make = |change: &mut Change| {
        place.check(change.model())?;
        let ids = requests
            .iter()
            .map(|request| entry.create(change, request))
            .collect::<Result<Vec<_>, Refusal>>()?;
        Ok::<_, Refusal>((ids, change.model().clone()))
    };
    let (_, (ids, model)) = api.site.transact(&asked.caller(), None, make).await?;
    let made: Vec<_> = ids.iter().map(|id| entry.render(&model, id, &Live(&api.site))).collect();
    Ok(json_answer(StatusCode::CREATED, &json!({ collection: made })))
}

/// Neutron takes `{"ports": [{…}]}` and also `{"ports": [{"port": {…}}]}`.
fn unwrap_member(one: Value, entry: &Entry) -> Result<Map<String, Value>, Problem> {
    match one {
        Value::Object(mut object) => match object.remove(entry.member_in_json()) {
            Some(Value::Object(inner)) => Ok(inner),
            Some(_) => Err(Problem::malformed("Body contains invalid data")),
            None => Ok(object),
        },
        _ => Err(Problem::malformed("Body contains invalid data")),
    }
}

fn member(body: &mut Map<String, Value>, entry: &Entry) -> Result<Map<String, Value>, Problem> {
    let member = entry.member_in_json();
    match body.remove(member) {
        Some(Value::Object(request)) => Ok(request),
        Some(_) => Err(Problem::malformed("Body contains invalid data")),
        None => Err(Problem::malformed(format!("Unable to find '{member}' in request body"))),
    }
}

pub(crate) async fn update(api: &Api, asked: &Asked, place: &Place<'_>, id: &str) -> Result<Answer, Problem> {
    let entry = place.entry;
    let request = member(&mut asked.object()?, entry)?;
    let required = required_revision(asked);
    let make = |change: &mut Change| {
        place.check(change.model())?;
        entry.update(change, id, &request, required)?;
        Ok::<_, Refusal>(change.model().clone())
    };
    let (_, model) = api.site.transact(&asked.caller(), None, make).await?;
    let made = entry.render(&model, id, &Live(&api.site));
    Ok(ok(&json!({ entry.member_in_json(): made })))
}

pub(crate) async fn delete(api: &Api, asked: &Asked, place: &Place<'_>, id: &str) -> Result<Answer, Problem> {
    let required = required_revision(asked);
    let make = |change: &mut Change| {
        place.check(change.model())?;
        place.entry.delete(change, id, required)
    };
    api.site.transact(&asked.caller(), None, make).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// An action on a resource: its answer, or the resource as it is after it.
pub(crate) async fn act(
    api: &Api,
    asked: &Asked,
    place: &Place<'_>,
    (id, action): (&str, &'static MemberAction),
) -> Result<Answer, Problem> {
    let entry = place.entry;
    if action.method() == Method::Get {
        asked.allow("GET, HEAD")?;
        return ask(api, place, (id, action)).await;
    }
    asked.allow("PUT")?;
    let mut body = asked.object()?;
    let request = if action.is_of_member { member(&mut body, entry)? } else { body };
    let required = required_revision(asked);
    let make = |change: &mut Change| {
        place.check(change.model())?;
        let answer = entry.act(change, (id, action), &request, required)?;
        Ok::<_, Refusal>((answer, change.model().clone()))
    };
    let (_, (answer, model)) = api.site.transact(&asked.caller(), None, make).await?;
    if !action.is_of_member {
        return Ok(ok(&Value::Object(answer)));
    }
    let changed = entry.render(&model, id, &Live(&api.site));
    Ok(ok(&json!({ entry.member_in_json(): changed })))
}

/// What an action answers that changes nothing.
async fn ask(
    api: &Api,
    place: &Place<'_>,
    (id, action): (&str, &'static MemberAction),
) -> Result<Answer, Problem> {
    let (entry, snapshot) = (place.entry, api.site.durable());
    let model = &snapshot.model.0;
    place.check(model)?;
    let known = id.parse::<Id>().ok().filter(|_| entry.contains(model, id));
    let advertised = match known {
        Some(id) if action.name == "get_advertised_routes" => bgp::advertised(&api.site, id).await,
        _ => Vec::new(),
    };
    let statuses = Advertising { live: Live(&api.site), routes: advertised };
    let answer = known.and_then(|id| action.ask(model, id, &statuses));
    Ok(ok(&Value::Object(answer.ok_or_else(|| entry.not_found(id))?)))
}

/// `If-Match: revision_number=N`; what is not of this form is passed over, as Neutron does.
fn required_revision(asked: &Asked) -> Option<u64> {
    let text = asked.headers.get("if-match")?.to_str().ok()?;
    text.strip_prefix("revision_number=")?.parse().ok()
}
