//! What no event tells of is found by the look that comes every so often, and healed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use weft_agent::Reconciler;
use weft_agent::persist::Mailbox;
use weft_agent::runner::{Board, Host, Input, Outlets, Runner};
use weft_dataplane::{
    Driver, FragmentId, Link, LinkId, LinkKind, Memory, Object, ObserveError, Plan, State, StepOutcome,
};
use weft_net::{Capability, HostFact, IfName, L3Encapsulation};
use weft_protocol::{Basis, Version, encode_objects, encode_part, updates, wire};

const PATIENCE: Duration = Duration::from_secs(20);
const INTERVAL: Duration = Duration::from_millis(20);

/// A host whose events tell nothing: it is looked at in full only on [`Host::resync`].
struct Silent {
    memory: Arc<Mutex<Memory>>,
    picture: State,
    longest_wait: Arc<Mutex<Duration>>,
}

impl Driver for Silent {
    fn observe(&mut self) -> Result<&State, ObserveError> {
        Ok(&self.picture)
    }

    fn apply(&mut self, plan: &Plan) -> Vec<StepOutcome> {
        let mut memory = self.memory.lock().unwrap();
        let outcomes = memory.apply(plan);
        self.picture = memory.state().clone();
        outcomes
    }

    fn capabilities(&self) -> BTreeSet<Capability> {
        Capability::ALL.into()
    }
}

impl Host for Silent {
    /// Nobody uses a tap.
    fn without_carrier(&self) -> Vec<IfName> {
        let links = self.picture.iter().filter_map(|(_, object)| match object {
            Object::Link(link) if link.kind == LinkKind::Tap => Some(link.id.name),
            _ => None,
        });
        links.collect()
    }

    fn wait(&mut self, timeout: Duration) {
        let mut longest = self.longest_wait.lock().unwrap();
        *longest = timeout.max(*longest);
        drop(longest);
        thread::park_timeout(timeout);
    }

    fn resync(&mut self) {
        self.picture = self.memory.lock().unwrap().state().clone();
    }

    fn facts(&mut self) -> HostFact {
        HostFact {
            tunnel_endpoint: None,
            underlay_mtu: 1500,
            capabilities: Capability::ALL.into(),
            physical_networks: BTreeMap::new(),
            l3_encapsulation: L3Encapsulation::default(),
        }
    }
}

fn link(name: &str, kind: LinkKind) -> Object {
    let (id, mark) = (LinkId::on_host(name.parse().unwrap()), "weft.net.1".parse().unwrap());
    Object::Link(Link { id, mark, mtu: 1450, up: true, kind })
}

fn bridge() -> Object {
    link("br-1", LinkKind::Bridge)
}

fn intent(object: Object) -> Vec<wire::Update> {
    let id = FragmentId { service: "network/1".into(), subject: "member/1".into() };
    updates(Version::new(1, 1), Basis::Full, [encode_part(&id, encode_objects(&[object]))], [])
}

async fn until(board: &mut watch::Receiver<Board>, condition: impl Fn(&Board) -> bool) {
    tokio::time::timeout(PATIENCE, board.wait_for(condition))
        .await
        .expect("it should have happened by now")
        .unwrap();
}

#[tokio::test]
async fn what_no_event_tells_of_is_healed_by_the_next_full_look() {
    let memory = Arc::new(Mutex::new(Memory::default()));
    let longest_wait = Arc::new(Mutex::new(Duration::ZERO));
    let host = Silent {
        memory: Arc::clone(&memory),
        picture: State::default(),
        longest_wait: Arc::clone(&longest_wait),
    };
    let (inputs, taken) = mpsc::channel(8);
    let (explanations, _explained) = mpsc::channel(1);
    let (board, mut seen) = watch::channel(Board::default());
    let outlets = Outlets { board, explanations, mailbox: Arc::new(Mailbox::default()) };
    let runner = Runner::new(Reconciler::new(host), taken, outlets, INTERVAL);
    let runner = thread::spawn(move || runner.run());

    for update in intent(bridge()) {
        inputs.send(Input::Update(update)).await.unwrap();
    }
    // The turn that makes it, and then one that has nothing to do.
    for round in 0..3 {
        until(&mut seen, |board| board.report.at_rest && board.report.steps_done == 0).await;
        assert!(memory.lock().unwrap().damage(&bridge().key()), "round {round}: it is there");
        until(&mut seen, |board| board.report.steps_done == 1).await;
        assert!(memory.lock().unwrap().state().get(&bridge().key()).is_some(), "round {round}: it is healed");
    }
    inputs.send(Input::Stop).await.unwrap();
    runner.thread().unpark();
    runner.join().unwrap();
    assert!(*longest_wait.lock().unwrap() <= INTERVAL, "no wait is longer than the interval");
}

#[tokio::test]
async fn a_carrier_that_is_lost_during_a_turn_is_shown_after_it_though_nobody_wakes_the_loop() {
    let host = Silent { memory: Arc::default(), picture: State::default(), longest_wait: Arc::default() };
    let (inputs, taken) = mpsc::channel(8);
    let (explanations, _explained) = mpsc::channel(1);
    let (board, mut seen) = watch::channel(Board::default());
    let outlets = Outlets { board, explanations, mailbox: Arc::new(Mailbox::default()) };
    for update in intent(link("tap1", LinkKind::Tap)) {
        inputs.send(Input::Update(update)).await.unwrap();
    }
    let runner = Runner::new(Reconciler::new(host), taken, outlets, 10 * PATIENCE);
    let runner = thread::spawn(move || runner.run());
    // The tap is made in the first turn, and has no carrier; then the loop sleeps.
    let tap: IfName = "tap1".parse().unwrap();
    until(&mut seen, |board| board.without_carrier.contains(&tap)).await;
    inputs.send(Input::Stop).await.unwrap();
    runner.thread().unpark();
    runner.join().unwrap();
}
