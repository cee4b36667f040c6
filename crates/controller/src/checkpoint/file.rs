//! The files: read once, written when facts, or what is announced, have changed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::format::{AnnouncedMarks, Checkpoint, Damage};
use crate::site::Site;

/// The name of the file of facts.
const FACTS: &str = "facts";
/// The name of that of what is announced.
const ANNOUNCED: &str = "announced";
/// How long after one checkpoint the next is written at the earliest: what was learned or announced in between is lost when the process is killed.
const REST_MIN: Duration = Duration::from_millis(250);
/// How long after one that could not be written it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// So many times as long as writing takes it rests: a disk is kept busy for at most a tenth of the time.
const REST_FACTOR: u32 = 10;

/// Reads the checkpoint of facts in a directory; none where there is none, it is damaged, or it is another store's.
#[must_use]
pub fn load(directory: &Path, lineage: u64) -> Option<Checkpoint> {
    let of = |checkpoint: &Checkpoint| checkpoint.lineage;
    read(&directory.join(FACTS), "the checkpoint of facts", lineage, (Checkpoint::from_bytes, of))
}

/// Reads the marks of what was announced, likewise.
#[must_use]
pub fn load_announced(directory: &Path, lineage: u64) -> Option<AnnouncedMarks> {
    let of = |marks: &AnnouncedMarks| marks.lineage;
    let what = "the checkpoint of what is announced";
    read(&directory.join(ANNOUNCED), what, lineage, (AnnouncedMarks::from_bytes, of))
}

type FromBytes<T> = fn(&[u8]) -> Result<T, Damage>;

fn read<T>(
    path: &Path,
    what: &str,
    lineage: u64,
    (from_bytes, lineage_of): (FromBytes<T>, fn(&T) -> u64),
) -> Option<T> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "{what} cannot be read and is ignored");
            return None;
        }
    };
    match from_bytes(&bytes) {
        Ok(found) if lineage_of(&found) == lineage => Some(found),
        Ok(_) => {
            tracing::warn!(path = %path.display(), "{what} is another store's and is ignored");
            None
        }
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(path = %path.display(), error, "{what} is damaged and is ignored");
            None
        }
    }
}

/// Keeps the files up to what is known.
pub struct Keeper {
    site: Arc<Site>,
    directory: PathBuf,
    lineage: u64,
    /// The turn of the last checkpoint of facts.
    facts: Option<u64>,
    /// How often what is announced had changed when it was last written.
    announced: Option<u64>,
    /// One could not be written when it was last tried.
    has_failed: bool,
}

impl Keeper {
    /// Of a site, whose store has this lineage and is in this directory.
    #[must_use]
    pub const fn new(site: Arc<Site>, directory: PathBuf, lineage: u64) -> Self {
        Self { site, directory, lineage, facts: None, announced: None, has_failed: false }
    }

    /// Writes what is known at the start, and then what changes, until `ended` resolves; then once more.
    pub async fn run(mut self, ended: impl Future<Output = ()>) {
        let mut ended = std::pin::pin!(ended);
        // That nothing is announced is to be known as well.
        self.write().await;
        loop {
            let site = self.site.clone();
            let is_over = tokio::select! {
                () = site.to_be_kept.notified() => false,
                () = tokio::time::sleep(RETRY_AFTER), if self.has_failed => false,
                () = &mut ended => true,
            };
            let began = Instant::now();
            self.write().await;
            if is_over {
                return;
            }
            let rest = REST_MIN.max(began.elapsed() * REST_FACTOR);
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = &mut ended => return self.write().await,
            }
        }
    }

    /// Writes what is known now, unless that is there already.
    async fn write(&mut self) {
        self.has_failed = false;
        self.write_facts().await;
        self.write_announced().await;
    }

    async fn write_facts(&mut self) {
        let (turn, facts) = {
            let distribution = self.site.distribution.lock();
            let (model, reached) = distribution.model();
            (reached.turn, model.facts().clone())
        };
        if self.facts != Some(turn) {
            let checkpoint = Checkpoint { lineage: self.lineage, turn, facts };
            if self.put(FACTS, move || checkpoint.to_bytes()).await {
                self.facts = Some(turn);
            }
        }
    }

    async fn write_announced(&mut self) {
        let changes = self.site.announced.changes();
        if self.announced != Some(changes) {
            let marks = AnnouncedMarks { lineage: self.lineage, marks: self.site.announced.all() };
            if self.put(ANNOUNCED, move || marks.to_bytes()).await {
                self.announced = Some(changes);
            }
        }
    }

    /// Puts a file in place; answers whether it is there.
    async fn put(
        &mut self,
        name: &str,
        bytes: impl FnOnce() -> serde_json::Result<Vec<u8>> + Send + 'static,
    ) -> bool {
        let path = self.directory.join(name);
        let shown = path.display().to_string();
        match tokio::task::spawn_blocking(move || put(&path, &bytes()?)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(path = shown, %error, "a checkpoint cannot be written");
                self.has_failed = true;
                false
            }
            Err(_) => false, // the runtime is shutting down
        }
    }
}

/// Puts a file in place: after a crash there is all of it, or what was there before.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_added_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

#[cfg(test)]
mod tests {
    use weft_services::Facts;

    use super::*;

    #[test]
    fn a_file_that_is_damaged_cut_or_of_another_store_is_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("facts");
        let load = |lineage| load(directory.path(), lineage);
        assert_eq!(load(7), None);
        let checkpoint = Checkpoint { lineage: 7, turn: 3, facts: Facts::default() };
        let bytes = checkpoint.to_bytes().unwrap();
        // What an interrupted life left beside it is in nobody's way.
        fs::write(path.with_added_extension("new"), "half of").unwrap();
        put(&path, &bytes).unwrap();
        assert_eq!(load(7), Some(checkpoint));
        assert_eq!(load(8), None);
        put(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(load(7), None);
        let marks = AnnouncedMarks { lineage: 7, marks: [42].into() };
        put(&directory.path().join("announced"), &marks.to_bytes().unwrap()).unwrap();
        assert_eq!(load_announced(directory.path(), 7), Some(marks));
        assert_eq!(load_announced(directory.path(), 8), None);
    }
}
