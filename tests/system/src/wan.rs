//! A WAN gateway that is FRR: on the lab's management network, where it speaks BGP with the controller, and on its underlay, where it is a
//! tunnel endpoint; with a network behind it.
//!
//! ```text
//!  client 203.0.113.10 ── lan 203.0.113.1 [ gateway: br9000 ─ vx9000 ] underlay …200 ══ hosts
//!                                         [ zebra, bgpd              ] mgmt …200 ────── controller …254
//! ```

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};
use weft_interop_tests::FrrDaemons;

use crate::heard::{self, PrefixRoute};
use crate::{Bench, Edge, Node, until};

/// The VNI of the routes of the gateway's own table: that of the VPN that it belongs to.
const VNI: u32 = 9000;
/// How long a session has to be established.
const ESTABLISHED: Duration = Duration::from_secs(20);

/// Makes a BGP speaker of the controller's and its peers. Whoever is a peer may connect to it or be connected to.
#[derive(Debug)]
pub struct Peering {
    speaker: String,
}

impl Peering {
    /// A speaker of AS 64512 without peers.
    #[must_use]
    pub fn new(bench: &Bench) -> Self {
        let speaker = json!({"bgp_speaker": {"name": "site", "local_as": 64512, "ip_version": 4}});
        Self { speaker: bench.http().create_id("bgp-speakers", &speaker) }
    }

    /// A peer of the same AS, with these attributes besides; answers its identifier.
    ///
    /// # Panics
    /// When it is refused.
    pub fn add(&self, bench: &Bench, address: Ipv4Addr, attributes: &Value) -> String {
        let mut peer = json!({"name": format!("peer-{address}"), "peer_ip": address, "remote_as": 64512, "auth_type": "none"});
        let more = attributes.as_object().into_iter().flatten();
        more.for_each(|(name, value)| peer[name.as_str()] = value.clone());
        let peer = bench.http().create_id("bgp-peers", &json!({ "bgp_peer": peer }));
        let path = format!("/v2.0/bgp-speakers/{}/add_bgp_peer", self.speaker);
        let answer = bench.http().ask("PUT", &path, &json!({ "bgp_peer_id": peer }));
        assert_eq!(answer.status, 200, "{}", answer.json());
        peer
    }
}

/// FRR, its namespace, and a client behind it.
#[derive(Debug)]
pub struct WanGateway {
    // First, so that they end before their namespace.
    daemons: FrrDaemons,
    edge: Edge,
    neighbor: Option<Ipv4Addr>,
    is_graceful: bool,
}

impl WanGateway {
    /// The prefix of the network behind it.
    pub const NETWORK: &str = "203.0.113.0/24";
    /// Its number on both networks of the fabric.
    pub const NUMBER: u8 = 200;
    /// How long its neighbours are to keep its routes when it restarts, if it asks for that.
    pub const RESTART_TIME_S: u16 = 5;
    /// The client there.
    pub const CLIENT: &str = "203.0.113.10";
    /// The VNI of the VPN that it belongs to.
    pub const VNI: u32 = VNI;

    /// Starts one that speaks with the controller.
    #[must_use]
    pub fn start(bench: &Bench) -> Self {
        Self::start_as(bench, None, false)
    }

    /// Starts one that speaks with this neighbour instead, if one is said; `is_graceful`: it asks its neighbour to keep its routes when it restarts.
    #[must_use]
    pub fn start_as(bench: &Bench, neighbor: Option<Ipv4Addr>, is_graceful: bool) -> Self {
        let edge = Edge::new(bench, ("wan", Self::NUMBER), (Self::CLIENT, "203.0.113.1"));
        edge.node().ip("address add 203.0.113.1/24 dev lan");
        edge.add_vni(VNI, "02:aa:00:00:00:09");
        let daemons = FrrDaemons::start(
            edge.node().namespace(),
            bench.lab().state_directory(),
            &format!("vni {VNI}\n"),
        );
        let mut gateway = Self { daemons, edge, neighbor, is_graceful };
        gateway.start_bgpd();
        gateway
    }

    /// Where it speaks BGP from.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        self.edge.address()
    }

    /// Its tunnel endpoint.
    #[must_use]
    pub const fn endpoint(&self) -> Ipv4Addr {
        self.edge.endpoint()
    }

    /// Its daemons.
    #[must_use]
    pub const fn daemons(&self) -> &FrrDaemons {
        &self.daemons
    }

    /// Its namespace.
    #[must_use]
    pub const fn node(&self) -> &Node {
        self.edge.node()
    }

    /// The client behind it.
    #[must_use]
    pub const fn client(&self) -> &Node {
        self.edge.client()
    }

    /// Ends bgpd without a goodbye.
    pub fn kill_bgpd(&mut self) {
        self.daemons.kill_bgpd();
    }

    /// Starts bgpd, with what it announces at first.
    pub fn start_bgpd(&mut self) {
        self.daemons.start_bgpd(&self.configuration());
    }

    /// Waits until it speaks with its neighbour.
    pub fn await_established(&self) {
        until("FRR's session", ESTABLISHED, || self.daemons.is_established().then_some(()));
    }

    /// Announces the network behind it, or does so no more.
    pub fn announce(&self, does: bool) {
        let line = format!("{}network {}", if does { "" } else { "no " }, Self::NETWORK);
        self.daemons.configure(&["router bgp 64512", "address-family ipv4 unicast", &line]);
    }

    /// What it has heard: the EVPN routes of type 5 but its own.
    ///
    /// # Panics
    /// When FRR shows what is not understood.
    #[must_use]
    pub fn heard(&self) -> BTreeSet<PrefixRoute> {
        let routes = heard::evpn_of_frr(&self.daemons).into_iter();
        routes.filter(|route| route.next_hop != self.endpoint().to_string()).collect()
    }

    /// Where its kernel's routes lead that BGP has put there: prefix and tunnel endpoint.
    #[must_use]
    pub fn kernel_routes(&self) -> BTreeSet<(String, String)> {
        let rows = self.node().ip_json("route show proto bgp");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        rows.iter().map(|row| (text(&row["dst"]), text(&row["gateway"]))).collect()
    }

    fn configuration(&self) -> String {
        let neighbor = self.neighbor.unwrap_or(self.edge.controller());
        let graceful = if self.is_graceful {
            let words = ["", " preserve-fw-state", &format!(" restart-time {}", Self::RESTART_TIME_S)];
            words.map(|words| format!(" bgp graceful-restart{words}\n")).concat()
        } else {
            String::new()
        };
        let (begin, network) = (self.edge.router_bgp(neighbor), Self::NETWORK);
        format!(
            "{begin}{graceful} \
             address-family ipv4 unicast\n  network {network}\n exit-address-family\n \
             address-family ipv4 vpn\n  neighbor {neighbor} activate\n exit-address-family\n \
             address-family l2vpn evpn\n  neighbor {neighbor} activate\n  advertise-all-vni\n  advertise ipv4 unicast\n  \
             route-target import 64512:100\n  route-target export 64512:100\n exit-address-family\n"
        )
    }
}
