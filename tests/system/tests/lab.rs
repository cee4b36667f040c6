//! `weft lab` as one runs it: what it says of a lab, and what is left of one.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use weft_lab::down;
use weft_system_tests::{Bench, Turn, binaries, run, try_run, until};

const WITHIN: Duration = Duration::from_secs(5);

/// Runs `weft lab`; answers how it ended and what it said.
fn weft_lab(arguments: &[&str]) -> Output {
    let mut command = Command::new(binaries().join("weft"));
    command.arg("lab").args(arguments).output().expect("weft can be run")
}

/// Asks for the matrix; answers the exit code and the matrix.
fn ping(bench: &Bench) -> (Option<i32>, Value) {
    let output = weft_lab(&["ping", "--name", bench.lab().name().as_str(), "--output", "json"]);
    let matrix = serde_json::from_slice(&output.stdout);
    (output.status.code(), matrix.unwrap_or_else(|error| panic!("{error}: {output:?}")))
}

#[test]
fn the_matrix_is_of_what_was_asked_for_and_what_is_missing_is_wrong() {
    let bench = Bench::up("t-ping", 2, 9704);
    let (code, matrix) = ping(&bench);
    assert_eq!((code, &matrix["all_right"]), (Some(1), &json!(false)), "no workloads are not all right");

    let network = bench.network("blue", "10.1.0.0/24");
    for number in 1..=2 {
        let (host, name) = (format!("host{number}"), format!("web{number}"));
        let _port = bench.workload(&network, &host, &name, &format!("10.1.0.1{number}"));
    }
    bench.await_rest();
    let (code, matrix) = ping(&bench);
    assert_eq!((code, &matrix["all_right"]), (Some(0), &json!(true)), "{matrix}");
    assert_eq!(matrix["addresses"], json!([["10.1.0.11"], ["10.1.0.12"]]));

    bench.lab().kill_agent("host2").expect("an agent can be killed");
    bench.ip("host2.web2", "address del 10.1.0.12/24 dev eth0");
    let (code, matrix) = ping(&bench);
    assert_eq!((code, &matrix["cells"][0][1]), (Some(1), &json!("WRONG:missing 10.1.0.12")), "{matrix}");
    run(&format!("ip netns del {}", bench.namespace("host2.web2")));
    let (code, matrix) = ping(&bench);
    assert_eq!((code, &matrix["cells"][0][1]), (Some(1), &json!("WRONG:missing")), "{matrix}");

    bench.start_agents(&["host2".to_owned()]);
    bench.await_rest();
    until("all right again", WITHIN, || (ping(&bench).0 == Some(0)).then_some(()));
}

const MIDWAY: &[&str] = &["up", "--name", "t-midway", "--hosts", "5", "--port", "9705"];

/// Begins to bring a lab up and kills that after so many lines of progress; answers the last of them, if it was still on its
/// way then.
fn killed_midway(lines: usize) -> Option<String> {
    let mut command = Command::new(binaries().join("weft"));
    let mut up = command.arg("lab").args(MIDWAY).stderr(Stdio::piped()).spawn().expect("weft can be run");
    let progress = BufReader::new(up.stderr.take().expect("it has an output"));
    let last = progress.lines().map_while(Result::ok).nth(lines);
    up.kill().expect("it can be killed");
    up.wait().expect("it has ended");
    last
}

/// What there is of the lab: namespaces, links of this machine, processes, files.
fn traces() -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let is_labs = |line: &&str| line.contains("t-midway");
    for command in ["ip netns", "ip link show", "ls /var/lib/weft/lab", "ls /run/weft/lab", "ps -eo args"] {
        found.extend(try_run(command).unwrap_or_default().lines().filter(is_labs).map(str::to_owned));
    }
    found
}

#[test]
fn an_up_that_is_killed_on_its_way_is_gone_on_with_or_goes_without_a_trace() {
    let _turn = Turn::take();
    down(&"t-midway".parse().expect("a name"), |_| {}).expect("what an interrupted test left can be removed");
    let mut lines = 0;
    while let Some(at) = killed_midway(lines) {
        println!("killed after '{at}', {} traces", traces().len());
        if lines % 2 == 0 {
            let again = weft_lab(MIDWAY);
            assert!(again.status.success(), "after '{at}': {again:?}");
            let status = weft_lab(&["status", "--name", "t-midway"]);
            assert!(status.status.success(), "after '{at}': {status:?}");
        }
        let gone = weft_lab(&["down", "--name", "t-midway"]);
        assert!(gone.status.success(), "after '{at}': {gone:?}");
        assert_eq!(traces(), Vec::<String>::new(), "after '{at}'");
        lines += if lines < 3 { 1 } else { 3 };
    }
    assert!(lines > 10, "it was killed on its way, too");
    down(&"t-midway".parse().expect("a name"), |_| {}).expect("it can be taken down");
}
