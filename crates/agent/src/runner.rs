//! The loop on the driver's thread: take what has come, one turn, say how it went, wait.
//!
//! Everything that has come is taken before the turn, so a burst of updates is one turn; and a turn looks at everything, so
//! it does not matter what ended the wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use weft_dataplane::Driver;
use weft_net::{HostFact, IfName};
use weft_protocol::{Version, wire};

use crate::assembly::Taken;
use crate::persist::Mailbox;
use crate::reconciler::Reconciler;
use crate::report::TurnReport;

/// How many inputs may be on their way to the driver's thread.
pub const INPUTS_MAX: usize = 64;
/// How many explanations may be on their way to the stream.
pub const EXPLANATIONS_MAX: usize = 16;

/// What the loop needs of a host beside what a plan needs.
pub trait Host: Driver {
    /// Waits until something on the host may have changed, somebody wants the loop's attention, or the time is over.
    fn wait(&mut self, timeout: Duration);

    /// Has the next look be at the host itself instead of at what is remembered of it.
    fn resync(&mut self);

    /// What the host says of itself.
    fn facts(&mut self) -> HostFact;

    /// The links of the host's own namespace that are there and have no carrier, as of the last look.
    fn without_carrier(&self) -> Vec<IfName>;
}

/// Ends a host's wait, now or, if it is not waiting, the next time it does. From any thread.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// What comes to the loop from outside.
#[derive(Debug)]
pub enum Input {
    /// A part of an update.
    Update(wire::Update),
    /// The stream has ended; what comes next is of another.
    StreamEnded,
    /// A question.
    Explain(wire::Explain),
    /// The loop is to end. The host stays as it is.
    Stop,
}

/// What the loop shows to the stream: always the newest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    /// The version on which a controller can build.
    pub have: Version,
    /// How often all of the intent had to be asked for.
    pub asked_for_all: u64,
    /// The last turn.
    pub report: Arc<TurnReport>,
    /// The last change before that turn: the report may be told once that change is persisted.
    pub sequence: u64,
    /// What the host says of itself; `None` before the first turn.
    pub facts: Option<HostFact>,
    /// The host's ends of workloads' links that have no carrier.
    pub without_carrier: Arc<BTreeSet<IfName>>,
}

/// Where the loop's results go.
pub struct Outlets {
    /// For the stream.
    pub board: watch::Sender<Board>,
    /// For the stream.
    pub explanations: mpsc::Sender<wire::Explanation>,
    /// For the disk.
    pub mailbox: Arc<Mailbox>,
}

/// The loop.
pub struct Runner<H> {
    reconciler: Reconciler<H>,
    inputs: mpsc::Receiver<Input>,
    outlets: Outlets,
    resync_interval: Duration,
    sequence: u64,
    asked_for_all: u64,
    /// Of how many objects that were found other than they were left it has been logged.
    drifts_logged: u64,
}

/// Whether the loop goes on.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

impl<H: Host> Runner<H> {
    /// A loop that has yet to [run](Self::run).
    pub const fn new(
        reconciler: Reconciler<H>,
        inputs: mpsc::Receiver<Input>,
        outlets: Outlets,
        resync_interval: Duration,
    ) -> Self {
        Self { reconciler, inputs, outlets, resync_interval, sequence: 0, asked_for_all: 0, drifts_logged: 0 }
    }

    /// Runs until it is told to stop, or nobody is left who could.
    pub fn run(mut self) {
        let started = Instant::now();
        let mut resync_at = self.resync_interval;
        let mut begun = false;
        while self.take_inputs() == Next::GoOn {
            let now = started.elapsed();
            if now >= resync_at {
                self.reconciler.driver_mut().resync();
                resync_at = now + self.resync_interval;
            }
            // Before the turn, which may be long: others wait for this to go around a link that is dead.
            if self.reconciler.driver_mut().observe().is_ok() {
                self.show_carriers();
            }
            let report = self.reconciler.turn(now);
            // The turn has looked as well, and nobody will wake us for what it has seen.
            self.show_carriers();
            let due = report.next_turn.map_or(resync_at, |next| next.min(resync_at));
            self.log_drifts(&report);
            log(&report, started.elapsed().saturating_sub(now));
            if report.at_rest && !std::mem::replace(&mut begun, true) && report.steps_done == 0 {
                tracing::info!(version = %report.version, "at rest since the start: 0 steps, nothing was written to the kernel");
            }
            self.show(report);
            let timeout =
                if self.inputs.is_empty() { due.saturating_sub(started.elapsed()) } else { Duration::ZERO };
            self.reconciler.driver_mut().wait(timeout);
        }
    }

    /// Says what somebody else has changed on the host: packets may have gone astray meanwhile.
    fn log_drifts(&mut self, report: &TurnReport) {
        let version = report.version;
        for drift in report.last_drifts.iter().filter(|drift| drift.number > self.drifts_logged) {
            let (key, found) = (&drift.key, drift.found);
            if drift.is_route {
                tracing::error!(%version, key, ?found, "a route that was installed is not as it was left");
            } else {
                tracing::warn!(%version, key, ?found, "an object is not as it was left");
            }
        }
        self.drifts_logged = report.drifts;
    }

    /// Takes what there is, bounded so that a turn comes in any case.
    fn take_inputs(&mut self) -> Next {
        for _ in 0..INPUTS_MAX {
            match self.inputs.try_recv() {
                Ok(Input::Update(update)) => self.take(update),
                Ok(Input::StreamEnded) => self.reconciler.stream_ended(),
                Ok(Input::Explain(question)) => self.explain(&question),
                Ok(Input::Stop) | Err(mpsc::error::TryRecvError::Disconnected) => return Next::Stop,
                Err(mpsc::error::TryRecvError::Empty) => return Next::GoOn,
            }
        }
        Next::GoOn
    }

    fn take(&mut self, update: wire::Update) {
        let offered = Version::from(update.version);
        let have = self.reconciler.version();
        match self.reconciler.take(update) {
            Taken::Partly | Taken::Ignored => {}
            Taken::Whole(change) => {
                tracing::debug!(version = %offered, fragments = change.fragments.len(), "intent changed");
                self.sequence += 1;
                self.outlets.mailbox.post(change, self.sequence);
            }
            Taken::Stale => tracing::warn!(%offered, %have, "an update that is not newer is passed over"),
            Taken::Misfit => {
                tracing::warn!(%offered, %have, "an update does not fit; all of the intent is asked for");
                self.asked_for_all += 1;
            }
        }
    }

    fn explain(&mut self, question: &wire::Explain) {
        let (lines, cut) = self.reconciler.explain(&question.key_filter);
        let answer = wire::Explanation { query: question.query, lines, cut };
        if self.outlets.explanations.try_send(answer).is_err() {
            tracing::warn!(query = question.query, "an explanation is dropped: too many are on their way");
        }
    }

    fn show_carriers(&self) {
        let without = self.reconciler.of_workloads(self.reconciler.driver().without_carrier());
        self.outlets.board.send_if_modified(|board| {
            let changed = *board.without_carrier != without;
            if changed {
                board.without_carrier = Arc::new(without);
            }
            changed
        });
    }

    fn show(&mut self, report: TurnReport) {
        let without_carrier = Arc::clone(&self.outlets.board.borrow().without_carrier);
        let facts = Some(self.reconciler.driver_mut().facts());
        let (have, asked_for_all, sequence) = (self.reconciler.have(), self.asked_for_all, self.sequence);
        let new = Board { have, asked_for_all, report: Arc::new(report), sequence, facts, without_carrier };
        self.outlets.board.send_if_modified(|board| {
            let changed = *board != new;
            if changed {
                *board = new;
            }
            changed
        });
    }
}

fn log(report: &TurnReport, took: Duration) {
    if let Some(error) = &report.observe_error {
        tracing::error!(version = %report.version, error, "turn without a picture");
    } else if report.steps_failed > 0 {
        let first = report.not_done.first();
        let (key, reason) = first.map_or(("", ""), |entry| (entry.key.as_str(), entry.reason.as_str()));
        let TurnReport { version, steps_done, steps_failed, .. } = report;
        tracing::warn!(%version, steps_done, steps_failed, ?took, key, reason, "turn with refused steps");
    } else if report.steps_done > 0 {
        let TurnReport { version, steps_done, at_rest, .. } = report;
        tracing::info!(%version, steps_done, at_rest, ?took, "turn");
    }
}
