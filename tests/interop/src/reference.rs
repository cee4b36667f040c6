//! What is the same for every daemon that our speaker is tried against.

use std::net::IpAddr;

use crate::witness::Witness;

/// An address family, by the name of this project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 unicast.
    Ipv4Unicast,
    /// IPv6 unicast.
    Ipv6Unicast,
    /// Labelled VPN-IPv4 (RFC 4364).
    VpnIpv4,
    /// Labelled VPN-IPv6 (RFC 4659).
    VpnIpv6,
    /// EVPN (RFC 7432).
    Evpn,
    /// Route target membership (RFC 4684).
    RouteTarget,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Ipv4Unicast, Self::Ipv6Unicast, Self::VpnIpv4, Self::VpnIpv6, Self::Evpn, Self::RouteTarget];

    /// The name in configurations of ours.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4Unicast => "ipv4-unicast",
            Self::Ipv6Unicast => "ipv6-unicast",
            Self::VpnIpv4 => "vpnv4",
            Self::VpnIpv6 => "vpnv6",
            Self::Evpn => "evpn",
            Self::RouteTarget => "route-target",
        }
    }

    /// Its AFI, which is less than 256, and its SAFI.
    #[must_use]
    pub(crate) const fn numbers(self) -> (u8, u8) {
        match self {
            Self::Ipv4Unicast => (1, 1),
            Self::Ipv6Unicast => (2, 1),
            Self::VpnIpv4 => (1, 128),
            Self::VpnIpv6 => (2, 128),
            Self::Evpn => (25, 70),
            Self::RouteTarget => (1, 132),
        }
    }
}

/// How a daemon is to be set up towards one neighbour: our speaker.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a line of a configuration")]
pub struct Setup {
    /// Its own autonomous system.
    pub asn: u32,
    /// Its own address.
    pub address: IpAddr,
    /// The neighbour's autonomous system.
    pub peer_asn: u32,
    /// The neighbour's address.
    pub peer: IpAddr,
    /// The addresses of further neighbours that are the same in all else.
    pub more_peers: Vec<IpAddr>,
    /// The families of the session.
    pub families: Vec<Family>,
    /// After how many seconds without a message the session is over; three times as often one is sent.
    pub hold_time_s: u16,
    /// The key of TCP MD5 signatures (RFC 2385).
    pub password: Option<String>,
    /// Whether only packets with a TTL of 255 are taken (RFC 5082).
    pub has_ttl_security: bool,
    /// Whether it restarts gracefully (RFC 4724).
    pub is_graceful: bool,
    /// Whether it sends and receives many paths (RFC 7911).
    pub has_add_path: bool,
    /// Whether IPv4 routes may have IPv6 next hops (RFC 8950).
    pub has_extended_next_hop: bool,
    /// Whether it reflects what our speaker says to other clients of its own (RFC 4456).
    pub reflects: bool,
    /// Whether each UPDATE that it sends is verified at the end ([`Witness`]): not where speed is measured.
    pub is_witnessed: bool,
}

impl Setup {
    /// Without options, within one autonomous system.
    #[must_use]
    pub fn new(address: IpAddr, peer: IpAddr, families: &[Family]) -> Self {
        Self {
            asn: 65000,
            address,
            peer_asn: 65000,
            peer,
            more_peers: Vec::new(),
            families: families.to_vec(),
            hold_time_s: 9,
            password: None,
            has_ttl_security: false,
            is_graceful: false,
            has_add_path: false,
            has_extended_next_hop: false,
            reflects: false,
            is_witnessed: true,
        }
    }

    /// What listens to a daemon in its namespace, if something is to.
    pub(crate) fn witness(&self, namespace: &str) -> Option<Witness> {
        self.is_witnessed.then(|| Witness::start(namespace))
    }

    /// The addresses of all its neighbours.
    pub fn peers(&self) -> impl Iterator<Item = IpAddr> {
        [self.peer].into_iter().chain(self.more_peers.iter().copied())
    }
}

/// A route that a daemon is to announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// IPv4 or IPv6 unicast.
    Unicast {
        /// As `10.11.0.0/16`.
        prefix: String,
    },
    /// VPN-IPv4 or VPN-IPv6.
    Vpn {
        /// As `65000:1`.
        distinguisher: String,
        /// As `10.11.0.0/16`.
        prefix: String,
        /// The MPLS label.
        label: u32,
        /// As `65000:100`.
        target: String,
    },
    /// EVPN route type 5.
    EvpnPrefix {
        /// As `65000:1`.
        distinguisher: String,
        /// As `10.11.0.0/16`.
        prefix: String,
        /// The VNI.
        vni: u32,
        /// As `65000:100`.
        target: String,
    },
    /// EVPN route type 3, of a tunnel endpoint that replicates at ingress.
    EvpnMulticast {
        /// As `65000:1`.
        distinguisher: String,
        /// The tunnel endpoint: no address of a node, so that it is found in no answer that shows no such route.
        originator: String,
        /// The VNI.
        vni: u32,
        /// As `65000:100`.
        target: String,
    },
    /// EVPN route type 2.
    EvpnMac {
        /// As `65000:1`.
        distinguisher: String,
        /// The MAC address.
        mac: String,
        /// The VNI.
        vni: u32,
        /// As `65000:100`.
        target: String,
    },
}

impl Route {
    /// What both a daemon's and our own answers contain if they know the route: the prefix, the MAC address or the tunnel endpoint.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Unicast { prefix } | Self::Vpn { prefix, .. } | Self::EvpnPrefix { prefix, .. } => prefix,
            Self::EvpnMac { mac, .. } => mac,
            Self::EvpnMulticast { originator, .. } => originator,
        }
    }

    /// The route target, if it has one.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Unicast { .. } => None,
            Self::Vpn { target, .. }
            | Self::EvpnPrefix { target, .. }
            | Self::EvpnMulticast { target, .. }
            | Self::EvpnMac { target, .. } => Some(target),
        }
    }

    /// Whether its prefix or address is of IPv6.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        match self {
            Self::Unicast { prefix } | Self::Vpn { prefix, .. } | Self::EvpnPrefix { prefix, .. } => {
                prefix.contains(':')
            }
            Self::EvpnMac { .. } | Self::EvpnMulticast { .. } => false,
        }
    }

    /// The same, bound for another route target.
    #[must_use]
    pub fn with_target(&self, to: &str) -> Self {
        let mut route = self.clone();
        match &mut route {
            Self::Unicast { .. } => {}
            Self::Vpn { target, .. }
            | Self::EvpnPrefix { target, .. }
            | Self::EvpnMulticast { target, .. }
            | Self::EvpnMac { target, .. } => to.clone_into(target),
        }
        route
    }
}

/// A daemon that our speaker is tried against.
pub trait Reference {
    /// Announces a route, or announces it anew with other attributes.
    fn announce(&mut self, route: &Route);
    /// Withdraws it.
    fn withdraw(&mut self, route: &Route);
    /// Asks for the routes of one route target and of no other (RFC 4684).
    fn ask_for_target(&mut self, _target: &str) {
        unreachable!("only GoBGP is asked to")
    }
    /// Whether the session is established.
    fn is_established(&self) -> bool;
    /// What it says of the routes of a family, as text in which prefixes and MAC addresses are found.
    fn routes(&self, family: Family) -> String;
    /// Ends it without a goodbye, as a crash does.
    fn crash(&mut self);
    /// Starts it again after a crash, with what it announced.
    fn restart(&mut self);
}
