//! A host: an agent's reconciler over a kernel in memory, a disk, and the two directions of a stream.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use weft_agent::{Change, Reconciler, Taken};
use weft_dataplane::{LinkId, Memory};
use weft_net::{Capability, HostFact, HostName, IfName, L3Encapsulation};
use weft_protocol::{Version, wire};

/// The interface by which every host reaches the physical network.
pub(crate) const PHYSICAL: &str = "eth1";

/// A host of the simulation.
pub(crate) struct Host {
    pub(crate) name: HostName,
    pub(crate) agent: Option<Reconciler<Memory>>,
    /// The kernel, while no agent works on it.
    kernel: Option<Memory>,
    /// What is on disk, and what is on its way there.
    disk: Option<Change>,
    unwritten: VecDeque<Change>,
    /// Updates on their way to it, reports on their way from it; the connection, while there is one.
    pub(crate) incoming: VecDeque<wire::Update>,
    pub(crate) outgoing: VecDeque<wire::Status>,
    pub(crate) connection: Option<u64>,
    reported: Option<wire::Status>,
    endpoint: u8,
    ask_for_all: bool,
}

fn physical() -> IfName {
    PHYSICAL.parse().expect("a plain name")
}

fn with_physical(mut kernel: Memory) -> Memory {
    kernel.add_foreign_link(LinkId::on_host(physical()));
    kernel
}

impl Host {
    pub(crate) fn new(number: u8) -> Self {
        Self {
            name: format!("host{number}").parse().expect("a plain name"),
            agent: Some(Reconciler::new(with_physical(Memory::default()))),
            kernel: None,
            disk: None,
            unwritten: VecDeque::new(),
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
            connection: None,
            reported: None,
            endpoint: number,
            ask_for_all: false,
        }
    }

    pub(crate) fn fact(&self) -> HostFact {
        HostFact {
            tunnel_endpoint: Some([192, 0, 2, self.endpoint].into()),
            underlay_mtu: 1500,
            capabilities: Capability::ALL.into_iter().collect::<BTreeSet<_>>(),
            physical_networks: [("p".to_owned(), physical())].into(),
            l3_encapsulation: L3Encapsulation::ALL[usize::from(self.endpoint) % 2],
        }
    }

    pub(crate) fn kernel(&self) -> &Memory {
        match (&self.agent, &self.kernel) {
            (Some(agent), _) => agent.driver(),
            (None, Some(kernel)) => kernel,
            (None, None) => unreachable!("the kernel is with the agent or without"),
        }
    }

    pub(crate) fn kernel_mut(&mut self) -> &mut Memory {
        match (&mut self.agent, &mut self.kernel) {
            (Some(agent), _) => agent.driver_mut(),
            (None, Some(kernel)) => kernel,
            (None, None) => unreachable!("the kernel is with the agent or without"),
        }
    }

    /// The version to greet with.
    pub(crate) fn have(&self) -> wire::Version {
        let version = self.agent.as_ref().map_or(Version::NONE, Reconciler::have);
        if self.ask_for_all { Version::NONE.into() } else { version.into() }
    }

    pub(crate) fn connected(&mut self, connection: u64, updates: Vec<wire::Update>) {
        self.connection = Some(connection);
        self.incoming = updates.into();
        self.outgoing.clear();
        self.reported = None;
        self.ask_for_all = false;
    }

    /// The stream is lost with what was on it.
    pub(crate) fn cut(&mut self) {
        self.connection = None;
        self.incoming.clear();
        self.outgoing.clear();
        if let Some(agent) = &mut self.agent {
            agent.stream_ended();
        }
    }

    /// `kill -9`: the kernel stays as it is; what was not on disk is lost.
    pub(crate) fn kill(&mut self) {
        self.cut();
        if let Some(mut agent) = self.agent.take() {
            self.kernel = Some(std::mem::take(agent.driver_mut()));
        }
        self.unwritten.clear();
    }

    pub(crate) fn start(&mut self) {
        if let Some(kernel) = self.kernel.take() {
            let mut agent = Reconciler::new(kernel);
            if let Some(change) = &self.disk {
                agent.restore(change.clone());
            }
            self.agent = Some(agent);
        }
    }

    pub(crate) fn reboot(&mut self) {
        self.kill();
        self.kernel_mut().reboot();
        self.kernel_mut().add_foreign_link(LinkId::on_host(physical()));
        self.start();
    }

    /// Takes what has come. Answers whether the stream has to be begun anew.
    pub(crate) fn receive(&mut self) -> bool {
        let (Some(agent), Some(update)) = (&mut self.agent, self.incoming.pop_front()) else { return false };
        match agent.take(update) {
            Taken::Whole(change) => {
                self.unwritten.push_back(change);
                false
            }
            Taken::Misfit => {
                self.ask_for_all = true;
                true
            }
            Taken::Partly | Taken::Stale | Taken::Ignored => false,
        }
    }

    /// Writes the oldest change to disk.
    pub(crate) fn write(&mut self) {
        let Some(change) = self.unwritten.pop_front() else { return };
        match &mut self.disk {
            Some(disk) => disk.merge(change),
            None => self.disk = Some(change),
        }
    }

    /// A turn; its outcome is reported once what it was made for is on disk.
    pub(crate) fn turn(&mut self, now: Duration) {
        let Some(agent) = &mut self.agent else { return };
        let report = agent.turn(now);
        let status = wire::Status::from(&report);
        let is_news = self.reported.as_ref() != Some(&status);
        if self.connection.is_some() && self.unwritten.is_empty() && !report.version.is_none() && is_news {
            self.reported = Some(status.clone());
            self.outgoing.push_back(status);
        }
    }
}
