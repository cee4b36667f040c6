//! Running a command within a node.

use std::ffi::OsString;
use std::process::{Command, ExitStatus};

use std::os::fd::AsFd;

use crate::error::Tried;
use crate::{LabError, LabName, namespace, nodes};

/// Runs a command in the network namespace of a node, with our own standard input, output and error, and waits for it.
///
/// `node` is `host1`, a workload as `host1.web1`, or `web1` if no other host has one. Only the network is the node's:
/// files, and `/sys`, are the machine's.
///
/// # Errors
/// When there is no such lab or node, or the command cannot be started.
pub fn exec(lab: &LabName, node: &str, argv: &[OsString]) -> Result<ExitStatus, LabError> {
    let (program, arguments) =
        argv.split_first().ok_or_else(|| LabError::Spec("there is no command to run".to_owned()))?;
    let (_, place) = nodes::find(lab, node)?;
    let mut command = Command::new(program);
    command.args(arguments);
    // A child begins in the namespace of the thread that starts it.
    let child = namespace::within(place.namespace.as_fd(), || command.spawn());
    let mut child = child.tried(|| format!("'{}' cannot be started", program.display()))?;
    child.wait().tried(|| format!("'{}' cannot be waited for", program.display()))
}
