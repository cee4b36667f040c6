//! Routes as JSON.

use std::net::IpAddr;

use anyhow::{Context, bail};
use ipnet::IpNet;
use weft_bgp::speaker::Route;
use weft_bgp::wire::{Attributes, Destination, ExtendedCommunity, Payload};
use weft_net::{Mac, RouteDistinguisher, RouteTarget};

/// A route, or its destination if it is to be withdrawn.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteConfig {
    #[serde(default)]
    prefix: Option<IpNet>,
    #[serde(default)]
    mac: Option<Mac>,
    #[serde(default)]
    address: Option<IpAddr>,
    /// Of an EVPN route of type 3.
    #[serde(default)]
    originator: Option<IpAddr>,
    #[serde(default)]
    distinguisher: Option<RouteDistinguisher>,
    /// An MPLS label (VPN).
    #[serde(default)]
    label: Option<u32>,
    /// A VXLAN network identifier (EVPN).
    #[serde(default)]
    vni: Option<u32>,
    /// To which MAC address packets are sent in VXLAN, of a prefix (RFC 9135 §8.1).
    #[serde(default)]
    router_mac: Option<Mac>,
    next_hop: IpAddr,
    #[serde(default)]
    route_targets: Vec<RouteTarget>,
    #[serde(default)]
    local_pref: Option<u32>,
    #[serde(default)]
    multi_exit_disc: Option<u32>,
    #[serde(default)]
    mobility_sequence: Option<u32>,
}

impl RouteConfig {
    pub(crate) fn route(&self) -> anyhow::Result<Route> {
        let (destination, payload) = self.destination()?;
        let mut attributes = Attributes::new(self.next_hop.into());
        attributes.local_pref = self.local_pref;
        attributes.multi_exit_disc = self.multi_exit_disc;
        let targets = self.route_targets.iter().map(|target| ExtendedCommunity::from(*target));
        let encapsulation =
            self.vni.map(|_| ExtendedCommunity::encapsulation(ExtendedCommunity::ENCAPSULATION_VXLAN));
        let mobility =
            self.mobility_sequence.map(|sequence| ExtendedCommunity::mac_mobility(sequence, false));
        let router_mac = self.router_mac.map(ExtendedCommunity::routers_mac);
        attributes.set_extended_communities(targets.chain(encapsulation).chain(mobility).chain(router_mac));
        Ok(Route { destination, payload, attributes })
    }

    fn destination(&self) -> anyhow::Result<(Destination, Payload)> {
        match (self.distinguisher, self.vni, self.prefix) {
            (None, None, Some(IpNet::V4(prefix))) => Ok((Destination::Ipv4(prefix), Payload::None)),
            (None, None, Some(IpNet::V6(prefix))) => Ok((Destination::Ipv6(prefix), Payload::None)),
            (Some(distinguisher), None, Some(prefix)) => {
                let label = self.label.context("label: a VPN route has one")?;
                Ok((Destination::vpn(distinguisher, prefix), Payload::label(label.try_into()?)))
            }
            (Some(distinguisher), Some(vni), prefix) => self.evpn(distinguisher, vni, prefix),
            (None, _, _) => bail!("distinguisher: a route with a VNI has one; any other has a prefix"),
            (Some(_), None, None) => bail!("prefix: a VPN route has one"),
        }
    }

    fn evpn(
        &self,
        distinguisher: RouteDistinguisher,
        vni: u32,
        prefix: Option<IpNet>,
    ) -> anyhow::Result<(Destination, Payload)> {
        let payload = Payload::vni(vni.try_into()?);
        match (prefix, self.mac, self.originator) {
            (Some(prefix), None, None) => Ok((Destination::evpn_ip_prefix(distinguisher, prefix), payload)),
            (None, Some(mac), None) => {
                Ok((Destination::evpn_mac_ip(distinguisher, mac, self.address), payload))
            }
            (None, None, Some(originator)) => {
                Ok((Destination::evpn_inclusive_multicast(distinguisher, originator), Payload::None))
            }
            _ => bail!("an EVPN route has exactly one of prefix, mac and originator"),
        }
    }
}
