//! Runs a program as root on Debian's kernel in a small virtual machine: for links and modules that the host's own kernel lacks.
//!
//! Never here: anything of the product's. Never left behind: the machine has no disk, no network and no file with a name, and it
//! dies with who started it.
//!
//! ```text
//! program, what `ldd` says it needs, modules ──> archive (cpio) ──stdin──> qemu ──> kernel ──> init.sh ──> program
//!             caller <── lines, then the exit code <── stdout <── second serial port ────────────────────────┘
//!             an error's last lines <── stderr <── first serial port: the kernel's console
//! ```

mod archive;
mod error;
mod kernel;
mod machine;
mod qemu;

pub use error::Error;
pub use machine::{DRIVER_MODULES, Machine};
