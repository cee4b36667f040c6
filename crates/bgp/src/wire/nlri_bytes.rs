//! Lists of routes as bytes.

use ipnet::{Ipv4Net, Ipv6Net};
use weft_net::{Asn, RouteDistinguisher};

use super::bytes::{Reader, prefix_octets, put_u24, put_u32};
use super::evpn::EvpnDestination;
use super::family::Family;
use super::nlri::{Destination, LabelField, Membership, PathId, Payload, Route, VpnDestination};

/// Bits before the prefix of a VPN route: label and route distinguisher.
const VPN_BITS: u8 = 88;

/// Reads routes until nothing is left. `None` if they do not fill the field, or one is not in the form of its family (RFC 7606 §5.3).
pub(super) fn read_routes(reader: Reader<'_>, family: Family, has_path_ids: bool) -> Option<Vec<Route>> {
    let mut reader = reader;
    let mut routes = Vec::new();
    while !reader.is_empty() {
        let path_id = if has_path_ids { Some(PathId(reader.u32()?)) } else { None };
        let (destination, payload) = read_route(&mut reader, family)?;
        routes.push(Route { path_id, destination, payload });
    }
    Some(routes)
}

fn read_route(reader: &mut Reader<'_>, family: Family) -> Option<(Destination, Payload)> {
    match family {
        Family::Ipv4Unicast => {
            let bits = reader.u8()?;
            read_v4(reader, bits).map(|prefix| (Destination::Ipv4(prefix), Payload::None))
        }
        Family::Ipv6Unicast => {
            let bits = reader.u8()?;
            read_v6(reader, bits).map(|prefix| (Destination::Ipv6(prefix), Payload::None))
        }
        Family::Vpnv4 => {
            let (bits, label, distinguisher) = read_vpn(reader)?;
            let prefix = read_v4(reader, bits)?;
            Some((Destination::Vpnv4(VpnDestination { distinguisher, prefix }), Payload::Label(label)))
        }
        Family::Vpnv6 => {
            let (bits, label, distinguisher) = read_vpn(reader)?;
            let prefix = read_v6(reader, bits)?;
            Some((Destination::Vpnv6(VpnDestination { distinguisher, prefix }), Payload::Label(label)))
        }
        Family::Evpn => {
            let (destination, payload) = EvpnDestination::read(reader)?;
            Some((Destination::Evpn(destination), payload))
        }
        Family::RouteTarget => {
            let bits = reader.u8()?;
            let [a, b, c, d, target @ ..] = reader.prefix::<12>(bits)?;
            let origin = Asn::new(u32::from_be_bytes([a, b, c, d]));
            Some((Destination::RouteTarget(Membership::from_bits(bits, origin, target)?), Payload::None))
        }
    }
}

/// What stands before the prefix: its bits, label and route distinguisher. One label, whatever its last bit says (RFC 8277 §2.2).
fn read_vpn(reader: &mut Reader<'_>) -> Option<(u8, LabelField, RouteDistinguisher)> {
    let bits = reader.u8()?.checked_sub(VPN_BITS)?;
    Some((bits, LabelField::from_bits(reader.u24()?), RouteDistinguisher::from_octets(reader.array()?)))
}

fn read_v4(reader: &mut Reader<'_>, bits: u8) -> Option<Ipv4Net> {
    Ipv4Net::new(reader.prefix::<4>(bits)?.into(), bits).ok()
}

fn read_v6(reader: &mut Reader<'_>, bits: u8) -> Option<Ipv6Net> {
    Ipv6Net::new(reader.prefix::<16>(bits)?.into(), bits).ok()
}

/// Writes one route. A VPN route without a label gets the one of withdrawals; a missing path identifier is 0.
pub(super) fn write_route(route: &Route, has_path_ids: bool, out: &mut Vec<u8>) {
    if has_path_ids {
        put_u32(out, route.path_id.map_or(0, |PathId(id)| id));
    }
    match &route.destination {
        Destination::Ipv4(prefix) => {
            out.push(prefix.prefix_len());
            write_v4(*prefix, out);
        }
        Destination::Ipv6(prefix) => {
            out.push(prefix.prefix_len());
            write_v6(*prefix, out);
        }
        Destination::Vpnv4(VpnDestination { distinguisher, prefix }) => {
            write_vpn(prefix.prefix_len(), &route.payload, *distinguisher, out);
            write_v4(*prefix, out);
        }
        Destination::Vpnv6(VpnDestination { distinguisher, prefix }) => {
            write_vpn(prefix.prefix_len(), &route.payload, *distinguisher, out);
            write_v6(*prefix, out);
        }
        Destination::Evpn(destination) => destination.write(&route.payload, out),
        Destination::RouteTarget(membership) => {
            let mut octets = [0; 12];
            octets[..4].copy_from_slice(&membership.origin().get().to_be_bytes());
            octets[4..].copy_from_slice(&membership.target());
            out.push(membership.bits());
            out.extend_from_slice(prefix_octets(&octets, membership.bits()));
        }
    }
}

pub(super) fn write_routes(routes: &[Route], has_path_ids: bool, out: &mut Vec<u8>) {
    routes.iter().for_each(|route| write_route(route, has_path_ids, out));
}

fn write_vpn(bits: u8, payload: &Payload, distinguisher: RouteDistinguisher, out: &mut Vec<u8>) {
    let label = if let Payload::Label(label) = payload { *label } else { LabelField::WITHDRAWN };
    out.push(VPN_BITS + bits);
    put_u24(out, label.bits());
    out.extend(distinguisher.octets());
}

fn write_v4(prefix: Ipv4Net, out: &mut Vec<u8>) {
    out.extend_from_slice(prefix_octets(&prefix.addr().octets(), prefix.prefix_len()));
}

fn write_v6(prefix: Ipv6Net, out: &mut Vec<u8>) {
    out.extend_from_slice(prefix_octets(&prefix.addr().octets(), prefix.prefix_len()));
}
