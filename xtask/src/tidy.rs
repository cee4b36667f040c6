//! The rules that the compiler does not know: who may use whom, which licences, what a file looks like.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Which crates of ours each may use, and which of others it never does. The table of ARCHITECTURE.md.
const WALLS: &[Wall] = &[
    Wall { of: "weft-net", ours: &[], never: &["tokio"] },
    Wall { of: "weft-dataplane", ours: &["weft-net"], never: &["tokio", "netlink-sys"] },
    Wall {
        of: "weft-services",
        ours: &["weft-net", "weft-dataplane"],
        never: &["tokio", "redb", "reqwest", "hyper"],
    },
    Wall { of: "weft-store", ours: &[], never: &["axum", "tonic"] },
    Wall { of: "weft-protocol", ours: &["weft-net", "weft-dataplane"], never: &["redb"] },
    Wall { of: "weft-linux", ours: &["weft-net", "weft-dataplane"], never: &["tokio", "tonic"] },
    Wall { of: "weft-client", ours: &["weft-net", "weft-services"], never: &["redb"] },
    Wall {
        of: "weft-agent",
        ours: &["weft-net", "weft-dataplane", "weft-protocol", "weft-linux"],
        never: &["axum", "reqwest"],
    },
    Wall {
        of: "weft-controller",
        ours: &["weft-net", "weft-dataplane", "weft-services", "weft-store", "weft-protocol"],
        never: &["netlink-sys", "nix"],
    },
    Wall { of: "weft-lab", ours: &["weft-net", "weft-protocol"], never: &["redb", "axum"] },
    Wall {
        of: "weft-cli",
        ours: &["weft-net", "weft-client", "weft-services", "weft-protocol", "weft-lab"],
        never: &["redb", "axum", "netlink-sys"],
    },
    Wall { of: "weft-vm-tests", ours: &[], never: &["tokio"] },
    Wall { of: "xtask", ours: &[], never: &["tokio"] },
];

/// What measures and simulates may use everything.
const WITHOUT_WALLS: &[&str] = &["weft-sim", "weft-bench", "weft-system-tests"];

/// Used by no other crate.
const USED_BY_NONE: &[&str] = &["weft-sim"];

/// Lines after which a source file has more than one subject.
const FILE_LINES_MAX: usize = 700;

struct Wall {
    of: &'static str,
    ours: &'static [&'static str],
    never: &'static [&'static str],
}

pub(crate) fn run() -> anyhow::Result<()> {
    let metadata = MetadataCommand::new().exec().context("cargo metadata")?;
    let root = metadata.workspace_root.clone().into_std_path_buf();
    let mut faults = walls(&metadata);
    faults.extend(licences(&metadata, &root)?);
    faults.extend(sources(&root)?);
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    if faults.is_empty() {
        println!("tidy: {} crates, no faults", metadata.workspace_members.len());
        return Ok(());
    }
    bail!("{} faults", faults.len())
}

fn walls(metadata: &Metadata) -> Vec<String> {
    let mut faults = Vec::new();
    for package in metadata.workspace_packages() {
        let wall = WALLS.iter().find(|wall| wall.of == package.name.as_str());
        for used in used_by(package) {
            let is_ours = used.starts_with("weft-");
            if USED_BY_NONE.contains(&used) {
                faults.push(format!("{} uses {used}, which nothing may use", package.name));
            }
            let Some(wall) = wall else {
                if !WITHOUT_WALLS.contains(&package.name.as_str()) {
                    faults.push(format!("{} has no wall in xtask/src/tidy.rs", package.name));
                }
                break;
            };
            if (is_ours && !wall.ours.contains(&used)) || wall.never.contains(&used) {
                faults.push(format!("{} must not use {used}", package.name));
            }
        }
    }
    faults
}

/// What a package uses when it is shipped; tests may use more.
fn used_by(package: &Package) -> impl Iterator<Item = &str> {
    let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    normal.map(|dependency| dependency.name.as_str())
}

/// Every package's licence is allowed by `deny.toml`, and none is banned there.
fn licences(metadata: &Metadata, root: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(root.join("deny.toml")).context("deny.toml")?;
    let quoted: BTreeSet<&str> = text.split('"').skip(1).step_by(2).collect();
    let banned: BTreeSet<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("{ crate = \"")?.split('"').next()).collect();
    let mut faults = Vec::new();
    for package in &metadata.packages {
        if banned.contains(package.name.as_str()) {
            faults.push(format!("{} is banned", package.name));
        }
        let licence = package.license.clone().unwrap_or_default();
        if !is_allowed(&licence.replace('/', " OR "), &quoted) {
            faults.push(format!("{} has licence '{licence}'", package.name));
        }
    }
    Ok(faults)
}

/// Whether an SPDX expression can be fulfilled with these licences: any of what `OR` joins, all of what `AND` joins.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let plain = expression.replace(['(', ')'], " ");
    let fulfilled = |part: &str| part.split(" OR ").any(|licence| allowed.contains(licence.trim()));
    plain.split(" AND ").all(fulfilled)
}

fn sources(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for path in rust_files(&root.join("crates"))?.into_iter().chain(rust_files(&root.join("xtask"))?) {
        let text = fs::read_to_string(&path)?;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        if !text.starts_with("//!") && !name.contains("tests") {
            faults.push(format!("{name} does not begin by saying what it is"));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX && !name.contains("/tests") {
            faults.push(format!(
                "{name} has {lines} lines; more than {FILE_LINES_MAX} are more than one subject"
            ));
        }
    }
    Ok(faults)
}

fn rust_files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}
