//! A lab's files: what it is, which processes are its, and who is working on it.
//!
//! ```text
//! /run/weft/lab/NAME.lock                     held while the lab is brought up or down
//! /run/weft/lab/NAME/lab.json                 what lab it is, and where its state is
//! /run/weft/lab/NAME/processes/ROLE.json      which process: `controller`, `host1` …
//! /var/lib/weft/lab/NAME/lab.json             the same again, which outlives the machine's run
//! STATE/lab.json                              the same again: says whose directory it is; by default that very file
//! STATE/tls/  controller/  host1/ …           certificates, and the daemons' own states
//! STATE/controller.log  host1.log …
//! ```

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use weft_net::Capability;

use crate::error::Tried;
use crate::{LabError, LabName, ProcessRecord, Underlay};

const RUNTIME: &str = "/run/weft/lab";
const STATE: &str = "/var/lib/weft/lab";
const RECORD: &str = "lab.json";
/// How often a lock is taken anew when its file was removed meanwhile.
const LOCK_TRIES: u32 = 10;

/// The role of the controller's process; an agent's is its host's name.
pub(crate) const CONTROLLER: &str = "controller";

/// What lab it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) hosts: u16,
    pub(crate) underlay: Underlay,
    pub(crate) underlay_mtu: u32,
    pub(crate) state_directory: PathBuf,
    pub(crate) controller: PathBuf,
    pub(crate) agent: PathBuf,
    /// What the hosts do not offer.
    #[serde(default)]
    pub(crate) without_capabilities: BTreeSet<Capability>,
    /// The REST API's port on 127.0.0.1.
    pub(crate) port: u16,
    /// The port at which BGP neighbours find the controller, at the same address as agents.
    #[serde(default)]
    pub(crate) bgp_port: Option<u16>,
    /// Where agents find the controller: its address in the management network, and a port.
    pub(crate) agents_listen: std::net::SocketAddr,
}

impl Record {
    pub(crate) fn log(&self, role: &str) -> PathBuf {
        self.state_directory.join(format!("{role}.log"))
    }

    pub(crate) fn tls(&self) -> PathBuf {
        self.state_directory.join("tls")
    }
}

/// Where a lab's record and processes are.
pub(crate) fn runtime(lab: &LabName) -> PathBuf {
    Path::new(RUNTIME).join(lab.as_str())
}

/// Where a lab's state is unless somebody wants it elsewhere.
pub(crate) fn default_state(lab: &LabName) -> PathBuf {
    Path::new(STATE).join(lab.as_str())
}

/// The record of a lab: of this run of the machine, or else of an earlier one.
pub(crate) fn load(lab: &LabName, state: Option<&Path>) -> Result<Option<Record>, LabError> {
    let default = default_state(lab);
    for directory in [runtime(lab), state.unwrap_or(&default).to_owned()] {
        let record: Option<Record> = read(&directory.join(RECORD))?;
        if let Some(record) = record.filter(|record| record.name == lab.as_str()) {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// Makes a lab's directories and writes its record. A state directory elsewhere that is neither empty nor this lab's is
/// refused.
pub(crate) fn prepare(lab: &LabName, record: &Record, roles: &[String]) -> Result<(), LabError> {
    let state = &record.state_directory;
    let is_free = fs::read_dir(state).map_or(true, |mut entries| entries.next().is_none());
    if !is_free && *state != default_state(lab) && !is_of(lab, state) {
        return Err(LabError::Spec(format!("'{}' is not empty, and not lab '{lab}'s", state.display())));
    }
    let make = |directory: &Path| {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.tried(|| format!("'{}' cannot be made", directory.display()))
    };
    make(&runtime(lab).join("processes"))?;
    // The record first: it says whose the directory is.
    for directory in [&runtime(lab), state, &default_state(lab)] {
        make(directory)?;
        write(&directory.join(RECORD), record)?;
    }
    make(&record.tls())?;
    roles.iter().try_for_each(|role| make(&state.join(role)))
}

/// Whether a directory says of itself that it is this lab's.
fn is_of(lab: &LabName, state: &Path) -> bool {
    let record: Result<Option<Record>, LabError> = read(&state.join(RECORD));
    record.is_ok_and(|record| record.is_some_and(|record| record.name == lab.as_str()))
}

/// Removes a lab's directories. A state directory elsewhere goes only if it says that it is this lab's.
pub(crate) fn remove(lab: &LabName) -> Result<(), LabError> {
    let elsewhere = load(lab, None).ok().flatten().map(|record| record.state_directory);
    let elsewhere = elsewhere.filter(|directory| is_of(lab, directory));
    for directory in elsewhere.into_iter().chain([default_state(lab), runtime(lab)]) {
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).tried(|| format!("'{}' cannot be removed", directory.display()));
            }
            _ => {}
        }
    }
    // Not empty while there are other labs.
    let _ = fs::remove_dir(STATE);
    Ok(())
}

/// The names of labs that have files.
pub(crate) fn names() -> Vec<LabName> {
    let entries = [RUNTIME, STATE].into_iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten();
    let directories = entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir());
    directories.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn process_file(lab: &LabName, role: &str) -> PathBuf {
    runtime(lab).join("processes").join(format!("{role}.json"))
}

/// The process that was last started in a role.
pub(crate) fn process(lab: &LabName, role: &str) -> Result<Option<ProcessRecord>, LabError> {
    read(&process_file(lab, role))
}

/// Records the process that was started in a role.
pub(crate) fn save_process(lab: &LabName, role: &str, record: &ProcessRecord) -> Result<(), LabError> {
    write(&process_file(lab, role), record)
}

/// All processes that are recorded. A file that cannot be read is none.
pub(crate) fn processes(lab: &LabName) -> Vec<ProcessRecord> {
    let entries = fs::read_dir(runtime(lab).join("processes")).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| read(&entry.path()).ok().flatten()).collect()
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LabError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(io::Error::from)
            .map(Some)
            .tried(|| format!("'{}' cannot be understood", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).tried(|| format!("'{}' cannot be read", path.display())),
    }
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), LabError> {
    let beside = path.with_extension("new");
    let bytes = serde_json::to_vec_pretty(value).map_err(io::Error::from);
    let written = bytes.and_then(|bytes| fs::write(&beside, bytes)).and_then(|()| fs::rename(&beside, path));
    written.tried(|| format!("'{}' cannot be written", path.display()))
}

/// Held while a lab is brought up or down.
pub(crate) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock at once, or not at all.
    pub(crate) fn take(lab: &LabName) -> Result<Self, LabError> {
        let path = Path::new(RUNTIME).join(format!("{lab}.lock"));
        for _ in 0..LOCK_TRIES {
            let open = || {
                fs::create_dir_all(RUNTIME)?;
                OpenOptions::new().create(true).truncate(false).write(true).open(&path)
            };
            let file = match open() {
                // Whoever brought down the last lab removed the folder just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file.tried(|| format!("'{}' cannot be opened", path.display()))?,
            };
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(Self { path, _file: file }),
                // Its file was removed between our opening and our locking it: that lock keeps nobody out.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) => {
                    return Err(error).tried(|| format!("'{}' cannot be locked", path.display()));
                }
            }
        }
        Err(LabError::Busy(lab.to_string()))
    }

    /// Gives the lock back and removes its file.
    pub(crate) fn remove(self) {
        let _ = fs::remove_file(&self.path);
        // Not empty while there are other labs.
        let _ = fs::remove_dir(RUNTIME);
    }
}

/// Keeps labs that come up at the same time from choosing the same network or port: one after the other, while it is held.
///
/// Whoever calls this holds a [`Lock`], whose file keeps the folder that is locked here from being removed.
pub(crate) fn lock_choices() -> Result<File, LabError> {
    let lock = || {
        let folder = File::open(RUNTIME)?;
        folder.lock()?;
        Ok::<File, io::Error>(folder)
    };
    lock().tried(|| format!("'{RUNTIME}' cannot be locked"))
}

fn is_at(file: &File, path: &Path) -> bool {
    let identity = |data: fs::Metadata| (data.dev(), data.ino());
    file.metadata().map(identity).ok() == fs::metadata(path).map(identity).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cannot_work_on_one_lab() {
        let lab: LabName = format!("lock{}", std::process::id() % 1_000_000).parse().unwrap();
        let lock = Lock::take(&lab).unwrap();
        assert!(matches!(Lock::take(&lab), Err(LabError::Busy(_))));
        lock.remove();
        let again = Lock::take(&lab).unwrap();
        assert!(again.path.exists());
        again.remove();
    }

    #[test]
    fn a_directory_with_somebody_elses_files_is_not_taken_for_a_labs() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("mine"), "").unwrap();
        let lab: LabName = "dirtest".parse().unwrap();
        let record = Record {
            name: lab.to_string(),
            hosts: 1,
            underlay: Underlay::Ipv4,
            underlay_mtu: 1600,
            state_directory: directory.path().to_owned(),
            controller: "/bin/true".into(),
            agent: "/bin/true".into(),
            port: 1,
            bgp_port: None,
            without_capabilities: BTreeSet::new(),
            agents_listen: "198.18.0.254:1".parse().unwrap(),
        };
        assert!(matches!(prepare(&lab, &record, &[]), Err(LabError::Spec(_))));
        assert!(!runtime(&lab).exists());
    }
}
