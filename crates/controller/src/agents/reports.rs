//! What hosts reported, as the statuses of resources.

use parking_lot::MutexGuard;
use weft_net::HostName;
use weft_services::Model;
use weft_services::catalogue::{Status, Statuses};
use weft_services::compile::FragmentKey;
use weft_services::core::{InstancePort, ServicePort};

use super::Distribution;

/// The reports, held for the time of one rendering.
pub struct Reports<'a>(pub(crate) MutexGuard<'a, Distribution>);

impl Reports<'_> {
    fn of(&self, host: &HostName, key: &FragmentKey) -> Status {
        match self.0.settled(host, key) {
            None => Status::Build,
            Some(Ok(())) => Status::Active,
            Some(Err(not_done)) if not_done.waiting => Status::Down,
            Some(Err(_)) => Status::Error,
        }
    }
}

impl Statuses for Reports<'_> {
    fn instance_port(&self, model: &Model, port: &InstancePort) -> Status {
        match &port.host_id {
            Some(host) if model.host(host).is_some() => {
                self.of(host, &FragmentKey::InstancePort(port.standard.id))
            }
            _ => Status::Down,
        }
    }

    /// A binding is as good as the worse of its own fragment and its vNIC's.
    fn service_port(&self, model: &Model, port: &ServicePort) -> Status {
        let Some(bound) = weft_services::compile::bound_on(model, port) else { return Status::Down };
        let own = self.of(&bound.host, &FragmentKey::NetworkPort(port.service_id, port.standard.id));
        let vnic = self.of(&bound.host, &FragmentKey::InstancePort(bound.instance_port));
        match (own, vnic) {
            (Status::Error, _) | (_, Status::Error) => Status::Error,
            (Status::Down, _) | (_, Status::Down) => Status::Down,
            (Status::Build, _) | (_, Status::Build) => Status::Build,
            (Status::Active, Status::Active) => Status::Active,
        }
    }

    fn is_connected(&self, host: &HostName) -> bool {
        self.0.host(host).is_some_and(|state| state.connection.is_some())
    }
}
