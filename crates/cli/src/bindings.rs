//! Ports whose binding to a host has failed, and why.

use serde_json::Value;
use weft_client::{Client, Error, Object};

use crate::kind;
use crate::output::call_name;

/// A port whose binding has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedBinding {
    /// What the port is called.
    pub(crate) port: String,
    /// The host that it should be on.
    pub(crate) host: String,
    /// Why it is not.
    pub(crate) reason: String,
}

impl FailedBinding {
    fn read(port: &Object) -> Option<Self> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        (port.get("binding:vif_type")? == "binding_failed").then(|| Self {
            port: call_name(port),
            host: text(port.get("binding:host_id")),
            reason: text(port.get("binding:vif_details").and_then(|details| details.get("failure"))),
        })
    }

    /// What is wrong, after the name of the port.
    pub(crate) fn finding(&self) -> String {
        let because = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        format!("its binding to {} has failed{because}", self.host)
    }
}

/// Those that there are.
pub(crate) async fn failed(client: &Client) -> Result<Vec<FailedBinding>, Error> {
    let Some(kind) = kind::by_name("port") else { return Ok(Vec::new()) };
    let ports = client.list(kind, &[("binding:vif_type".to_owned(), "binding_failed".to_owned())]).await?;
    Ok(ports.iter().filter_map(FailedBinding::read).collect())
}
