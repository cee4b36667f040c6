//! The machine's file system: a cpio archive in the format "newc", which the kernel unpacks into memory.
//!
//! `/bin`, `/sbin`, `/lib` and `/lib64` lead into `/usr`, as Debian has it, so that each library can be at the path that it
//! has on the host.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// The folder of the programs that are brought along; `init.sh` has it first in `PATH`.
const PROGRAMS: &str = "/programs";

/// What every root file system has.
const FOLDERS: [&str; 10] =
    ["/dev", "/proc", "/run", "/sys", "/tmp", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/sbin", "/var/tmp"];

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// An archive being written.
pub(crate) struct Archive<W> {
    out: W,
    /// What is in it, by path; none twice.
    paths: BTreeSet<PathBuf>,
}

impl<W: Write> Archive<W> {
    /// An archive with the folders of a root file system.
    pub(crate) fn begin(out: W) -> io::Result<Self> {
        let mut archive = Self { out, paths: BTreeSet::new() };
        for folder in FOLDERS {
            archive.folder(Path::new(folder))?;
        }
        archive.link("/var/run", "/run")?;
        for link in ["bin", "lib", "lib64", "sbin"] {
            archive.link(&format!("/{link}"), &format!("usr/{link}"))?;
        }
        Ok(archive)
    }

    /// Adds an executable file.
    pub(crate) fn file(&mut self, path: &Path, content: &[u8]) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            self.folder(folder)?;
        }
        self.entry(path, EXECUTABLE, content)
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, to: &str) -> io::Result<()> {
        self.entry(Path::new(path), LINK, to.as_bytes())
    }

    /// Adds a file of the host's at its own path, without links on the way to it.
    pub(crate) fn copy(&mut self, path: &Path) -> Result<(), Error> {
        let place = place(path).map_err(Error::file(path))?;
        if self.paths.contains(&place) {
            return Ok(());
        }
        let content = fs::read(path).map_err(Error::file(path))?;
        self.file(&place, &content).map_err(Error::Start)
    }

    /// Adds a program of the host's in [`PROGRAMS`], with the loader and the libraries that it needs at their own paths, and
    /// answers its path.
    pub(crate) fn program(&mut self, path: &Path) -> Result<PathBuf, Error> {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let place = Path::new(PROGRAMS).join(name);
        self.program_at(&place, path)?;
        Ok(place)
    }

    /// Adds a program of the host's at its own path, with all that it needs.
    pub(crate) fn program_in_place(&mut self, path: &Path) -> Result<(), Error> {
        self.program_at(path, path)
    }

    fn program_at(&mut self, place: &Path, path: &Path) -> Result<(), Error> {
        for library in libraries(path)? {
            self.copy(&library)?;
        }
        let content = without_debugging(path)?;
        self.file(place, &content).map_err(Error::Start)
    }

    /// Writes what ends an archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.entry(Path::new("TRAILER!!!"), 0, &[])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn folder(&mut self, path: &Path) -> io::Result<()> {
        let above: Vec<&Path> = path.ancestors().filter(|folder| folder.parent().is_some()).collect();
        above.into_iter().rev().try_for_each(|folder| self.entry(folder, DIRECTORY, &[]))
    }

    fn entry(&mut self, path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
        if !self.paths.insert(path.to_owned()) {
            return Ok(());
        }
        let name = path.to_string_lossy();
        let name = name.trim_start_matches('/');
        let too_large = |_| io::Error::other(format!("'{name}' is too large for an archive"));
        let size = u32::try_from(content.len()).map_err(too_large)?;
        let name_size = u32::try_from(name.len() + 1).map_err(too_large)?;
        let inode = u32::try_from(self.paths.len()).map_err(too_large)?;
        // The kernel's Documentation/driver-api/early-userspace/buffer-format.rst has the order of the fields.
        let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.out.write_all(b"070701")?;
        fields.iter().try_for_each(|field| write!(self.out, "{field:08x}"))?;
        write!(self.out, "{name}\0")?;
        self.pad(110 + name.len() + 1)?;
        self.out.write_all(content)?;
        self.pad(content.len())
    }

    /// Each header and each content ends at a multiple of four bytes.
    fn pad(&mut self, length: usize) -> io::Result<()> {
        self.out.write_all(&[0; 3][..length.next_multiple_of(4) - length])
    }
}

/// A program's content, of an ELF file without what only a debugger reads: that would take as much memory again.
fn without_debugging(program: &Path) -> Result<Vec<u8>, Error> {
    let content = fs::read(program).map_err(Error::file(program))?;
    if !content.starts_with(b"\x7fELF") {
        return Ok(content);
    }
    let stripped = tempfile::NamedTempFile::new().map_err(Error::Start)?;
    let mut command = Command::new("strip");
    command.arg("--strip-debug").arg("-o").arg(stripped.path()).arg(program);
    if command.output().map_err(Error::Start)?.status.success() {
        return fs::read(stripped.path()).map_err(Error::file(program));
    }
    Ok(content)
}

/// Where a file of the host's is, without links on the way to it. Its own name stays: a library is found by the name that a
/// program has for it.
fn place(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    match (absolute.parent(), absolute.file_name()) {
        (Some(folder), Some(name)) => Ok(folder.canonicalize()?.join(name)),
        _ => Err(io::ErrorKind::InvalidFilename.into()),
    }
}

/// The libraries of a program, its loader among them; none of one that is linked statically.
fn libraries(program: &Path) -> Result<Vec<PathBuf>, Error> {
    let output = Command::new("ldd").arg(program).output().map_err(Error::Start)?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(lacking) = text.lines().find(|line| line.contains("not found")) {
        return Err(Error::Missing { what: format!("'{}' lacks {}", program.display(), lacking.trim()) });
    }
    // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)` or `/lib64/ld-linux-x86-64.so.2 (0x…)`.
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    Ok(text.lines().filter_map(path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in an archive, as another reader of the format finds them.
    fn names(bytes: &[u8]) -> Vec<String> {
        let (mut names, mut at) = (Vec::new(), 0);
        let number =
            |at: usize| usize::from_str_radix(std::str::from_utf8(&bytes[at..at + 8]).unwrap(), 16).unwrap();
        while at < bytes.len() {
            assert_eq!(&bytes[at..at + 6], b"070701");
            let (size, name_size) = (number(at + 54), number(at + 94));
            let name = &bytes[at + 110..at + 110 + name_size - 1];
            names.push(String::from_utf8(name.to_vec()).unwrap());
            at = (at + 110 + name_size).next_multiple_of(4) + size.next_multiple_of(4);
        }
        names
    }

    #[test]
    fn a_program_comes_with_its_libraries_once_and_folders_before_what_is_in_them() {
        let mut archive = Archive::begin(Vec::new()).unwrap();
        let path = archive.program(Path::new("/bin/cat")).unwrap();
        assert_eq!(path, Path::new("/programs/cat"));
        assert_eq!(archive.program(Path::new("/usr/bin/cat")).unwrap(), path);
        archive.file(Path::new("/a/b/c"), b"hello").unwrap();
        let names = names(&archive.finish().unwrap());
        let once = |wanted: &str| names.iter().filter(|name| name.ends_with(wanted)).count() == 1;
        assert!(once("programs/cat") && once("libc.so.6") && once("TRAILER!!!"), "{names:?}");
        assert!(names.iter().any(|name| name.contains("ld-linux")), "{names:?}");
        let at = |wanted: &str| names.iter().position(|name| name == wanted).unwrap();
        assert!(at("a") < at("a/b") && at("a/b") < at("a/b/c"), "{names:?}");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let mut archive = Archive::begin(Vec::new()).unwrap();
        let error = archive.copy(Path::new("/usr/bin/no-such-program")).unwrap_err();
        assert!(error.to_string().contains("/usr/bin/no-such-program"), "{error}");
    }
}
