//! Neighbours: a line for each, or everything about one.

use std::net::IpAddr;

use anyhow::Result;
use serde_json::Value;
use weft_client::Object;

use super::{list as items, text};
use crate::context::Context;
use crate::output::{Format, Table};

/// Shows all of them.
pub(super) async fn list(context: &Context) -> Result<()> {
    let neighbors = context.client()?.bgp_neighbors().await?;
    if context.print_value(&neighbors)? {
        return Ok(());
    }
    if context.format == Format::Name {
        let names: Vec<String> = neighbors.iter().map(|neighbor| text(neighbor, "address")).collect();
        return context.print_names(&names);
    }
    let table = table(&neighbors, context.format == Format::Wide);
    context.print_table(&table, "There are no BGP neighbours.")
}

fn table(neighbors: &[Object], is_wide: bool) -> Table {
    let headers = ["NEIGHBOR", "NAME", "AS", "STATE", "UP", "RECEIVED", "TOLD", "FLAPS", "LAST ERROR"];
    let more = ["FAMILIES", "UPDATES IN", "UPDATES OUT"].into_iter().filter(|_| is_wide);
    let mut table = Table::new(headers.into_iter().chain(more));
    for neighbor in neighbors {
        let sum = |name: &str| {
            let counts = items(neighbor, "families").filter_map(|family| family.get(name)?.as_u64());
            counts.sum::<u64>().to_string()
        };
        let counted = |name: &str| neighbor.get("statistics").map(|all| all[name].to_string());
        let families: Vec<String> =
            items(neighbor, "families").map(|family| text(family, "family")).collect();
        let cells = [
            text(neighbor, "address"),
            text(neighbor, "name"),
            text(neighbor, "asn"),
            text(neighbor, "state"),
            neighbor.get("established_s").and_then(Value::as_u64).map(time).unwrap_or_default(),
            sum("received"),
            sum("told"),
            counted("ended").unwrap_or_default(),
            last_error(neighbor),
        ];
        let more = [
            families.join(", "),
            counted("updates_received").unwrap_or_default(),
            counted("updates_sent").unwrap_or_default(),
        ];
        table.row(cells.into_iter().chain(more.into_iter().filter(|_| is_wide)));
    }
    table
}

/// What ended the last session; of a neighbour that never had one, what came of the last attempt.
fn last_error(neighbor: &Object) -> String {
    let error = text(neighbor, "last_error");
    let is_up = text(neighbor, "state") == "established";
    if error.is_empty() && !is_up { text(neighbor, "last_attempt") } else { error }
}

/// Shows one.
pub(super) async fn show(context: &Context, address: IpAddr) -> Result<()> {
    let neighbor = context.client()?.bgp_neighbor(address).await?;
    if context.print_value(&neighbor)? {
        return Ok(());
    }
    if context.format == Format::Name {
        return context.print_names(&[text(&neighbor, "address")]);
    }
    let mut lines = String::new();
    for (name, value) in &neighbor {
        let shown = crate::output::cell(value);
        if !matches!(value, Value::Array(_) | Value::Object(_)) && !shown.is_empty() {
            lines.push_str(&format!("{:<14} {shown}\n", name.replace('_', " ")));
        }
    }
    for capability in neighbor.get("capabilities").and_then(Value::as_array).into_iter().flatten() {
        lines.push_str(&format!("{:<14} {}\n", "capability", crate::output::cell(capability)));
    }
    if let Some(Value::Object(statistics)) = neighbor.get("statistics") {
        for (name, count) in statistics {
            lines.push_str(&format!("{:<14} {count}\n", name.replace('_', " ")));
        }
    }
    context.console.out(&lines)?;
    let mut table = Table::new(["FAMILY", "RECEIVED", "LIMIT", "TOLD", "PENDING", "COMPLETE", "STALE"]);
    for family in items(&neighbor, "families") {
        let cells = ["family", "received", "prefix_limit", "told", "pending", "has_ended", "stale"];
        table.row(cells.map(|name| text(family, name)));
    }
    context.print_table(&table, "No family is spoken.")
}

fn time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days}d {clock}") } else { clock }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn a_neighbour_is_a_line_with_its_session_and_its_routes() {
        let neighbors = json!([
            {"address": "192.0.2.1", "name": "edge", "asn": 64512, "state": "established", "established_s": 3725,
                "last_error": null, "statistics": {"ended": 2}, "families": [
                    {"family": "evpn", "received": 3, "told": 5}, {"family": "vpnv4", "received": 1, "told": 0}]},
            {"address": "192.0.2.2", "name": "far", "asn": 64513, "state": "active", "established_s": null,
                "last_attempt": "connection refused", "statistics": {"ended": 0}, "families": []},
        ]);
        let neighbors: Vec<Object> =
            neighbors.as_array().unwrap().iter().map(|one| one.as_object().unwrap().clone()).collect();
        expect![[r#"
            NEIGHBOR    NAME   AS      STATE         UP         RECEIVED   TOLD   FLAPS   LAST ERROR
            192.0.2.1   edge   64512   established   01:02:05   4          5      2
            192.0.2.2   far    64513   active                   0          0      0       connection refused
        "#]]
        .assert_eq(&table(&neighbors, false).render(false, true));
    }
}
