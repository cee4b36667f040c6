//! How labs come and go.

use std::fs;
use std::os::unix::fs::symlink;

use weft_lab::{Change, Lab, LabError, LabSpec, ProcessState, Underlay};
use weft_net::Capability;

use crate::bench::{Bench, ip, made};

pub(crate) fn a_lab_comes_up_is_kept_by_a_second_up_and_goes_without_a_trace() {
    let bench = Bench::new();
    let spec = LabSpec { hosts: 3, ..bench.spec() };
    let (lab, told) = bench.up_as(&spec).unwrap();
    assert_eq!(lab.hosts(), ["host1", "host2", "host3"]);
    for what in ["namespace", "bridge underlay", "link host3/underlay0", "controller", "agent host2"] {
        assert!(made(&told).iter().any(|made| made.starts_with(what)), "{what}");
    }
    let status = lab.status().unwrap();
    assert!(status.all_right(), "{status}");
    assert!(weft_lab::list().unwrap().contains(&bench.name));

    let (again, told) = bench.up_as(&spec).unwrap();
    assert_eq!(made(&told), Vec::<&str>::new());
    assert_eq!(again.controller_url(), lab.controller_url());
    assert_eq!(again.status().unwrap(), status);

    bench.down();
    bench.assert_no_trace();
}

pub(crate) fn what_is_missing_is_mended_and_told_of() {
    let bench = Bench::new();
    let lab = bench.up();
    ip(&format!("-n {} link del underlay0", bench.file("host1")));
    ip(&format!("-n {} link set u2 nomaster", bench.file("fabric")));
    lab.kill_agent("host2").unwrap();
    let (_, told) = bench.up_as(&bench.spec()).unwrap();
    assert_eq!(made(&told), ["link host1/underlay0", "link host2/underlay0", "agent host2"]);

    // What a crash leaves of a namespace that was about to be made.
    let unmounted = format!("/run/netns/{}", bench.file("host3"));
    fs::write(&unmounted, "").unwrap();
    let more = LabSpec { hosts: 3, ..bench.spec() };
    assert!(made(&bench.up_as(&more).unwrap().1)[0].contains("host3"));
    fs::write(format!("/run/netns/{}", bench.file("host4")), "").unwrap();

    let machine_link = ip("-br link show");
    let mark = format!("weft-lab.{}.controller", bench.name);
    ip(&format!("link del {mark}"));
    assert_ne!(ip("-br link show"), machine_link);
    let (_, told) = bench.up_as(&more).unwrap();
    assert!(made(&told)[0].starts_with("link wl"), "{told:?}");
    assert!(lab.status().unwrap().all_right());
    bench.down();
    bench.assert_no_trace();
}

pub(crate) fn a_lab_grows_but_does_not_change_otherwise() {
    let bench = Bench::new();
    bench.up();
    let more = LabSpec { hosts: 3, ..bench.spec() };
    let (lab, told) = bench.up_as(&more).unwrap();
    assert_eq!(made(&told).len(), 5, "{told:?}");
    assert!(lab.status().unwrap().all_right());
    for other in [
        bench.spec(),
        LabSpec { underlay: Underlay::Ipv6, ..more.clone() },
        LabSpec { underlay_mtu: 9000, ..more.clone() },
        LabSpec { without_capabilities: [Capability::Vlan].into(), ..more.clone() },
        LabSpec { vrf_device_hosts: [1].into(), ..more.clone() },
        LabSpec { state_directory: Some("/var/lib/weft/elsewhere".into()), ..more },
    ] {
        assert!(matches!(bench.up_as(&other), Err(LabError::Spec(_))), "{other:?}");
    }
    assert!(lab.status().unwrap().all_right());
}

pub(crate) fn a_lab_whose_files_are_lost_goes_without_a_trace() {
    let bench = Bench::new();
    bench.up();
    fs::remove_dir_all(bench.state()).unwrap();
    fs::remove_dir_all(bench.runtime()).unwrap();
    assert!(weft_lab::list().unwrap().contains(&bench.name));
    assert_eq!(weft_lab::status(&bench.name).unwrap().hosts.len(), 2);
    let told = bench.down();
    assert_eq!(told.iter().filter(|one| one.what.starts_with("process")).count(), 3, "{told:?}");
    bench.assert_no_trace();
}

pub(crate) fn a_foreign_bridge_and_a_foreign_address_survive() {
    let bench = Bench::new();
    let foreign = format!("fx{}", std::process::id());
    ip(&format!("link add {foreign} type bridge"));
    ip(&format!("addr add 203.0.113.77/32 dev {foreign}"));
    bench.up();
    bench.down();
    bench.assert_no_trace();
    assert!(ip(&format!("addr show dev {foreign}")).contains("203.0.113.77/32"));
    ip(&format!("link del {foreign}"));
}

pub(crate) fn a_foreign_namespace_in_the_way_is_refused_and_survives() {
    let bench = Bench::new();
    let foreign = bench.file("host2");
    ip(&format!("netns add {foreign}"));
    let error = bench.up_as(&bench.spec()).unwrap_err();
    assert!(matches!(error, LabError::System { .. }), "{error}");
    assert!(ip("netns").contains(&foreign));
    ip(&format!("netns del {foreign}"));
    bench.assert_no_trace();
}

pub(crate) fn an_up_that_fails_half_way_leaves_nothing() {
    let bench = Bench::new();
    let agent = bench.binaries.path().join("weft-agent");
    fs::remove_file(&agent).unwrap();
    fs::write(&agent, "#!/bin/sh\necho this cannot be; exit 3\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&agent, mode).unwrap();
    let error = bench.up_as(&bench.spec()).unwrap_err();
    assert!(matches!(error, LabError::Daemon { .. }), "{error}");
    assert!(error.to_string().ends_with("\n    this cannot be"), "{error}");
    bench.assert_no_trace();

    fs::remove_file(&agent).unwrap();
    let error = bench.up_as(&bench.spec()).unwrap_err();
    assert!(error.to_string().starts_with("'weft-agent' is not in"), "{error}");
    bench.assert_no_trace();

    symlink(std::env::current_exe().unwrap(), &agent).unwrap();
    bench.up();
}

pub(crate) fn agents_and_controller_are_killed_and_started_again() {
    let bench = Bench::new();
    let lab = bench.up();
    let hosts = lab.hosts();
    let agent = |lab: &Lab| lab.status().unwrap().hosts[0].agent;
    let before = agent(&lab);
    lab.kill_agent("host1").unwrap();
    lab.kill_agent("host1").unwrap();
    assert_eq!(agent(&lab), ProcessState::Ended);
    assert!(matches!(lab.await_agents(&hosts), Err(LabError::Daemon { .. })));
    lab.start_agent("host1").unwrap();
    lab.await_agents(&hosts).unwrap();
    assert!(matches!(agent(&lab), ProcessState::Running(_)));
    assert_ne!(agent(&lab), before);

    lab.kill_controller().unwrap();
    assert!(!lab.status().unwrap().ready);
    lab.start_controller().unwrap();
    lab.await_agents(&hosts).unwrap();
    assert!(Lab::open(&bench.name).unwrap().status().unwrap().all_right());
    assert!(fs::read_to_string(lab.log("host1")).unwrap().contains("the agent of host1 begins"));
    assert!(matches!(lab.kill_agent("host3"), Err(LabError::Node { .. })));
}

pub(crate) fn a_daemon_that_nobody_had_time_to_write_down_is_started_anew() {
    let bench = Bench::new();
    let lab = bench.up();
    let before = lab.status().unwrap().hosts[0].agent;
    // What `weft lab up` leaves that is killed between a daemon's start and its record.
    fs::remove_file(bench.runtime().join("processes/host1.json")).unwrap();
    let (lab, told) = bench.up_as(&bench.spec()).unwrap();
    assert_eq!(made(&told), ["agent host1"]);
    assert_ne!(lab.status().unwrap().hosts[0].agent, before);
    let agents =
        bench.processes().into_iter().filter(|arguments| arguments.contains("--host host1 ")).count();
    assert_eq!(agents, 1, "{:?}", bench.processes());
    bench.down();
    bench.assert_no_trace();
}

pub(crate) fn a_state_directory_elsewhere_is_used_and_goes_with_the_lab() {
    let bench = Bench::new();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("mine"), "").unwrap();
    let state = elsewhere.path().join("lab");
    let spec = LabSpec { state_directory: Some(state.clone()), ..bench.spec() };
    let taken = LabSpec { state_directory: Some(elsewhere.path().to_owned()), ..bench.spec() };
    assert!(matches!(bench.up_as(&taken), Err(LabError::Spec(_))));
    bench.assert_no_trace();
    let (lab, _) = bench.up_as(&spec).unwrap();
    assert!(lab.log("host1").starts_with(&state));
    fs::remove_dir_all(bench.runtime()).unwrap();
    bench.down();
    bench.assert_no_trace();
    assert!(!state.exists());
    assert!(elsewhere.path().join("mine").exists());
}

pub(crate) fn labs_that_come_up_at_the_same_time_do_not_meet() {
    let benches = [Bench::new(), Bench::new(), Bench::new()];
    let labs: Vec<Lab> = std::thread::scope(|scope| {
        let threads: Vec<_> = benches.iter().map(|bench| scope.spawn(|| bench.up())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(labs.iter().all(|lab| lab.status().unwrap().all_right()));
    benches[1].down();
    benches[1].assert_no_trace();
    assert!(labs[0].status().unwrap().all_right() && labs[2].status().unwrap().all_right());
}

pub(crate) fn sixty_four_hosts_come_up_and_go() {
    let bench = Bench::new();
    let spec = LabSpec { hosts: 64, ..bench.spec() };
    let (lab, _) = bench.up_as(&spec).unwrap();
    assert!(lab.status().unwrap().all_right());
    bench.down();
    bench.assert_no_trace();
}

pub(crate) fn taking_down_what_is_not_there_is_no_error() {
    let bench = Bench::new();
    let mut told = Vec::new();
    assert!(!weft_lab::down(&bench.name, |progress| told.push(progress)).unwrap());
    assert!(told.iter().all(|one| one.change != Change::Removed));
    bench.assert_no_trace();
    assert!(matches!(weft_lab::status(&bench.name), Err(LabError::NoSuchLab(_))));
    assert!(matches!(Lab::open(&bench.name), Err(LabError::NoSuchLab(_))));

    // What is listed has a status, however little of it there is, and goes.
    fs::create_dir_all(bench.state()).unwrap();
    assert!(weft_lab::list().unwrap().contains(&bench.name));
    assert!(weft_lab::status(&bench.name).unwrap().hosts.is_empty());
    bench.down();
    bench.assert_no_trace();
}
