//! A site in memory: requests in, model and refusals out.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};
use weft_net::{Capability, HostFact};
use weft_services::catalogue::{NoStatuses, by_path};
use weft_services::{Change, Choices, Model, Refusal, Timestamp, Write, describe_host};

/// A model, and a seed that moves on with each change.
#[derive(Clone, Default)]
pub(crate) struct Site {
    pub(crate) model: Model,
    pub(crate) writes: Vec<Write>,
    turn: u8,
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
                physical_networks: Default::default(),
            };
            let name = format!("host{n}").parse().unwrap();
            for write in describe_host(&site.model, &name, &fact, Timestamp(0)) {
                site.model.apply(&write);
            }
        }
        site
    }

    pub(crate) fn change(&mut self) -> Change {
        self.turn = self.turn.wrapping_add(1);
        let project_id: Arc<str> = "default".into();
        Change::new(
            self.model.clone(),
            Choices { now: Timestamp(i64::from(self.turn)), seed: [self.turn; 32], project_id },
        )
    }

    pub(crate) fn commit(&mut self, change: Change) {
        self.writes = change.finish();
        for write in &self.writes {
            self.model.apply(write);
        }
    }

    pub(crate) fn create(&mut self, path: &str, request: Value) -> Result<Map<String, Value>, Refusal> {
        let mut change = self.change();
        let id = by_path(path).unwrap().create(&mut change, request.as_object().unwrap())?;
        self.commit(change);
        Ok(self.get(path, &id).unwrap())
    }

    pub(crate) fn update(&mut self, path: &str, id: &str, request: Value) -> Result<Map<String, Value>, Refusal> {
        let mut change = self.change();
        by_path(path).unwrap().update(&mut change, id, request.as_object().unwrap(), None)?;
        self.commit(change);
        Ok(self.get(path, id).unwrap())
    }

    pub(crate) fn delete(&mut self, path: &str, id: &str) -> Result<(), Refusal> {
        let mut change = self.change();
        by_path(path).unwrap().delete(&mut change, id, None)?;
        self.commit(change);
        Ok(())
    }

    pub(crate) fn get(&self, path: &str, id: &str) -> Option<Map<String, Value>> {
        by_path(path).unwrap().render(&self.model, id, &NoStatuses)
    }
}

/// The identifier of a rendered resource.
pub(crate) fn id(resource: &Map<String, Value>) -> String {
    resource["id"].as_str().unwrap().to_owned()
}
