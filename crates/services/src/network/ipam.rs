//! Which addresses a port gets: those it asks for, or the lowest free ones of the network's subnets.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use weft_net::Mac;

use crate::core::{FixedIp, ServicePort};
use crate::network::Subnet;
use crate::{Change, Id, Model, Refusal};

/// An address as a request names it: by subnet, by value, or by both.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FixedIpRequest {
    subnet_id: Option<Id>,
    ip_address: Option<IpAddr>,
}

impl FixedIpRequest {
    pub(crate) const fn exactly(fixed_ip: &FixedIp) -> Self {
        Self { subnet_id: Some(fixed_ip.subnet_id), ip_address: Some(fixed_ip.ip_address) }
    }
}

/// What gets addresses.
#[derive(Clone, Copy)]
pub(crate) struct Station {
    pub(crate) network: Id,
    pub(crate) mac: Mac,
    pub(crate) part: Part,
}

/// What part something that gets addresses has in its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It is a workload.
    Workload,
    /// It is one of several workloads that may have the same addresses.
    Anycast,
    /// It is a router: it has the gateway's address, however others get theirs.
    Router,
}

impl Part {
    pub(crate) const fn of(anycast: bool) -> Self {
        if anycast { Self::Anycast } else { Self::Workload }
    }
}

/// The most addresses that one port may ask for, as Neutron's `max_fixed_ips_per_port` had it.
const FIXED_IPS_MAX: usize = 256;

/// The addresses for a new binding to a network. Without a request: one IPv4 and one IPv6 address where the network has
/// subnets for them, and one of each subnet in which workloads make their own.
pub(crate) fn allocate(
    change: &Change,
    station: Station,
    asked: Option<&[FixedIpRequest]>,
) -> Result<Vec<FixedIp>, Refusal> {
    let mut picker = Picker { model: change.model(), station, picked: Vec::new(), free: Free::default() };
    match asked {
        Some(asked) => picker.pick_asked(asked)?,
        None => picker.pick_default()?,
    }
    Ok(picker.picked)
}

/// The addresses for a binding that has some: it keeps those that the request still means, and gets others for this MAC
/// address.
pub(crate) fn reallocate(
    change: &Change,
    stored: &ServicePort,
    mac: Mac,
    asked: &[FixedIpRequest],
) -> Result<Vec<FixedIp>, Refusal> {
    check_count(asked)?;
    let mut kept: Vec<FixedIp> = stored.fixed_ips.clone();
    let mut fresh = Vec::new();
    let mut result = Vec::new();
    for request in asked {
        let meant = kept.iter().position(|fixed_ip| {
            request.subnet_id.is_none_or(|subnet| subnet == fixed_ip.subnet_id)
                && request.ip_address.is_none_or(|address| address == fixed_ip.ip_address)
        });
        match meant {
            Some(index) => result.push(kept.remove(index)),
            None => fresh.push(request.clone()),
        }
    }
    let station = Station { network: stored.service_id, mac, part: Part::of(stored.anycast) };
    result.extend(allocate(change, station, Some(&fresh))?);
    Ok(result)
}

fn check_count(asked: &[FixedIpRequest]) -> Result<(), Refusal> {
    if asked.len() <= FIXED_IPS_MAX {
        return Ok(());
    }
    Err(Refusal::attribute("fixed_ips", format!("more than {FIXED_IPS_MAX} addresses are asked for")))
}

struct Picker<'a> {
    model: &'a Model,
    station: Station,
    picked: Vec<FixedIp>,
    free: Free,
}

/// Free addresses with what this request has taken already.
#[derive(Default)]
struct Free(Option<crate::network::FreeAddresses>);

impl Picker<'_> {
    fn subnets(&self) -> Vec<Arc<Subnet>> {
        let ids = self.model.subnets_of(self.station.network);
        ids.filter_map(|id| self.model.subnets.get(&id).cloned()).collect()
    }

    fn pick_default(&mut self) -> Result<(), Refusal> {
        let subnets = self.subnets();
        for is_v4 in [true, false] {
            let of_version: Vec<&Arc<Subnet>> = subnets
                .iter()
                .filter(|subnet| subnet.cidr.addr().is_ipv4() == is_v4 && !subnet.is_slaac())
                .collect();
            let lowest =
                of_version.iter().find_map(|subnet| self.lowest(subnet).map(|address| (subnet, address)));
            match lowest {
                Some((subnet, address)) => self.take(subnet, address)?,
                None if of_version.is_empty() => {}
                None => return Err(self.exhausted()),
            }
        }
        for subnet in subnets.iter().filter(|subnet| subnet.is_slaac()) {
            self.take(subnet, from_mac(subnet, self.station.mac))?;
        }
        Ok(())
    }

    fn pick_asked(&mut self, asked: &[FixedIpRequest]) -> Result<(), Refusal> {
        check_count(asked)?;
        // What is asked for by value first, so that what may be any address does not take it.
        for request in asked {
            if let Some(address) = request.ip_address {
                let subnet = self.subnet_for(request, address)?;
                self.check_can_be_made(&subnet, address)?;
                self.take(&subnet, address)?;
            }
        }
        for request in asked.iter().filter(|request| request.ip_address.is_none()) {
            let Some(id) = request.subnet_id else {
                return Err(Refusal::attribute("fixed_ips", "neither subnet_id nor ip_address is given"));
            };
            let subnet = self.subnet(id)?;
            let address = if subnet.is_slaac() {
                from_mac(&subnet, self.station.mac)
            } else {
                self.lowest(&subnet).ok_or_else(|| self.exhausted())?
            };
            self.take(&subnet, address)?;
        }
        Ok(())
    }

    fn subnet(&self, id: Id) -> Result<Arc<Subnet>, Refusal> {
        let subnet =
            self.model.subnets.get(&id).ok_or_else(|| Refusal::not_found("SubnetNotFound", "Subnet", id))?;
        if subnet.network_id == self.station.network {
            return Ok(subnet.clone());
        }
        Err(Refusal::invalid(
            "InvalidInput",
            format!(
                "Invalid input for operation: Failed to create port on network {}, because fixed_ips included invalid subnet {id}.",
                self.station.network
            ),
        ))
    }

    fn subnet_for(&self, request: &FixedIpRequest, address: IpAddr) -> Result<Arc<Subnet>, Refusal> {
        if let Some(id) = request.subnet_id {
            let subnet = self.subnet(id)?;
            if !subnet.has_host(address) {
                return Err(Refusal::invalid(
                    "InvalidIpForSubnet",
                    format!(
                        "fixed_ips: IP address {address} is not a valid IP for the specified subnet {}.",
                        subnet.cidr
                    ),
                ));
            }
            return Ok(subnet);
        }
        self.subnets().into_iter().find(|subnet| subnet.has_host(address)).ok_or_else(|| {
            Refusal::invalid("InvalidIpForNetwork", format!(
                "fixed_ips: IP address {address} is not a valid IP for any of the subnets on the specified network."
            ))
        })
    }

    /// Where workloads make their addresses themselves, they have the one that their MAC address makes, and no other.
    fn check_can_be_made(&self, subnet: &Subnet, address: IpAddr) -> Result<(), Refusal> {
        let is_gateway = self.station.part == Part::Router && subnet.gateway_ip == Some(address);
        if is_gateway || !subnet.is_slaac() || address == from_mac(subnet, self.station.mac) {
            return Ok(());
        }
        Err(Refusal::invalid(
            "InvalidInput",
            format!(
                "Invalid input for operation: fixed_ips: IPv6 address {address} can not be directly assigned to a port on subnet {} since the subnet is configured for automatic addresses.",
                subnet.standard.id
            ),
        ))
    }

    fn lowest(&self, subnet: &Subnet) -> Option<IpAddr> {
        self.free.0.as_ref().unwrap_or(&self.model.index.free).lowest(subnet)
    }

    fn take(&mut self, subnet: &Subnet, address: IpAddr) -> Result<(), Refusal> {
        let mut holders = self.model.bindings_at(self.station.network, address);
        let by_others = holders.any(|holder| !shares(self.model, self.station.part == Part::Anycast, holder));
        let by_us = self.picked.iter().any(|picked| picked.ip_address == address);
        if by_others || by_us {
            return Err(already_allocated(address, subnet.standard.id));
        }
        self.free.0.get_or_insert_with(|| self.model.index.free.clone()).take(subnet.standard.id, address);
        self.picked.push(FixedIp { subnet_id: subnet.standard.id, ip_address: address });
        Ok(())
    }

    fn exhausted(&self) -> Refusal {
        let network = self.station.network;
        Refusal::conflict(
            "IpAddressGenerationFailure",
            format!("No more IP addresses available on network {network}."),
        )
    }
}

/// The addresses of a binding whose MAC address changes: those that were made of the old one are made of the new one.
pub(crate) fn follow_mac(model: &Model, port: &ServicePort, mac: Mac) -> Result<Vec<FixedIp>, Refusal> {
    let follow = |fixed_ip: &FixedIp| {
        let subnet = model.subnets.get(&fixed_ip.subnet_id).filter(|subnet| subnet.is_slaac());
        let made = subnet.filter(|subnet| from_mac(subnet, port.mac_address) == fixed_ip.ip_address);
        let Some(subnet) = made else { return Ok(*fixed_ip) };
        let ip_address = from_mac(subnet, mac);
        let followed = FixedIp { ip_address, ..*fixed_ip };
        check_free(model, port, &followed).map(|()| followed)
    };
    port.fixed_ips.iter().map(follow).collect()
}

/// Refuses the addresses of a binding if another binding of the network has one of them.
pub(crate) fn check_addresses_free(model: &Model, port: &ServicePort) -> Result<(), Refusal> {
    port.fixed_ips.iter().try_for_each(|fixed_ip| check_free(model, port, fixed_ip))
}

fn check_free(model: &Model, port: &ServicePort, fixed_ip: &FixedIp) -> Result<(), Refusal> {
    let mut holders = model.bindings_at(port.service_id, fixed_ip.ip_address);
    match holders.any(|holder| holder != port.standard.id && !shares(model, port.anycast, holder)) {
        true => Err(already_allocated(fixed_ip.ip_address, fixed_ip.subnet_id)),
        false => Ok(()),
    }
}

/// Whether a binding may have the address of another: both are anycast.
fn shares(model: &Model, anycast: bool, holder: Id) -> bool {
    anycast && model.service_ports.get(&holder).is_some_and(|holder| holder.anycast)
}

fn already_allocated(address: IpAddr, subnet: Id) -> Refusal {
    Refusal::conflict(
        "IpAddressAlreadyAllocated",
        format!("fixed_ips: IP address {address} already allocated in subnet {subnet}."),
    )
}

/// The address that a workload makes of a prefix and its MAC address (RFC 4291 appendix A).
fn from_mac(subnet: &Subnet, mac: Mac) -> IpAddr {
    let [a, b, c, d, e, f] = mac.octets();
    let interface = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    match subnet.cidr.network() {
        IpAddr::V6(prefix) => IpAddr::V6(Ipv6Addr::from(u128::from(prefix) | u128::from(interface))),
        v4 @ IpAddr::V4(_) => v4,
    }
}
