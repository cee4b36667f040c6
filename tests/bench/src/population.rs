//! Sites of a wanted size: hosts, networks, ports, made by the same code that carries out requests.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use rand::Rng;
use serde_json::{Value, json};
use weft_controller::head::Head;
use weft_net::{Capability, HostFact, HostName};
use weft_services::catalogue::{Entry, by_path};
use weft_services::{Change, Choices, Model, Refusal, Timestamp, Write, describe_host};
use weft_store::{Options, Proposal, Snapshot, Store};

/// Ports that are made in one commit.
const CHUNK: usize = 1000;

/// How large a site is. The ports of a network are spread over its hosts in turn.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) hosts: usize,
    pub(crate) networks: usize,
    pub(crate) ports_per_network: usize,
    pub(crate) hosts_per_network: usize,
}

/// A site in the making, and what is known of it.
pub(crate) struct Population {
    pub(crate) model: Model,
    pub(crate) networks: Vec<String>,
    pub(crate) subnets: Vec<String>,
    /// The identifiers of the ports, network by network.
    pub(crate) ports: Vec<String>,
    size: Size,
}

pub(crate) fn host_name(number: usize) -> String {
    format!("host{number:04}")
}

pub(crate) fn entry(path: &str) -> anyhow::Result<&'static Entry> {
    by_path(path).with_context(|| format!("the catalogue has no {path}"))
}

impl Population {
    /// Makes a site of this size; `each` is given every commit.
    pub(crate) fn make(
        size: Size,
        mut each: impl FnMut(&[Write]) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let (networks, subnets, ports) = (Vec::new(), Vec::new(), Vec::new());
        let mut made = Self { model: Model::default(), networks, subnets, ports, size };
        for number in 0..size.hosts {
            each(&made.add_host(number)?)?;
        }
        for number in 0..size.networks {
            each(&made.add_network(number)?)?;
        }
        let all = size.networks * size.ports_per_network;
        for begin in (0..all).step_by(CHUNK) {
            each(&made.add_ports(begin..all.min(begin + CHUNK))?)?;
        }
        Ok(made)
    }

    /// The host of a network on which its port of this number is.
    pub(crate) fn host_of(&self, network: usize, port: usize) -> String {
        host_name((network + port % self.size.hosts_per_network) % self.size.hosts)
    }

    /// Carries a request out; answers what it writes.
    pub(crate) fn change<T>(
        &mut self,
        request: impl FnOnce(&mut Change) -> Result<T, Refusal>,
    ) -> anyhow::Result<(Vec<Write>, T)> {
        let mut seed = [0; 32];
        rand::rng().fill_bytes(&mut seed);
        let choices = Choices { now: Timestamp(1_700_000_000), seed, project_id: "default".into() };
        let mut change = Change::new(self.model.clone(), choices);
        let answer = request(&mut change).map_err(|refusal| anyhow!("{}", refusal.message))?;
        let (writes, after) = change.finish().map_err(|refusal| anyhow!("{}", refusal.message))?;
        self.model = after;
        Ok((writes, answer))
    }

    fn add_host(&mut self, number: usize) -> anyhow::Result<Vec<Write>> {
        let name: HostName = host_name(number).parse()?;
        let octet = |shift: usize| u8::try_from(number >> shift & 255).unwrap_or_default();
        let fact = HostFact {
            tunnel_endpoint: Some(IpAddr::V4(Ipv4Addr::new(198, 51, octet(8), octet(0)))),
            underlay_mtu: 1600,
            capabilities: Capability::ALL.into(),
            physical_networks: BTreeMap::new(),
            l3_encapsulation: Default::default(),
        };
        let writes = describe_host(&self.model, &name, &fact, Timestamp(1_700_000_000))
            .map_err(|refusal| anyhow!("{}", refusal.message))?;
        writes.iter().for_each(|write| self.model.apply(write));
        Ok(writes)
    }

    fn add_network(&mut self, number: usize) -> anyhow::Result<Vec<Write>> {
        let (networks, subnets) = (entry("networks")?, entry("subnets")?);
        let (writes, (network, subnet)) = self.change(|change| {
            let network = networks.create(change, &object(json!({ "name": format!("network-{number}") })))?;
            let subnet = json!({ "network_id": network, "ip_version": 4, "cidr": "10.0.0.0/16" });
            Ok((network, subnets.create(change, &object(subnet))?))
        })?;
        self.networks.push(network);
        self.subnets.push(subnet);
        Ok(writes)
    }

    fn add_ports(&mut self, numbers: std::ops::Range<usize>) -> anyhow::Result<Vec<Write>> {
        let ports = entry("ports")?;
        let bodies: Vec<Value> = numbers
            .map(|number| {
                let (network, port) = (number / self.size.ports_per_network, number % self.size.ports_per_network);
                json!({ "network_id": self.networks[network], "binding:host_id": self.host_of(network, port) })
            })
            .collect();
        let (writes, made) = self.change(|change| {
            bodies.into_iter().map(|body| ports.create(change, &object(body))).collect::<Result<Vec<_>, _>>()
        })?;
        self.ports.extend(made);
        Ok(writes)
    }
}

/// Makes a site of this size on disk, as a controller finds it when it starts.
pub(crate) fn on_disk(size: Size, directory: &Path) -> anyhow::Result<Population> {
    std::fs::create_dir_all(directory)?;
    let store = Store::<Head>::open(store_in(directory), Options::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Population::make(size, |writes| {
        let propose =
            |head: &Snapshot<Head>| Ok::<_, Refusal>((Proposal::on(&head.model, writes.to_vec()), ()));
        let note: Arc<str> = "{}".into();
        runtime.block_on(store.transact(note, propose)).map_err(|error| anyhow!("{error:?}"))?;
        Ok(())
    })
}

/// The file of a controller's store.
pub(crate) fn store_in(directory: &Path) -> PathBuf {
    directory.join("store.redb")
}

pub(crate) fn object(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => serde_json::Map::new(),
    }
}
