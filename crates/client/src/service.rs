//! The controller itself: alive, ready, which version.

use reqwest::Method;

use crate::{Client, Error, Object};

/// The version of a controller's software, and what else it says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Version {
    /// Of the software.
    pub software: String,
    /// The whole answer.
    pub answer: Object,
}

impl Client {
    /// Whether the controller lives.
    ///
    /// # Errors
    /// When it does not.
    pub async fn health(&self) -> Result<(), Error> {
        self.send(self.request(Method::GET, "/healthz", &[])).await.map(|_| ())
    }

    /// Whether the controller serves.
    ///
    /// # Errors
    /// When it does not, with what it waits for.
    pub async fn ready(&self) -> Result<(), Error> {
        self.send(self.request(Method::GET, "/readyz", &[])).await.map(|_| ())
    }

    /// Which version the controller is.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<Version, Error> {
        let answer: Object = self.json(self.request(Method::GET, "/version", &[])).await?;
        let text = |key: &str| answer.get(key).and_then(serde_json::Value::as_str);
        let software = text("software_version").or_else(|| text("version")).unwrap_or("unknown").to_owned();
        Ok(Version { software, answer })
    }
}
