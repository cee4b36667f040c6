//! The project's chores: `cargo xtask tidy`, `cargo xtask bench`.

mod bench;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Checks the walls between crates, licences, and the shape of files.
    Tidy,
    /// Measures the figures of docs/speed.md. Needs root: it makes network namespaces.
    Bench(bench::Arguments),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().chore {
        Chore::Tidy => tidy::run().map(|()| ExitCode::SUCCESS),
        Chore::Bench(arguments) => bench::run(&arguments),
    }
}
