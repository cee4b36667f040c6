//! What reads the disk, away from the threads that answer requests.

use weft_services::Refusal;
use weft_store::ReadError;

use super::respond::Problem;
use crate::site::Failure;

/// Runs what may wait for the disk where nobody waits behind it.
pub(crate) async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(failed(&error)),
    }
}

/// What to say when a file cannot be read or written.
pub(crate) fn failed(error: &dyn std::fmt::Display) -> Problem {
    Failure::<Refusal>::Unavailable(error.to_string()).into()
}

/// What to say when the past cannot be read.
pub(crate) fn past_problem(error: &ReadError) -> Problem {
    match error {
        ReadError::Unavailable(_) => failed(error),
        _ => Problem::Http(axum::http::StatusCode::GONE, "RevisionGone", error.to_string()),
    }
}
