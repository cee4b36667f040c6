//! The machine itself: what goes in, what comes out, what is said when nothing does.

use std::path::Path;
use std::time::{Duration, Instant};

use weft_vm_tests::{Error, Machine};

/// Runs a shell's script; answers its outcome and what it said.
fn run(machine: &Machine, script: &str) -> (Result<i32, Error>, Vec<String>) {
    let mut heard = Vec::new();
    let arguments = ["-c", script, "name", "it's $HOME"].map(str::to_owned);
    let outcome = machine.run(Path::new("sh"), &arguments, |line| heard.push(line.to_owned()));
    (outcome, heard)
}

#[test]
fn a_program_is_root_on_another_kernel_and_its_output_and_exit_code_come_back() {
    let machine = Machine::default()
        .modules(["vrf", "mpls_iptunnel", "dummy", "sch_netem"])
        .programs(["ip"])
        .environment("WORD", "a  b");
    let script = "id -u; echo \"$1 $WORD\"; echo to errors >&2
        ip link add red type vrf table 10 && ip -o link show red | cut -d: -f2
        ip -o link show lo | grep -o LOWER_UP
        cat /proc/sys/net/mpls/platform_labels
        printf 'no end of line'; exit 107";
    let (outcome, heard) = run(&machine, script);
    assert_eq!(outcome.unwrap(), 107, "{heard:?}");
    let expected = ["0", "it's $HOME a  b", "to errors", " red", "LOWER_UP", "0", "no end of line"];
    assert_eq!(heard, expected);
}

#[test]
fn a_program_that_a_signal_ends_has_an_exit_code_too() {
    let (outcome, _) = run(&Machine::default(), "kill -KILL $$");
    assert_eq!(outcome.unwrap(), 128 + 9);
}

#[test]
fn a_machine_that_ends_before_its_program_has_no_exit_code() {
    let (outcome, heard) = run(&Machine::default(), "echo soon; /usr/busybox/poweroff -f; sleep 60");
    assert!(matches!(outcome, Err(Error::Ended { .. })), "{outcome:?}");
    assert_eq!(heard, ["soon"]);
}

#[test]
fn a_machine_that_ends_tells_what_its_processors_were_at() {
    let script =
        "echo 1 >/proc/sys/kernel/sysrq; echo l >/proc/sysrq-trigger; /usr/busybox/poweroff -f; sleep 60";
    let (outcome, _) = run(&Machine::default(), script);
    let Err(Error::Ended { console }) = outcome else { panic!("{outcome:?}") };
    assert!(console.contains("Call Trace:") && console.contains("__handle_sysrq"), "{console}");
}

#[test]
fn a_kernel_that_goes_wrong_ends_the_machine_and_tells_where() {
    let begin = Instant::now();
    let (outcome, _) = run(&Machine::default(), "echo c >/proc/sysrq-trigger; sleep 60");
    let Err(Error::Ended { console }) = outcome else { panic!("{outcome:?}") };
    assert!(console.contains("Kernel panic") && console.contains("sysrq_handle_crash"), "{console}");
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

/// With the first and the last `clsact` Linux changes the code that each packet goes through, here while packets go through it.
#[test]
fn a_kernel_that_changes_itself_goes_on_with_what_it_has_become() {
    let machine = Machine::default().modules(["sch_ingress"]).programs(["ping", "tc"]);
    let script = "echo 5 >/proc/sys/kernel/watchdog_thresh
        ping -q -f 127.0.0.1 >/dev/null & one=$!
        ping -q -f 127.0.0.1 >/dev/null & other=$!
        for i in $(seq 60); do tc qdisc add dev lo clsact && tc qdisc del dev lo clsact || exit 1; done
        kill $one $other && ping -q -c 3 -i 0.2 127.0.0.1 >/dev/null && echo reached";
    let (outcome, heard) = run(&machine, script);
    assert_eq!(outcome.unwrap_or_else(|error| panic!("{error}")), 0, "{heard:?}");
    assert_eq!(heard, ["reached"]);
}

#[test]
fn what_is_not_done_in_time_is_ended() {
    let begin = Instant::now();
    let (outcome, _) = run(&Machine::default().bound(Duration::from_secs(1)), "sleep 60");
    assert!(matches!(outcome, Err(Error::Bound { .. })), "{outcome:?}");
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

#[test]
fn what_the_kernel_or_the_host_has_not_is_said_by_its_name() {
    let (no_module, _) = run(&Machine::default().modules(["flying"]), "true");
    assert!(no_module.unwrap_err().to_string().contains("'flying'"));
    let (no_program, _) = run(&Machine::default().programs(["no-such-program"]), "true");
    assert!(no_program.unwrap_err().to_string().contains("'no-such-program'"));
}
