//! `GET /v1/snapshot` and `POST /v1/restore`: the store as a file, while it runs.

use std::path::PathBuf;

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use weft_services::departures_after_restore;
use weft_store::TransferError;

use super::disk;
use super::respond::{Answer, Problem, ok, typed_answer};
use super::route::{Api, Asked};
use crate::head::Head;

/// A place for a snapshot, which goes with the value.
struct Place {
    directory: Option<TempDir>,
}

impl Place {
    async fn make() -> Result<Self, Problem> {
        let directory = disk::read(|| tempfile::tempdir().map_err(|error| disk::failed(&error))).await?;
        Ok(Self { directory: Some(directory) })
    }

    fn path(&self) -> PathBuf {
        self.directory.as_ref().map(|directory| directory.path().join("snapshot")).unwrap_or_default()
    }
}

impl Drop for Place {
    /// To remove a large file takes its time.
    fn drop(&mut self) {
        let directory = self.directory.take();
        // When the process ends, there is nobody left to hold up.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(directory));
        }
    }
}

pub(crate) async fn snapshot(api: &Api) -> Result<Answer, Problem> {
    let place = Place::make().await?;
    api.site.store.snapshot_to(place.path()).await.map_err(|error| disk::failed(&error))?;
    let bytes = tokio::fs::read(place.path()).await.map_err(|error| disk::failed(&error))?;
    Ok(typed_answer(StatusCode::OK, "application/octet-stream", Body::from(bytes)))
}

pub(crate) async fn restore(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let place = Place::make().await?;
    tokio::fs::write(place.path(), &asked.body).await.map_err(|error| disk::failed(&error))?;
    let note = asked.caller().note(api.site.now(), None).to_text();
    let occasion = rand::random();
    let remember =
        move |lost: &Head, restored: &Head| departures_after_restore(&lost.0, &restored.0, occasion);
    match api.site.store.restore_from(place.path(), note, remember).await {
        Ok(version) => {
            api.site.written();
            Ok(ok(&json!({ "version": version.to_string() })))
        }
        Err(error) => Err(not_restored(api, &error)),
    }
}

/// What is wrong with the snapshot is for who sent it to mend; what is wrong with the disk is not.
fn not_restored(api: &Api, error: &TransferError) -> Problem {
    match error {
        TransferError::Snapshot { source, .. } => {
            Problem::malformed(format!("The snapshot cannot be restored: {source}"))
        }
        TransferError::Unavailable(unavailable) => {
            api.site.not_written(unavailable);
            disk::failed(error)
        }
        TransferError::File { .. } => disk::failed(error),
    }
}
