//! Departures: what may still be on a host that is no longer concerned by it.
//!
//! Until the host has confirmed that it is gone, or is fenced, it is in quarantine: what is used again too early joins two
//! tenants.

use std::collections::BTreeSet;

use weft_net::HostName;

use crate::compile::{SERVICES, Service, ServiceKey};
use crate::host::hosts_after_restore;
use crate::{Change, Exclusive, Model, Row, RowKey, Write};

/// A host that is no longer concerned by an instance of a service but has not yet confirmed that it has removed it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Departure {
    /// What may still be on the host.
    pub what: Exclusive,
    /// The host.
    pub host: HostName,
    /// The instance that it was of.
    pub of: ServiceKey,
    /// Which of its departures this is, at random: one that is confirmed is not another, later one of the same.
    pub occasion: u64,
}

impl Departure {
    fn key(&self) -> RowKey {
        RowKey::Departure(self.what.clone(), self.host.clone())
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
        let there = |model: &Model| -> BTreeSet<Exclusive> {
            let is_on = is_on(model, service, &host);
            exclusives(model, service).into_iter().filter(|_| is_on).collect()
        };
        let (were, are) = (there(base), there(change.model()));
        let is_known = change.model().hosts.contains_key(&host);
        for what in were.union(&are) {
            let (was_there, is_there) = (were.contains(what), are.contains(what));
            match change.model().departure(what, &host) {
                None if was_there && !is_there && is_known => {
                    let occasion = change.random_bits();
                    let (what, host) = (what.clone(), host.clone());
                    change.put(Row::Departure(Departure { what, host, of: service, occasion }));
                }
                Some(noted) if is_there && noted.of == service => change.delete(noted.key()),
                Some(_) | None => {}
            }
        }
    }
}

/// Whether hosts may still have what an instance has of another that had it before: after a restore. Until they have
/// confirmed that it is gone the instance is on no host.
pub(crate) fn waits(model: &Model, service: ServiceKey) -> bool {
    let is_waited_for = |what: &Exclusive| model.departures_of(what).any(|gone| gone.of != service);
    !model.departures.is_empty() && exclusives(model, service).iter().any(is_waited_for)
}

fn presences(model: &Model, row: &RowKey) -> impl Iterator<Item = Presence> {
    SERVICES.iter().flat_map(move |service| service.presences(model, row))
}

/// What only one can have that hosts have of an instance of a service.
pub(crate) fn exclusives(model: &Model, service: ServiceKey) -> Vec<Exclusive> {
    service.service().exclusives(model, service.id)
}

fn is_on(model: &Model, service: ServiceKey, host: &HostName) -> bool {
    service.service().is_on(model, service.id, host)
}

/// The writes by which a host confirms that these departures are done. One that was taken back meanwhile is not confirmed,
/// and neither is a later one of the same.
#[must_use]
pub fn confirm_departures(model: &Model, confirmed: &[Departure]) -> Vec<Write> {
    let is_there =
        |departure: &&Departure| model.departure(&departure.what, &departure.host) == Some(*departure);
    confirmed.iter().filter(is_there).map(|departure| Write::Delete(departure.key())).collect()
}

/// The writes by which a restored model remembers what hosts may still have of the one that it replaces; `occasion` tells
/// these departures from all before.
#[must_use]
pub fn departures_after_restore(lost: &Model, restored: &Model, occasion: u64) -> Vec<Write> {
    let hosts = hosts_after_restore(lost, restored);
    let noted = lost.departures().map(|gone| (gone.what.clone(), gone.host.clone(), gone.of));
    // What waited for such a departure has not been on the host.
    let present = present(lost).filter(|(what, host, _)| lost.departure(what, host).is_none());
    let is_there_again = |what: &Exclusive, host: &HostName, of: ServiceKey| {
        exclusives(restored, of).contains(what) && is_on(restored, of, host)
    };
    let gone = noted.chain(present).filter(|(what, host, of)| !is_there_again(what, host, *of));
    let gone = gone.map(|(what, host, of)| Departure { what, host, of, occasion });
    hosts.chain(gone.map(|departure| Write::Put(Row::Departure(departure)))).collect()
}

/// Whatever exclusive is on any host, and of which instance.
fn present(model: &Model) -> impl Iterator<Item = (Exclusive, HostName, ServiceKey)> {
    let of_service = |service: &&'static dyn Service| {
        let instances = model.ids(service.kind(), None).map(|id| RowKey::Resource(service.kind(), id));
        instances.flat_map(|row| service.presences(model, &row)).collect::<Vec<_>>()
    };
    SERVICES.iter().flat_map(of_service).flat_map(|(service, host)| {
        let exclusives = exclusives(model, service).into_iter();
        exclusives.map(move |what| (what, host.clone(), service))
    })
}
