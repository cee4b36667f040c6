//! The tables of the model: its rows by kind, in persistent maps.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;
use weft_net::HostName;

use crate::bgp::{BgpPeer, BgpSpeaker};
use crate::bgpvpn::{Bgpvpn, BgpvpnNetworkAssociation, BgpvpnPortAssociation, BgpvpnRouterAssociation};
use crate::core::{InstancePort, Interface, ServicePort};
use crate::departure::Departure;
use crate::host::Host;
use crate::network::{MacVrf, Network, Subnet};
use crate::router::{Router, RouterInterface};
use crate::row::each_kind;
use crate::vrf::Vrf;
use crate::{Exclusive, Id, Row, RowKey, RowKind};

macro_rules! define_tables {
    ($($kind:ident $name:literal $table:ident,)*) => {
        /// All rows.
        #[derive(Clone, Debug, Default)]
        pub struct Tables {
            pub(crate) hosts: OrdMap<HostName, Arc<Host>>,
            pub(crate) departures: OrdMap<(Exclusive, HostName), Departure>,
            $(pub(crate) $table: OrdMap<Id, Arc<$kind>>,)*
        }

        impl Tables {
            /// The row with this key.
            #[must_use]
            pub fn row(&self, key: &RowKey) -> Option<Row> {
                match key {
                    RowKey::Host(name) => self.hosts.get(name).cloned().map(Row::Host),
                    RowKey::Departure(what, host) => self.departure(what, host).cloned().map(Row::Departure),
                    $(RowKey::Resource(RowKind::$kind, id) => self.$table.get(id).cloned().map(Row::$kind),)*
                    RowKey::Resource(RowKind::Host | RowKind::Departure, _) => None,
                }
            }

            /// Every row, those that others refer to first.
            pub fn rows(&self) -> impl Iterator<Item = Row> {
                let hosts = self.hosts.values().cloned().map(Row::Host);
                let rows = hosts.chain(self.departures.values().cloned().map(Row::Departure));
                $(let rows = rows.chain(self.$table.values().cloned().map(Row::$kind));)*
                rows
            }

            /// The identifiers of the resources of a kind after one, in order.
            pub(crate) fn ids(
                &self,
                kind: RowKind,
                after: Option<Id>,
            ) -> Box<dyn DoubleEndedIterator<Item = Id> + '_> {
                let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
                match kind {
                    RowKind::Host | RowKind::Departure => Box::new(std::iter::empty()),
                    $(RowKind::$kind => Box::new(self.$table.range(range).map(|(id, _)| *id)),)*
                }
            }

            /// Whether a resource of any kind has the same short form as this one.
            pub(crate) fn has_short(&self, id: Id) -> bool {
                let (low, high) = id.same_short();
                false $(|| self.$table.get_next(&low).is_some_and(|(next, _)| *next <= high))*
            }

            /// Puts a row in; answers the one that had its key.
            pub(crate) fn insert(&mut self, row: &Row) -> Option<Row> {
                match row {
                    Row::Host(row) => self.hosts.insert(row.name.clone(), row.clone()).map(Row::Host),
                    Row::Departure(row) => {
                        let key = (row.what.clone(), row.host.clone());
                        self.departures.insert(key, row.clone()).map(Row::Departure)
                    }
                    $(Row::$kind(row) => {
                        self.$table.insert(row.standard.id, row.clone()).map(Row::$kind)
                    })*
                }
            }

            /// Takes a row out; answers it.
            pub(crate) fn remove(&mut self, key: &RowKey) -> Option<Row> {
                match key {
                    RowKey::Host(name) => self.hosts.remove(name).map(Row::Host),
                    RowKey::Departure(what, host) => {
                        self.departures.remove(&(what.clone(), host.clone())).map(Row::Departure)
                    }
                    $(RowKey::Resource(RowKind::$kind, id) => self.$table.remove(id).map(Row::$kind),)*
                    RowKey::Resource(RowKind::Host | RowKind::Departure, _) => None,
                }
            }
        }
    };
}
each_kind!(define_tables);

impl Tables {
    /// The departure of this from a host that the host has not confirmed, if there is one.
    pub(crate) fn departure(&self, what: &Exclusive, host: &HostName) -> Option<&Departure> {
        self.departures.get(&(what.clone(), host.clone()))
    }
}
