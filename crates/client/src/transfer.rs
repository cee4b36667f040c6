//! The whole model as one file, there and back.

use bytes::Bytes;
use reqwest::Method;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{Client, Error};

/// A snapshot that did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The controller's side.
    #[error(transparent)]
    Request(#[from] Error),
    /// Our side.
    #[error("the snapshot cannot be written")]
    Write(#[source] std::io::Error),
}

#[derive(serde::Deserialize)]
struct Answer {
    version: String,
}

impl Client {
    /// Writes a snapshot of the model; answers its length in bytes. It may take as long as it takes.
    ///
    /// # Errors
    /// When the controller does not answer to the end, or the bytes cannot be written.
    pub async fn snapshot(&self, to: &mut (impl AsyncWrite + Unpin)) -> Result<u64, TransferError> {
        let mut response = self.send_stream(self.request(Method::GET, "/v1/snapshot", &[])).await?;
        let mut length: u64 = 0;
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            to.write_all(&chunk).await.map_err(TransferError::Write)?;
            length += chunk.len() as u64;
        }
        to.flush().await.map_err(TransferError::Write)?;
        Ok(length)
    }

    /// Puts a snapshot in place of the model; answers the version that it then has.
    ///
    /// # Errors
    /// When the controller refuses it or does not answer.
    pub async fn restore(&self, snapshot: impl Into<Bytes>) -> Result<String, Error> {
        let request = self
            .request(Method::POST, "/v1/restore", &[])
            .header("Content-Type", "application/octet-stream")
            .body(snapshot.into());
        let response = self.send_unbounded(request).await?;
        let url = response.url().to_string();
        let body = self.body(response).await?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|error| Error::Answer { request: url, reason: error.to_string() })?;
        Ok(answer.version)
    }
}
