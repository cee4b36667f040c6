//! `weft-vm`: runs a program in a virtual machine and ends with its exit code.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use weft_vm_tests::Machine;

/// Runs a program as root on Debian's kernel in a small virtual machine, and ends with its exit code.
#[derive(Parser)]
#[command(name = "weft-vm")]
struct Arguments {
    /// Kernel modules to load, separated by commas.
    #[arg(long, env = "WEFT_VM_MODULES", value_delimiter = ',')]
    modules: Vec<String>,
    /// Programs of this host to bring along, separated by commas.
    #[arg(long, env = "WEFT_VM_PROGRAMS", value_delimiter = ',')]
    programs: Vec<String>,
    /// How long it may take, in seconds.
    #[arg(long, env = "WEFT_VM_SECONDS", default_value_t = 120)]
    seconds: u64,
    /// The program: a path, or a name.
    program: PathBuf,
    /// Its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let asked = Arguments::parse();
    let machine = Machine::default()
        .modules(asked.modules)
        .programs(asked.programs)
        .bound(Duration::from_secs(asked.seconds));
    let code = machine.run(&asked.program, &asked.arguments, |line| println!("{line}"))?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}
