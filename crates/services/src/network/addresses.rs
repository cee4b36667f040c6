//! IPAM: which addresses of a subnet's allocation pools are free.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::core::{FixedIp, ServicePort};
use crate::intervals::Intervals;
use crate::network::{AddressRange, Subnet};
use crate::{Id, Model};

/// The free addresses of all subnets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FreeAddresses(Intervals<Id>);

/// An address as a number; IPv4 and IPv6 never meet in one subnet.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The address that this number is, in the family of `like`.
pub(crate) fn address(number: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

impl FreeAddresses {
    /// The lowest free address of a subnet.
    pub(crate) fn lowest(&self, subnet: &Subnet) -> Option<IpAddr> {
        let lowest = self.0.lowest_from(subnet.standard.id, 0)?;
        Some(address(lowest, subnet.cidr.addr()))
    }

    /// Takes an address out; it may not have been in.
    pub(crate) fn take(&mut self, subnet: Id, taken: IpAddr) {
        self.0.take(subnet, number(taken));
    }

    /// Puts an address back, if it is in one of the subnet's pools.
    pub(crate) fn give_back(&mut self, subnet: &Subnet, freed: IpAddr) {
        let (id, freed) = (subnet.standard.id, number(freed));
        let pooled = |pool: &AddressRange| number(pool.start) <= freed && freed <= number(pool.end);
        if subnet.allocation_pools.iter().any(pooled) && !self.0.contains(id, freed) {
            self.0.join(id, freed, freed);
        }
    }

    /// Forgets a subnet.
    fn clear(&mut self, subnet: Id) {
        self.0.clear(subnet);
    }

    /// Puts in the pools of a subnet, less what is in use of it. An address that is in use in another subnet of the network,
    /// with the same prefix, is that subnet's to count: within one change the one may come while the other goes.
    fn fill(&mut self, subnet: &Subnet, in_use: impl Iterator<Item = IpAddr>) {
        for pool in &subnet.allocation_pools {
            self.0.join(subnet.standard.id, number(pool.start), number(pool.end));
        }
        for taken in in_use {
            self.take(subnet.standard.id, taken);
        }
    }
}

/// Notes which addresses a binding has, in the place of those that it had, and that they are free no more.
pub(crate) fn index_addresses(model: &mut Model, before: Option<&ServicePort>, after: Option<&ServicePort>) {
    let had = |port: &ServicePort| (port.service_id, port.fixed_ips.clone());
    if before.map(had) == after.map(had) {
        return;
    }
    if let Some(port) = before {
        for fixed_ip in &port.fixed_ips {
            release(model, port, fixed_ip);
        }
    }
    if let Some(port) = after {
        for fixed_ip in &port.fixed_ips {
            model.index.addresses.insert((port.service_id, fixed_ip.ip_address, port.standard.id));
            if model.subnets.contains_key(&fixed_ip.subnet_id) {
                model.index.free.take(fixed_ip.subnet_id, fixed_ip.ip_address);
            }
        }
    }
}

/// Gives an address back to its pool, unless somebody else has it: within one change it may have been taken already, and what is
/// anycast has it besides.
fn release(model: &mut Model, port: &ServicePort, fixed_ip: &FixedIp) {
    let (network, address) = (port.service_id, fixed_ip.ip_address);
    model.index.addresses.remove(&(network, address, port.standard.id));
    if model.bindings_at(network, address).next().is_some() {
        return;
    }
    if let Some(subnet) = model.subnets.get(&fixed_ip.subnet_id).cloned() {
        model.index.free.give_back(&subnet, address);
    }
}

/// Makes the free addresses of a subnet anew where its pools are not what they were.
pub(crate) fn index_pools(model: &mut Model, before: Option<&Subnet>, after: Option<&Subnet>) {
    let pools = |subnet: &Subnet| subnet.allocation_pools.clone();
    if before.map(pools) == after.map(pools) {
        return;
    }
    let Some(id) = before.or(after).map(|subnet| subnet.standard.id) else { return };
    model.index.free.clear(id);
    let Some(subnet) = after else { return };
    let ports = model.bindings_in(id).filter_map(|port| model.service_ports.get(&port));
    let of_subnet = ports.flat_map(|port| port.fixed_ips.iter().filter(|fixed_ip| fixed_ip.subnet_id == id));
    let in_use: Vec<IpAddr> = of_subnet.map(|fixed_ip| fixed_ip.ip_address).collect();
    model.index.free.fill(subnet, in_use.into_iter());
}
