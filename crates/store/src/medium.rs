//! Where the store's bytes live: a file, or what a test puts in its place.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError};

/// Something that a redb database can be opened on, again and again: after a failed write the engine refuses further use,
/// and the store opens it anew.
pub trait Medium: Send + Sync + 'static {
    /// Opens the database, or creates it where there is none. Called again only after the database that it returned
    /// before was dropped.
    ///
    /// # Errors
    /// Whatever redb says.
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError>;
}

/// A file, locked while it is open.
pub(crate) struct FileMedium {
    pub(crate) path: PathBuf,
}

impl Medium for FileMedium {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        if !self.path.exists() {
            self.create(builder)?;
        }
        builder.open(&self.path)
    }
}

impl FileMedium {
    /// Makes the file under another name first: redb does not open a file whose initialisation was cut short.
    fn create(&self, builder: &Builder) -> Result<(), DatabaseError> {
        let unfinished = beside(&self.path, "new");
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(storage(error)),
            Ok(()) | Err(_) => {}
        }
        drop(builder.create(&unfinished)?);
        put_in_place(&unfinished, &self.path).map_err(storage)
    }
}

fn storage(error: io::Error) -> DatabaseError {
    DatabaseError::Storage(error.into())
}

/// The same path with `.suffix` after its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Renames a finished file to its name so that after a crash there is all of it or none.
pub(crate) fn put_in_place(finished: &Path, name: &Path) -> io::Result<()> {
    File::open(finished)?.sync_all()?;
    std::fs::rename(finished, name)?;
    let directory = match name.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    File::open(directory)?.sync_all()
}
