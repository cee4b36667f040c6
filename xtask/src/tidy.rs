//! The rules that the compiler does not know: who may use whom, which licences, what a file looks like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Which crates of ours each may use, and which of others it never does. The table of ARCHITECTURE.md.
const WALLS: &[Wall] = &[
    Wall { of: "weft-net", ours: &[], never: &["tokio"] },
    Wall { of: "weft-bgp", ours: &["weft-net"], never: &["redb", "axum", "tonic"] },
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
        ours: &["weft-net", "weft-bgp", "weft-dataplane", "weft-services", "weft-store", "weft-protocol"],
        never: &["netlink-sys", "nix"],
    },
    Wall { of: "weft-lab", ours: &["weft-net", "weft-protocol"], never: &["redb", "axum"] },
    Wall {
        of: "weft-cli",
        ours: &["weft-net", "weft-client", "weft-services", "weft-protocol", "weft-lab"],
        never: &["redb", "axum", "netlink-sys"],
    },
    Wall { of: "weft-fuzz", ours: &["weft-bgp", "weft-net"], never: &["tokio"] },
    Wall { of: "weft-vm-tests", ours: &[], never: &["tokio"] },
    Wall { of: "xtask", ours: &[], never: &["tokio"] },
];

/// What measures and simulates may use everything.
const WITHOUT_WALLS: &[&str] = &["weft-sim", "weft-bench", "weft-system-tests", "weft-interop-tests"];

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

/// Every package's licence is allowed by `deny.toml`, to all or to it, and none is banned there.
fn licences(metadata: &Metadata, root: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(root.join("deny.toml")).context("deny.toml")?;
    let rules = Rules::read(&text)?;
    let mut faults = Vec::new();
    for package in &metadata.packages {
        if rules.banned.contains(package.name.as_str()) {
            faults.push(format!("{} is banned", package.name));
        }
        let licence = package.license.clone().unwrap_or_default();
        if !rules.allow(&package.name, &licence) {
            faults.push(format!("{} has licence '{licence}'", package.name));
        }
    }
    Ok(faults)
}

/// What `deny.toml` says of licences and of crates that are not to be linked.
#[derive(Debug)]
struct Rules {
    allowed: BTreeSet<String>,
    /// What else is allowed to one crate, and to no other.
    exceptions: BTreeMap<String, BTreeSet<String>>,
    banned: BTreeSet<String>,
}

impl Rules {
    fn read(text: &str) -> anyhow::Result<Self> {
        let plain: String =
            text.lines().map(|line| line.split('#').next().unwrap_or("").to_owned() + "\n").collect();
        let crates = |list: &str| -> Vec<(String, BTreeSet<String>)> {
            let tables = list.split('{').skip(1).map(|table| table.split('}').next().unwrap_or(""));
            let table = |table: &str| {
                let mut texts = quoted(table).into_iter();
                Some((texts.next()?, texts.collect()))
            };
            tables.filter_map(table).collect()
        };
        let banned = crates(list(&plain, "bans", "deny")?).into_iter().map(|(name, _)| name);
        Ok(Self {
            allowed: quoted(list(&plain, "licenses", "allow")?).into_iter().collect(),
            exceptions: crates(list(&plain, "licenses", "exceptions")?).into_iter().collect(),
            banned: banned.collect(),
        })
    }

    fn allow(&self, package: &str, licence: &str) -> bool {
        let own = self.exceptions.get(package).into_iter().flatten();
        let allowed: BTreeSet<&str> = self.allowed.iter().chain(own).map(String::as_str).collect();
        is_allowed(&licence.replace('/', " OR "), &allowed)
    }
}

/// The list of this name in a section, without its brackets.
fn list<'t>(text: &'t str, section: &str, name: &str) -> anyhow::Result<&'t str> {
    let missing = || format!("deny.toml: [{section}] has no list '{name}'");
    let (_, after) = text.split_once(&format!("[{section}]\n")).with_context(missing)?;
    let section = after.split("\n[").next().unwrap_or(after);
    let (_, list) = around(section, name).with_context(missing)?;
    let mut depth = 1;
    let is_end = |character: char| {
        depth += match character {
            '[' => 1,
            ']' => -1,
            _ => 0,
        };
        depth == 0
    };
    let end = list.find(is_end).with_context(missing)?;
    Ok(&list[..end])
}

/// What stands before and after `name = [` at the beginning of a line.
fn around<'t>(section: &'t str, name: &str) -> Option<(&'t str, &'t str)> {
    let start = format!("{name} = [");
    match section.strip_prefix(&start) {
        Some(list) => Some(("", list)),
        None => section.split_once(&format!("\n{start}")),
    }
}

fn quoted(text: &str) -> Vec<String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[licenses]
allow = [
  "MIT", "Apache-2.0", # "GPL-3.0" is not
]
exceptions = [{ crate = "imbl", allow = ["MPL-2.0+"] }, { crate = "other", allow = ["X", "Y"] }]

[bans]
multiple-versions = "allow"
deny = [
  { crate = "openssl-sys", reason = "rustls is the one TLS" },
]

[sources]
unknown-git = "deny"
"#;

    #[test]
    fn an_exception_is_for_its_crate_alone() {
        let rules = Rules::read(TEXT).unwrap();
        assert!(rules.allow("imbl", "MPL-2.0+"));
        assert!(rules.allow("imbl", "MIT"));
        assert!(rules.allow("other", "X AND (MIT OR Y)"));
        assert!(!rules.allow("anything", "MPL-2.0+"));
        assert!(!rules.allow("other", "MPL-2.0+"));
    }

    #[test]
    fn no_other_word_of_the_file_is_a_licence() {
        let rules = Rules::read(TEXT).unwrap();
        for word in ["imbl", "allow", "deny", "openssl-sys", "rustls is the one TLS", "GPL-3.0", ""] {
            assert!(!rules.allow("anything", word), "{word}");
        }
        assert!(rules.allow("anything", "MIT/Apache-2.0"));
        assert!(rules.allow("anything", "GPL-3.0 OR MIT"));
        assert_eq!(rules.banned.iter().collect::<Vec<_>>(), ["openssl-sys"]);
    }

    #[test]
    fn a_file_without_its_lists_is_an_error() {
        let error = Rules::read("[bans]\ndeny = []\n[licenses]\nallow = []\n").unwrap_err();
        assert_eq!(error.to_string(), "deny.toml: [licenses] has no list 'exceptions'");
    }
}
