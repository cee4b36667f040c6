//! `weft-bench`: measures what the project promises of its speed. `cargo xtask bench` builds everything and runs it.
//!
//! Never here: a judgement. A reach that is missed is marked, and is no error; a measurement that did not come about is one.
//!
//! ```text
//!  controller process ◄── HTTP ── api.rs          port_create, port_bulk, port_get, port_list
//!  lab of two hosts   ◄── HTTP, netlink events ── api_to_kernel.rs, ecmp_failover.rs
//!  the same           ◄── HTTP, BGP ───────────── bgp_to_kernel.rs, port_to_wire.rs
//!  the driver alone, beside a bare loop ───────── kernel.rs
//!  agent process      ◄── gRPC ── restart.rs      agent_restart
//!  Distribution, in process ───────────────────── scale.rs
//!  BGP speakers in namespaces ◄── TCP ─────────── bgp.rs          bgp_ingest, bgp_reflect
//! ```

mod allocation;
mod api;
mod api_to_kernel;
mod bgp;
mod bgp_to_kernel;
mod daemon;
mod ecmp_failover;
mod events;
mod figure;
mod http;
mod idle;
mod kernel;
mod namespace;
mod population;
mod port_to_wire;
mod restart;
mod scale;
mod site;

use std::process::ExitCode;

use clap::Parser;

use figure::{Figure, Form};

/// A group of figures that are measured together, and what measures them.
struct Measurement {
    rows: &'static [&'static str],
    run: fn() -> anyhow::Result<Vec<Figure>>,
}

const MEASUREMENTS: &[Measurement] = &[
    Measurement { rows: &["port_create", "port_bulk", "port_get", "port_list"], run: api::run },
    Measurement { rows: &["api_to_kernel"], run: api_to_kernel::run },
    Measurement { rows: &["kernel_fdb"], run: kernel::forwarding_entries },
    Measurement { rows: &["kernel_routes"], run: kernel::routes },
    Measurement { rows: &["kernel_vrf_routes"], run: kernel::vrf_routes },
    Measurement { rows: &["agent_restart"], run: restart::run },
    Measurement { rows: &["scale"], run: scale::run },
    Measurement { rows: &["idle"], run: idle::run },
    Measurement { rows: &["bgp_ingest"], run: bgp::ingest },
    Measurement { rows: &["bgp_reflect"], run: bgp::reflect },
    Measurement { rows: &["bgp_to_kernel"], run: bgp_to_kernel::run },
    Measurement { rows: &["ecmp_failover"], run: ecmp_failover::run },
    Measurement { rows: &["port_to_wire"], run: port_to_wire::run },
];

/// Measures how fast Weft is. Needs root: it makes network namespaces.
#[derive(Parser)]
#[command(name = "weft-bench")]
struct Arguments {
    /// The rows that are wanted; all, if none is named.
    names: Vec<String>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let is_known = |name: &&String| MEASUREMENTS.iter().any(|one| one.rows.contains(&name.as_str()));
    if let Some(unknown) = arguments.names.iter().find(|name| !is_known(name)) {
        let rows: Vec<&str> = MEASUREMENTS.iter().flat_map(|one| one.rows).copied().collect();
        eprintln!("bench: there is no row '{unknown}'; there are {}", rows.join(", "));
        return ExitCode::from(2);
    }
    let is_wanted = |row: &str| arguments.names.is_empty() || arguments.names.iter().any(|name| name == row);
    let form = if arguments.json { Form::Json } else { Form::Table };
    let (mut figures, mut broken) = (Vec::new(), false);
    for measurement in MEASUREMENTS.iter().filter(|one| one.rows.iter().any(|row| is_wanted(row))) {
        eprintln!("bench: {}", measurement.rows.join(", "));
        match (measurement.run)() {
            Ok(measured) => {
                let wanted: Vec<Figure> =
                    measured.into_iter().filter(|figure| is_wanted(figure.row())).collect();
                form.each(&wanted);
                figures.extend(wanted);
            }
            Err(error) => {
                eprintln!("bench: {} could not be measured: {error:#}", measurement.rows.join(", "));
                broken = true;
            }
        }
    }
    form.all(&figures);
    if broken { ExitCode::from(2) } else { ExitCode::SUCCESS }
}
