//! What the kernel can do, found out by trying it in a namespace that ends with the trial.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use weft_dataplane::{Link, LinkId, LinkKind, PortRole, Vrf};
use weft_net::{Capability, IfName, Mac, MplsLabel, Vni};

use crate::encode::{self, Peer, Site};
use crate::namespace::{LOOPBACK, within_new};
use crate::netlink::RouteSocket;
use crate::parse::RawHop;
use crate::steer;
use crate::tap::Tap;
use crate::vrf::{self, VrfMode};
use crate::wire::number::AF_INET;
use crate::{guard, limit};

const BRIDGE: u32 = 11;
const VETH: u32 = 12;
const VXLAN: u32 = 14;
const VLAN: u32 = 15;
const TAP: u32 = 16;
const VRF: u32 = 17;

/// Tries everything.
pub(crate) fn probe(mode: VrfMode) -> io::Result<BTreeSet<Capability>> {
    within_new(|| {
        let mut route = RouteSocket::open()?;
        let mut found = BTreeSet::from([Capability::NetworkNamespace]);
        for capability in Capability::ALL {
            if is_for(mode, capability) && try_out(&mut route, capability)? {
                found.insert(capability);
            }
        }
        Ok(found)
    })
}

/// Whether questions for neighbours can be counted: older kernels count no packets, and some nothing at all.
pub(crate) fn can_limit() -> io::Result<bool> {
    within_new(|| {
        let mut batch = Vec::new();
        limit::put(&mut batch, LOOPBACK);
        Ok(RouteSocket::open()?.change(&mut batch)?.iter().all(Result::is_ok))
    })
}

/// VRFs are of one sort on a host, and labels lead into those that are devices.
fn is_for(mode: VrfMode, capability: Capability) -> bool {
    match capability {
        Capability::Mpls | Capability::VrfDevice => mode == VrfMode::Device,
        Capability::VrfNamespace => mode == VrfMode::Namespace,
        _ => true,
    }
}

fn try_out(route: &mut RouteSocket, capability: Capability) -> io::Result<bool> {
    let here = LinkId::on_host;
    let mut batch = Vec::new();
    match capability {
        Capability::NetworkNamespace => return Ok(true),
        Capability::Tap => return Ok(Tap::create(name("t")?, TAP).is_ok()),
        Capability::Mpls
        | Capability::ResilientNextHops
        | Capability::VrfDevice
        | Capability::VrfNamespace => return try_routing(route, capability),
        Capability::Bridge => {
            encode::create_link(&mut batch, &link("b", LinkKind::Bridge)?, BRIDGE, None, Site::default());
            guard::put(&mut batch, BRIDGE);
        }
        Capability::Veth => {
            let peer = Peer {
                name: name("w")?,
                index: VETH + 1,
                mac: Mac::new([2, 0, 0, 0, 0, 1]),
                namespace: None,
            };
            let kind = LinkKind::Veth { peer: here(peer.name), peer_mac: peer.mac };
            encode::create_link(&mut batch, &link("v", kind)?, VETH, Some(&peer), Site::default());
        }
        Capability::Vxlan => {
            let kind = LinkKind::Vxlan {
                vni: Vni::MIN,
                local: IpAddr::V4(Ipv4Addr::LOCALHOST),
                port: 4789,
                mac: None,
            };
            encode::create_link(&mut batch, &link("x", kind)?, VXLAN, None, Site::default());
        }
        Capability::Vlan => {
            let kind = LinkKind::Vlan { parent: name("v")?, vlan_id: 1 };
            encode::create_link(
                &mut batch,
                &link("v.1", kind)?,
                VLAN,
                None,
                Site { parent: VETH, ..Site::default() },
            );
        }
        Capability::NeighbourSuppression => {
            let kind = LinkKind::Bridge;
            encode::create_link(&mut batch, &link("c", kind)?, BRIDGE + 100, None, Site::default());
            let peer = Peer {
                name: name("q")?,
                index: VETH + 101,
                mac: Mac::new([2, 0, 0, 0, 0, 2]),
                namespace: None,
            };
            let kind = LinkKind::Veth { peer: here(peer.name), peer_mac: peer.mac };
            encode::create_link(&mut batch, &link("p", kind)?, VETH + 100, Some(&peer), Site::default());
            encode::set_master(&mut batch, VETH + 100, BRIDGE + 100);
            encode::set_port(&mut batch, VETH + 100, PortRole::Tunnel);
        }
    }
    Ok(route.change(&mut batch)?.iter().all(Result::is_ok))
}

/// What routing needs beyond links.
fn try_routing(route: &mut RouteSocket, capability: Capability) -> io::Result<bool> {
    let mut batch = Vec::new();
    match capability {
        Capability::Mpls => {
            let label = MplsLabel::IMPLICIT_NULL;
            // Not the label is refused but, where there are none, the family.
            encode::label(&mut batch, label, None);
            let refusal = route.change(&mut batch)?.pop().and_then(Result::err);
            return Ok(refusal.is_none_or(|refusal| refusal.code != libc::EOPNOTSUPP));
        }
        Capability::ResilientNextHops => {
            let hop = RawHop { family: AF_INET, link: LOOPBACK, via: None, labels: Vec::new() };
            encode::set_up(&mut batch, LOOPBACK);
            encode::next_hop(&mut batch, 1, &hop);
            encode::group(&mut batch, (2, None), &[(1, 1)], Some(encode::BUCKETS));
        }
        Capability::VrfNamespace => return Ok(vrf::settle(VrfMode::Namespace, 1).is_ok()),
        Capability::VrfDevice => {
            let mark = "weft.probe".parse().map_err(io::Error::other)?;
            encode::create_vrf(&mut batch, &Vrf { name: name("r")?, mark, table: 10 }, VRF);
            // By its mark it is known what comes into it from elsewhere.
            steer::ready(&mut batch, VRF);
            steer::put_mark(&mut batch, VRF, 1);
        }
        _ => return Ok(false),
    }
    Ok(route.change(&mut batch)?.iter().all(Result::is_ok))
}

fn name(text: &str) -> io::Result<IfName> {
    text.parse().map_err(io::Error::other)
}

fn link(text: &str, kind: LinkKind) -> io::Result<Link> {
    let mark = "weft.probe".parse().map_err(io::Error::other)?;
    Ok(Link { id: LinkId::on_host(name(text)?), mark, mtu: 1500, up: true, kind })
}
