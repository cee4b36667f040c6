//! `explain route`: a route from who asked for it to the kernels of hosts.

use anyhow::Result;
use clap::Args;
use serde_json::Value;
use weft_client::Object;

use crate::console::{Console, Paint};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Format, cell};

/// What `explain route` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// A VRF, by name or identifier: that of a router, a BGP VPN, a network or a port
    from: String,

    /// A prefix or an address
    destination: String,

    /// Only what this host was told and has
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let Arguments { from, destination, host } = arguments;
    let routes = context.client()?.explain_route(from, destination, host.as_deref()).await?;
    if context.print_value(&routes)? {
        return Ok(Exit::Ok);
    }
    if context.format == Format::Name {
        let names: Vec<String> = routes.iter().map(|route| text(route, "destination")).collect();
        context.print_names(&names)?;
        return Ok(Exit::Ok);
    }
    let told: String = routes.iter().map(|route| told(&context.console, route)).collect();
    context.console.out(&told)?;
    Ok(Exit::Ok)
}

fn told(console: &Console, route: &Object) -> String {
    let none = Object::new();
    let vrf = member(route, "vrf").unwrap_or(&none);
    let of = member(vrf, "of").map(named).unwrap_or_default();
    let heading = format!("{} in the VRF of {of}, VNI {}", text(route, "destination"), text(vrf, "vni"));
    let mut lines = format!("{}\n", console.paint(Paint::Strong, &heading));
    lines.push_str(&format!(
        "  imports {}; exports {}\n",
        text(vrf, "import_targets"),
        text(vrf, "export_targets")
    ));
    list(route, "paths").for_each(|one| lines.push_str(&path(one)));
    list(route, "learned").for_each(|one| lines.push_str(&learned(one)));
    list(route, "announced").for_each(|one| lines.push_str(&announced(one)));
    list(route, "hosts").for_each(|one| lines.push_str(&host(one)));
    lines
}

fn path(path: &Object) -> String {
    let state = match (is(path, "is_used"), is(path, "is_usable")) {
        (true, _) => "used",
        (false, true) => "not used: another is preferred",
        (false, false) => "not usable: its port is not bound, is down, or has no carrier",
    };
    let port = member(path, "port").map(named).unwrap_or_default();
    let because = member(path, "because_of").map(named).unwrap_or_default();
    let place = text(path, "host");
    let place = if place.is_empty() { String::new() } else { format!(" on {place}") };
    let asked = member(path, "because_of").map(|row| text(row, "request_id")).unwrap_or_default();
    let asked = if asked.is_empty() { String::new() } else { format!(", asked for by {asked}") };
    let preference = text(path, "local_pref");
    format!("  path to {port}{place}, LOCAL_PREF {preference}: {state}\n    because of {because}{asked}\n")
}

fn learned(path: &Object) -> String {
    let state = if is(path, "is_in_model") { "told to hosts" } else { "not told to hosts" };
    let (neighbor, next_hop) = (text(path, "neighbor"), text(path, "next_hop"));
    let distinguisher = text(path, "route_distinguisher");
    format!("  learned from {neighbor}, next hop {next_hop}, route distinguisher {distinguisher}: {state}\n")
}

fn announced(announced: &Object) -> String {
    let (host, next_hop) = (text(announced, "host"), text(announced, "next_hop"));
    let state = match announced.get("is_carried_out").and_then(Value::as_bool) {
        Some(true) => "it carries it out",
        Some(false) => "it does not carry it out",
        None => "it has not said whether it carries it out",
    };
    let mut lines = format!("  announced for {host}, next hop {next_hop}: {state}\n");
    for route in list(announced, "routes") {
        let neighbors = text(route, "neighbors");
        let told = match (is(route, "is_originated"), neighbors.is_empty()) {
            (false, _) => "not originated".to_owned(),
            (true, true) => "told to nobody".to_owned(),
            (true, false) => format!("told to {neighbors}"),
        };
        lines.push_str(&format!("    {}: {told}\n", text(route, "destination")));
    }
    lines
}

fn host(host: &Object) -> String {
    let reason = text(host, "reason");
    let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
    let state = text(host, "state").replace('_', " ");
    let mut lines = format!("  {}: {state}{reason}\n", text(host, "host"));
    let left_out = host.get("ways_left_out").and_then(Value::as_u64).filter(|count| *count > 0);
    if let Some(count) = left_out {
        lines.push_str(&format!("    ways left out, of more than a route has room for: {count}\n"));
    }
    let texts = |name: &str| host.get(name).and_then(Value::as_array).cloned();
    for object in texts("objects").unwrap_or_default() {
        lines.push_str(&format!("    told    {}\n", cell(&object)));
    }
    match texts("kernel") {
        None => lines.push_str("    kernel  the host does not answer\n"),
        Some(found) => {
            found.iter().for_each(|line| lines.push_str(&format!("    kernel  {}\n", cell(line))));
        }
    }
    lines
}

fn named(resource: &Object) -> String {
    let (kind, name, id) = (text(resource, "kind"), text(resource, "name"), text(resource, "resource_id"));
    if name.is_empty() { format!("{kind} {id}") } else { format!("{kind} {name} ({id})") }
}

fn text(object: &Object, name: &str) -> String {
    object.get(name).map(cell).unwrap_or_default()
}

fn is(object: &Object, name: &str) -> bool {
    object.get(name).and_then(Value::as_bool) == Some(true)
}

fn member<'o>(object: &'o Object, name: &str) -> Option<&'o Object> {
    object.get(name).and_then(Value::as_object)
}

fn list<'o>(object: &'o Object, name: &str) -> impl Iterator<Item = &'o Object> {
    object.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn a_route_is_told_from_who_asked_for_it_to_the_kernels() {
        let route = json!({
            "destination": "10.1.0.11/32",
            "vrf": {"of": {"kind": "router", "name": "r", "resource_id": "1"}, "vni": 5001,
                "import_targets": ["router/1"], "export_targets": ["router/1", "64512:100"]},
            "paths": [{"because_of": {"kind": "port", "name": "w1", "resource_id": "2", "request_id": "req-7"},
                "port": {"kind": "port", "name": "w1", "resource_id": "2"}, "host": "host1", "local_pref": 100,
                "is_usable": true, "is_used": true}],
            "learned": [{"neighbor": "192.0.2.9", "next_hop": "192.0.2.9", "route_distinguisher": "64512:9",
                "is_in_model": false}],
            "announced": [{"host": "host1", "next_hop": "192.0.2.1", "is_carried_out": true, "routes": [
                {"destination": "[5]:[192.0.2.1:1]:[0]:[10.1.0.11/32]", "is_originated": true, "neighbors": ["192.0.2.9"]}]}],
            "hosts": [
                {"host": "host1", "state": "carried_out", "reason": null, "objects": ["route vrf-1 254 10.1.0.11/32 on gw-1"],
                    "kernel": ["route vrf-1 254 10.1.0.11/32: as it should be; port/2 of vrf/1"]},
                {"host": "host2", "state": "not_connected", "reason": null, "ways_left_out": 3, "objects": [],
                    "kernel": null},
            ],
        });
        expect![[r#"
            10.1.0.11/32 in the VRF of router r (1), VNI 5001
              imports router/1; exports router/1, 64512:100
              path to port w1 (2) on host1, LOCAL_PREF 100: used
                because of port w1 (2), asked for by req-7
              learned from 192.0.2.9, next hop 192.0.2.9, route distinguisher 64512:9: not told to hosts
              announced for host1, next hop 192.0.2.1: it carries it out
                [5]:[192.0.2.1:1]:[0]:[10.1.0.11/32]: told to 192.0.2.9
              host1: carried out
                told    route vrf-1 254 10.1.0.11/32 on gw-1
                kernel  route vrf-1 254 10.1.0.11/32: as it should be; port/2 of vrf/1
              host2: not connected
                ways left out, of more than a route has room for: 3
                kernel  the host does not answer
        "#]]
        .assert_eq(&told(&Console::new(true), route.as_object().unwrap()));
    }
}
