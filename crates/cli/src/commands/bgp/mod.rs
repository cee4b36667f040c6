//! `bgp`: neighbours, tables of routes, and why a path is the best.

mod explain;
mod neighbor;
mod routes;

use std::net::IpAddr;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;
use weft_client::{Object, Rib};

use crate::context::Context;
use crate::exit::Exit;

/// What to show.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show neighbours and their sessions; of one, everything
    #[command(visible_aliases = ["neighbors", "summary"])]
    Neighbor(Neighbor),
    /// Show routes, the best path of each first
    Rib(Routes),
    /// Show what a neighbour has announced
    #[command(visible_alias = "received-routes")]
    AdjIn(Adjacent),
    /// Show what a neighbour has been told, as it was
    #[command(visible_alias = "advertised-routes")]
    AdjOut(Adjacent),
    /// Say how the paths to a destination were compared
    Explain(Explain),
}

/// Which neighbour.
#[derive(Args)]
pub(crate) struct Neighbor {
    /// The neighbour; all, if none is named
    address: Option<IpAddr>,
}

/// Which routes of a neighbour.
#[derive(Args)]
pub(crate) struct Adjacent {
    /// The neighbour
    address: IpAddr,

    #[command(flatten)]
    routes: Routes,
}

/// Which routes.
#[derive(Args)]
pub(crate) struct Routes {
    /// The address family: ipv4 unicast, ipv6 unicast, vpnv4, vpnv6, evpn (or l2vpn evpn), route-target [default: all]
    family: Vec<String>,

    /// Only to this prefix or parts of it, or to this address
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,

    /// Only what this VRF takes in or tells: by name or identifier of a router, BGP VPN, network or port
    #[arg(long, value_name = "NAME")]
    vrf: Option<String>,

    /// Only with this route distinguisher
    #[arg(long, value_name = "RD")]
    route_distinguisher: Option<String>,

    /// Only with this route target
    #[arg(long, value_name = "RT")]
    route_target: Option<String>,

    /// Only EVPN routes of this type: 2 MAC addresses, 3 multicast, 5 prefixes
    #[arg(long, value_name = "NUMBER")]
    route_type: Option<u8>,

    /// Only what we originate
    #[arg(long)]
    local: bool,

    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    limit: usize,
}

/// Which destination.
#[derive(Args)]
pub(crate) struct Explain {
    /// A prefix or an address, or a destination as `rib` shows it
    destination: String,
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    match verb {
        Verb::Neighbor(Neighbor { address: None }) => neighbor::list(context).await?,
        Verb::Neighbor(Neighbor { address: Some(address) }) => neighbor::show(context, *address).await?,
        Verb::Rib(wanted) => routes::show(context, Rib::Loc, wanted).await?,
        Verb::AdjIn(asked) => routes::show(context, Rib::AdjIn(asked.address), &asked.routes).await?,
        Verb::AdjOut(asked) => routes::show(context, Rib::AdjOut(asked.address), &asked.routes).await?,
        Verb::Explain(asked) => explain::show(context, &asked.destination).await?,
    }
    Ok(Exit::Ok)
}

/// A member as text; nothing of what is not there.
fn text(object: &Object, name: &str) -> String {
    object.get(name).map(crate::output::cell).unwrap_or_default()
}

/// A member as a list.
fn list<'o>(object: &'o Object, name: &str) -> impl Iterator<Item = &'o Object> {
    object.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}
