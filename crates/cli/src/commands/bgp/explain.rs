//! How the paths to a destination were compared.

use anyhow::Result;
use serde_json::Value;
use weft_client::Object;

use super::{list, text};
use crate::console::{Console, Paint};
use crate::context::Context;
use crate::output::Format;

/// Shows how.
pub(super) async fn show(context: &Context, destination: &str) -> Result<()> {
    let explained = context.client()?.bgp_explain(destination).await?;
    if context.print_value(&explained)? {
        return Ok(());
    }
    if context.format == Format::Name {
        let names: Vec<String> = explained.iter().map(|one| text(one, "destination")).collect();
        return context.print_names(&names);
    }
    let told: String = explained.iter().map(|one| told(&context.console, one)).collect();
    Ok(context.console.out(&told)?)
}

fn told(console: &Console, explained: &Object) -> String {
    let heading = format!("{} ({})", text(explained, "destination"), text(explained, "family"));
    let best = explained.get("best").and_then(Value::as_object).map(path).unwrap_or_default();
    let mut lines = format!("{}\n  > {best}\n", console.paint(Paint::Strong, &heading));
    let mut count = 0;
    for beaten in list(explained, "beaten") {
        count += 1;
        let also = if text(beaten, "is_equal") == "true" { "; traffic may be shared with it" } else { "" };
        let loser = beaten.get("path").and_then(Value::as_object).map(path).unwrap_or_default();
        lines.push_str(&format!("    {loser}\n      beaten at {}: ", text(beaten, "step")));
        lines.push_str(&format!("of the better one, {}{also}\n", text(beaten, "because")));
    }
    if count == 0 {
        lines.push_str(&format!("    {}\n", text(explained, "because")));
    }
    lines
}

fn path(path: &Object) -> String {
    let from = text(path, "neighbor");
    let from = if from.is_empty() { "originated here".to_owned() } else { format!("from {from}") };
    let named =
        [("local_pref", "LOCAL_PREF"), ("as_path", "AS_PATH"), ("multi_exit_disc", "MULTI_EXIT_DISC")];
    let named = named.into_iter().filter_map(|(name, shown)| {
        let value = text(path, name);
        (!value.is_empty()).then(|| format!(", {shown} {value}"))
    });
    format!("{from}, next hop {}{}", text(path, "next_hop"), named.collect::<String>())
}
