//! A site in memory: requests in, model and refusals out.

#![allow(dead_code, unused_imports, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "these are tests")]

mod compiled;
mod invariants;
pub(crate) mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use weft_net::{Capability, HostFact, L3Encapsulation};
use weft_services::catalogue::{NoStatuses, by_any_name};
use weft_services::{Change, Choices, Model, Query, Refusal, Timestamp, Write, describe_host};

/// A model, and a seed that moves on with each change.
#[derive(Clone, Default)]
pub(crate) struct Site {
    pub(crate) model: Model,
    pub(crate) writes: Vec<Write>,
    turn: u16,
}

impl Site {
    /// A site with hosts `host1`, `host2`, … that can do everything but what `lacking` says.
    pub(crate) fn with_hosts(count: u8, lacking: &[Capability]) -> Self {
        let mut site = Self::default();
        for n in 1..=count {
            let fact = HostFact {
                tunnel_endpoint: Some([192, 0, 2, n].into()),
                underlay_mtu: 1500,
                capabilities: Capability::ALL
                    .into_iter()
                    .filter(|c| !lacking.contains(c))
                    .collect::<BTreeSet<_>>(),
                physical_networks: [("p".to_owned(), "eth1".parse().unwrap())].into(),
                l3_encapsulation: L3Encapsulation::default(),
            };
            let name = format!("host{n}").parse().unwrap();
            for write in describe_host(&site.model, &name, &fact, Timestamp(0)).unwrap() {
                site.model.apply(&write);
            }
        }
        site
    }

    pub(crate) fn change(&mut self) -> Change {
        self.change_for("default")
    }

    /// A change for a project.
    pub(crate) fn change_for(&mut self, project: &str) -> Change {
        self.turn = self.turn.wrapping_add(1);
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&self.turn.to_be_bytes());
        let project_id: Arc<str> = project.into();
        Change::new(self.model.clone(), Choices { now: Timestamp(i64::from(self.turn)), seed, project_id })
    }

    pub(crate) fn commit(&mut self, change: Change) {
        let (writes, after) = change.finish().unwrap();
        for write in &writes {
            self.model.apply(write);
        }
        after.same_as(&self.model).unwrap();
        self.writes = writes;
    }

    /// Makes random requests in one change; answers whether they were carried out.
    pub(crate) fn random(&mut self, requests: &[random::Numbers]) -> bool {
        let project = if requests.first().is_some_and(|(_, numbers)| numbers[3] % 8 == 7) {
            "other"
        } else {
            "default"
        };
        let mut change = self.change_for(project);
        let done = requests.iter().all(|numbers| random::request(&mut change, *numbers).is_ok());
        if done {
            self.commit(change);
        }
        done
    }

    /// What is there after random requests; those that were refused left nothing behind.
    pub(crate) fn after(requests: &[random::Numbers]) -> Self {
        let mut site = Self::with_random_hosts();
        for numbers in requests {
            site.random(&[*numbers]);
        }
        site
    }

    /// A site with four hosts that reach the physical network `physical`.
    pub(crate) fn with_random_hosts() -> Self {
        let mut site = Self::default();
        for host in 1..=4 {
            let name = format!("host{host}").parse().unwrap();
            let fact = random::fact(host, [5, 1, 0, 0]);
            for write in describe_host(&site.model, &name, &fact, Timestamp(0)).unwrap() {
                site.model.apply(&write);
            }
        }
        for (n, network) in [
            json!({}),
            json!({"provider:network_type": "vlan",
            "provider:physical_network": "physical", "provider:segmentation_id": 5}),
        ]
        .into_iter()
        .enumerate()
        {
            let network = id(&site.create("networks", network).unwrap());
            let subnet = json!({"network_id": network, "ip_version": 4, "cidr": format!("10.{n}.0.0/28")});
            site.create("subnets", subnet).unwrap();
        }
        site
    }

    /// Puts the network with this subnet into a BGP VPN of type l2, with a VNI; answers the network.
    pub(crate) fn in_an_l2_vpn(&mut self, cidr: &str) -> String {
        let subnets = all(self, "subnets");
        let subnet = subnets.iter().find(|subnet| subnet["cidr"] == cidr).unwrap();
        let network = subnet["network_id"].as_str().unwrap().to_owned();
        let vpn = json!({"type": "l2", "route_targets": ["64512:5000"], "vni": 5000});
        let vpn = id(&self.create("bgpvpns", vpn).unwrap());
        let association = json!({"bgpvpn_id": vpn, "network_id": network});
        self.create("bgpvpn_network_associations", association).unwrap();
        network
    }

    /// The same with a VPN for each of two networks, four ports on hosts in each, and what one VPN has leaked into the other.
    pub(crate) fn with_vpns() -> Self {
        let mut site = Self::with_random_hosts();
        let networks: Vec<String> = all(&site, "networks").iter().map(id).collect();
        let mut vpns = Vec::new();
        for (n, network) in networks.iter().enumerate() {
            let vpn = json!({"route_targets": [format!("64512:{n}")]});
            let vpn = id(&site.create("bgpvpns", vpn).unwrap());
            let association = json!({"bgpvpn_id": vpn, "network_id": network});
            site.create("bgpvpn_network_associations", association).unwrap();
            vpns.push(vpn);
        }
        for n in 0..8 {
            let port = json!({"network_id": networks[n % 2], "binding:host_id": format!("host{}", 1 + n % 4),
                "binding:profile": {"namespace": format!("vm{n}")}});
            let port = id(&site.create("ports", port).unwrap());
            if n == 1 {
                let association = json!({"bgpvpn_id": vpns[1], "port_id": port,
                    "routes": [{"type": "bgpvpn", "bgpvpn_id": vpns[0]}]});
                site.create("bgpvpn_port_associations", association).unwrap();
            }
        }
        site
    }

    pub(crate) fn create(&mut self, path: &str, request: Value) -> Result<Map<String, Value>, Refusal> {
        let mut change = self.change();
        let id = by_any_name(path).unwrap().create(&mut change, request.as_object().unwrap())?;
        self.commit(change);
        Ok(self.get(path, &id).unwrap())
    }

    pub(crate) fn update(
        &mut self,
        path: &str,
        id: &str,
        request: Value,
    ) -> Result<Map<String, Value>, Refusal> {
        let mut change = self.change();
        by_any_name(path).unwrap().update(&mut change, id, request.as_object().unwrap(), None)?;
        self.commit(change);
        Ok(self.get(path, id).unwrap())
    }

    pub(crate) fn delete(&mut self, path: &str, id: &str) -> Result<(), Refusal> {
        let mut change = self.change();
        by_any_name(path).unwrap().delete(&mut change, id, None)?;
        self.commit(change);
        Ok(())
    }

    /// Does an action; answers what it answers.
    pub(crate) fn act(
        &mut self,
        (path, id): (&str, &str),
        action: &str,
        request: Value,
    ) -> Result<Map<String, Value>, Refusal> {
        let mut change = self.change();
        let entry = by_any_name(path).unwrap();
        let action = entry.action(action).unwrap();
        let answer = entry.act(&mut change, (id, action), request.as_object().unwrap(), None)?;
        self.commit(change);
        Ok(answer)
    }

    pub(crate) fn get(&self, path: &str, id: &str) -> Option<Map<String, Value>> {
        by_any_name(path).unwrap().render(&self.model, id, &NoStatuses)
    }
}

pub(crate) use compiled::{everything, host_name, objects_of_prefix};
pub(crate) use invariants::check;

/// All rows of a model, as they are stored.
pub(crate) fn rows(model: &Model) -> BTreeMap<String, String> {
    let text = |row: weft_services::Row| String::from_utf8(row.to_bytes()).unwrap();
    model.rows().map(|row| (row.key().to_text(), text(row))).collect()
}

/// All resources of a collection.
pub(crate) fn all(site: &Site, path: &str) -> Vec<Map<String, Value>> {
    Query::default().run(by_any_name(path).unwrap(), &site.model, &NoStatuses).unwrap().items
}

/// The identifier of the one resource of this name.
pub(crate) fn id_named(site: &Site, path: &str, name: &str) -> String {
    let found: Vec<String> = all(site, path).iter().filter(|item| item["name"] == name).map(id).collect();
    assert_eq!(found.len(), 1, "{path} {name}");
    found[0].clone()
}

/// The identifier of a rendered resource.
pub(crate) fn id(resource: &Map<String, Value>) -> String {
    resource["id"].as_str().unwrap().to_owned()
}
