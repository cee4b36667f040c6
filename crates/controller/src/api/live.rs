//! What hosts reported, asked for one status at a time: however long a list is, agents are not kept waiting for it.

use weft_net::HostName;
use weft_services::Model;
use weft_services::catalogue::{Status, Statuses};
use weft_services::core::{InstancePort, ServicePort};

use crate::site::Site;

/// The reports of a site, as they are at each moment of a rendering.
pub(crate) struct Live<'a>(pub(crate) &'a Site);

impl Statuses for Live<'_> {
    fn instance_port(&self, model: &Model, port: &InstancePort) -> Status {
        self.0.reports().instance_port(model, port)
    }

    fn service_port(&self, model: &Model, port: &ServicePort) -> Status {
        self.0.reports().service_port(model, port)
    }

    fn is_connected(&self, host: &HostName) -> bool {
        self.0.reports().is_connected(host)
    }
}
