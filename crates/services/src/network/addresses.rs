//! IPAM: which addresses of a subnet's allocation pools are free.
//!
//! Kept as intervals, so that the next free address is one look away however many are taken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use imbl::OrdMap;

use crate::Id;
use crate::network::{AddressRange, Subnet};

/// The free addresses of all subnets: (subnet, first) → last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FreeAddresses {
    intervals: OrdMap<(Id, u128), u128>,
}

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
        let id = subnet.standard.id;
        let ((_, first), _) = self.intervals.range((id, 0)..=(id, u128::MAX)).next()?;
        Some(address(*first, subnet.cidr.addr()))
    }

    /// Takes an address out; it may not have been in.
    pub(crate) fn take(&mut self, subnet: Id, taken: IpAddr) {
        let taken = number(taken);
        let Some((first, last)) = self.around(subnet, taken) else { return };
        self.intervals.remove(&(subnet, first));
        if first < taken {
            self.intervals.insert((subnet, first), taken - 1);
        }
        if taken < last {
            self.intervals.insert((subnet, taken + 1), last);
        }
    }

    /// Puts an address back, if it is in one of the subnet's pools.
    pub(crate) fn give_back(&mut self, subnet: &Subnet, freed: IpAddr) {
        let id = subnet.standard.id;
        let freed = number(freed);
        let pooled = |pool: &AddressRange| number(pool.start) <= freed && freed <= number(pool.end);
        if !subnet.allocation_pools.iter().any(pooled) || self.around(id, freed).is_some() {
            return;
        }
        self.join(id, freed, freed);
    }

    /// Puts an interval in; one with those that it touches.
    fn join(&mut self, id: Id, mut first: u128, mut last: u128) {
        if let Some((below, _)) = first.checked_sub(1).and_then(|below| self.around(id, below)) {
            self.intervals.remove(&(id, below));
            first = below;
        }
        if let Some(above) = last.checked_add(1).and_then(|above| self.intervals.remove(&(id, above))) {
            last = above;
        }
        self.intervals.insert((id, first), last);
    }

    /// Forgets a subnet.
    pub(crate) fn clear(&mut self, subnet: Id) {
        let starts: Vec<(Id, u128)> =
            self.intervals.range((subnet, 0)..=(subnet, u128::MAX)).map(|(key, _)| *key).collect();
        for start in starts {
            self.intervals.remove(&start);
        }
    }

    /// Puts in the pools of a subnet, less what is in use of it. An address that is in use in another subnet of the network,
    /// with the same prefix, is that subnet's to count: within one change the one may come while the other goes.
    pub(crate) fn fill(&mut self, subnet: &Subnet, in_use: impl Iterator<Item = IpAddr>) {
        for pool in &subnet.allocation_pools {
            self.join(subnet.standard.id, number(pool.start), number(pool.end));
        }
        for taken in in_use {
            self.take(subnet.standard.id, taken);
        }
    }

    /// The interval in which an address is.
    fn around(&self, subnet: Id, number: u128) -> Option<(u128, u128)> {
        let ((_, first), last) = self.intervals.range((subnet, 0)..=(subnet, number)).next_back()?;
        (number <= *last).then_some((*first, *last))
    }
}
