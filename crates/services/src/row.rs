//! Rows: what of the model is stored, one to a resource, and the writes that change it.
//!
//! A new kind of row is a line in [`each_kind`] and an implementation of [`Stored`](crate::stored::Stored) beside its type.

use std::sync::Arc;

use weft_net::HostName;

use crate::bgp::{BgpPeer, BgpSpeaker};
use crate::bgpvpn::{Bgpvpn, BgpvpnNetworkAssociation, BgpvpnPortAssociation, BgpvpnRouterAssociation};
use crate::core::{InstancePort, Interface, ServicePort};
use crate::departure::Departure;
use crate::host::Host;
use crate::network::{MacVrf, Network, Subnet};
use crate::router::{Router, RouterInterface};
use crate::stored::Stored;
use crate::vrf::Vrf;
use crate::{Exclusive, Id, Standard};

/// The one list of the kinds of row that resources have, those that others refer to first: kind and type, name in stored
/// keys, table of the model.
macro_rules! each_kind {
    ($then:ident) => {
        $then! {
            Network "network" networks,
            Subnet "subnet" subnets,
            InstancePort "instance_port" instance_ports,
            Interface "interface" interfaces,
            ServicePort "service_port" service_ports,
            Router "router" routers,
            RouterInterface "router_interface" router_interfaces,
            Bgpvpn "bgpvpn" bgpvpns,
            BgpvpnNetworkAssociation "bgpvpn_network_association" bgpvpn_network_associations,
            BgpvpnRouterAssociation "bgpvpn_router_association" bgpvpn_router_associations,
            BgpvpnPortAssociation "bgpvpn_port_association" bgpvpn_port_associations,
            BgpPeer "bgp_peer" bgp_peers,
            BgpSpeaker "bgp_speaker" bgp_speakers,
            Vrf "vrf" vrfs,
            MacVrf "mac_vrf" mac_vrfs,
        }
    };
}
pub(crate) use each_kind;

macro_rules! define_rows {
    ($($kind:ident $name:literal $table:ident,)*) => {
        /// The kinds of row, in the order in which rows refer to one another. Their names are part of the stored form.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RowKind {
            /// A host: a fact.
            Host,
            /// A departure: a fact.
            Departure,
            $(#[doc = concat!("A resource: ", $name, ".")] $kind,)*
        }

        impl RowKind {
            /// Every kind, those that others refer to first.
            pub const ALL: &'static [Self] =
                &[Self::Host, Self::Departure, $(Self::$kind,)*];

            /// The name in stored keys.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::Host => "host",
                    Self::Departure => "departure",
                    $(Self::$kind => $name,)*
                }
            }
        }

        /// A row of the model.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Row {
            /// A host.
            Host(Arc<Host>),
            /// A departure.
            Departure(Departure),
            $(#[doc = concat!("A resource: ", $name, ".")] $kind(Arc<$kind>),)*
        }

        impl Row {
            /// What identifies it.
            #[must_use]
            pub fn key(&self) -> RowKey {
                match self {
                    Self::Host(row) => RowKey::Host(row.name.clone()),
                    Self::Departure(row) => RowKey::Departure(row.what.clone(), row.host.clone()),
                    $(Self::$kind(row) => RowKey::Resource(RowKind::$kind, row.standard.id),)*
                }
            }

            /// What a resource says of itself; facts say nothing.
            pub(crate) fn stored(&self) -> Option<&dyn Stored> {
                match self {
                    Self::Host(_) | Self::Departure(_) => None,
                    $(Self::$kind(row) => Some(&**row),)*
                }
            }

            /// The same of one's own, to be changed.
            pub(crate) fn stored_mut(&mut self) -> Option<&mut dyn Stored> {
                match self {
                    Self::Host(_) | Self::Departure(_) => None,
                    $(Self::$kind(row) => Some(Arc::<$kind>::make_mut(row)),)*
                }
            }

            /// The stored form: JSON, to which attributes can be added later.
            #[must_use]
            pub fn to_bytes(&self) -> Vec<u8> {
                let bytes = match self {
                    Self::Host(row) => serde_json::to_vec(row),
                    Self::Departure(row) => serde_json::to_vec(row),
                    $(Self::$kind(row) => serde_json::to_vec(row),)*
                };
                bytes.expect("rows have text keys only and no value that JSON lacks")
            }

            /// Reads the stored form.
            ///
            /// # Errors
            /// If it is not a row of this kind.
            pub fn from_bytes(kind: RowKind, bytes: &[u8]) -> Result<Self, RowError> {
                let row = match kind {
                    RowKind::Host => serde_json::from_slice(bytes).map(Self::Host),
                    RowKind::Departure => serde_json::from_slice(bytes).map(Self::Departure),
                    $(RowKind::$kind => serde_json::from_slice(bytes).map(Self::$kind),)*
                };
                row.map_err(|error| RowError(format!("not a row of kind {}: {error}", kind.as_str())))
            }
        }
    };
}
each_kind!(define_rows);

impl RowKind {
    /// Whether rows of this kind are facts: durable, but never rolled back.
    #[must_use]
    pub const fn is_fact(self) -> bool {
        matches!(self, Self::Host | Self::Departure)
    }

    /// The kind as a message names it: `instance port`.
    pub(crate) fn in_words(self) -> String {
        self.as_str().replace('_', " ")
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == name)
    }
}

/// What identifies a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKey {
    /// A resource's row.
    Resource(RowKind, Id),
    /// A host's row.
    Host(HostName),
    /// The row of a departure: of what, and from which host.
    Departure(Exclusive, HostName),
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
            Self::Departure(what, host) => format!("{kind}/{}/{host}", what.to_text()),
        }
    }

    /// The row as a message names it: `instance port`, and its identifier.
    pub(crate) fn in_words(&self) -> String {
        let text = self.to_text();
        let name = text.split_once('/').map_or(&*text, |(_, name)| name);
        format!("{} {name}", self.kind().in_words())
    }

    /// The key that is stored as this text.
    ///
    /// # Errors
    /// If it is not one.
    pub fn from_text(text: &str) -> Result<Self, RowError> {
        Self::read(text).ok_or_else(|| RowError(format!("'{text}' is not the key of a row")))
    }

    fn read(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('/')?;
        match RowKind::from_name(kind)? {
            RowKind::Host => Some(Self::Host(id.parse().ok()?)),
            RowKind::Departure => {
                let (what, host) = id.rsplit_once('/')?;
                Some(Self::Departure(Exclusive::from_text(what)?, host.parse().ok()?))
            }
            kind => Some(Self::Resource(kind, id.parse().ok()?)),
        }
    }
}

/// A stored row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RowError(String);

impl Row {
    /// The project that owns it, if one does.
    #[must_use]
    pub fn project_id(&self) -> Option<&str> {
        self.standard().map(|standard| &*standard.project_id)
    }

    /// The standard attributes, of a resource.
    #[must_use]
    pub fn standard(&self) -> Option<&Standard> {
        self.stored().map(Stored::standard)
    }

    /// The same row with other standard attributes, if it has some.
    pub(crate) fn with_standard(mut self, change: impl FnOnce(&mut Standard)) -> Self {
        if let Some(stored) = self.stored_mut() {
            change(stored.standard_mut());
        }
        self
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
