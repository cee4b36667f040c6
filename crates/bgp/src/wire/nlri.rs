//! Routes as UPDATEs carry them: what identifies one, and what it carries besides.
//!
//! A [`Destination`] is the key of the routing table. It takes 40 octets whatever the family, since EVPN's is stored inline and not
//! behind a pointer; a table of one family is better keyed with that family's own type: [`Ipv4Net`] takes 5 octets,
//! [`VpnDestination<Ipv4Net>`] 13. What a route carries besides takes no space for unicast, and 16 octets at most elsewhere.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use weft_net::{Asn, Mac, MplsLabel, RouteDistinguisher, RouteTarget, Vni};

use super::evpn::{Esi, EthernetTag, EvpnDestination, EvpnPayload};
use super::family::Family;

/// Distinguishes several paths to one destination (RFC 7911).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u32);

/// One route of an UPDATE, announced or withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// Given exactly if add-path was negotiated for the family.
    pub path_id: Option<PathId>,
    /// What identifies it.
    pub destination: Destination,
    /// What it carries besides.
    pub payload: Payload,
}

/// What identifies a route. Bits of a prefix beyond its length are zero.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// An IPv4 prefix.
    Ipv4(Ipv4Net),
    /// An IPv6 prefix.
    Ipv6(Ipv6Net),
    /// An IPv4 prefix of a VPN.
    Vpnv4(VpnDestination<Ipv4Net>),
    /// An IPv6 prefix of a VPN.
    Vpnv6(VpnDestination<Ipv6Net>),
    /// What an EVPN route is about.
    Evpn(EvpnDestination),
    /// A wish for routes with a route target.
    RouteTarget(Membership),
}

impl Destination {
    /// Its family.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Ipv4(_) => Family::Ipv4Unicast,
            Self::Ipv6(_) => Family::Ipv6Unicast,
            Self::Vpnv4(_) => Family::Vpnv4,
            Self::Vpnv6(_) => Family::Vpnv6,
            Self::Evpn(_) => Family::Evpn,
            Self::RouteTarget(_) => Family::RouteTarget,
        }
    }
}

impl Destination {
    /// A prefix of a VPN, of either IP version (RFC 4364 §4.1, RFC 4659 §2).
    #[must_use]
    pub const fn vpn(distinguisher: RouteDistinguisher, prefix: IpNet) -> Self {
        match prefix {
            IpNet::V4(prefix) => Self::Vpnv4(VpnDestination { distinguisher, prefix }),
            IpNet::V6(prefix) => Self::Vpnv6(VpnDestination { distinguisher, prefix }),
        }
    }

    /// A MAC address of the one broadcast domain of an instance (RFC 7432 §6.1), with an address of its station or none (§7.2).
    #[must_use]
    pub const fn evpn_mac_ip(distinguisher: RouteDistinguisher, mac: Mac, address: Option<IpAddr>) -> Self {
        Self::Evpn(EvpnDestination::MacIp { distinguisher, tag: EthernetTag(0), mac, address })
    }

    /// Everybody in the one broadcast domain of an instance, who is behind this originator (RFC 7432 §7.3).
    #[must_use]
    pub const fn evpn_inclusive_multicast(distinguisher: RouteDistinguisher, originator: IpAddr) -> Self {
        Self::Evpn(EvpnDestination::InclusiveMulticast { distinguisher, tag: EthernetTag(0), originator })
    }

    /// A prefix of a VRF (RFC 9136 §3.1).
    #[must_use]
    pub const fn evpn_ip_prefix(distinguisher: RouteDistinguisher, prefix: IpNet) -> Self {
        Self::Evpn(EvpnDestination::IpPrefix { distinguisher, tag: EthernetTag(0), prefix })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(prefix) => fmt::Display::fmt(prefix, f),
            Self::Ipv6(prefix) => fmt::Display::fmt(prefix, f),
            Self::Vpnv4(VpnDestination { distinguisher, prefix }) => write!(f, "{distinguisher} {prefix}"),
            Self::Vpnv6(VpnDestination { distinguisher, prefix }) => write!(f, "{distinguisher} {prefix}"),
            Self::Evpn(destination) => fmt::Display::fmt(destination, f),
            Self::RouteTarget(membership) => fmt::Display::fmt(membership, f),
        }
    }
}

/// A prefix of a VPN (RFC 4364 §4.1, RFC 4659 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VpnDestination<Prefix> {
    /// Which VPN's addresses these are.
    pub distinguisher: RouteDistinguisher,
    /// The prefix.
    pub prefix: Prefix,
}

/// Which route targets a neighbour wants (RFC 4684 §4): a prefix of origin AS and route target. With no bits it asks for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Membership {
    bits: u8,
    origin: Asn,
    target: [u8; 8],
}

impl Membership {
    /// The wish for every route.
    pub const DEFAULT: Self = Self { bits: 0, origin: Asn::new(0), target: [0; 8] };

    /// The wish, in `origin`, for routes with exactly `target`.
    #[must_use]
    pub const fn new(origin: Asn, target: RouteTarget) -> Self {
        Self { bits: 96, origin, target: target.octets() }
    }

    /// The wish for the first `bits` of `origin` (32 bits) and `target` (64 bits): none, or 32 to 96. Further bits become zero.
    #[must_use]
    pub fn from_bits(bits: u8, origin: Asn, target: [u8; 8]) -> Option<Self> {
        match bits {
            0 => Some(Self::DEFAULT),
            32..=96 => {
                let mask = u64::MAX.checked_shl(u32::from(96 - bits)).unwrap_or(0);
                let target = (u64::from_be_bytes(target) & mask).to_be_bytes();
                Some(Self { bits, origin, target })
            }
            _ => None,
        }
    }

    /// How many bits are given: 0, or 32 to 96.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// The AS that the wish comes from; 0 in the default.
    #[must_use]
    pub const fn origin(self) -> Asn {
        self.origin
    }

    /// The octets of the target's prefix.
    #[must_use]
    pub const fn target(self) -> [u8; 8] {
        self.target
    }

    /// Whether a target, in octets, is among what is wished for.
    #[must_use]
    pub fn covers(self, target: [u8; 8]) -> bool {
        let bits = u32::from(self.bits.saturating_sub(32));
        let differs = u64::from_be_bytes(target) ^ u64::from_be_bytes(self.target);
        bits == 0 || differs >> (64 - bits) == 0
    }
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bits, RouteTarget::from_octets(self.target)) {
            (0, _) => f.write_str("default"),
            (96, Some(target)) => write!(f, "{} {target}", self.origin),
            (bits, _) => write!(f, "{} {:#018x}/{bits}", self.origin, u64::from_be_bytes(self.target)),
        }
    }
}

/// What a route carries besides its destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Payload {
    /// Nothing: unicast, route target constraints, EVPN types 3, 4 and unknown ones. A VPN or EVPN route that is withdrawn needs nothing
    /// either: zeros are written, for a VPN's label [`LabelField::WITHDRAWN`].
    None,
    /// The label of a VPN route; that of a withdrawn one says nothing.
    Label(LabelField),
    /// Of an EVPN route of type 1, 2 or 5.
    Evpn(Box<EvpnPayload>),
}

impl Payload {
    /// What a VPN route carries (RFC 8277 §2.2).
    #[must_use]
    pub const fn label(label: MplsLabel) -> Self {
        Self::Label(LabelField::from_label(label))
    }

    /// What an EVPN route of type 2 or 5 carries over VXLAN, without a segment and without an overlay gateway (RFC 8365 §5.1,
    /// RFC 9136 §4.4.1).
    #[must_use]
    pub fn vni(vni: Vni) -> Self {
        let label = LabelField::from_vni(vni);
        Self::Evpn(Box::new(EvpnPayload { segment: Esi::ZERO, gateway: None, label, label2: None }))
    }
}

/// The 24 bits in which an NLRI carries a label, a VNI, or the part of an SRv6 SID that is transposed (RFC 9252 §4).
///
/// A VPN route has exactly one: several need a capability that is not announced here (RFC 8277 §2.1), and then the bottom-of-stack bit
/// says nothing (§2.2). All 24 bits are kept as they came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelField(u32);

impl LabelField {
    /// Stands in withdrawals (RFC 8277 §2.4). So does zero, from some speakers.
    pub const WITHDRAWN: Self = Self(0x80_0000);

    /// The field with these 24 bits; higher ones are dropped.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & 0xff_ffff)
    }

    /// An MPLS label at the bottom of its stack.
    #[must_use]
    pub const fn from_label(label: MplsLabel) -> Self {
        Self(label.get() << 4 | 1)
    }

    /// A VXLAN network identifier (RFC 8365 §5.1.3).
    #[must_use]
    pub const fn from_vni(vni: Vni) -> Self {
        Self(vni.get())
    }

    /// The 24 bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The 20 bits of an MPLS label.
    #[must_use]
    pub fn label(self) -> MplsLabel {
        MplsLabel::try_from(self.0 >> 4).expect("24 bits less 4 are 20")
    }

    /// The VXLAN network identifier, if it is not zero.
    #[must_use]
    pub fn vni(self) -> Option<Vni> {
        Vni::try_from(self.0).ok()
    }
}

impl fmt::Debug for LabelField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#08x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_one_family_takes_little_and_one_of_any_family_40_octets() {
        assert_eq!(size_of::<Ipv4Net>(), 5);
        assert_eq!(size_of::<VpnDestination<Ipv4Net>>(), 13);
        assert_eq!(size_of::<VpnDestination<Ipv6Net>>(), 25);
        assert_eq!(size_of::<Destination>(), 40);
        assert_eq!(size_of::<Payload>(), 16);
    }

    #[test]
    fn a_membership_covers_the_targets_that_begin_with_its_bits() {
        let target: RouteTarget = "65000:100".parse().unwrap();
        let other: RouteTarget = "65000:101".parse().unwrap();
        let exact = Membership::new(Asn::new(65_000), target);
        assert!(exact.covers(target.octets()) && !exact.covers(other.octets()));
        assert!(Membership::DEFAULT.covers(other.octets()));
        let prefix = |bits| Membership::from_bits(bits, Asn::new(65_000), target.octets());
        assert!([32, 95].iter().all(|&bits| prefix(bits).unwrap().covers(other.octets())));
        assert_eq!(prefix(95).unwrap().target()[7], 100);
        assert_eq!(prefix(64).unwrap().target(), [0, 2, 0xfd, 0xe8, 0, 0, 0, 0]);
        assert_eq!(prefix(0), Some(Membership::DEFAULT));
        assert_eq!((prefix(31), prefix(97)), (None, None));
    }

    #[test]
    fn destinations_of_each_sort_are_made_of_what_tells_them_apart() {
        let distinguisher = "192.0.2.1:7".parse().unwrap();
        let (mac, address) = (Mac::new([2, 0, 0, 0, 0, 1]), IpAddr::from([10, 0, 0, 1]));
        for (made, text) in [
            (Destination::vpn(distinguisher, "10.0.0.0/8".parse().unwrap()), "192.0.2.1:7 10.0.0.0/8"),
            (Destination::vpn(distinguisher, "2001:db8::/32".parse().unwrap()), "192.0.2.1:7 2001:db8::/32"),
            (
                Destination::evpn_mac_ip(distinguisher, mac, Some(address)),
                "[2]:[192.0.2.1:7]:[0]:[02:00:00:00:00:01]:[10.0.0.1]",
            ),
            (Destination::evpn_mac_ip(distinguisher, mac, None), "[2]:[192.0.2.1:7]:[0]:[02:00:00:00:00:01]"),
            (
                Destination::evpn_inclusive_multicast(distinguisher, address),
                "[3]:[192.0.2.1:7]:[0]:[10.0.0.1]",
            ),
            (
                Destination::evpn_ip_prefix(distinguisher, "10.0.0.0/8".parse().unwrap()),
                "[5]:[192.0.2.1:7]:[0]:[10.0.0.0/8]",
            ),
        ] {
            assert_eq!(made.to_string(), text);
        }
        let Payload::Evpn(payload) = Payload::vni(7000.try_into().unwrap()) else { panic!() };
        assert_eq!((payload.label.bits(), payload.label2), (7000, None));
    }

    #[test]
    fn a_label_field_holds_a_label_or_a_vni() {
        assert_eq!(LabelField::from_label(MplsLabel::MAX).bits(), 0xff_fff1);
        assert_eq!(LabelField::from_bits(0x30).label(), MplsLabel::IMPLICIT_NULL);
        assert_eq!(LabelField::from_vni(Vni::MAX).vni(), Some(Vni::MAX));
        assert_eq!(LabelField::from_bits(0).vni(), None);
    }
}
