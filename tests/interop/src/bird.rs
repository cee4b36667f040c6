//! BIRD: one bird, asked by birdc.

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

/// A bird.
#[derive(Debug)]
pub struct Bird {
    namespace: String,
    logs: PathBuf,
    setup: Setup,
    announced: Vec<Route>,
    daemon: Option<Process>,
    // After its daemon.
    _witness: Option<Witness>,
}

impl Bird {
    /// Starts one in a namespace.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn start(namespace: &str, logs: &Path, setup: &Setup, announced: &[Route]) -> Self {
        let (namespace, logs) = (namespace.to_owned(), logs.to_owned());
        let (setup, announced) = (setup.clone(), announced.to_vec());
        let witness = setup.witness(&namespace);
        let mut bird = Self { namespace, logs, setup, announced, daemon: None, _witness: witness };
        bird.run(false);
        bird
    }

    /// Runs a command of `birdc`; answers what it says.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn show(&self, words: &str) -> String {
        self.birdc(words).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The process.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn process(&self) -> &Process {
        self.daemon.as_ref().expect("it runs")
    }

    fn birdc(&self, words: &str) -> Result<String, String> {
        let socket = self.file("ctl");
        let arguments: Vec<&str> = ["-s", &socket].into_iter().chain(words.split_whitespace()).collect();
        ask(&self.namespace, "birdc", &arguments)
    }

    fn file(&self, kind: &str) -> String {
        self.logs.join(format!("{}-bird.{kind}", self.namespace)).display().to_string()
    }

    fn configure(&self) {
        let text = configuration(&self.setup, &self.announced);
        fs::write(self.file("conf"), text).expect("a configuration can be written");
    }

    fn reconfigure(&self) {
        self.configure();
        let said = self.show("configure");
        assert!(said.contains("Reconfigur"), "{said}");
    }

    fn run(&mut self, is_restart: bool) {
        self.configure();
        // In the foreground, so that it is ours to end.
        let mut arguments = vec!["-f".to_owned(), "-c".to_owned(), self.file("conf")];
        arguments.extend(["-s".to_owned(), self.file("ctl"), "-P".to_owned(), self.file("pid")]);
        arguments.extend((is_restart && self.setup.is_graceful).then(|| "-R".to_owned()));
        let log = PathBuf::from(self.file("log"));
        self.daemon = Some(Process::start(&self.namespace, "bird", &arguments, &log));
        until("bird answers", START, || self.birdc("show status").is_ok());
    }
}

/// The channel of a family and its table.
const fn channel(family: Family) -> (&'static str, &'static str) {
    match family {
        Family::Ipv4Unicast => ("ipv4", "master4"),
        Family::Ipv6Unicast => ("ipv6", "master6"),
        Family::VpnIpv4 => ("vpn4 mpls", "vpntab4"),
        Family::VpnIpv6 => ("vpn6 mpls", "vpntab6"),
        Family::Evpn | Family::RouteTarget => ("", ""),
    }
}

fn static_route(route: &Route, setup: &Setup) -> String {
    match route {
        Route::Unicast { prefix } => format!("route {prefix} blackhole;"),
        Route::Vpn { distinguisher, prefix, label, target } => {
            let (asn, number) = target.split_once(':').expect("a route target has two parts");
            let via = setup.address;
            format!(
                "route {distinguisher} {prefix} via {via} mpls {label} \
                 {{ bgp_ext_community.add((rt, {asn}, {number})); }};"
            )
        }
        Route::EvpnPrefix { .. } | Route::EvpnMulticast { .. } | Route::EvpnMac { .. } => {
            unreachable!("BIRD 2.0 has no EVPN")
        }
    }
}

fn configuration(setup: &Setup, announced: &[Route]) -> String {
    let address = setup.address;
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a string can be written to");
    line(format!(
        "router id 10.0.0.{};\nlog stderr all;\nprotocol device {{ }}",
        last_octet(&address.to_string())
    ));
    line("ipv4 table master4;\nipv6 table master6;\nvpn4 table vpntab4;\nvpn6 table vpntab6;".to_owned());
    for (kind, is_vpn, is_ipv6) in [
        ("ipv4", false, false),
        ("ipv6", false, true),
        ("vpn4 { table vpntab4; }", true, false),
        ("vpn6 { table vpntab6; }", true, true),
    ] {
        line(format!("protocol static {{ {kind};"));
        let of_kind = announced
            .iter()
            .filter(|route| matches!(route, Route::Vpn { .. }) == is_vpn && route.is_ipv6() == is_ipv6);
        of_kind.for_each(|route| line(static_route(route, setup)));
        line("}".to_owned());
    }
    for (number, peer) in setup.peers().enumerate() {
        let name = if number == 0 { "weft".to_owned() } else { format!("more{number}") };
        neighbor(&mut text, setup, (&name, peer));
    }
    text
}

fn neighbor(text: &mut String, setup: &Setup, (name, peer): (&str, IpAddr)) {
    let Setup { asn, address, peer_asn, .. } = setup;
    let mut line = |line: String| writeln!(text, "{line}").expect("a string can be written to");
    line(format!("protocol bgp {name} {{ local {address} as {asn}; neighbor {peer} as {peer_asn}; direct;"));
    line(format!(
        " connect delay time 0; connect retry time 1; hold time {}; keepalive time {}; error wait time 1, 2;",
        setup.hold_time_s,
        setup.hold_time_s / 3
    ));
    line(
        if setup.is_graceful {
            " graceful restart yes; graceful restart time 20;"
        } else {
            " graceful restart aware;"
        }
        .to_owned(),
    );
    if let Some(password) = &setup.password {
        line(format!(" password \"{password}\";"));
    }
    if setup.has_ttl_security {
        line(" ttl security yes;".to_owned());
    }
    if setup.reflects {
        line(" rr client;".to_owned());
    }
    for &family in &setup.families {
        let (kind, table) = channel(family);
        let add_paths = if setup.has_add_path { "add paths yes; " } else { "" };
        let extended = if setup.has_extended_next_hop { "extended next hop yes; " } else { "" };
        let next_hop = if kind.contains("vpn") { "" } else { "next hop self; " };
        line(format!(" {kind} {{ table {table}; import all; export all; {next_hop}{add_paths}{extended}}};"));
    }
    line("}".to_owned());
}

impl Reference for Bird {
    fn announce(&mut self, route: &Route) {
        self.announced.retain(|announced| announced.text() != route.text());
        self.announced.push(route.clone());
        self.reconfigure();
    }

    fn withdraw(&mut self, route: &Route) {
        self.announced.retain(|announced| announced.text() != route.text());
        self.reconfigure();
    }

    fn is_established(&self) -> bool {
        self.birdc("show protocols weft").is_ok_and(|text| text.contains("Established"))
    }

    fn routes(&self, family: Family) -> String {
        self.show(&format!("show route protocol weft table {}", channel(family).1))
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
