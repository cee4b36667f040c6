//! Builds what is measured and what measures it as it is shipped, and runs the latter.

use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};
use cargo_metadata::MetadataCommand;

/// What has to be built: the daemons, the speaker as a process, and the bench.
const PACKAGES: [&str; 4] = ["weft-controller", "weft-agent", "weft-bgp", "weft-bench"];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The rows that are wanted, such as port_create; all, if none is named.
    names: Vec<String>,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
}

/// Answers what the bench ends with: 0 also where a reach is missed, 2 where something could not be measured.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--release", "--bins"]);
    build.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    ensure!(build.status().context("cargo build")?.success(), "it cannot be built");
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let mut bench = Command::new(metadata.target_directory.join("release/weft-bench"));
    bench.args(&arguments.names).args(arguments.json.then_some("--json"));
    let status = bench.status().context("weft-bench")?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2)))
}
