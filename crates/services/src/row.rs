//! Rows: what of the model is stored, one to a resource, and the writes that change it.

use std::sync::Arc;

use weft_net::HostName;

use crate::core::{InstancePort, Interface, ServicePort};
use crate::network::{Network, Subnet};
use crate::{Departure, Host, Id};

/// The kinds of row. Their names are part of the stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// A network.
    Network,
    /// A subnet.
    Subnet,
    /// An instance port.
    InstancePort,
    /// An interface.
    Interface,
    /// A service port.
    ServicePort,
    /// A host.
    Host,
    /// A departure.
    Departure,
}

impl RowKind {
    /// Every kind, in the order in which rows refer to one another.
    pub const ALL: [Self; 7] = [
        Self::Host,
        Self::Departure,
        Self::Network,
        Self::Subnet,
        Self::InstancePort,
        Self::Interface,
        Self::ServicePort,
    ];

    /// The name in stored keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Subnet => "subnet",
            Self::InstancePort => "instance_port",
            Self::Interface => "interface",
            Self::ServicePort => "service_port",
            Self::Host => "host",
            Self::Departure => "departure",
        }
    }

    /// Whether rows of this kind are facts: durable, but never rolled back.
    #[must_use]
    pub const fn is_fact(self) -> bool {
        matches!(self, Self::Host | Self::Departure)
    }
}

/// What identifies a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKey {
    /// A resource's row.
    Resource(RowKind, Id),
    /// A host's row.
    Host(HostName),
    /// The row of a departure: VNI and host.
    Departure(weft_net::Vni, HostName),
}

impl RowKey {
    /// The kind of the row.
    #[must_use]
    pub const fn kind(&self) -> RowKind {
        match self {
            Self::Resource(kind, _) => *kind,
            Self::Host(_) => RowKind::Host,
            Self::Departure(..) => RowKind::Departure,
        }
    }

    /// The key as it is stored: `kind/id`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let kind = self.kind().as_str();
        match self {
            Self::Resource(_, id) => format!("{kind}/{id}"),
            Self::Host(name) => format!("{kind}/{name}"),
            Self::Departure(vni, host) => format!("{kind}/{vni}/{host}"),
        }
    }

    /// The key that is stored as this text.
    ///
    /// # Errors
    /// If it is not one.
    pub fn from_text(text: &str) -> Result<Self, RowError> {
        let error = || RowError(format!("'{text}' is not the key of a row"));
        let (kind, id) = text.split_once('/').ok_or_else(error)?;
        let kind = RowKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or_else(error)?;
        match kind {
            RowKind::Host => id.parse().map(Self::Host).map_err(|_| error()),
            RowKind::Departure => {
                let (vni, host) = id.split_once('/').ok_or_else(error)?;
                Ok(Self::Departure(vni.parse().map_err(|_| error())?, host.parse().map_err(|_| error())?))
            }
            _ => id.parse().map(|id| Self::Resource(kind, id)).map_err(|_| error()),
        }
    }
}

/// A row of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A network.
    Network(Arc<Network>),
    /// A subnet.
    Subnet(Arc<Subnet>),
    /// An instance port.
    InstancePort(Arc<InstancePort>),
    /// An interface.
    Interface(Arc<Interface>),
    /// A service port.
    ServicePort(Arc<ServicePort>),
    /// A host.
    Host(Arc<Host>),
    /// A departure.
    Departure(Departure),
}

/// A stored row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RowError(String);

impl Row {
    /// What identifies it.
    #[must_use]
    pub fn key(&self) -> RowKey {
        match self {
            Self::Network(row) => RowKey::Resource(RowKind::Network, row.standard.id),
            Self::Subnet(row) => RowKey::Resource(RowKind::Subnet, row.standard.id),
            Self::InstancePort(row) => RowKey::Resource(RowKind::InstancePort, row.standard.id),
            Self::Interface(row) => RowKey::Resource(RowKind::Interface, row.standard.id),
            Self::ServicePort(row) => RowKey::Resource(RowKind::ServicePort, row.standard.id),
            Self::Host(row) => RowKey::Host(row.name.clone()),
            Self::Departure(row) => RowKey::Departure(row.vni, row.host.clone()),
        }
    }

    /// The project that owns it, if one does.
    #[must_use]
    pub fn project_id(&self) -> Option<&str> {
        self.standard().map(|standard| &*standard.project_id)
    }

    /// The standard attributes, of a resource.
    #[must_use]
    pub fn standard(&self) -> Option<&crate::Standard> {
        match self {
            Self::Network(row) => Some(&row.standard),
            Self::Subnet(row) => Some(&row.standard),
            Self::InstancePort(row) => Some(&row.standard),
            Self::Interface(row) => Some(&row.standard),
            Self::ServicePort(row) => Some(&row.standard),
            Self::Host(_) | Self::Departure(_) => None,
        }
    }

    /// The stored form: JSON, to which attributes can be added later.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = match self {
            Self::Network(row) => serde_json::to_vec(row),
            Self::Subnet(row) => serde_json::to_vec(row),
            Self::InstancePort(row) => serde_json::to_vec(row),
            Self::Interface(row) => serde_json::to_vec(row),
            Self::ServicePort(row) => serde_json::to_vec(row),
            Self::Host(row) => serde_json::to_vec(row),
            Self::Departure(row) => serde_json::to_vec(row),
        };
        bytes.expect("rows have text keys only and no value that JSON lacks")
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// If it is not a row of this kind.
    pub fn from_bytes(kind: RowKind, bytes: &[u8]) -> Result<Self, RowError> {
        let row = match kind {
            RowKind::Network => serde_json::from_slice(bytes).map(Self::Network),
            RowKind::Subnet => serde_json::from_slice(bytes).map(Self::Subnet),
            RowKind::InstancePort => serde_json::from_slice(bytes).map(Self::InstancePort),
            RowKind::Interface => serde_json::from_slice(bytes).map(Self::Interface),
            RowKind::ServicePort => serde_json::from_slice(bytes).map(Self::ServicePort),
            RowKind::Host => serde_json::from_slice(bytes).map(Self::Host),
            RowKind::Departure => serde_json::from_slice(bytes).map(Self::Departure),
        };
        row.map_err(|error| RowError(format!("not a row of kind {}: {error}", kind.as_str())))
    }
}

/// One change to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// This row is there now, in place of what had its key.
    Put(Row),
    /// No row has this key any more.
    Delete(RowKey),
}

impl Write {
    /// The key of the row that it changes.
    #[must_use]
    pub fn key(&self) -> RowKey {
        match self {
            Self::Put(row) => row.key(),
            Self::Delete(key) => key.clone(),
        }
    }
}
