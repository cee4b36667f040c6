//! The file: read once, written when facts have changed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::format::Checkpoint;
use crate::site::Site;

/// How long after one checkpoint the next is written at the earliest: what was learned in between is lost when the process is killed.
const REST_MIN: Duration = Duration::from_millis(250);
/// How long after one that could not be written it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// So many times as long as writing takes it rests: a disk is kept busy for at most a tenth of the time.
const REST_FACTOR: u32 = 10;

/// Reads a checkpoint; none where there is none, it is damaged, or it is another store's.
#[must_use]
pub fn load(path: &Path, lineage: u64) -> Option<Checkpoint> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the checkpoint of facts cannot be read and is ignored");
            return None;
        }
    };
    match Checkpoint::from_bytes(&bytes) {
        Ok(checkpoint) if checkpoint.lineage == lineage => Some(checkpoint),
        Ok(_) => {
            tracing::warn!(path = %path.display(), "the checkpoint of facts is another store's and is ignored");
            None
        }
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(path = %path.display(), error, "the checkpoint of facts is damaged and is ignored");
            None
        }
    }
}

/// Keeps a file up to what is known.
pub struct Keeper {
    site: Arc<Site>,
    path: PathBuf,
    lineage: u64,
    /// The turn of the last checkpoint.
    written: Option<u64>,
    /// The last one could not be written.
    has_failed: bool,
}

impl Keeper {
    /// Of a site, whose store has this lineage.
    #[must_use]
    pub const fn new(site: Arc<Site>, path: PathBuf, lineage: u64) -> Self {
        Self { site, path, lineage, written: None, has_failed: false }
    }

    /// Runs until `ended` resolves; then once more.
    pub async fn run(mut self, ended: impl Future<Output = ()>) {
        let mut ended = std::pin::pin!(ended);
        loop {
            let site = self.site.clone();
            let is_over = tokio::select! {
                () = site.facts_changed.notified() => false,
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
        let (turn, facts) = {
            let distribution = self.site.distribution.lock();
            let (model, reached) = distribution.model();
            (reached.turn, model.facts().clone())
        };
        if self.written == Some(turn) {
            return;
        }
        let (checkpoint, path) = (Checkpoint { lineage: self.lineage, turn, facts }, self.path.clone());
        let outcome = tokio::task::spawn_blocking(move || {
            let bytes = checkpoint.to_bytes()?;
            put(&path, &bytes)
        });
        let outcome = outcome.await;
        self.has_failed = matches!(outcome, Ok(Err(_)));
        match outcome {
            Ok(Ok(())) => self.written = Some(turn),
            Ok(Err(error)) => {
                tracing::warn!(path = %self.path.display(), %error, "the checkpoint of facts cannot be written");
            }
            Err(_) => {} // the runtime is shutting down
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
        assert_eq!(load(&path, 7), None);
        let checkpoint = Checkpoint { lineage: 7, turn: 3, facts: Facts::default() };
        let bytes = checkpoint.to_bytes().unwrap();
        // What an interrupted life left beside it is in nobody's way.
        fs::write(path.with_added_extension("new"), "half of").unwrap();
        put(&path, &bytes).unwrap();
        assert_eq!(load(&path, 7), Some(checkpoint));
        assert_eq!(load(&path, 8), None);
        put(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(load(&path, 7), None);
    }
}
