//! The indexes of the model: what is derived from its rows, kept by the same writes.
//!
//! What every row is found by (its name, its declared set, what it refers to) is kept here; the rest by the row's own
//! [`Indexed`](crate::stored::Indexed).

use std::net::IpAddr;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use weft_net::{HostName, Mac, NamespaceName, RouteDistinguisher, RouteTarget, Vni};

use crate::compile::ServiceKey;
use crate::exclusive::{Exclusive, FreeNumbers};
use crate::network::FreeAddresses;
use crate::stored::Stored;
use crate::vrf::{EndpointBits, Members};
use crate::{Id, RowKind};

/// What is derived from the rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// By kind and name, of those that have one.
    pub(crate) names: OrdSet<(RowKind, Arc<str>, Id)>,
    /// By the declared set that made it, kind, and the name by which the set declares it.
    pub(crate) apply_sets: OrdSet<(Arc<str>, RowKind, Arc<str>, Id)>,
    /// What is referred to, and by what.
    pub(crate) references: OrdSet<((RowKind, Id), (RowKind, Id))>,
    /// What only one can have, and which instance of a service has it.
    pub(crate) exclusives: OrdMap<Exclusive, ServiceKey>,
    /// Numbers that are neither in use nor in quarantine.
    pub(crate) free_numbers: FreeNumbers,
    /// Tunnel endpoints, and whose they are.
    pub(crate) endpoints: OrdMap<IpAddr, HostName>,
    /// What of tunnel endpoints is in the MAC addresses of VRFs, and whose they are.
    pub(crate) endpoint_bits: OrdSet<(EndpointBits, HostName)>,
    /// The VNIs of VRFs, behind what of them is in their MAC addresses as it is.
    pub(crate) vrf_vnis: OrdSet<(u16, Vni)>,
    /// Instance ports of a host.
    pub(crate) by_host: OrdSet<(HostName, Id)>,
    /// Instance ports of a device, of those that have one.
    pub(crate) by_device: OrdSet<(Arc<str>, Id)>,
    /// Addresses in use in a network, and by which service port: one, or several that are anycast.
    pub(crate) addresses: OrdSet<(Id, IpAddr, Id)>,
    /// Networks with anycast ports, and those.
    pub(crate) anycast: OrdSet<(Id, Id)>,
    /// MAC addresses in use in a network, and by which service port.
    pub(crate) macs: OrdMap<(Id, Mac), Id>,
    /// Named namespaces on hosts, by the instance ports that are in them.
    pub(crate) namespaces: OrdSet<(HostName, NamespaceName, Id)>,
    /// How many live bindings a service has on a host.
    pub(crate) service_hosts: OrdMap<Id, OrdMap<HostName, u32>>,
    /// Route targets that a BGP VPN names, and which one does.
    pub(crate) route_targets: OrdSet<(RouteTarget, Id)>,
    /// Addresses that are free in the allocation pools of a subnet.
    pub(crate) free: FreeAddresses,
    /// The MAC addresses of VRFs' gateways, and of which VRF.
    pub(crate) gateway_macs: OrdSet<(Mac, Id)>,
    /// Route distinguishers that were given, and to which VRF or MAC-VRF.
    pub(crate) given_distinguishers: OrdSet<(RouteDistinguisher, (RowKind, Id))>,
    /// What is in VRFs, and what follows from it.
    pub(crate) members: Members,
}

impl Index {
    /// Brings what every row is found by up to date.
    pub(crate) fn reindex(&mut self, kind: RowKind, before: Option<&dyn Stored>, after: Option<&dyn Stored>) {
        let standard = [before, after].map(|row| row.map(Stored::standard));
        let [named, now_named] = standard.map(|standard| {
            let named = standard.filter(|standard| !standard.name.is_empty());
            named.map(|standard| (kind, Arc::from(standard.name.as_str()), standard.id))
        });
        replace(&mut self.names, named, now_named);
        let [declared, now_declared] = standard.map(|standard| {
            let set = standard?.apply_set.clone()?;
            Some((set, kind, standard?.declared_name(), standard?.id))
        });
        replace(&mut self.apply_sets, declared, now_declared);
        let [referred, now_referred] =
            [before, after].map(|row| row.map(Stored::references).unwrap_or_default());
        let Some(id) = standard.into_iter().flatten().next().map(|standard| standard.id) else { return };
        for to in referred.iter().filter(|to| !now_referred.contains(to)) {
            self.references.remove(&(*to, (kind, id)));
        }
        for to in now_referred.iter().filter(|to| !referred.contains(to)) {
            self.references.insert((*to, (kind, id)));
        }
    }

    /// The first index that differs from another's.
    pub(crate) fn difference(&self, other: &Self) -> Result<(), String> {
        fn same<T: PartialEq + std::fmt::Debug>(name: &str, one: &T, other: &T) -> Result<(), String> {
            if one == other { Ok(()) } else { Err(format!("{name}: {one:?} instead of {other:?}")) }
        }
        same("names", &self.names, &other.names)?;
        same("apply_sets", &self.apply_sets, &other.apply_sets)?;
        same("references", &self.references, &other.references)?;
        same("exclusives", &self.exclusives, &other.exclusives)?;
        same("free_numbers", &self.free_numbers, &other.free_numbers)?;
        same("endpoints", &self.endpoints, &other.endpoints)?;
        same("endpoint_bits", &self.endpoint_bits, &other.endpoint_bits)?;
        same("vrf_vnis", &self.vrf_vnis, &other.vrf_vnis)?;
        same("by_host", &self.by_host, &other.by_host)?;
        same("by_device", &self.by_device, &other.by_device)?;
        same("addresses", &self.addresses, &other.addresses)?;
        same("anycast", &self.anycast, &other.anycast)?;
        same("macs", &self.macs, &other.macs)?;
        same("namespaces", &self.namespaces, &other.namespaces)?;
        same("service_hosts", &self.service_hosts, &other.service_hosts)?;
        same("route_targets", &self.route_targets, &other.route_targets)?;
        same("free", &self.free, &other.free)?;
        same("gateway_macs", &self.gateway_macs, &other.gateway_macs)?;
        same("given_distinguishers", &self.given_distinguishers, &other.given_distinguishers)?;
        same("members", &self.members, &other.members)
    }
}

/// Puts in the place of what a row had in a set what it has now.
pub(crate) fn replace<T: Ord + Clone>(set: &mut OrdSet<T>, before: Option<T>, after: Option<T>) {
    if before == after {
        return;
    }
    if let Some(before) = before {
        set.remove(&before);
    }
    if let Some(after) = after {
        set.insert(after);
    }
}

/// The same for what only one can have. Within one change somebody else may have taken what the row had.
pub(crate) fn reclaim<K: Ord + Clone, O: PartialEq + Clone>(
    owners: &mut OrdMap<K, O>,
    owner: O,
    before: Option<K>,
    after: Option<K>,
) {
    if let Some(before) = before.filter(|before| Some(before) != after.as_ref())
        && owners.get(&before) == Some(&owner)
    {
        owners.remove(&before);
    }
    if let Some(after) = after
        && owners.get(&after) != Some(&owner)
    {
        owners.insert(after, owner);
    }
}
