//! Departures: what may still be on a host that is no longer concerned by it.
//!
//! Until the host has confirmed that it is gone, or is fenced, it is in quarantine: what is used again too early joins two
//! tenants.

use std::collections::BTreeSet;
use std::fmt;

use weft_net::{HostName, Vni};

use crate::compile::{SERVICES, ServiceKey};
use crate::{Change, Id, Model, Row, RowKey, Write};

/// What only one service at a time can have on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusive {
    /// A VXLAN network identifier.
    Vni(Vni),
}

impl Exclusive {
    /// The form in stored keys: `vni/5000`.
    #[must_use]
    pub fn to_text(self) -> String {
        match self {
            Self::Vni(vni) => format!("vni/{vni}"),
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        match text.split_once('/')? {
            ("vni", vni) => Some(Self::Vni(vni.parse().ok()?)),
            _ => None,
        }
    }
}

impl fmt::Display for Exclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vni(vni) => write!(f, "VNI {vni}"),
        }
    }
}

/// A host that is no longer concerned by an instance of a service but has not yet confirmed that it has removed it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Departure {
    /// What may still be on the host.
    pub what: Exclusive,
    /// The host.
    pub host: HostName,
    /// The instance that it was of.
    pub of: Id,
    /// Which of its departures this is, at random: one that is confirmed is not another, later one of the same.
    pub occasion: u64,
}

impl Departure {
    fn key(&self) -> RowKey {
        RowKey::Departure(self.what, self.host.clone())
    }
}

/// An instance of a service on a host.
pub(crate) type Presence = (ServiceKey, HostName);

/// Notes the departures that follow from what a change has written, and takes those back whose host is concerned again.
pub(crate) fn note_departures(base: &Model, change: &mut Change) {
    let rows: BTreeSet<RowKey> = change.writes().iter().map(Write::key).collect();
    let mut concerned: BTreeSet<Presence> = BTreeSet::new();
    for row in &rows {
        concerned.extend([base, change.model()].into_iter().flat_map(|model| presences(model, row)));
    }
    for (service, host) in concerned {
        let what = [change.model(), base].into_iter().find_map(|model| exclusive(model, service));
        let Some(what) = what else { continue };
        let (was_there, is_there) = (is_on(base, service, &host), is_on(change.model(), service, &host));
        let is_known = change.model().hosts.contains_key(&host);
        match change.model().departure(what, &host) {
            None if was_there && !is_there && is_known => {
                let occasion = change.random_bits();
                change.put(Row::Departure(Departure { what, host, of: service.id, occasion }));
            }
            Some(noted) if is_there && noted.of == service.id => change.delete(noted.key()),
            Some(_) | None => {}
        }
    }
}

/// Whether hosts may still have what an instance has of another that had it before: after a restore. Until they have
/// confirmed that it is gone the instance is on no host.
pub(crate) fn waits(model: &Model, service: ServiceKey) -> bool {
    !model.departures.is_empty()
        && exclusive(model, service)
            .is_some_and(|what| model.departures_of(what).any(|gone| gone.of != service.id))
}

fn presences(model: &Model, row: &RowKey) -> impl Iterator<Item = Presence> {
    SERVICES.iter().flat_map(move |service| service.presences(model, row))
}

/// What only one can have that hosts have of an instance of a service.
pub(crate) fn exclusive(model: &Model, service: ServiceKey) -> Option<Exclusive> {
    service.service().exclusive(model, service.id)
}

fn is_on(model: &Model, service: ServiceKey, host: &HostName) -> bool {
    service.service().is_on(model, service.id, host)
}

/// The writes by which a host confirms that these departures are done. One that was taken back meanwhile is not confirmed,
/// and neither is a later one of the same.
#[must_use]
pub fn confirm_departures(model: &Model, confirmed: &[Departure]) -> Vec<Write> {
    let is_there =
        |departure: &&Departure| model.departure(departure.what, &departure.host) == Some(*departure);
    confirmed.iter().filter(is_there).map(|departure| Write::Delete(departure.key())).collect()
}

/// The writes by which a restored model remembers what hosts may still have of the one that it replaces; `occasion` tells
/// these departures from all before.
#[must_use]
pub fn departures_after_restore(lost: &Model, restored: &Model, occasion: u64) -> Vec<Write> {
    // What is known of hosts is a fact, and no snapshot's to take back.
    let hosts = lost.hosts.values().filter(|host| !restored.hosts.contains_key(&host.name));
    let hosts = hosts.map(|host| Write::Put(Row::Host(host.clone())));
    let noted = lost.departures().map(|gone| (gone.what, gone.host.clone(), gone.of));
    // What waited for such a departure has not been on the host.
    let present = present(lost).filter(|(what, host, _)| lost.departure(*what, host).is_none());
    let is_there_again = |what: Exclusive, host: &HostName, of: Id| {
        let services = SERVICES.iter().map(|service| ServiceKey { kind: service.kind(), id: of });
        services
            .into_iter()
            .any(|service| exclusive(restored, service) == Some(what) && is_on(restored, service, host))
    };
    let gone = noted.chain(present).filter(|(what, host, of)| !is_there_again(*what, host, *of));
    let gone = gone.map(|(what, host, of)| Departure { what, host, of, occasion });
    hosts.chain(gone.map(|departure| Write::Put(Row::Departure(departure)))).collect()
}

/// Whatever exclusive is on any host, and of which instance.
fn present(model: &Model) -> impl Iterator<Item = (Exclusive, HostName, Id)> {
    let instances = SERVICES.iter().flat_map(|service| {
        let ids = model.ids(service.kind(), None);
        ids.map(|id| RowKey::Resource(service.kind(), id))
    });
    let present = instances.flat_map(|row| presences(model, &row).collect::<Vec<_>>());
    present.filter_map(|(service, host)| Some((exclusive(model, service)?, host, service.id)))
}
