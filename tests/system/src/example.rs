//! Examples of the documentation: what is in `docs/examples`, done as it stands there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use crate::{Bench, Keystone, Openstack, binaries};

/// Where the examples are.
fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("these tests are two folders below the root").join("docs/examples")
}

/// Where an example is.
fn file(name: &str) -> PathBuf {
    folder().join(name)
}

/// All examples that are documents: where they are, and what is in them.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn documents() -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder()).expect("there are examples");
    let paths = entries.map(|entry| entry.expect("a folder can be read").path());
    let documents = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    documents
        .map(|path| {
            (path.clone(), fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}")))
        })
        .collect()
}

/// Runs the commands of an example, each in a shell: those of a paragraph at once, one paragraph after the other.
///
/// # Panics
/// When one of them fails.
pub fn run_commands(bench: &Bench, environment: &Path, name: &str) {
    let text = fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (keystone, url) = (Keystone::start(), bench.lab().controller_url());
    let openstack = Openstack::new(environment.to_owned(), url.clone());
    let programs = [environment.to_owned(), binaries()].into_iter();
    let path: Vec<PathBuf> =
        programs.chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())).collect();
    let path = env::join_paths(path).expect("no directory of programs has a colon");
    let run = |line: &str| {
        let mut shell = openstack.command("/bin/sh");
        shell.env("OS_IDENTITY_ENDPOINT_OVERRIDE", keystone.url());
        must(shell.env("WEFT_URL", &url).env("PATH", &path).args(["-c", line]), line);
    };
    for paragraph in text.split("\n\n") {
        let lines = paragraph.lines().filter(|line| !line.starts_with('#'));
        thread::scope(|scope| {
            for line in lines {
                scope.spawn(|| run(line));
            }
        });
    }
}

/// Applies the documents of an example for a project.
///
/// # Panics
/// When that fails.
pub fn apply(bench: &Bench, project: &str, name: &str) {
    let mut weft = Command::new(binaries().join("weft"));
    weft.args(["apply", "--yes", "--project", project, "-f"]).arg(file(name));
    must(
        weft.env("WEFT_URL", bench.lab().controller_url()),
        &format!("weft apply --project {project} -f {name}"),
    );
}

fn must(command: &mut Command, what: &str) {
    let Output { status, stdout, stderr } = command.output().expect("a command can be started");
    let said = [stdout, stderr].concat();
    assert!(status.success(), "{what}: {}", String::from_utf8_lossy(&said));
}
