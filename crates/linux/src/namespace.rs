//! Network namespaces: entering them by a short-lived thread, making them, removing them, telling ours from others'.
//!
//! A thread whose namespace was changed is never used again, and no process is ever forked.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::NSFS_MAGIC;

use crate::netlink::{EventSocket, RouteSocket};
use crate::{encode, parse};

/// Where named namespaces are, as `ip netns` has it.
const FOLDER: &str = "/run/netns";
const OWN: &str = "/proc/thread-self/ns/net";
/// The index of `lo` in every namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// What is open in one network namespace.
pub(crate) struct Sockets {
    /// The namespace itself.
    pub(crate) namespace: OwnedFd,
    /// Which one it is: device and inode.
    pub(crate) identity: (u64, u64),
    /// For asking and changing.
    pub(crate) route: RouteSocket,
    /// For hearing.
    pub(crate) events: EventSocket,
}

impl Sockets {
    /// Opens what is needed in a namespace, without entering it for longer.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = File::open(path.unwrap_or_else(|| Path::new(OWN)))?;
        let (route, events) = within(file.as_fd(), || Ok((RouteSocket::open()?, EventSocket::open()?)))?;
        Self::of(file, route, events)
    }

    fn of(file: File, route: RouteSocket, events: EventSocket) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { namespace: file.into(), identity, route, events })
    }

    /// The link by which an address is reached from here.
    pub(crate) fn way_to(&mut self, address: IpAddr) -> io::Result<Option<u32>> {
        let mut found = None;
        self.route.ask(encode::ask_way(address), |message| found = parse::way_out(message))?;
        Ok(found)
    }
}

/// Runs `work` on a thread that is in `namespace`.
pub(crate) fn within<T: Send>(
    namespace: BorrowedFd<'_>,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    on_thread(|| {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        work()
    })
}

/// Runs `work` on a thread that is in a network namespace of its own, which ends with what `work` keeps open of it.
pub(crate) fn within_new<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        work()
    })
}

fn on_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}

/// The file of a namespace.
pub(crate) fn path_of(file_name: &str) -> PathBuf {
    Path::new(FOLDER).join(file_name)
}

/// Makes a namespace: readied by `ready`, `lo` up in it, our marks on `lo`, and only then its file, so that there is never one
/// of ours unmarked or unready.
pub(crate) fn create(
    file_name: &str,
    marks: &[&str],
    ready: impl FnOnce() -> io::Result<()> + Send,
) -> io::Result<Sockets> {
    prepare_folder()?;
    let path = path_of(file_name);
    if is_namespace(&path)? {
        return Err(io::Error::other(format!("'{}' exists and does not bear our mark", path.display())));
    }
    let (file, route, events) = within_new(|| {
        let (mut route, events) = (RouteSocket::open()?, EventSocket::open()?);
        let mut batch = Vec::new();
        ready()?;
        marks.iter().for_each(|mark| encode::add_altname(&mut batch, LOOPBACK, mark));
        encode::set_up(&mut batch, LOOPBACK);
        for answer in route.change(&mut batch)? {
            answer.map_err(|refusal| io::Error::other(format!("'lo' cannot be marked: {refusal}")))?;
        }
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o444).open(&path)?;
        mount(Some(OWN), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        Ok((File::open(OWN)?, route, events))
    })?;
    Sockets::of(file, route, events)
}

/// Removes a namespace's file; the namespace ends when nothing in it is open any more.
pub(crate) fn remove(file_name: &str) -> io::Result<()> {
    let path = path_of(file_name);
    umount2(&path, MntFlags::MNT_DETACH)?;
    fs::remove_file(&path)
}

/// The names of the namespaces' files that begin with `prefix`, and which namespace each is.
pub(crate) fn list(prefix: &str) -> io::Result<Vec<(String, (u64, u64))>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(FOLDER) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !name.starts_with(prefix) || !is_namespace(&entry.path())? {
            continue;
        }
        match fs::metadata(entry.path()) {
            Ok(metadata) => found.push((name, (metadata.dev(), metadata.ino()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    found.sort();
    Ok(found)
}

/// When a namespace's file was last made or removed.
pub(crate) fn last_change() -> Option<std::time::SystemTime> {
    fs::metadata(FOLDER).and_then(|metadata| metadata.modified()).ok()
}

/// Whether a live namespace is mounted there. A plain file is what a crash or an ended mount namespace left behind.
fn is_namespace(path: &Path) -> io::Result<bool> {
    match nix::sys::statfs::statfs(path) {
        Ok(found) => Ok(found.filesystem_type() == NSFS_MAGIC),
        Err(nix::errno::Errno::ENOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes the folder, shared with other mount namespaces, as `ip netns` does.
fn prepare_folder() -> io::Result<()> {
    fs::create_dir_all(FOLDER)?;
    let share =
        || mount(None::<&str>, FOLDER, None::<&str>, MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>);
    if share().is_err() {
        mount(Some(FOLDER), FOLDER, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
        share()?;
    }
    Ok(())
}
