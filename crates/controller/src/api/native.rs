//! What Neutron has no words for, below `/v1/`: declared sets, and the way to everything else there.

use serde_json::{Map, Value, json};
use weft_services::{Change, Declaration, declare};

use super::respond::{Answer, Problem, ok};
use super::route::{Api, Asked};
use super::{bgp, explain, history, rollback, status, transfer, watch};

pub(crate) async fn answer(api: &Api, asked: &Asked, path: &[&str]) -> Result<Answer, Problem> {
    match path {
        ["apply" | "rollback" | "restore"] => asked.allow("POST")?,
        ["history" | "status" | "explain" | "watch" | "snapshot"] | ["explain", "route"] | ["bgp", ..] => {
            asked.allow("GET, HEAD")?
        }
        _ => return Err(Problem::no_such_path()),
    }
    match path {
        ["apply"] => apply(api, asked).await,
        ["history"] => history::history(api, asked).await,
        ["rollback"] => rollback::rollback(api, asked).await,
        ["status"] => Ok(status::status(api)),
        ["bgp", rest @ ..] => bgp::answer(api, asked, rest).await,
        ["explain", "route"] => explain::route::explain(api, asked).await,
        ["explain"] => explain::explain(api, asked).await,
        ["watch"] => watch::everything(api, asked),
        ["snapshot"] => transfer::snapshot(api).await,
        ["restore"] => transfer::restore(api, asked).await,
        _ => Err(Problem::no_such_path()),
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplyBody {
    set: String,
    project_id: Option<String>,
    #[serde(default)]
    prune: bool,
    #[serde(default)]
    dry_run: bool,
    documents: Vec<Map<String, Value>>,
}

async fn apply(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let body: ApplyBody = typed_body(asked)?;
    let mut caller = asked.caller();
    if let Some(project) = &body.project_id {
        caller.project_id = project.as_str().into();
    }
    let declaration = Declaration { set: body.set, prune: body.prune, documents: body.documents };
    if body.dry_run {
        let mut change = api.site.change(&api.site.store.pending().model.0, &caller);
        let declared = declare(&mut change, &declaration)?;
        change.finish()?;
        return Ok(ok(&json!({ "revision": null, "changes": declared })));
    }
    let make = |change: &mut Change| declare(change, &declaration);
    let (version, declared) = api.site.transact(&caller, Some(&declaration.set), make).await?;
    Ok(ok(&json!({ "revision": version.to_string(), "changes": declared })))
}

/// A body with members of their types, and no others.
pub(crate) fn typed_body<T: serde::de::DeserializeOwned>(asked: &Asked) -> Result<T, Problem> {
    serde_json::from_value(Value::Object(asked.object()?))
        .map_err(|error| Problem::malformed(format!("Body contains invalid data: {error}")))
}
