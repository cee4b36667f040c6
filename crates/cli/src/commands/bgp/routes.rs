//! Tables of routes.

use anyhow::Result;
use weft_client::{Object, Rib};

use super::{Routes, list, text};
use crate::context::Context;
use crate::output::{Format, Table};

/// Shows the routes of a table.
pub(super) async fn show(context: &Context, rib: Rib, wanted: &Routes) -> Result<()> {
    let (routes, has_more) = context.client()?.bgp_routes(rib, &filters(wanted), wanted.limit.max(1)).await?;
    if context.print_value(&routes)? {
        return Ok(());
    }
    if context.format == Format::Name {
        let names: Vec<String> = routes.iter().map(|route| text(route, "destination")).collect();
        context.print_names(&names)?;
    } else {
        context.print_table(&table(&routes, context.format == Format::Wide), "There are no such routes.")?;
    }
    for route in routes.iter().filter(|route| !text(route, "alarm").is_empty()) {
        let (destination, alarm) = (text(route, "destination"), text(route, "alarm"));
        context.console.note(&format!("alarm: {destination}: {alarm}"))?;
    }
    if has_more {
        context.console.note(&format!("There are more than {}; --limit shows more.", routes.len()))?;
    }
    Ok(())
}

fn filters(wanted: &Routes) -> Vec<(String, String)> {
    let family = (!wanted.family.is_empty()).then(|| wanted.family.join("-"));
    let given = [
        ("family", family),
        ("prefix", wanted.prefix.clone()),
        ("vrf", wanted.vrf.clone()),
        ("route_distinguisher", wanted.route_distinguisher.clone()),
        ("route_target", wanted.route_target.clone()),
        ("route_type", wanted.route_type.map(|number| number.to_string())),
        ("local", wanted.local.then(|| "true".to_owned())),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// A line for each path; `>` is before the best.
fn table(routes: &[Object], is_wide: bool) -> Table {
    let headers =
        ["", "DESTINATION", "NEXT HOP", "LABEL", "LOCAL PREF", "MED", "AS PATH", "FROM", "ROUTE TARGETS"];
    let more = ["FAMILY", "ORIGIN", "COMMUNITIES", "EXTENDED COMMUNITIES"].into_iter().filter(|_| is_wide);
    let mut table = Table::new(headers.into_iter().chain(more));
    for route in routes {
        for (number, path) in list(route, "paths").enumerate() {
            let from = text(path, "neighbor");
            let stale = if text(path, "is_stale") == "true" { "s" } else { "" };
            let cells = [
                format!("{}{stale}", if number == 0 { ">" } else { "" }),
                text(route, "destination"),
                text(path, "next_hop"),
                text(path, "label"),
                text(path, "local_pref"),
                text(path, "multi_exit_disc"),
                text(path, "as_path"),
                if from.is_empty() { "local".to_owned() } else { from },
                text(path, "route_targets"),
            ];
            let more = [
                text(route, "family"),
                text(path, "origin"),
                text(path, "communities"),
                text(path, "extended_communities"),
            ];
            table.row(cells.into_iter().chain(more.into_iter().filter(|_| is_wide)));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn a_path_is_a_line_and_the_best_is_marked() {
        let route = json!({"destination": "[5]:[192.0.2.1:7]:[0]:[10.0.0.0/8]", "family": "evpn", "paths": [
            {"neighbor": null, "next_hop": "192.0.2.1", "label": 5001, "local_pref": 100, "as_path": "",
                "route_targets": ["64512:100"], "is_stale": false},
            {"neighbor": "192.0.2.9", "next_hop": "192.0.2.9", "label": 7, "local_pref": 90, "as_path": "64513",
                "multi_exit_disc": 5, "route_targets": ["64512:100", "64512:200"], "is_stale": true},
        ]});
        expect![[r#"
                DESTINATION                          NEXT HOP    LABEL   LOCAL PREF   MED   AS PATH   FROM        ROUTE TARGETS
            >   [5]:[192.0.2.1:7]:[0]:[10.0.0.0/8]   192.0.2.1   5001    100                          local       64512:100
            s   [5]:[192.0.2.1:7]:[0]:[10.0.0.0/8]   192.0.2.9   7       90           5     64513     192.0.2.9   64512:100, 64512:200
        "#]]
        .assert_eq(&table(&[route.as_object().unwrap().clone()], false).render(false, true));
    }
}
