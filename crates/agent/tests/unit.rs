//! The unit that is shipped, and what the agent says where a unit is not as it should be.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use weft_protocol::certificates::{Authority, Kind, Validity};

/// What gives a service a mount namespace of its own, by systemd.exec(5), or keeps the agent from making network
/// namespaces in the host's.
const GIVE_A_MOUNT_NAMESPACE: &[&str] = &[
    "BindLogSockets",
    "BindPaths",
    "BindReadOnlyPaths",
    "DynamicUser",
    "ExecPaths",
    "ExtensionDirectories",
    "ExtensionImages",
    "IPCNamespacePath",
    "InaccessibleDirectories",
    "InaccessiblePaths",
    "LogNamespace",
    "MountAPIVFS",
    "MountFlags",
    "MountImages",
    "NetworkNamespacePath",
    "NoExecPaths",
    "PrivateBPF",
    "PrivateDevices",
    "PrivateIPC",
    "PrivateMounts",
    "PrivateNetwork",
    "PrivatePIDs",
    "PrivateTmp",
    "PrivateUsers",
    "ProcSubset",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "ReadOnlyDirectories",
    "ReadOnlyPaths",
    "ReadWriteDirectories",
    "ReadWritePaths",
    "RestrictNamespaces",
    "RootDirectory",
    "RootEphemeral",
    "RootHash",
    "RootImage",
    "RootVerity",
    "TemporaryFileSystem",
];

fn unit(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd").join(name);
    fs::read_to_string(path).unwrap()
}

/// The directives of a unit's service.
fn service(unit: &str) -> Vec<(&str, &str)> {
    let lines = unit.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let within =
        lines.skip_while(|line| *line != "[Service]").skip(1).take_while(|line| !line.starts_with('['));
    within.filter_map(|line| line.split_once('=')).collect()
}

#[test]
fn the_shipped_unit_leaves_the_agent_in_the_mount_namespace_of_the_host() {
    let unit = unit("weft-agent.service");
    let directives = service(&unit);
    assert!(directives.iter().any(|(name, _)| *name == "ExecStart"), "{unit}");
    let forbidden: Vec<_> =
        directives.iter().filter(|(name, _)| GIVE_A_MOUNT_NAMESPACE.contains(name)).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}: namespaces of workloads would end with the agent");
    assert!(directives.contains(&("KillMode", "process")), "what the agent has started outlives it");
}

/// The identity of host `compute-1`.
fn identity() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let validity = Validity { from: SystemTime::UNIX_EPOCH, until };
    let authority = Authority::create_or_load(directory.path(), validity).unwrap();
    authority.issue(&"compute-1".parse().unwrap(), Kind::Host, &[], validity).unwrap();
    directory
}

/// What the agent says of a good configuration if it is started by this.
fn check_config(by: &[&str]) -> String {
    let (identity, agent) = (identity(), PathBuf::from(env!("CARGO_BIN_EXE_weft-agent")));
    let words = by.iter().map(Path::new).chain([agent.as_path()]).collect::<Vec<_>>();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args([
        "--host",
        "compute-1",
        "--controller",
        "192.0.2.1:7780",
        "--tls-directory",
    ]);
    let output = command.arg(identity.path()).arg("check-config").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_agent_with_a_mount_namespace_of_its_own_says_so_and_does_not_fail() {
    assert!(!check_config(&[]).contains("ERROR"), "here the agent has the mounts of everybody");
    for propagation in ["slave", "private"] {
        let said = check_config(&["unshare", "--mount", "--propagation", propagation]);
        assert!(
            said.contains("ERROR") && said.contains("mount namespace of its own"),
            "{propagation}: {said}"
        );
    }
}
