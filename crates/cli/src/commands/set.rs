//! `set`: changes attributes of one resource.

use anyhow::Result;

use super::create::{report, values};
use crate::context::Context;
use crate::exit::Exit;
use crate::generated::Set;
use crate::names;

/// Runs the verb.
pub(crate) async fn run(context: &Context, set: &Set) -> Result<Exit> {
    let client = context.client()?;
    let attributes = values(&client, &set.given).await?;
    let id = names::resolve(&client, set.kind, &set.name).await?;
    let object = client.update(set.kind, &id, attributes, set.revision).await?;
    report(context, set.kind, "updated", &object)?;
    Ok(Exit::Ok)
}
