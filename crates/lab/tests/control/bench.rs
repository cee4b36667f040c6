//! A lab for one test, which goes with the test, and an independent look at what is on the machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use weft_lab::{Change, Lab, LabError, LabName, LabSpec, Progress};

/// A lab's name and its pretending daemons; what is left of the lab goes with it.
pub(crate) struct Bench {
    pub(crate) name: LabName,
    pub(crate) binaries: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "labs are made by root");
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}-{number}", std::process::id() % 10_000_000).parse().unwrap();
        let binaries = tempfile::tempdir().unwrap();
        let this = std::env::current_exe().unwrap();
        for daemon in ["weft-controller", "weft-agent"] {
            symlink(&this, binaries.path().join(daemon)).unwrap();
        }
        Self { name, binaries }
    }

    pub(crate) fn spec(&self) -> LabSpec {
        LabSpec { binaries: Some(self.binaries.path().to_owned()), ..LabSpec::new(self.name.clone()) }
    }

    pub(crate) fn up(&self) -> Lab {
        self.up_as(&self.spec()).unwrap().0
    }

    /// Brings it up; answers also what was told meanwhile.
    pub(crate) fn up_as(&self, spec: &LabSpec) -> Result<(Lab, Vec<Progress>), LabError> {
        let mut told = Vec::new();
        weft_lab::up(spec, |progress| told.push(progress)).map(|lab| (lab, told))
    }

    pub(crate) fn down(&self) -> Vec<Progress> {
        let mut told = Vec::new();
        assert!(weft_lab::down(&self.name, |progress| told.push(progress)).unwrap());
        told
    }

    /// The file name of a namespace of this lab's.
    pub(crate) fn file(&self, node: &str) -> String {
        format!("{}.{node}", self.name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        Path::new("/var/lib/weft/lab").join(self.name.as_str())
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        Path::new("/run/weft/lab").join(self.name.as_str())
    }

    /// The arguments of the processes that bear the mark of this lab.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let read = |file: &str| {
                let text = fs::read(process.path().join(file)).unwrap_or_default();
                String::from_utf8_lossy(&text).replace('\0', " ")
            };
            if read("environ").contains(&format!("WEFT_LAB_PROCESS={} ", self.name)) {
                found.push(read("cmdline"));
            }
        }
        found
    }

    /// Sees, without asking the lab, that nothing of it is left.
    pub(crate) fn assert_no_trace(&self) {
        let name = self.name.as_str();
        let namespaces = fs::read_dir("/run/netns").into_iter().flatten().flatten();
        let left: Vec<_> = namespaces.map(|entry| entry.file_name().into_string().unwrap()).collect();
        assert!(!left.iter().any(|file| file.starts_with(&format!("{name}."))), "{left:?}");
        assert!(!ip("link show").contains(&format!("weft-lab.{name}.")));
        for path in [self.state(), self.runtime(), self.runtime().with_added_extension("lock")] {
            assert!(!path.exists(), "{}", path.display());
        }
        assert_eq!(self.processes(), Vec::<String>::new());
        assert!(!weft_lab::list().unwrap().contains(&self.name));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Err(error) = weft_lab::down(&self.name, |_| {}) {
            eprintln!("{error}");
        }
    }
}

/// What of these was made.
pub(crate) fn made(told: &[Progress]) -> Vec<&str> {
    told.iter().filter(|one| one.change == Change::Made).map(|one| one.what.as_str()).collect()
}

/// Runs `ip`, which has to succeed; answers what it says.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "ip {arguments}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}
