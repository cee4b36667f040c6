//! How far the hosts are, and who asked for what is on them.

use std::collections::BTreeMap;

use reqwest::Method;

use crate::{Client, Error};

/// How the controller and its hosts are.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Status {
    /// The version of the model: `EPOCH.REVISION`.
    pub version: String,
    /// The version of the controller's software.
    #[serde(default)]
    pub software_version: Option<String>,
    /// For how long it has been running, in seconds.
    #[serde(default)]
    pub uptime_s: u64,
    /// The hosts.
    #[serde(default)]
    pub hosts: Vec<HostStatus>,
    /// How many resources there are of each collection.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// What waits for a host before anybody else can have it.
    #[serde(default)]
    pub quarantine: Vec<Quarantined>,
    /// What the audit of routes has found.
    #[serde(default)]
    pub route_audit: RouteAudit,
}

/// What the audit of routes has found: whether what hosts carry out, what is announced, and what was learned are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RouteAudit {
    /// How often each was compared.
    #[serde(default)]
    pub comparisons: Vec<RouteComparison>,
    /// What was not as it should be, what is not yet mended first.
    #[serde(default)]
    pub alarms: Vec<RouteAlarm>,
}

/// How often something was compared, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RouteComparison {
    /// What was compared: announcement, loc_rib, adj_rib_out, learned, fact, kernel.
    pub comparison: String,
    /// How often.
    pub checked: u64,
    /// How often it was not as it should be.
    pub alarms: u64,
    /// How often it was again.
    pub mended: u64,
}

/// A route that was not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RouteAlarm {
    /// What was compared.
    pub comparison: String,
    /// The route, and where.
    pub route: String,
    /// What was wrong.
    pub finding: String,
    /// Since when that is known.
    pub at: String,
    /// When it was found right again.
    #[serde(default)]
    pub mended_at: Option<String>,
}

/// Something that was freed, and that nobody else can have yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Quarantined {
    /// What it is: `VNI 5000`.
    pub what: String,
    /// The host that has yet to confirm that it has it no longer.
    pub host: String,
}

impl Status {
    /// Whether every host is alive and has nothing left to do.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.hosts.iter().all(|host| host.alive && host.at_rest)
    }
}

/// How a host is.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// The version of its agent's software, once it has been connected.
    #[serde(default)]
    pub software_version: Option<String>,
    /// Whether its agent is connected.
    pub alive: bool,
    /// Whether it is as its intent says.
    pub at_rest: bool,
    /// The version of the intent that it has reached.
    #[serde(default)]
    pub version: Option<String>,
    /// How many revisions it is behind.
    #[serde(default)]
    pub behind: Option<u64>,
    /// How many steps were done in its last turn.
    #[serde(default)]
    pub steps_done: u64,
    /// How many steps failed in its last turn.
    #[serde(default)]
    pub steps_failed: u64,
    /// How many objects it has found other than it had left them.
    #[serde(default)]
    pub drifts: u64,
    /// What is not as it should be, and why.
    #[serde(default)]
    pub not_done: Vec<NotDone>,
}

/// An object of a host that is not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NotDone {
    /// The fragment that asks for it.
    #[serde(default)]
    pub fragment: Option<String>,
    /// How it is with it: waiting, failed.
    #[serde(default)]
    pub state: String,
    /// The object.
    #[serde(default)]
    pub object: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Why the objects of a host are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Explanation {
    /// The objects.
    pub objects: Vec<Explained>,
    /// How many more there are, which the answer has no room for.
    #[serde(default)]
    pub left_out: u64,
    /// The first version that was looked at for what changed an object last.
    #[serde(default)]
    pub changes_since: Option<String>,
}

/// An object on a host, and who asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Explained {
    /// The object.
    pub object: String,
    /// The fragments of which it is part.
    #[serde(default)]
    pub fragments: Vec<ExplainedFragment>,
    /// How many more of them there are.
    #[serde(default)]
    pub fragments_left_out: u64,
}

/// Why an object is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExplainedFragment {
    /// The fragment.
    pub id: String,
    /// The resource that it is of.
    #[serde(flatten)]
    pub resource: ExplainedResource,
    /// The host to whose part of the resource it belongs.
    #[serde(default)]
    pub host: Option<String>,
    /// What on the host that was asked about brings it there, if it is not there of its own accord.
    #[serde(default)]
    pub because_of: Option<Bringing>,
    /// What last changed it on the host, if another request did.
    #[serde(default)]
    pub changed: Option<ExplainedChange>,
}

/// A resource, and the request that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExplainedResource {
    /// Its kind.
    #[serde(default)]
    pub kind: Option<String>,
    /// Its identifier.
    #[serde(default)]
    pub resource_id: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// The request that made it.
    #[serde(default)]
    pub request_id: Option<String>,
    /// When.
    #[serde(default)]
    pub at: Option<String>,
}

/// The resources on a host because of which it has something.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bringing {
    /// How many there are.
    pub count: u64,
    /// The first few.
    #[serde(default)]
    pub first: Vec<ExplainedResource>,
}

/// A commit that changed what a host sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExplainedChange {
    /// The request, or the agent.
    #[serde(default)]
    pub request_id: Option<String>,
    /// When.
    #[serde(default)]
    pub at: Option<String>,
    /// The version that it made.
    #[serde(default)]
    pub version: Option<String>,
    /// What was asked for: method and path.
    #[serde(default)]
    pub summary: Option<String>,
}

impl Client {
    /// How the controller and its hosts are.
    ///
    /// # Errors
    /// When the controller does not answer.
    pub async fn status(&self) -> Result<Status, Error> {
        self.json(self.request(Method::GET, "/v1/status", &[])).await
    }

    /// Why the objects of a host are there: all, or those in whose text this one occurs.
    ///
    /// # Errors
    /// When there is no such host, or the controller does not answer.
    pub async fn explain(&self, host: &str, object: Option<&str>) -> Result<Explanation, Error> {
        let mut query = vec![("host", host)];
        query.extend(object.map(|object| ("object", object)));
        self.json(self.request(Method::GET, "/v1/explain", &query)).await
    }
}
