//! The objects of the data plane, to the wire and back.
//!
//! Encoding cannot fail. Decoding says which object and which field is wrong, and reports the kinds that only a newer
//! controller knows beside what it could read.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use bytes::{Buf, Bytes};
use ipnet::IpNet;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use weft_dataplane::{
    BridgeFdb, BridgePort, Flood, Fragment, FragmentId, LabelRoute, Link, LinkId, LinkKind, Namespace,
    Neighbour, Object, PortRole, Steering, Vrf, VxlanFdb,
};
use weft_net::{Mac, MplsLabel, ParseError, Vni};

use crate::error::{DecodeError, FieldError};
use crate::wire;
use crate::wire::link::Kind as WireLinkKind;
use crate::wire::object::Kind;

mod route;

/// The kinds of objects that this version knows, as Hello says them.
pub const KINDS: [&str; 20] = [
    "namespace",
    "vrf",
    "link.bridge",
    "link.tap",
    "link.veth",
    "link.vlan",
    "link.vxlan",
    "foreign_link",
    "bridge_port",
    "steering",
    "address",
    "bridge_fdb",
    "vxlan_fdb",
    "flood",
    "neighbour",
    "proxy_neighbour",
    "proxy_arp",
    "ingress",
    "route",
    "label_route",
];

/// An object of a kind that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKind {
    /// Which object of its fragment, from 0.
    pub index: usize,
    /// The number of the kind's field in `Object`, or in `Link` if [`Self::of_link`].
    pub number: u32,
    /// Whether the object is a link, of an unknown kind.
    pub of_link: bool,
}

impl std::fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.of_link { "link" } else { "object" };
        write!(f, "object {}: {what} of kind {} is not known to this version", self.index, self.number)
    }
}

/// Numbers of fields that are kinds, by the rule in the `.proto`.
const OBJECT_KINDS: RangeInclusive<u32> = 1..=999;
const LINK_KINDS: RangeInclusive<u32> = 16..=999;
const LINK: u32 = 2;

/// The objects as an `ObjectList`.
#[must_use]
pub fn encode_objects(objects: &[Object]) -> Bytes {
    let objects = objects.iter().map(|object| wire::Object { kind: Some(to_wire(object)) }).collect();
    wire::ObjectList { objects }.encode_to_vec().into()
}

/// What a fragment with this `ObjectList` is in an update, as [`updates`](crate::updates) takes it: encoded once, sent to many.
#[must_use]
pub fn encode_part(id: &FragmentId, objects: Bytes) -> Bytes {
    let (service, subject) = (id.service.to_string(), id.subject.to_string());
    wire::FragmentPart { service, subject, objects }.encode_to_vec().into()
}

/// Which fragment a part of an update is, and its objects as an `ObjectList`.
///
/// # Errors
/// When the bytes are no `FragmentPart`.
pub fn decode_part(part: Bytes) -> Result<(FragmentId, Bytes), DecodeError> {
    let part = wire::FragmentPart::decode(part)
        .map_err(|error| FieldError::new("upserts", error).at("fragment part"))?;
    Ok((FragmentId { service: part.service.into(), subject: part.subject.into() }, part.objects))
}

/// The fragment in an `ObjectList`, without the objects of unknown kinds, and those.
///
/// # Errors
/// When the bytes are no list of objects, or an object of a known kind does not say what it should.
pub fn decode_fragment(id: FragmentId, objects: &Bytes) -> Result<(Fragment, Vec<UnknownKind>), DecodeError> {
    let list = RawObjectList::decode(objects.clone())
        .map_err(|error| FieldError::new("objects", error).at("object list"))?;
    let mut fragment = Fragment { id, objects: Vec::with_capacity(list.objects.len()) };
    let mut unknown = Vec::new();
    for (index, bytes) in list.objects.into_iter().enumerate() {
        match decode_object(&bytes) {
            Ok(Decoded::Object(object)) => fragment.objects.push(object),
            Ok(Decoded::Unknown { number, of_link }) => {
                unknown.push(UnknownKind { index, number, of_link });
            }
            Err(error) => return Err(error.at(format_args!("object {index}"))),
        }
    }
    Ok((fragment, unknown))
}

/// An `ObjectList` of which the objects are still bytes, so that the number of an unknown kind is not lost.
#[derive(Clone, PartialEq, prost::Message)]
struct RawObjectList {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    objects: Vec<Bytes>,
}

enum Decoded {
    Object(Object),
    Unknown { number: u32, of_link: bool },
}

fn decode_object(bytes: &Bytes) -> Result<Decoded, FieldError> {
    let object = wire::Object::decode(bytes.clone()).map_err(|error| FieldError::new("object", error))?;
    match object.kind {
        None => match field_in(bytes.clone(), OBJECT_KINDS) {
            Some((number, _)) => Ok(Decoded::Unknown { number, of_link: false }),
            None => Err(FieldError::new("kind", "is missing")),
        },
        Some(Kind::Link(link)) if link.kind.is_none() => {
            let link = field_in(bytes.clone(), LINK..=LINK).map(|(_, link)| link).unwrap_or_default();
            match field_in(link, LINK_KINDS) {
                Some((number, _)) => Ok(Decoded::Unknown { number, of_link: true }),
                None => Err(FieldError::new("link.kind", "is missing")),
            }
        }
        Some(kind) => from_wire(kind).map(Decoded::Object),
    }
}

/// The first field of a message with such a number, and what is in it if it has a length.
fn field_in(mut message: Bytes, numbers: RangeInclusive<u32>) -> Option<(u32, Bytes)> {
    while message.has_remaining() {
        let (number, wire_type) = decode_key(&mut message).ok()?;
        if !numbers.contains(&number) {
            skip_field(wire_type, number, &mut message, DecodeContext::default()).ok()?;
            continue;
        }
        if wire_type != WireType::LengthDelimited {
            return Some((number, Bytes::new()));
        }
        let length = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
        return (length <= message.len()).then(|| (number, message.split_to(length)));
    }
    None
}

fn to_wire(object: &Object) -> Kind {
    match object {
        Object::Namespace(name) => Kind::Namespace(wire::Namespace { name: name.to_string() }),
        Object::Vrf(vrf) => {
            Kind::Vrf(wire::Vrf { name: vrf.name.to_string(), mark: vrf.mark.to_string(), table: vrf.table })
        }
        Object::Link(link) => Kind::Link(link_to_wire(link)),
        Object::ForeignLink(id) => Kind::ForeignLink(id.into()),
        Object::BridgePort(port) => Kind::BridgePort(port_to_wire(port)),
        Object::Steering(steering) => Kind::Steering(wire::Steering {
            link: Some((&steering.link).into()),
            mac: mac_bytes(steering.mac),
            addresses: steering.addresses.iter().copied().map(ip_bytes).collect(),
            to: Some((&steering.to).into()),
        }),
        Object::Address(link, address) => {
            Kind::Address(wire::Address { link: Some(link.into()), address: Some(address.into()) })
        }
        Object::BridgeFdb(entry) => {
            Kind::BridgeFdb(wire::BridgeFdb { link: Some((&entry.link).into()), mac: mac_bytes(entry.mac) })
        }
        Object::VxlanFdb(entry) => Kind::VxlanFdb(wire::VxlanFdb {
            link: Some((&entry.link).into()),
            mac: mac_bytes(entry.mac),
            destination: ip_bytes(entry.destination),
            vni: entry.vni.map_or(0, Vni::get),
        }),
        Object::Flood(entry) => Kind::Flood(wire::Flood {
            link: Some((&entry.link).into()),
            destination: ip_bytes(entry.destination),
            vni: entry.vni.map_or(0, Vni::get),
        }),
        Object::Neighbour(entry) => Kind::Neighbour(wire::Neighbour {
            link: Some((&entry.link).into()),
            address: ip_bytes(entry.address),
            mac: mac_bytes(entry.mac),
        }),
        Object::ProxyNeighbour(link, address) => Kind::ProxyNeighbour(wire::ProxyNeighbour {
            link: Some(link.into()),
            address: ip_bytes(*address),
        }),
        Object::ProxyArp(link) => Kind::ProxyArp(link.into()),
        Object::Ingress(link) => Kind::Ingress(link.into()),
        Object::Route(route) => Kind::Route(route.into()),
        Object::LabelRoute(route) => Kind::LabelRoute(wire::LabelRoute {
            label: route.label.get(),
            link: route.link.to_string(),
            mac: mac_bytes(route.mac),
        }),
    }
}

fn port_to_wire(port: &BridgePort) -> wire::BridgePort {
    use wire::bridge_port::Role;
    let role = match port.role {
        PortRole::Workload => Role::Workload,
        PortRole::Tunnel => Role::Tunnel,
        PortRole::Uplink => Role::Uplink,
        PortRole::Gateway => Role::Gateway,
    };
    wire::BridgePort {
        link: Some((&port.link).into()),
        bridge: port.bridge.to_string(),
        tunnel: port.role == PortRole::Tunnel,
        adoption: port.adoption.as_ref().map(ToString::to_string).unwrap_or_default(),
        role: role.into(),
    }
}

fn link_to_wire(link: &Link) -> wire::Link {
    let kind = match &link.kind {
        LinkKind::Bridge => WireLinkKind::Bridge(wire::Bridge {}),
        LinkKind::Tap => WireLinkKind::Tap(wire::Tap {}),
        LinkKind::Veth { peer, peer_mac } => {
            WireLinkKind::Veth(wire::Veth { peer: Some(peer.into()), peer_mac: mac_bytes(*peer_mac) })
        }
        LinkKind::Vlan { parent, vlan_id } => {
            WireLinkKind::Vlan(wire::Vlan { parent: parent.to_string(), vlan_id: u32::from(*vlan_id) })
        }
        LinkKind::Vxlan { vni, local, port, mac } => WireLinkKind::Vxlan(wire::Vxlan {
            vni: vni.get(),
            local: ip_bytes(*local),
            port: u32::from(*port),
            mac: mac.map_or_else(Bytes::new, mac_bytes),
        }),
    };
    wire::Link {
        id: Some((&link.id).into()),
        mark: link.mark.to_string(),
        mtu: link.mtu,
        up: link.up,
        kind: Some(kind),
    }
}

fn from_wire(kind: Kind) -> Result<Object, FieldError> {
    Ok(match kind {
        Kind::Namespace(namespace) => Object::Namespace(text("namespace.name", &namespace.name)?),
        Kind::Vrf(vrf) => Object::Vrf(vrf_from_wire(&vrf)?),
        Kind::Link(link) => Object::Link(link_from_wire(&link)?),
        Kind::ForeignLink(id) => Object::ForeignLink(link_id("foreign_link", Some(&id))?),
        Kind::BridgePort(port) => Object::BridgePort(port_from_wire(&port)?),
        Kind::Steering(steering) => Object::Steering(steering_from_wire(&steering)?),
        Kind::Address(address) => Object::Address(
            link_id("address.link", address.link.as_ref())?,
            prefix("address.address", address.address.as_ref())?,
        ),
        Kind::BridgeFdb(entry) => Object::BridgeFdb(BridgeFdb {
            link: link_id("bridge_fdb.link", entry.link.as_ref())?,
            mac: mac("bridge_fdb.mac", &entry.mac)?,
        }),
        Kind::VxlanFdb(entry) => Object::VxlanFdb(VxlanFdb {
            link: link_id("vxlan_fdb.link", entry.link.as_ref())?,
            mac: mac("vxlan_fdb.mac", &entry.mac)?,
            destination: ip_address("vxlan_fdb.destination", &entry.destination)?,
            vni: vni("vxlan_fdb.vni", entry.vni)?,
        }),
        Kind::Flood(entry) => Object::Flood(Flood {
            link: link_id("flood.link", entry.link.as_ref())?,
            destination: ip_address("flood.destination", &entry.destination)?,
            vni: vni("flood.vni", entry.vni)?,
        }),
        Kind::Neighbour(entry) => Object::Neighbour(Neighbour {
            link: link_id("neighbour.link", entry.link.as_ref())?,
            address: ip_address("neighbour.address", &entry.address)?,
            mac: mac("neighbour.mac", &entry.mac)?,
        }),
        Kind::ProxyNeighbour(entry) => Object::ProxyNeighbour(
            link_id("proxy_neighbour.link", entry.link.as_ref())?,
            ip_address("proxy_neighbour.address", &entry.address)?,
        ),
        Kind::ProxyArp(link) => Object::ProxyArp(link_id("proxy_arp", Some(&link))?),
        Kind::Ingress(link) => Object::Ingress(link_id("ingress", Some(&link))?),
        Kind::Route(route) => Object::Route(route::from_wire(&route)?),
        Kind::LabelRoute(route) => Object::LabelRoute(LabelRoute {
            label: label("label_route.label", route.label)?,
            link: text("label_route.link", &route.link)?,
            mac: mac("label_route.mac", &route.mac)?,
        }),
    })
}

fn vrf_from_wire(vrf: &wire::Vrf) -> Result<Vrf, FieldError> {
    if vrf.table == 0 {
        return Err(FieldError::new("vrf.table", "0 is not the number of a table"));
    }
    Ok(Vrf { name: text("vrf.name", &vrf.name)?, mark: text("vrf.mark", &vrf.mark)?, table: vrf.table })
}

fn port_from_wire(port: &wire::BridgePort) -> Result<BridgePort, FieldError> {
    use wire::bridge_port::Role;
    let unknown = |_| FieldError::new("bridge_port.role", format_args!("{} is not known", port.role));
    let role = match Role::try_from(port.role).map_err(unknown)? {
        Role::Workload if port.tunnel => PortRole::Tunnel,
        Role::Workload => PortRole::Workload,
        Role::Tunnel => PortRole::Tunnel,
        Role::Uplink => PortRole::Uplink,
        Role::Gateway => PortRole::Gateway,
    };
    Ok(BridgePort {
        link: link_id("bridge_port.link", port.link.as_ref())?,
        bridge: text("bridge_port.bridge", &port.bridge)?,
        role,
        adoption: match port.adoption.as_str() {
            "" => None,
            mark => Some(text("bridge_port.adoption", mark)?),
        },
    })
}

fn steering_from_wire(steering: &wire::Steering) -> Result<Steering, FieldError> {
    let addresses = steering.addresses.iter().map(|address| ip_address("steering.addresses", address));
    let mut addresses: Vec<IpAddr> = addresses.collect::<Result<_, _>>()?;
    addresses.sort_unstable();
    addresses.dedup();
    Ok(Steering {
        link: link_id("steering.link", steering.link.as_ref())?,
        mac: mac("steering.mac", &steering.mac)?,
        addresses,
        to: link_id("steering.to", steering.to.as_ref())?,
    })
}

fn link_from_wire(link: &wire::Link) -> Result<Link, FieldError> {
    let kind = link.kind.as_ref().ok_or_else(|| FieldError::new("link.kind", "is missing"))?;
    Ok(Link {
        id: link_id("link.id", link.id.as_ref())?,
        mark: text("link.mark", &link.mark)?,
        mtu: link.mtu,
        up: link.up,
        kind: match kind {
            WireLinkKind::Bridge(_) => LinkKind::Bridge,
            WireLinkKind::Tap(_) => LinkKind::Tap,
            WireLinkKind::Veth(veth) => LinkKind::Veth {
                peer: link_id("veth.peer", veth.peer.as_ref())?,
                peer_mac: mac("veth.peer_mac", &veth.peer_mac)?,
            },
            WireLinkKind::Vlan(vlan) => LinkKind::Vlan {
                parent: text("vlan.parent", &vlan.parent)?,
                vlan_id: number("vlan.vlan_id", vlan.vlan_id, 1..=4094)?,
            },
            WireLinkKind::Vxlan(vxlan) => LinkKind::Vxlan {
                vni: Vni::try_from(vxlan.vni).map_err(|error| FieldError::new("vxlan.vni", error))?,
                local: ip_address("vxlan.local", &vxlan.local)?,
                port: number("vxlan.port", vxlan.port, 1..=u16::MAX)?,
                mac: match vxlan.mac.as_ref() {
                    [] => None,
                    bytes => Some(mac("vxlan.mac", bytes)?),
                },
            },
        },
    })
}

impl From<&LinkId> for wire::LinkId {
    fn from(id: &LinkId) -> Self {
        let (namespace, vrf) = place_texts(&id.namespace);
        Self { namespace, name: id.name.to_string(), vrf }
    }
}

impl From<&IpNet> for wire::Prefix {
    fn from(prefix: &IpNet) -> Self {
        Self { address: ip_bytes(prefix.addr()), length: u32::from(prefix.prefix_len()) }
    }
}

/// A place as the two texts that it is: a namespace's name, a VRF's.
fn place_texts(place: &Namespace) -> (String, String) {
    match place {
        Namespace::Host => Default::default(),
        Namespace::Named(name) => (name.to_string(), String::new()),
        Namespace::Vrf(name) => (String::new(), name.to_string()),
    }
}

fn place(field: &'static str, namespace: &str, vrf: &str) -> Result<Namespace, FieldError> {
    match (namespace, vrf) {
        ("", "") => Ok(Namespace::Host),
        (name, "") => text(field, name).map(Namespace::Named),
        ("", name) => text(field, name).map(Namespace::Vrf),
        (_, _) => Err(FieldError::new(field, "is in a namespace or in a VRF, and not in both")),
    }
}

fn link_id(field: &'static str, id: Option<&wire::LinkId>) -> Result<LinkId, FieldError> {
    let id = id.ok_or_else(|| FieldError::new(field, "is missing"))?;
    Ok(LinkId { namespace: place(field, &id.namespace, &id.vrf)?, name: text(field, &id.name)? })
}

fn label(field: &'static str, label: u32) -> Result<MplsLabel, FieldError> {
    MplsLabel::try_from(label).map_err(|error| FieldError::new(field, error))
}

fn prefix(field: &'static str, prefix: Option<&wire::Prefix>) -> Result<IpNet, FieldError> {
    let prefix = prefix.ok_or_else(|| FieldError::new(field, "is missing"))?;
    let address = ip_address(field, &prefix.address)?;
    u8::try_from(prefix.length).ok().and_then(|length| IpNet::new(address, length).ok()).ok_or_else(|| {
        FieldError::new(field, format_args!("{} is too long a prefix for {address}", prefix.length))
    })
}

fn number(field: &'static str, number: u32, range: RangeInclusive<u16>) -> Result<u16, FieldError> {
    u16::try_from(number).ok().filter(|number| range.contains(number)).ok_or_else(|| {
        FieldError::new(field, format_args!("{number} is not in {} to {}", range.start(), range.end()))
    })
}

fn mac_bytes(mac: Mac) -> Bytes {
    Bytes::copy_from_slice(&mac.octets())
}

fn mac(field: &'static str, bytes: &[u8]) -> Result<Mac, FieldError> {
    let octets = bytes
        .try_into()
        .map_err(|_| FieldError::new(field, format_args!("{} bytes are not a MAC address", bytes.len())))?;
    Ok(Mac::new(octets))
}

/// The network identifier that an endpoint has chosen; 0: none.
fn vni(field: &'static str, number: u32) -> Result<Option<Vni>, FieldError> {
    match number {
        0 => Ok(None),
        number => Vni::try_from(number).map(Some).map_err(|error| FieldError::new(field, error)),
    }
}

pub(crate) fn ip_bytes(address: IpAddr) -> Bytes {
    match address {
        IpAddr::V4(address) => Bytes::copy_from_slice(&address.octets()),
        IpAddr::V6(address) => Bytes::copy_from_slice(&address.octets()),
    }
}

pub(crate) fn ip_address(field: &'static str, bytes: &[u8]) -> Result<IpAddr, FieldError> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Ok(octets.into());
    }
    let octets = <[u8; 16]>::try_from(bytes)
        .map_err(|_| FieldError::new(field, format_args!("{} bytes are not an IP address", bytes.len())))?;
    Ok(octets.into())
}

pub(crate) fn text<T: FromStr<Err = ParseError>>(field: &'static str, text: &str) -> Result<T, FieldError> {
    text.parse().map_err(|error| FieldError::new(field, error))
}
