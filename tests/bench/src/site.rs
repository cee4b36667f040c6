//! A lab of two hosts, what is made in it by its API, and, if it is wanted, a BGP peer of it in this process.

use std::io::BufReader;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ipnet::Ipv4Net;
use serde_json::{Value, json};
use weft_interop_tests::{EvpnVrf, Family, Identity, Session, evpn_prefixes, read_update};
use weft_lab::{Lab, LabSpec};

use crate::daemon::binaries;
use crate::http::Client;

pub(crate) const HOSTS: [&str; 2] = ["host1", "host2"];
const PATIENCE: Duration = Duration::from_secs(120);
/// The AS of the site and of its peer, and the number of the target.
const ASN: u16 = 64_512;
const TARGET: u32 = 100;
/// Of the peer's VRF, of another number than ours have.
const PEER_VNI: u32 = 9000;
const PEER_ROUTER_MAC: [u8; 6] = [0x02, 0, 0, 0xff, 0, 1];

/// A lab of two hosts that goes with the value.
pub(crate) struct Site {
    lab: Lab,
    pub(crate) address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = weft_lab::down(self.lab.name(), |_| {}) {
            eprintln!("bench: {error}");
        }
    }
}

impl Site {
    pub(crate) fn up() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let name = format!("b{}", std::process::id() % 10_000_000).parse()?;
        let spec = LabSpec {
            binaries: Some(binaries()?),
            state_directory: Some(directory.path().join("lab")),
            ..LabSpec::new(name)
        };
        let lab = weft_lab::up(&spec, |_| {})?;
        let address = lab.controller_url().trim_start_matches("http://").parse()?;
        Ok(Self { lab, address, _directory: directory })
    }

    /// The file of a host's namespace.
    pub(crate) fn namespace(&self, host: &str) -> anyhow::Result<String> {
        Ok(self.lab.host_namespace(host)?.display().to_string())
    }

    /// The file of the only VRF that a host has; waits until it is there.
    pub(crate) fn vrf(&self, host: &str) -> anyhow::Result<String> {
        let prefix = format!("{}.vrf-", self.namespace(host)?);
        let begun = Instant::now();
        loop {
            let files = std::fs::read_dir("/run/netns")?.filter_map(Result::ok);
            let paths = files.map(|file| file.path().display().to_string());
            if let Some(path) = paths.into_iter().find(|path| path.starts_with(&prefix)) {
                return Ok(path);
            }
            ensure!(begun.elapsed() < PATIENCE, "{host} has no VRF");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Makes a resource; answers its identifier.
    pub(crate) fn make(&self, path: &str, kind: &str, attributes: &Value) -> anyhow::Result<String> {
        let mut client = Client::connect(self.address)?;
        let made = client.json("POST", &format!("/v2.0/{path}"), &json!({ kind: attributes }))?;
        Ok(made[kind]["id"].as_str().with_context(|| format!("a {kind} without an identifier"))?.to_owned())
    }

    /// A network with a subnet of this prefix.
    pub(crate) fn network(&self, cidr: &str) -> anyhow::Result<String> {
        let network = self.make("networks", "network", &json!({ "name": "wide" }))?;
        let subnet = json!({ "network_id": network, "ip_version": 4, "cidr": cidr });
        self.make("subnets", "subnet", &subnet)?;
        Ok(network)
    }

    /// Makes a network a member of a VPN whose target is the peer's.
    pub(crate) fn join_vpn(&self, network: &str) -> anyhow::Result<()> {
        let attributes = json!({ "route_targets": [format!("{ASN}:{TARGET}")] });
        let vpn = self.make("bgpvpn/bgpvpns", "bgpvpn", &attributes)?;
        let path = format!("bgpvpn/bgpvpns/{vpn}/network_associations");
        self.make(&path, "network_association", &json!({ "network_id": network }))?;
        Ok(())
    }

    /// Waits until all hosts have done what they were sent.
    pub(crate) fn await_rest(&self) -> anyhow::Result<()> {
        let mut client = Client::connect(self.address)?;
        let begun = Instant::now();
        loop {
            let status = client.json("GET", "/v1/status", &Value::Null)?;
            let is_at_rest = |host: &Value| host["alive"] == true && host["at_rest"] == true;
            if status["hosts"].as_array().is_some_and(|hosts| hosts.iter().all(is_at_rest)) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the hosts do not come to rest: {status}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A BGP peer of a site: it announces by EVPN, and hears what is announced to it.
pub(crate) struct Peer {
    session: Session,
    vrf: EvpnVrf,
    /// Each prefix that was announced to it, and when.
    pub(crate) heard: Receiver<(Ipv4Net, Instant)>,
}

impl Peer {
    /// Has a site call it.
    pub(crate) fn join(site: &Site) -> anyhow::Result<Self> {
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 179, high, low);
        let listener = TcpListener::bind((address, 179)).context("listening for BGP")?;
        let speaker = json!({ "name": "site", "local_as": ASN, "ip_version": 4 });
        let speaker = site.make("bgp-speakers", "bgp_speaker", &speaker)?;
        let peer = json!({ "name": "bench", "peer_ip": IpAddr::from(address), "remote_as": ASN,
            "auth_type": "none", "families": ["evpn"] });
        let peer = site.make("bgp-peers", "bgp_peer", &peer)?;
        let path = format!("/v2.0/bgp-speakers/{speaker}/add_bgp_peer");
        Client::connect(site.address)?.json("PUT", &path, &json!({ "bgp_peer_id": peer }))?;
        let identity = Identity { asn: ASN, router_id: address, family: Family::Evpn };
        let session = Session::accept(&listener, identity)?;
        let (told, heard) = channel();
        let mut reader = BufReader::with_capacity(1 << 20, session.reader()?);
        thread::spawn(move || {
            while let Ok(update) = read_update(&mut reader) {
                let at = Instant::now();
                for prefix in evpn_prefixes(&update) {
                    if told.send((prefix, at)).is_err() {
                        return;
                    }
                }
            }
        });
        let vrf = EvpnVrf {
            next_hop: Ipv4Addr::new(198, 51, 100, 200),
            vni: PEER_VNI,
            router_mac: PEER_ROUTER_MAC,
            target: (ASN, TARGET),
        };
        Ok(Self { session, vrf, heard })
    }

    /// Announces prefixes; answers when that began.
    pub(crate) fn announce(&self, prefixes: &[Ipv4Net]) -> anyhow::Result<Instant> {
        let bytes = self.vrf.announce(prefixes);
        Ok(self.session.send(&bytes)?)
    }
}
