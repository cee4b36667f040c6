//! Examples of the documentation: what is in `docs/examples`, done as it stands there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use crate::{Bench, Keystone, Openstack, binaries};

/// An example: `NAME.sh` and `NAME.yaml` make the same.
#[derive(Clone, Copy)]
pub struct Example(pub &'static str);

impl Example {
    fn file(self, extension: &str) -> PathBuf {
        let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples"));
        directory.join(self.0).with_extension(extension)
    }

    /// Runs its commands, each in a shell: those of a paragraph at once, one paragraph after the other.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn run_commands(self, bench: &Bench, environment: &Path) {
        let file = self.file("sh");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let keystone = Keystone::start();
        let openstack = Openstack::new(environment.to_owned(), bench.lab().controller_url());
        let path = format!(
            "{}:{}:{}",
            environment.display(),
            binaries().display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let run = |line: &str| {
            let mut shell = openstack.command("/bin/sh");
            shell.env("OS_IDENTITY_ENDPOINT_OVERRIDE", keystone.url());
            shell.env("WEFT_URL", bench.lab().controller_url()).env("PATH", &path);
            must(shell.args(["-c", line]), line);
        };
        for paragraph in text.split("\n\n") {
            let lines = paragraph.lines().filter(|line| !line.starts_with('#'));
            thread::scope(|scope| lines.for_each(|line| drop(scope.spawn(|| run(line)))));
        }
    }

    /// Applies its documents.
    ///
    /// # Panics
    /// When that fails.
    pub fn apply(self, bench: &Bench) {
        let mut weft = Command::new(binaries().join("weft"));
        weft.args(["apply", "--yes", "--set", self.0, "-f"]).arg(self.file("yaml"));
        must(weft.env("WEFT_URL", bench.lab().controller_url()), &format!("weft apply -f {}.yaml", self.0));
    }
}

fn must(command: &mut Command, what: &str) {
    let Output { status, stdout, stderr } = command.output().expect("a command can be started");
    let said = [stdout, stderr].concat();
    assert!(status.success(), "{what}: {}", String::from_utf8_lossy(&said));
}
