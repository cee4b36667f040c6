//! GoBGP: gobgpd, asked by gobgp.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::frr::last_octet;
use crate::process::{Process, ask, until};
use crate::reference::{Family, Reference, Route, Setup};
use crate::witness::Witness;

const START: Duration = Duration::from_secs(10);
/// What is asked for at first.
const TARGET: &str = "65000:100";

/// A gobgpd.
#[derive(Debug)]
pub struct Gobgp {
    namespace: String,
    logs: PathBuf,
    setup: Setup,
    announced: Vec<Route>,
    /// Of which routes are asked for, if any are.
    target: String,
    daemon: Option<Process>,
    // After its daemon.
    _witness: Option<Witness>,
}

impl Gobgp {
    /// Starts one in a namespace.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn start(namespace: &str, logs: &Path, setup: &Setup, announced: &[Route]) -> Self {
        let (namespace, logs) = (namespace.to_owned(), logs.to_owned());
        let (setup, announced) = (setup.clone(), announced.to_vec());
        let witness = setup.witness(&namespace);
        let mut gobgp = Self {
            namespace,
            logs,
            setup,
            announced,
            target: TARGET.to_owned(),
            daemon: None,
            _witness: witness,
        };
        gobgp.run(false);
        gobgp
    }

    /// Asks by a command of `gobgp` that changes nothing; answers what it says. It gives a busy daemon up soon, and is asked again then.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn ask(&self, words: &str) -> String {
        let mut said = self.gobgp(words);
        until("gobgpd answers in time", START, || {
            let is_late = said.as_ref().is_err_and(|error| error.contains("context deadline exceeded"));
            if is_late {
                said = self.gobgp(words);
            }
            !is_late
        });
        said.unwrap_or_else(|error| panic!("{error}"))
    }

    fn order(&self, words: &str) {
        let _said = self.gobgp(words).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The process.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn process(&self) -> &Process {
        self.daemon.as_ref().expect("it runs")
    }

    fn gobgp(&self, words: &str) -> Result<String, String> {
        ask(&self.namespace, "gobgp", &words.split_whitespace().collect::<Vec<_>>())
    }

    fn run(&mut self, is_restart: bool) {
        let file = self.logs.join(format!("{}-gobgpd.toml", self.namespace));
        fs::write(&file, configuration(&self.setup)).expect("a configuration can be written");
        let mut arguments = vec!["-f".to_owned(), file.display().to_string()];
        arguments.extend(["--api-hosts=127.0.0.1:50051", "--pprof-disable", "-l", "info"].map(str::to_owned));
        if is_restart && self.setup.is_graceful {
            arguments.push("-r".to_owned());
        }
        let log = self.logs.join(format!("{}-gobgpd.log", self.namespace));
        self.daemon = Some(Process::start(&self.namespace, "gobgpd", &arguments, &log));
        until("gobgpd answers", START, || self.gobgp("global").is_ok());
        if self.setup.families.contains(&Family::RouteTarget) {
            self.order(&add_vrf(&self.target));
        }
        for route in self.announced.clone() {
            self.change("add", &route);
        }
    }

    fn change(&self, verb: &str, route: &Route) {
        let route = match route {
            Route::Unicast { prefix } => {
                format!("-a {} {prefix}", if route.is_ipv6() { "ipv6" } else { "ipv4" })
            }
            Route::Vpn { distinguisher, prefix, label, target } => format!(
                "-a {} {prefix} label {label} rd {distinguisher} rt {target}",
                if route.is_ipv6() { "vpnv6" } else { "vpnv4" }
            ),
            Route::EvpnPrefix { distinguisher, prefix, vni, target } => format!(
                "-a evpn prefix {prefix} etag 0 label {vni} gw {} rd {distinguisher} rt {target} encap vxlan \
                 router-mac 02:00:00:00:00:02",
                if route.is_ipv6() { "::" } else { "0.0.0.0" }
            ),
            Route::EvpnMulticast { distinguisher, originator, vni, target } => format!(
                "-a evpn multicast {originator} etag 0 rd {distinguisher} rt {target} encap vxlan \
                 pmsi ingress-repl {vni} {originator}"
            ),
            Route::EvpnMac { distinguisher, mac, vni, target } => format!(
                "-a evpn macadv {mac} 0.0.0.0 etag 0 label {vni} rd {distinguisher} rt {target} encap vxlan"
            ),
        };
        let words = format!("global rib {verb} {route}");
        // gobgp makes of 0.0.0.0 an address in a MAC route: said with an address it is another route.
        self.order(&words);
    }
}

/// A VRF asks for its route target.
fn add_vrf(target: &str) -> String {
    format!("vrf add one rd 65000:9 rt both {target}")
}

const fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4Unicast => "ipv4-unicast",
        Family::Ipv6Unicast => "ipv6-unicast",
        Family::VpnIpv4 => "l3vpn-ipv4-unicast",
        Family::VpnIpv6 => "l3vpn-ipv6-unicast",
        Family::Evpn => "l2vpn-evpn",
        Family::RouteTarget => "rtc",
    }
}

fn configuration(setup: &Setup) -> String {
    let Setup { asn, address, .. } = setup;
    let router_id = last_octet(&address.to_string()).to_owned();
    let mut text = format!("[global.config]\n as = {asn}\n router-id = \"10.0.0.{router_id}\"\n");
    for peer in setup.peers() {
        neighbor(&mut text, setup, peer);
    }
    text
}

fn neighbor(text: &mut String, setup: &Setup, peer: IpAddr) {
    let Setup { address, peer_asn, .. } = setup;
    let mut add = |more: &str| text.write_str(more).expect("a string can be written to");
    add(&format!(
        "[[neighbors]]\n [neighbors.config]\n  neighbor-address = \"{peer}\"\n  peer-as = {peer_asn}\n"
    ));
    if let Some(password) = &setup.password {
        add(&format!("  auth-password = \"{password}\"\n"));
    }
    add(&format!(" [neighbors.transport.config]\n  local-address = \"{address}\"\n"));
    add(&format!(
        " [neighbors.timers.config]\n  connect-retry = 1\n  hold-time = {}\n  keepalive-interval = {}\n  idle-hold-time-after-reset = 1\n",
        setup.hold_time_s,
        setup.hold_time_s / 3
    ));
    if setup.reflects {
        add(
            " [neighbors.route-reflector.config]\n  route-reflector-client = true\n  route-reflector-cluster-id = \"10.0.0.9\"\n",
        );
    }
    if setup.has_ttl_security {
        add(" [neighbors.ttl-security.config]\n  enabled = true\n  ttl-min = 255\n");
    }
    if setup.is_graceful {
        add(
            " [neighbors.graceful-restart.config]\n  enabled = true\n  restart-time = 20\n  deferral-time = 3\n  notification-enabled = true\n",
        );
    }
    for &family in &setup.families {
        add(&format!(
            " [[neighbors.afi-safis]]\n  [neighbors.afi-safis.config]\n   afi-safi-name = \"{}\"\n",
            family_name(family)
        ));
        if setup.is_graceful {
            add("  [neighbors.afi-safis.mp-graceful-restart.config]\n   enabled = true\n");
        }
        if setup.has_add_path {
            add("  [neighbors.afi-safis.add-paths.config]\n   receive = true\n   send-max = 8\n");
        }
    }
}

impl Reference for Gobgp {
    fn announce(&mut self, route: &Route) {
        self.announced.retain(|announced| announced.text() != route.text());
        self.announced.push(route.clone());
        self.change("add", route);
    }

    fn withdraw(&mut self, route: &Route) {
        self.announced.retain(|announced| announced.text() != route.text());
        self.change("del", route);
    }

    fn ask_for_target(&mut self, target: &str) {
        target.clone_into(&mut self.target);
        self.order("vrf del one");
        self.order(&add_vrf(target));
    }

    fn is_established(&self) -> bool {
        self.gobgp(&format!("neighbor {}", self.setup.peer))
            .is_ok_and(|text| text.contains("BGP state = ESTABLISHED"))
    }

    fn routes(&self, family: Family) -> String {
        let family = match family {
            Family::Ipv4Unicast => "ipv4",
            Family::Ipv6Unicast => "ipv6",
            Family::VpnIpv4 => "vpnv4",
            Family::VpnIpv6 => "vpnv6",
            Family::Evpn => "evpn",
            Family::RouteTarget => "rtc",
        };
        // What a neighbour has announced it does not always say while that is away; its own routes are among these.
        self.ask(&format!("global rib -a {family}"))
    }

    fn crash(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    fn restart(&mut self) {
        self.run(true);
    }
}
