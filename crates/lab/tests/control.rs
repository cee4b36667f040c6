//! Labs that come up, are changed and go down, on this machine and as root; with daemons that only pretend.
//!
//! This executable is also those daemons: started by the name `weft-controller` or `weft-agent`, it plays that one.
//! So the lab starts, watches and kills real processes that speak with each other through the lab's networks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "control/bench.rs"]
mod bench;
#[path = "control/daemons.rs"]
mod daemons;
#[path = "control/forwarding.rs"]
mod forwarding;
#[path = "control/life.rs"]
mod life;

use std::panic::catch_unwind;
use std::process::ExitCode;

/// A test, by its name.
type Test = (&'static str, fn());

macro_rules! tests {
    ($($module:ident :: $name:ident),* $(,)?) => { [$((stringify!($name), $module::$name as fn())),*] };
}

fn main() -> ExitCode {
    if let Some(outcome) = daemons::play() {
        return outcome;
    }
    let tests: &[Test] = &tests![
        life::a_lab_comes_up_is_kept_by_a_second_up_and_goes_without_a_trace,
        life::what_is_missing_is_mended_and_told_of,
        life::a_lab_grows_but_does_not_change_otherwise,
        life::a_lab_whose_files_are_lost_goes_without_a_trace,
        life::a_foreign_bridge_and_a_foreign_address_survive,
        life::a_foreign_namespace_in_the_way_is_refused_and_survives,
        life::an_up_that_fails_half_way_leaves_nothing,
        life::agents_and_controller_are_killed_and_started_again,
        life::a_daemon_that_nobody_had_time_to_write_down_is_started_anew,
        life::a_state_directory_elsewhere_is_used_and_goes_with_the_lab,
        life::labs_that_come_up_at_the_same_time_do_not_meet,
        life::sixty_four_hosts_come_up_and_go,
        life::taking_down_what_is_not_there_is_no_error,
        forwarding::hosts_reach_each_other_with_packets_as_large_as_the_mtu,
        forwarding::a_command_runs_in_the_node_and_its_exit_code_comes_back,
        forwarding::tenants_with_the_same_addresses_are_told_apart,
        forwarding::a_workload_or_an_address_that_is_not_there_is_wrong,
        forwarding::continuous_pings_count_what_is_lost,
        forwarding::the_removal_of_tunnels_is_told_of,
    ];
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_chosen =
        |(name, _): &&Test| filters.is_empty() || filters.iter().any(|filter| name.contains(*filter));
    let chosen = tests.iter().filter(is_chosen);
    if arguments.iter().any(|argument| argument == "--list") {
        chosen.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let failed: Vec<&str> = chosen.filter(|test| !passes(test)).map(|(name, _)| *name).collect();
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {}", failed.join(", "));
    ExitCode::FAILURE
}

fn passes((name, test): &Test) -> bool {
    let start = std::time::Instant::now();
    let passed = catch_unwind(test).is_ok();
    println!("test {name} ... {} ({:.2?})", if passed { "ok" } else { "FAILED" }, start.elapsed());
    passed
}
