//! FRR, GoBGP and BIRD beside a lab, as neighbours of its controller that are told what a WAN gateway is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_interop_tests::{Bird, Family, Frr, Gobgp, Reference, Setup};

use crate::heard::{self, PrefixRoute, VpnRoute};
use crate::{Bench, Node, Peering, patience, until};

/// How long they have to be spoken with, and to hear what is said: FRR takes up to five seconds before it calls a neighbour for the first time, and on
/// a busy machine is slow to start.
const WITHIN: Duration = Duration::from_secs(20);
/// The last octet of the controller on a lab's management network.
const CONTROLLER: u8 = 254;
/// Their names, and their last octets on both networks.
const NODES: [(&str, u8); 3] = [("frr", 201), ("gobgp", 202), ("bird", 203)];

/// Somebody is asked what he has.
type Asked<'a> = Box<dyn Fn() -> BTreeSet<VpnRoute> + 'a>;

/// The three of them, of the controller's own AS. BIRD has no EVPN.
#[derive(Debug)]
pub struct Neighbours {
    frr: Frr,
    gobgp: Gobgp,
    bird: Bird,
    /// The tunnel endpoints of the hosts that forward labels: what they forward is told as VPNv4 as well.
    has_labels: BTreeSet<String>,
    // After their daemons.
    _nodes: [Node; 3],
}

impl Neighbours {
    /// Starts them, and waits until each has a session.
    ///
    /// # Panics
    /// When one is not installed, or has none.
    #[must_use]
    pub fn start(bench: &Bench) -> Self {
        let address = |network, number| bench.fabric_address(network, number);
        let nodes = NODES.map(|(name, number)| {
            let node = Node::new(bench, name);
            node.join(bench, "mgmt", ("eth0", address("mgmt", number)));
            // BIRD takes no route whose next hop is on none of its links.
            node.join(bench, "underlay", ("eth1", address("underlay", number)));
            node
        });
        let families = [Family::Evpn, Family::VpnIpv4];
        let setup = |at: usize, families: &[Family]| {
            let [own, controller] = [NODES[at].1, CONTROLLER].map(|number| address("mgmt", number).into());
            // Nothing is told again because a busy machine has kept one of them from speaking.
            Setup { asn: 64512, peer_asn: 64512, hold_time_s: 90, ..Setup::new(own, controller, families) }
        };
        let logs = bench.lab().state_directory();
        let frr = Frr::start(nodes[0].namespace(), logs, &setup(0, &families), &[]);
        let gobgp = Gobgp::start(nodes[1].namespace(), logs, &setup(1, &families), &[]);
        let bird = Bird::start(nodes[2].namespace(), logs, &setup(2, &families[1..]), &[]);
        let peering = Peering::new(bench);
        for (_, number) in NODES {
            peering.add(bench, address("mgmt", number), &json!({}));
        }
        let are_established = || frr.is_established() && gobgp.is_established() && bird.is_established();
        until("sessions", WITHIN, || are_established().then_some(()));
        Self { frr, gobgp, bird, has_labels: endpoints_with_labels(bench), _nodes: nodes }
    }

    /// Waits until each has heard exactly these routes: by EVPN, and by VPNv4 those of hosts that forward labels.
    ///
    /// # Panics
    /// When one does not.
    pub fn await_heard(&self, routes: &BTreeSet<PrefixRoute>) {
        let labelled = routes.iter().filter(|route| self.has_labels.contains(&route.next_hop));
        let labelled: BTreeSet<PrefixRoute> = labelled.cloned().collect();
        let without_age =
            |heard: BTreeSet<(PrefixRoute, u64)>| heard.into_iter().map(|(route, _)| route).collect();
        let without_label = |heard: BTreeSet<VpnRoute>| heard.into_iter().map(|heard| heard.route).collect();
        await_equal("FRR, EVPN", || heard::evpn_of_frr(self.frr.daemons()), routes);
        await_equal("GoBGP, EVPN", || without_age(heard::evpn_of_gobgp(&self.gobgp)), routes);
        for (who, heard) in self.vpnv4() {
            await_equal(who, || without_label(heard()), &labelled);
        }
    }

    /// Waits until each has heard exactly these VPNv4 routes.
    ///
    /// # Panics
    /// When one does not.
    pub fn await_labelled(&self, routes: &BTreeSet<VpnRoute>) {
        for (who, heard) in self.vpnv4() {
            await_equal(who, heard, routes);
        }
    }

    /// Who has VPNv4 routes, and what they are.
    fn vpnv4(&self) -> [(&'static str, Asked<'_>); 3] {
        [
            ("FRR, VPNv4", Box::new(|| heard::vpnv4_of_frr(self.frr.daemons()))),
            ("GoBGP, VPNv4", Box::new(|| heard::vpnv4_of_gobgp(&self.gobgp))),
            ("BIRD, VPNv4", Box::new(|| heard::vpnv4_of_bird(&self.bird))),
        ]
    }

    /// The EVPN routes that GoBGP has, and since when it has each as it is: in seconds, of which the last is over when this returns. What is said
    /// anew has another, though nothing be changed.
    #[must_use]
    pub fn since(&self) -> BTreeMap<PrefixRoute, u64> {
        let since = || heard::evpn_of_gobgp(&self.gobgp).into_iter().collect::<BTreeMap<_, _>>();
        let is_over = |since: &BTreeMap<PrefixRoute, u64>| {
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
            since.values().all(|second| *second < now)
        };
        until("the second is over", WITHIN, || Some(since()).filter(is_over)).0
    }

    /// GoBGP, to announce something.
    pub const fn gobgp(&mut self) -> &mut Gobgp {
        &mut self.gobgp
    }
}

/// Labels are announced by hosts that forward them, and by no others.
fn endpoints_with_labels(bench: &Bench) -> BTreeSet<String> {
    let hosts = bench.http().list("hosts").into_iter();
    let has_mpls = |host: &Value| {
        host["capabilities"].as_array().is_some_and(|capabilities| capabilities.contains(&json!("mpls")))
    };
    let number = |host: Value| host["name"].as_str()?.trim_start_matches("host").parse().ok();
    let endpoint = |number| IpAddr::from(bench.fabric_address("underlay", number)).to_string();
    hosts.filter(has_mpls).filter_map(number).map(endpoint).collect()
}

/// Waits until somebody has heard exactly what is to be heard.
fn await_equal<T: Ord + std::fmt::Debug>(who: &str, heard: impl Fn() -> BTreeSet<T>, wanted: &BTreeSet<T>) {
    let begin = Instant::now();
    loop {
        let now = heard();
        if now == *wanted {
            return println!("{who}: {} routes after {:.1?}", now.len(), begin.elapsed());
        }
        assert!(begin.elapsed() < patience(WITHIN), "{who}: {now:#?} instead of {wanted:#?}");
    }
}
