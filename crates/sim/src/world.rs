//! One run: requests, faults, deliveries in random order; then rest.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use weft_controller::agents::Delivery;

use crate::controller::Controller;
use crate::host::Host;
use crate::{laws, requests};

const HOSTS: u8 = 4;
/// Rounds after the faults in which everything must have come to rest.
const ROUNDS_TO_REST: usize = 400;
const STEP: Duration = Duration::from_millis(50);

/// How often things go wrong, in thousandths of the steps.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// A stream is cut.
    pub cut: u32,
    /// An agent is killed.
    pub kill: u32,
    /// A host is rebooted.
    pub reboot: u32,
    /// The controller is killed.
    pub controller: u32,
    /// An earlier snapshot is restored.
    pub restore: u32,
    /// Somebody removes something from a kernel.
    pub damage: u32,
}

impl Faults {
    /// Everything goes wrong now and then.
    pub const ALL: Self = Self { cut: 30, kill: 15, reboot: 5, controller: 5, restore: 2, damage: 20 };
    /// The same with one restore after the other.
    pub const RESTORES: Self = Self { restore: 25, ..Self::ALL };
    /// Nothing goes wrong.
    pub const NONE: Self = Self { cut: 0, kill: 0, reboot: 0, controller: 0, restore: 0, damage: 0 };
}

/// One run of so many steps.
///
/// # Errors
/// The law that is broken, and where.
pub fn run(seed: u64, steps: usize, faults: Faults) -> Result<(), String> {
    let mut world = World::new(seed, faults);
    for step in 0..steps {
        world.step();
        world.check_isolation().map_err(|law| format!("seed {seed}, step {step}: {law}"))?;
    }
    world.settle().map_err(|law| format!("seed {seed}, at rest: {law}"))
}

struct World {
    random: ChaCha8Rng,
    controller: Controller,
    hosts: Vec<Host>,
    faults: Faults,
    now: Duration,
}

impl World {
    fn new(seed: u64, faults: Faults) -> Self {
        let mut controller = Controller::new();
        let hosts: Vec<Host> = (1..=HOSTS).map(Host::new).collect();
        for host in &hosts {
            controller.describe(&host.name, &host.fact());
        }
        Self { random: ChaCha8Rng::seed_from_u64(seed), controller, hosts, faults, now: Duration::ZERO }
    }

    fn step(&mut self) {
        self.now += STEP;
        self.fail();
        let index = self.random.random_range(0..self.hosts.len());
        match self.random.random_range(0..10) {
            0..=2 => {
                let mut random = ChaCha8Rng::seed_from_u64(self.random.random());
                let outcome =
                    self.controller.request(&mut self.random, |change| requests::make(&mut random, change));
                self.deliver(outcome.unwrap_or_default());
            }
            3 => self.connect(index),
            4 | 5 => self.receive(index),
            6 => self.hosts[index].write(),
            7 | 8 => self.hosts[index].turn(self.now),
            _ => self.report(index),
        }
    }

    fn fail(&mut self) {
        let index = self.random.random_range(0..self.hosts.len());
        let mut happens = |thousandths: u32| self.random.random_range(0..1000) < thousandths;
        let faults = self.faults;
        let [cut, kill, reboot, controller, restore, damage] =
            [faults.cut, faults.kill, faults.reboot, faults.controller, faults.restore, faults.damage]
                .map(&mut happens);
        if cut {
            self.cut(index);
        }
        if kill {
            self.cut(index);
            self.hosts[index].kill();
        }
        if reboot {
            self.cut(index);
            self.hosts[index].reboot();
        }
        if controller || restore {
            (0..self.hosts.len()).for_each(|index| self.cut(index));
            if restore {
                let back = self.random.random_range(1..60);
                self.controller.restore(back);
            } else {
                self.controller.restart();
            }
        }
        if damage {
            self.damage(index);
        }
    }

    fn check_isolation(&self) -> Result<(), String> {
        laws::no_segment_joins_two_networks(&self.hosts)
    }

    fn damage(&mut self, index: usize) {
        // Nobody pulls out the physical interface.
        let state = self.hosts[index].kernel().state();
        let victims = state.iter().filter(|(_, object)| !object.is_foreign()).map(|(key, _)| key.clone());
        let victims: Vec<_> = victims.collect();
        if !victims.is_empty() {
            let victim = &victims[self.random.random_range(0..victims.len())];
            self.hosts[index].kernel_mut().damage(victim);
        }
    }

    fn cut(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        if let Some(connection) = host.connection {
            self.controller.distribution.disconnect(&host.name, connection);
        }
        host.cut();
    }

    fn connect(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        host.start();
        if host.connection.is_some() {
            return;
        }
        let (name, fact) = (host.name.clone(), host.fact());
        let deliveries = self.controller.describe(&name, &fact);
        self.deliver(deliveries);
        let host = &mut self.hosts[index];
        let (connection, updates) = self.controller.connect(&name, host.have());
        host.connected(connection, updates);
    }

    fn deliver(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            if let Some(host) = self.hosts.iter_mut().find(|host| host.name == delivery.host) {
                host.incoming.extend(delivery.updates);
            }
        }
    }

    fn receive(&mut self, index: usize) {
        if self.hosts[index].receive() {
            self.cut(index);
        }
    }

    fn report(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        let (Some(connection), Some(status)) = (host.connection, host.outgoing.pop_front()) else { return };
        let (departures, _) = self.controller.distribution.report(&host.name, connection, &status);
        let deliveries = self.controller.confirm(&departures);
        self.deliver(deliveries);
    }

    /// Faults are over: everything that was asked for must come to be, and nothing else stay.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS_TO_REST {
            self.now += STEP;
            for index in 0..self.hosts.len() {
                self.connect(index);
                while !self.hosts[index].incoming.is_empty() {
                    self.receive(index);
                }
                self.hosts[index].write();
                self.hosts[index].turn(self.now);
                self.report(index);
            }
            self.check_isolation()?;
        }
        for host in &self.hosts {
            laws::is_as_the_model_says(&self.controller.model, host)?;
        }
        let departures = self.controller.model.departures().count();
        let behind = self.controller.distribution.behind();
        if departures > 0 || behind > 0 {
            return Err(format!("{departures} departures are unconfirmed, {behind} hosts are behind"));
        }
        Ok(())
    }
}
