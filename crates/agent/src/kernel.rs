//! The Linux host behind the loop.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use weft_dataplane::{Driver, ObserveError, Plan, State, StepOutcome};
use weft_linux::{LinuxHost, Waker};
use weft_net::{Capability, HostFact, IfName, L3Encapsulation};

use crate::config::Config;
use crate::runner::{Host, Wake};

/// What is said of the underlay as long as no link has had the tunnel endpoint's address.
const MTU_ASSUMED: u32 = 1500;
/// In place of a wait that the kernel refuses.
const PAUSE: Duration = Duration::from_millis(200);

/// The kernel of the host that the configuration names.
pub struct Kernel {
    host: LinuxHost,
    waker: Waker,
    facts: HostFact,
}

impl Kernel {
    /// Takes the host into care, and answers besides what ends its waits.
    ///
    /// # Errors
    /// When its network namespace cannot be entered or looked at.
    pub fn open(config: &Config) -> Result<(Self, Wake)> {
        let host = LinuxHost::open(weft_linux::Config {
            namespace: config.namespace.clone(),
            namespace_prefix: config.namespace_prefix.clone(),
            vrf: config.vrf.into(),
            mpls_interfaces: config.mpls_interfaces.clone(),
        })?;
        let mut capabilities = host.capabilities();
        capabilities.retain(|capability| !config.without_capabilities.contains(capability));
        let facts = HostFact {
            tunnel_endpoint: config.tunnel_endpoint,
            underlay_mtu: MTU_ASSUMED,
            capabilities,
            physical_networks: config.physical_networks(),
            l3_encapsulation: config.l3_encapsulation,
        };
        if config.l3_encapsulation == L3Encapsulation::Mpls && !facts.has_mpls() {
            tracing::warn!("packets are routed over VXLAN: MPLS is asked for, and this host has none");
        }
        let waker = Waker::new().context("the loop cannot be woken")?;
        let wake = waker.clone();
        Ok((Self { host, waker, facts }, Arc::new(move || wake.wake())))
    }
}

impl Driver for Kernel {
    fn observe(&mut self) -> Result<&State, ObserveError> {
        self.host.observe()
    }

    fn apply(&mut self, plan: &Plan) -> Vec<StepOutcome> {
        self.host.apply(plan)
    }

    fn capabilities(&self) -> BTreeSet<Capability> {
        self.facts.capabilities.clone()
    }
}

impl Host for Kernel {
    fn wait(&mut self, timeout: Duration) {
        if let Err(error) = self.host.wait(timeout, &self.waker) {
            tracing::error!(%error, "the host's events cannot be waited for");
            self.host.resync();
            thread::sleep(timeout.min(PAUSE));
        }
    }

    fn resync(&mut self) {
        self.host.resync();
    }

    fn without_carrier(&self) -> Vec<IfName> {
        self.host.without_carrier()
    }

    /// A link that goes for a while does not take the host out of its overlays: what was last known is said.
    fn facts(&mut self) -> HostFact {
        if let Some((_, mtu)) = self.facts.tunnel_endpoint.and_then(|endpoint| self.host.underlay(endpoint)) {
            self.facts.underlay_mtu = mtu;
        }
        self.facts.clone()
    }
}
