//! `do`: an action on one resource.

use anyhow::Result;
use weft_services::catalogue::Method;

use super::create::{report, values};
use crate::actions::Do;
use crate::context::Context;
use crate::exit::Exit;
use crate::names;
use crate::output::to_yaml;

/// Runs the verb.
pub(crate) async fn run(context: &Context, asked: &Do) -> Result<Exit> {
    let client = context.client()?;
    let attributes = values(&client, &asked.given).await?;
    let id = names::resolve(&client, asked.kind, &asked.name).await?;
    let answer = client.act(asked.kind, (&id, asked.action), attributes, asked.revision).await?;
    let done = asked.action.name.replace('_', " ");
    if asked.action.is_of_member {
        report(context, asked.kind, &format!("{done}:"), &answer)?;
    } else if !context.print_value(&answer)? {
        match asked.action.method() {
            Method::Get => context.console.out(&to_yaml(&serde_json::Value::Object(answer))?)?,
            Method::Put => context.console.done(&format!("{done}: {} {}", asked.kind.member, asked.name))?,
        }
    }
    Ok(Exit::Ok)
}
