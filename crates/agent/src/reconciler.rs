//! The agent without its surroundings: updates and turns in, changes to persist and reports out. The clock is an argument.
//!
//! ```text
//! take(part) ──> assembly ── complete ──> HostIntent          turn(now): observe ─> diff ─> what is due ─> apply
//!                              └─> Change, to persist                     observe ─> diff ─> report
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weft_dataplane::{
    Comparison, Driver, FragmentId, HostIntent, Key, LinkId, LinkKind, Namespace, Object, ObserveError, Plan,
    State,
};
use weft_net::IfName;
use weft_protocol::{Version, wire};

use crate::assembly::{Assembly, Change, Taken, Upsert};
use crate::backoff::Backoff;
use crate::drift::DriftWatch;
use crate::report::{Defect, Findings, NotDone, NotDoneState, TurnReport};
use crate::retry::Retry;

/// The most lines of an explanation.
const LINES_MAX: usize = 500;

/// Leads a host to its intent, turn by turn.
///
/// Until it has had a complete intent it touches nothing: to have no intent is not the intent to have nothing.
pub struct Reconciler<D> {
    driver: D,
    intent: HostIntent,
    comparison: Comparison,
    version: Version,
    /// Whether every fragment is as `version` says; not so after a restart if one could not be read before it.
    exact: bool,
    /// Whether the controller has to be asked for all of the intent.
    ask_for_all: bool,
    /// Whether what the open stream still brings is an answer to what was said before that.
    outdated_stream: bool,
    assembly: Option<Assembly>,
    defects: BTreeMap<FragmentId, Defect>,
    retry: Retry,
    sight: Backoff,
    drift: DriftWatch,
}

impl<D: Driver> Reconciler<D> {
    /// One that has no intent yet.
    pub fn new(driver: D) -> Self {
        Self {
            driver,
            intent: HostIntent::default(),
            comparison: Comparison::default(),
            version: Version::NONE,
            exact: true,
            ask_for_all: false,
            outdated_stream: false,
            assembly: None,
            defects: BTreeMap::new(),
            retry: Retry::default(),
            sight: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            drift: DriftWatch::default(),
        }
    }

    /// Takes over an intent that was persisted as a sequence of changes.
    pub fn restore(&mut self, change: Change) {
        let upserts = change.fragments.into_iter().filter_map(|(id, bytes)| Some(Upsert::read(id, bytes?)));
        self.replace(upserts.collect());
        self.version = change.version;
        self.exact = change.exact && !self.is_unreadable();
    }

    /// The driver.
    pub const fn driver(&self) -> &D {
        &self.driver
    }

    /// The driver, to be waited for or looked after.
    pub const fn driver_mut(&mut self) -> &mut D {
        &mut self.driver
    }

    /// The intent.
    pub const fn intent(&self) -> &HostIntent {
        &self.intent
    }

    /// The version of the intent; [`Version::NONE`] if there is none yet.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The version on which a controller can build; [`Version::NONE`] if it has to send all of the intent.
    pub const fn have(&self) -> Version {
        if self.exact && !self.ask_for_all { self.version } else { Version::NONE }
    }

    /// Takes a part of an update. The intent changes only when its last part is there, and then at once.
    pub fn take(&mut self, update: wire::Update) -> Taken {
        let complete = update.complete;
        let version = Version::from(update.version);
        if self.outdated_stream && !update.full {
            return Taken::Ignored;
        }
        let fits = update.full || Version::from(update.base) == self.version;
        if version.is_none() || version.is_before(self.version) || (!fits && version == self.version) {
            self.assembly = None;
            return Taken::Stale;
        }
        if !fits {
            return self.misfit();
        }
        if update.part == 0 {
            self.assembly = Some(Assembly::begin(&update));
        }
        let Some(mut assembly) = self.assembly.take() else { return self.misfit() };
        if !assembly.add(update) {
            return self.misfit();
        }
        if complete {
            return Taken::Whole(self.apply(assembly));
        }
        self.assembly = Some(assembly);
        Taken::Partly
    }

    /// The stream on which parts came has ended: what was not complete is forgotten.
    pub fn stream_ended(&mut self) {
        self.assembly = None;
        self.outdated_stream = false;
    }

    fn misfit(&mut self) -> Taken {
        self.assembly = None;
        (self.ask_for_all, self.outdated_stream) = (true, true);
        Taken::Misfit
    }

    fn apply(&mut self, assembly: Assembly) -> Change {
        let mut change = Change { version: assembly.version, full: assembly.full, ..Change::default() };
        for upsert in &assembly.upserts {
            if upsert.read.is_ok() {
                change.fragments.insert(upsert.id.clone(), Some(upsert.bytes.clone()));
            } else if assembly.full {
                change.kept.insert(upsert.id.clone());
            }
        }
        if assembly.full {
            self.replace(assembly.upserts);
            self.exact = true;
        } else {
            assembly.upserts.into_iter().for_each(|upsert| self.upsert(upsert));
            for id in assembly.removals {
                self.intent.remove(&id);
                self.defects.remove(&id);
                change.fragments.insert(id, None);
            }
        }
        self.version = assembly.version;
        (self.ask_for_all, self.outdated_stream) = (false, false);
        change.exact = self.exact && !self.is_unreadable();
        change
    }

    fn replace(&mut self, upserts: Vec<Upsert>) {
        let named: BTreeSet<&FragmentId> = upserts.iter().map(|upsert| &upsert.id).collect();
        let gone: Vec<FragmentId> =
            self.intent.fragments().filter(|id| !named.contains(id)).cloned().collect();
        for id in &gone {
            self.intent.remove(id);
        }
        self.defects.clear();
        upserts.into_iter().for_each(|upsert| self.upsert(upsert));
    }

    /// A fragment that cannot be read stays what it was: when unsure, leave it.
    fn upsert(&mut self, upsert: Upsert) {
        match upsert.read {
            Ok((fragment, unknown)) => {
                self.intent.upsert(fragment);
                if unknown.is_empty() {
                    self.defects.remove(&upsert.id);
                } else {
                    self.defects.insert(upsert.id, Defect::Unknown(unknown));
                }
            }
            Err(error) => {
                self.defects.insert(upsert.id, Defect::Unreadable(error));
            }
        }
    }

    fn is_unreadable(&self) -> bool {
        self.defects.values().any(|defect| matches!(defect, Defect::Unreadable(_)))
    }

    /// One turn over the whole of the input. `now` is on a clock that never goes back.
    pub fn turn(&mut self, now: Duration) -> TurnReport {
        if self.version.is_none() {
            return TurnReport::default();
        }
        let whole = match self.look() {
            Ok(plan) => plan,
            Err(error) => return self.blind(&error, now),
        };
        self.drift.look(self.version, &whole, &self.intent);
        let held = if self.retry.holds_nothing() { None } else { Some(whole.clone()) };
        let plan = self.retry.select(whole, now);
        if plan.steps.is_empty() {
            let left = held.as_ref().unwrap_or(&plan);
            self.retry.note(Vec::new(), &[], left, now);
            return self.report(left, (0, 0));
        }
        let outcomes = self.driver.apply(&plan);
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let counts = (done as u64, (plan.steps.len() - done.min(plan.steps.len())) as u64);
        match self.look() {
            Ok(left) => {
                self.retry.note(plan.steps, &outcomes, &left, now);
                self.report(&left, counts)
            }
            Err(error) => {
                let (steps_done, steps_failed) = counts;
                TurnReport { steps_done, steps_failed, ..self.blind(&error, now) }
            }
        }
    }

    fn look(&mut self) -> Result<Plan, ObserveError> {
        let plan = self.comparison.diff(self.driver.observe()?, self.intent.want());
        self.sight.reset();
        Ok(plan)
    }

    fn blind(&mut self, error: &ObserveError, now: Duration) -> TurnReport {
        let next_turn = Some(now + self.sight.fail());
        let observe_error = Some(error.to_string());
        let (drifts, last_drifts) = self.drift.told();
        let version = self.version;
        TurnReport { version, observe_error, drifts, last_drifts, next_turn, ..TurnReport::default() }
    }

    fn report(&mut self, left: &Plan, (steps_done, steps_failed): (u64, u64)) -> TurnReport {
        self.drift.end(self.version, left);
        let (drifts, last_drifts) = self.drift.told();
        let mut findings = Findings::of_plan(left, &self.intent, &self.retry);
        findings.add_defects(&self.defects);
        let (mut not_done, cut) = findings.into_bounded();
        let is_exact = self.exact && !self.is_unreadable();
        if !is_exact && not_done.is_empty() {
            let reason = "some of the intent could not be read; all of it is asked for again".to_owned();
            let (state, key) = (NotDoneState::Failed, String::new());
            not_done.push(NotDone { fragment: None, state, key, reason, more: 0 });
        }
        TurnReport {
            version: self.version,
            at_rest: left.is_at_rest() && is_exact,
            steps_done,
            steps_failed,
            not_done,
            cut,
            observe_error: None,
            drifts,
            last_drifts,
            next_turn: self.retry.due(),
        }
    }

    /// Of links of the host's own namespace, those that are a workload's by the intent.
    pub fn of_workloads(&self, links: impl IntoIterator<Item = IfName>) -> BTreeSet<IfName> {
        let want = self.intent.want();
        let is_workloads = |name: &IfName| {
            let id = LinkId::on_host(*name);
            match want.get(&Key::Link(id.clone())) {
                Some(Object::Link(link)) => match &link.kind {
                    LinkKind::Tap => true,
                    LinkKind::Veth { peer, .. } => matches!(peer.namespace, Namespace::Named(_)),
                    LinkKind::Bridge | LinkKind::Vlan { .. } | LinkKind::Vxlan { .. } => false,
                },
                Some(Object::ForeignLink(_)) => {
                    let port = want.get(&Key::BridgePort(id));
                    matches!(port, Some(Object::BridgePort(port)) if port.adoption.is_some())
                }
                _ => false,
            }
        };
        links.into_iter().filter(is_workloads).collect()
    }

    /// Why the host has the objects whose keys contain `filter`, and has not those that it should.
    pub fn explain(&mut self, filter: &str) -> (Vec<String>, u64) {
        let have = match self.driver.observe() {
            Ok(have) => have,
            Err(error) => return (vec![error.to_string()], 0),
        };
        let want = self.intent.want();
        let keys: BTreeSet<&Key> = want.keys().chain(have.keys()).collect();
        let (mut lines, mut cut) = (Vec::new(), 0);
        for key in keys {
            let name = key.to_string();
            if !name.contains(filter) {
                continue;
            }
            if lines.len() == LINES_MAX {
                cut += 1;
                continue;
            }
            let asked_by: Vec<String> = self.intent.asked_by(key).map(ToString::to_string).collect();
            let asked_by =
                if asked_by.is_empty() { "nobody asks for it".to_owned() } else { asked_by.join(", ") };
            let refused =
                self.retry.reason_of(key).map(|reason| format!("; refused: {reason}")).unwrap_or_default();
            lines.push(format!("{name}: {}; {asked_by}{refused}", compare(have, want, key)));
        }
        (lines, cut)
    }
}

fn compare(have: &State, want: &State, key: &Key) -> String {
    match (have.get(key), want.get(key)) {
        (Some(have), Some(want)) if have == want => "as it should be".to_owned(),
        (Some(have), Some(want)) => format!("is '{have}', should be '{want}'"),
        (Some(Object::ForeignLink(_)), None) => "somebody else's".to_owned(),
        (Some(_), None) => "there, and should not be".to_owned(),
        (None, Some(_)) => "not there".to_owned(),
        (None, None) => "gone".to_owned(),
    }
}

#[cfg(test)]
mod tests;
