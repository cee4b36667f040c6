//! `GET /v1/bgp/…`: neighbours, the tables of RFC 4271 §3.2, and why a path is the best.
//!
//! ```text
//! neighbors[/ADDRESS]                       sessions, and the routes of each family
//! neighbors/ADDRESS/adj-in|adj-out · rib    routes, in pages: `limit`, `marker`
//! explain?destination=…                     how the paths to a destination were compared
//! ```
//!
//! A table is read some thousand routes at a time: neither neighbours nor other requests wait for a whole one.

mod advertised;
mod explain;
mod neighbors;
mod parameters;
mod routes;

pub(crate) use advertised::advertised;
pub(crate) use parameters::{prefix, vrfs};
use weft_bgp::speaker::RibView;

use super::respond::{Answer, Problem};
use super::route::{Api, Asked};

pub(crate) async fn answer(api: &Api, asked: &Asked, path: &[&str]) -> Result<Answer, Problem> {
    match path {
        ["neighbors"] => neighbors::list(api, asked).await,
        ["neighbors", address] => neighbors::show(api, asked, parameters::address(address)?).await,
        ["neighbors", address, "adj-in"] => {
            routes::list(api, asked, RibView::AdjRibIn(parameters::address(address)?)).await
        }
        ["neighbors", address, "adj-out"] => {
            routes::list(api, asked, RibView::AdjRibOut(parameters::address(address)?)).await
        }
        ["rib"] => routes::list(api, asked, RibView::LocRib).await,
        ["explain"] => explain::explain(api, asked).await,
        _ => Err(Problem::no_such_path()),
    }
}
