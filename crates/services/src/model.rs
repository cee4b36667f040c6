//! The model: every row, with the indexes that make a commit independent of its size.
//!
//! All maps are persistent: a clone shares everything, a change copies one path. Whatever a check asks (is this address
//! taken, which ports are on this network) is one look into an index that the same write keeps.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use imbl::OrdMap;
use weft_net::HostName;

use crate::bgp::{BgpPeer, BgpSpeaker};
use crate::departure::Departure;
use crate::facts::Facts;
use crate::host::Host;
use crate::index::{Index, reclaim, replace};
use crate::network::MacVrf;
use crate::row::each_kind;
use crate::stored::Indexed;
use crate::tables::Tables;
use crate::vrf::{EndpointBits, Vrf};
use crate::{Id, Row, RowKind, Write};

/// Everything that has been asked for, and what has been learned besides. It is read as its [`Tables`].
#[derive(Clone, Debug, Default)]
pub struct Model {
    tables: Tables,
    pub(crate) index: Index,
    pub(crate) facts: Facts,
}

impl Deref for Model {
    type Target = Tables;

    fn deref(&self) -> &Tables {
        &self.tables
    }
}

macro_rules! define_reindex {
    ($($kind:ident $name:literal $table:ident,)*) => {
        impl Model {
            /// Brings the indexes up to date with a row that was changed, from nothing or to nothing as well.
            fn reindex(&mut self, before: Option<&Row>, after: Option<&Row>) {
                match (before, after) {
                    $(
                        (Some(Row::$kind(before)), Some(Row::$kind(after))) => {
                            self.reindex_stored(RowKind::$kind, Some(&**before), Some(&**after));
                        }
                        (Some(Row::$kind(before)), _) => {
                            self.reindex_stored(RowKind::$kind, Some(&**before), None);
                        }
                        (None, Some(Row::$kind(after))) => {
                            self.reindex_stored(RowKind::$kind, None, Some(&**after));
                        }
                    )*
                    (Some(Row::Departure(row)), _) | (None, Some(Row::Departure(row))) => {
                        self.index_free(&row.what);
                    }
                    (Some(Row::Host(_)) | None, _) => self.index_host([before, after]),
                }
            }
        }
    };
}
each_kind!(define_reindex);

impl Model {
    /// Changes one row, and every index with it.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Put(row) => self.around(&row.key(), Some(row), |model| {
                let before = model.tables.insert(row);
                model.reindex(before.as_ref(), Some(row));
            }),
            Write::Delete(key) => self.around(key, None, |model| {
                let before = model.tables.remove(key);
                model.reindex(before.as_ref(), None);
            }),
        }
    }

    fn reindex_stored<T: Indexed>(&mut self, kind: RowKind, before: Option<&T>, after: Option<&T>) {
        self.index.reindex(kind, before.map(|row| row as _), after.map(|row| row as _));
        T::index(self, before, after);
    }

    fn index_host(&mut self, around: [Option<&Row>; 2]) {
        let host =
            |row: Option<&Row>| if let Some(Row::Host(host)) = row { Some(host.clone()) } else { None };
        let [before, after] = around.map(host);
        let Some(name) = before.as_ref().or(after.as_ref()).map(|host| host.name.clone()) else { return };
        let [had, has] = [before, after].map(|host| host?.fact.tunnel_endpoint);
        let bits = |endpoint| (EndpointBits::of(endpoint), name.clone());
        replace(&mut self.index.endpoint_bits, had.map(bits), has.map(bits));
        reclaim(&mut self.index.endpoints, name, had, has);
    }

    /// The host of this name.
    #[must_use]
    pub fn host(&self, name: &HostName) -> Option<&Arc<Host>> {
        self.hosts.get(name)
    }

    /// All hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.hosts.values()
    }

    /// Whether this is the tunnel endpoint of a host.
    #[must_use]
    pub fn is_own_endpoint(&self, endpoint: IpAddr) -> bool {
        self.index.endpoints.contains_key(&endpoint)
    }

    /// The VRF of this identifier.
    #[must_use]
    pub fn vrf(&self, id: Id) -> Option<&Vrf> {
        self.vrfs.get(&id).map(|vrf| &**vrf)
    }

    /// All VRFs.
    pub fn vrfs(&self) -> impl Iterator<Item = &Vrf> {
        self.vrfs.values().map(|vrf| &**vrf)
    }

    /// The MAC-VRF of a network, if it is in a BGP VPN of type `l2`.
    #[must_use]
    pub fn mac_vrf(&self, network: Id) -> Option<&MacVrf> {
        self.mac_vrfs.get(&network).map(|mac_vrf| &**mac_vrf)
    }

    /// All MAC-VRFs.
    pub fn mac_vrfs(&self) -> impl Iterator<Item = &MacVrf> {
        self.mac_vrfs.values().map(|mac_vrf| &**mac_vrf)
    }

    /// All BGP speakers.
    pub fn bgp_speakers(&self) -> impl Iterator<Item = &BgpSpeaker> {
        self.bgp_speakers.values().map(|speaker| &**speaker)
    }

    /// The BGP peer of this identifier.
    #[must_use]
    pub fn bgp_peer(&self, id: Id) -> Option<&BgpPeer> {
        self.bgp_peers.get(&id).map(|peer| &**peer)
    }

    /// All departures that have not been confirmed.
    pub fn departures(&self) -> impl Iterator<Item = &Departure> {
        self.departures.values()
    }

    /// The rows of a kind that refer to a row.
    pub(crate) fn referring(&self, to: (RowKind, Id), by: RowKind) -> impl Iterator<Item = Id> + use<'_> {
        let range = (to, (by, Id::MIN))..=(to, (by, Id::MAX));
        self.index.references.range(range).map(|(_, (_, id))| *id)
    }

    /// One of the rows that refer to a row, if there are any.
    pub(crate) fn any_referring(&self, to: (RowKind, Id)) -> Option<(RowKind, Id)> {
        let range = (to, (RowKind::Host, Id::MIN))..;
        self.index.references.range(range).next().filter(|(other, _)| *other == to).map(|(_, by)| *by)
    }

    /// The subnets of a network.
    pub(crate) fn subnets_of(&self, network: Id) -> impl Iterator<Item = Id> + use<'_> {
        self.referring((RowKind::Network, network), RowKind::Subnet)
    }

    /// The bindings to a network.
    pub(crate) fn bindings_to(&self, network: Id) -> impl Iterator<Item = Id> + use<'_> {
        self.referring((RowKind::Network, network), RowKind::ServicePort)
    }

    /// The bindings with an address of a subnet.
    pub(crate) fn bindings_in(&self, subnet: Id) -> impl Iterator<Item = Id> + use<'_> {
        self.referring((RowKind::Subnet, subnet), RowKind::ServicePort)
    }

    /// The bindings that have an address in a network: one, or several that are anycast.
    pub(crate) fn bindings_at(&self, network: Id, address: IpAddr) -> impl Iterator<Item = Id> + use<'_> {
        let range = (network, address, Id::MIN)..=(network, address, Id::MAX);
        self.index.addresses.range(range).map(|(_, _, id)| *id)
    }

    /// The bindings of an interface.
    pub(crate) fn bindings_of(&self, interface: Id) -> impl Iterator<Item = Id> + use<'_> {
        self.referring((RowKind::Interface, interface), RowKind::ServicePort)
    }
}

impl Model {
    /// Compares all rows and indexes with another model's; for tests.
    ///
    /// # Errors
    /// The first that differs.
    #[doc(hidden)]
    pub fn same_as(&self, other: &Self) -> Result<(), String> {
        let (count, other_count) = (self.rows().count(), other.rows().count());
        if count != other_count {
            return Err(format!("{count} rows instead of {other_count}"));
        }
        let differing = self.rows().zip(other.rows()).find(|(one, other)| one != other);
        if let Some((one, other)) = differing {
            return Err(format!("{one:?} instead of {other:?}"));
        }
        self.index.difference(&other.index)
    }

    /// Compares every index with what the rows alone say; for tests.
    ///
    /// # Errors
    /// The first index that says something else.
    #[doc(hidden)]
    pub fn recount_check(&self) -> Result<(), String> {
        let mut anew = Self::default();
        for row in self.rows() {
            anew.apply(&Write::Put(row));
        }
        self.same_as(&anew)?;
        for (network, hosts) in &self.index.service_hosts {
            let mut counted: OrdMap<HostName, u32> = OrdMap::new();
            for port in self.service_ports.values() {
                match self.bridged_binding(port) {
                    Some((bound_to, host)) if bound_to == *network => *counted.entry(host).or_insert(0) += 1,
                    _ => {}
                }
            }
            if counted != *hosts {
                return Err(format!("network {network} is counted on {hosts:?}, and is on {counted:?}"));
            }
        }
        Ok(())
    }
}
