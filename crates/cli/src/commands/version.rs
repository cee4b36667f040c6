//! `version`: of this program and of the controller.

use anyhow::Result;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;

/// Runs the verb; a controller that is away is no error.
pub(crate) async fn run(context: &Context) -> Result<Exit> {
    let client = context.client()?;
    let controller = client.version().await;
    let own = env!("CARGO_PKG_VERSION");
    let theirs = controller.as_ref().ok().map(|version| version.software.as_str());
    if !context.print_value(&json!({ "client": own, "controller": theirs, "url": client.url() }))? {
        context.console.out(&format!("weft {own}\n"))?;
        match &controller {
            Ok(version) => {
                context.console.out(&format!("controller {} at {}\n", version.software, client.url()))?
            }
            Err(error) => context.console.note(&error.to_string())?,
        }
    }
    Ok(Exit::Ok)
}
