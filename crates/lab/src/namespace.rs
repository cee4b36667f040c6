//! Network namespaces: entering them by a short-lived thread, making, marking, listing and removing them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use crate::names::{LabName, Node};
use crate::netlink::{Netlink, Place};

/// Where named namespaces are, as `ip netns` has it.
const FOLDER: &str = "/run/netns";
const OWN: &str = "/proc/thread-self/ns/net";
/// What `statfs` says of a namespace's file: `NSFS_MAGIC`.
const NSFS: i64 = 0x6e73_6673;
/// The index of `lo` in every namespace.
const LOOPBACK: u32 = 1;
const STACK_BYTES: usize = 256 * 1024;

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

fn on_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}

/// The file of a namespace.
pub(crate) fn path_of(file_name: &str) -> PathBuf {
    Path::new(FOLDER).join(file_name)
}

/// The calling thread's own namespace.
pub(crate) fn own() -> io::Result<Place> {
    Ok(Place { namespace: File::open(OWN)?.into(), netlink: Netlink::open()? })
}

/// The namespace of this file, if there is one.
pub(crate) fn open(file_name: &str) -> io::Result<Option<Place>> {
    let path = path_of(file_name);
    if !is_namespace(&path)? {
        return Ok(None);
    }
    let file = File::open(path)?;
    let netlink = within(file.as_fd(), Netlink::open)?;
    Ok(Some(Place { namespace: file.into(), netlink }))
}

/// Makes a namespace: `lo` up in it, the mark on `lo`, and only then its file, so that there is none of ours unmarked.
pub(crate) fn create(file_name: &str, mark: &str) -> io::Result<Place> {
    prepare_folder()?;
    let path = path_of(file_name);
    on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let mut place = own()?;
        place.netlink.mark(LOOPBACK, mark)?;
        place.netlink.set_up(LOOPBACK)?;
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o444).open(&path)?;
        mount(Some(OWN), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        Ok(place)
    })
}

/// Removes a namespace's file; the namespace ends when nothing in it is open any more.
pub(crate) fn remove(file_name: &str) -> io::Result<()> {
    let path = path_of(file_name);
    match umount2(&path, MntFlags::MNT_DETACH) {
        // Not mounted (any more): a plain file.
        Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => {}
        Err(error) => return Err(error.into()),
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether the namespace is this lab's: a fabric or a host by the lab's mark, a workload by its agent's.
pub(crate) fn is_ours(lab: &LabName, node: &Node, place: &mut Place) -> io::Result<bool> {
    let wanted = match node {
        Node::Fabric | Node::Host(_) => lab.mark_prefix(),
        Node::Workload(..) => "weft.".to_owned(),
    };
    let links = place.netlink.links()?;
    let loopback = links.iter().find(|link| link.index == LOOPBACK);
    Ok(loopback.is_some_and(|link| link.marks.iter().any(|mark| mark.starts_with(&wanted))))
}

/// The namespaces of a lab that bear their mark, in order.
pub(crate) fn ours(lab: &LabName) -> io::Result<Vec<(Node, Place)>> {
    let mut found = Vec::new();
    for file_name in files()? {
        let Some(node) = lab.node_of(&file_name) else { continue };
        let Some(mut place) = open(&file_name)? else { continue };
        if is_ours(lab, &node, &mut place)? {
            found.push((node, place));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

/// The empty files of a lab's namespaces that were never mounted, or are no longer.
pub(crate) fn leftovers(lab: &LabName) -> io::Result<Vec<String>> {
    let mut found = files()?;
    found.retain(|file_name| {
        let path = path_of(file_name);
        lab.node_of(file_name).is_some()
            && matches!(is_namespace(&path), Ok(false))
            && fs::symlink_metadata(&path).is_ok_and(|data| data.is_file() && data.len() == 0)
    });
    Ok(found)
}

/// The names of all files where namespaces are.
pub(crate) fn files() -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(FOLDER) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect()
}

/// Whether a live namespace is mounted there.
fn is_namespace(path: &Path) -> io::Result<bool> {
    match nix::sys::statfs::statfs(path) {
        Ok(found) => Ok(found.filesystem_type().0 == NSFS),
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
