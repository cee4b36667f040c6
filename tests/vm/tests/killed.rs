//! A machine dies with who started it. Alone in its executable: others' children would hold on to the pipe.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe;

#[test]
fn a_machine_dies_with_who_started_it() {
    // Whoever lives on holds the pipe's other end open: children inherit it.
    let (alive, held) = pipe().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft-vm"));
    let mut starter =
        command.args(["--", "sh", "-c", "echo here; sleep 600"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(held);
    let mut line = String::new();
    BufReader::new(starter.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "here\n");
    let alive = File::from(alive);
    let ended = |timeout: PollTimeout| {
        let mut watched = [PollFd::new(alive.as_fd(), PollFlags::POLLIN)];
        poll(&mut watched, timeout).unwrap();
        watched[0].revents().unwrap().contains(PollFlags::POLLHUP)
    };
    assert!(!ended(PollTimeout::ZERO), "the machine is there");
    starter.kill().unwrap();
    starter.wait().unwrap();
    assert!(ended(PollTimeout::from(10_000_u16)), "the machine is gone");
}
