//! What the kernel can do, found out by trying it in a namespace that ends with the trial.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use weft_dataplane::{Link, LinkId, LinkKind, PortRole};
use weft_net::{Capability, IfName, Mac, Vni};

use crate::encode::{self, Peer};
use crate::guard;
use crate::namespace::within_new;
use crate::netlink::RouteSocket;
use crate::tap::Tap;

const BRIDGE: u32 = 11;
const VETH: u32 = 12;
const VXLAN: u32 = 14;
const VLAN: u32 = 15;
const TAP: u32 = 16;

/// Tries everything.
pub(crate) fn probe() -> io::Result<BTreeSet<Capability>> {
    within_new(|| {
        let mut route = RouteSocket::open()?;
        let mut found = BTreeSet::from([Capability::NetworkNamespace]);
        for capability in Capability::ALL {
            if try_out(&mut route, capability)? {
                found.insert(capability);
            }
        }
        Ok(found)
    })
}

fn try_out(route: &mut RouteSocket, capability: Capability) -> io::Result<bool> {
    let here = LinkId::on_host;
    let mut batch = Vec::new();
    match capability {
        Capability::NetworkNamespace => return Ok(true),
        Capability::Mpls
        | Capability::ResilientNextHops
        | Capability::VrfDevice
        | Capability::VrfNamespace => return Ok(false),
        Capability::Tap => return Ok(Tap::create(name("t")?, TAP).is_ok()),
        Capability::Bridge => {
            encode::create_link(&mut batch, &link("b", LinkKind::Bridge)?, BRIDGE, None, 0);
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
            encode::create_link(&mut batch, &link("v", kind)?, VETH, Some(&peer), 0);
        }
        Capability::Vxlan => {
            let kind = LinkKind::Vxlan {
                vni: Vni::MIN,
                local: IpAddr::V4(Ipv4Addr::LOCALHOST),
                port: 4789,
                mac: None,
            };
            encode::create_link(&mut batch, &link("x", kind)?, VXLAN, None, 0);
        }
        Capability::Vlan => {
            let kind = LinkKind::Vlan { parent: name("v")?, vlan_id: 1 };
            encode::create_link(&mut batch, &link("v.1", kind)?, VLAN, None, VETH);
        }
        Capability::NeighbourSuppression => {
            let kind = LinkKind::Bridge;
            encode::create_link(&mut batch, &link("c", kind)?, BRIDGE + 100, None, 0);
            let peer = Peer {
                name: name("q")?,
                index: VETH + 101,
                mac: Mac::new([2, 0, 0, 0, 0, 2]),
                namespace: None,
            };
            let kind = LinkKind::Veth { peer: here(peer.name), peer_mac: peer.mac };
            encode::create_link(&mut batch, &link("p", kind)?, VETH + 100, Some(&peer), 0);
            encode::set_master(&mut batch, VETH + 100, BRIDGE + 100);
            encode::set_port(&mut batch, VETH + 100, PortRole::Tunnel);
        }
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
