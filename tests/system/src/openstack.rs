//! The real `openstack` command and SDK, as they come from PyPI, for one controller.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// Where `scripts/install test` puts the command; `None`, loudly, if it is not there and need not be.
///
/// # Panics
/// When it is not there and has to be: in CI.
#[must_use]
pub fn environment() -> Option<PathBuf> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.venv/bin"));
    if root.join("openstack").is_file() {
        return Some(root);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "the openstack command is not there: scripts/install test"
    );
    println!("SKIPPED: the openstack command is not there; scripts/install test puts it into .venv");
    None
}

/// The command, for one controller.
pub struct Openstack {
    environment: PathBuf,
    url: String,
}

impl Openstack {
    /// The command of this environment, for the controller at this address.
    #[must_use]
    pub const fn new(environment: PathBuf, url: String) -> Self {
        Self { environment, url }
    }

    /// A program of the environment.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.environment.join(program));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OS_")) {
            command.env_remove(name);
        }
        command
            .env("OS_AUTH_TYPE", "none")
            .env("OS_ENDPOINT", &self.url)
            .env("OS_NETWORK_API_VERSION", "2.0");
        command
    }

    fn run(&self, words: &str) -> Output {
        let mut command = self.command("openstack");
        command.args(words.split_whitespace()).output().expect("the command can be started")
    }

    /// What it prints; it must succeed.
    ///
    /// # Panics
    /// When it fails.
    pub fn says(&self, words: &str) -> String {
        let output = self.run(words);
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "openstack {words}: {said}{complained}");
        said.into_owned()
    }

    /// What it prints as JSON.
    ///
    /// # Panics
    /// When it fails, or that is none.
    #[must_use]
    pub fn json(&self, words: &str) -> Value {
        let text = self.says(&format!("{words} -f json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("openstack {words}: {error} in {text}"))
    }

    /// What it complains of; it must fail.
    ///
    /// # Panics
    /// When it succeeds.
    #[must_use]
    pub fn complains(&self, words: &str) -> String {
        let output = self.run(words);
        assert!(!output.status.success(), "openstack {words} succeeds");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// A column of what is printed as JSON.
///
/// # Panics
/// When that is no list.
#[must_use]
pub fn column(rows: &Value, name: &str) -> Vec<String> {
    let rows = rows.as_array().expect("a list");
    rows.iter().map(|row| row[name].as_str().unwrap_or_default().to_owned()).collect()
}
