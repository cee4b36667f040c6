//! What the audit of routes has found, for whoever asks.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::hash::BuildHasher;

use parking_lot::Mutex;
use weft_net::HostName;
use weft_services::Timestamp;

/// How many alarms that are over are remembered.
const PAST_MAX: usize = 100;
/// How many alarms are open at a time with all that they say; whatever more there are are told in the log, and counted.
const OPEN_MAX: usize = 4096;
/// How many more are counted; what comes beyond is told in the log alone. It is 32 MiB at most.
const COUNTED_MAX: usize = 1 << 20;

/// What is compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// What is announced, with what hosts say that they have carried out.
    Announcement,
    /// What a speaker originates, with what is announced.
    LocRib,
    /// What a neighbour was told, with what is for it.
    AdjRibOut,
    /// What was learned, with what a speaker has.
    Learned,
    /// What the model has of what was learned, with what was learned.
    Fact,
    /// What a host's kernel has, with what the host was told.
    Kernel,
    /// What runs of BGP, with what is to: speakers, and what their neighbours connect to.
    Speaker,
}

impl Comparison {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Announcement,
        Self::LocRib,
        Self::AdjRibOut,
        Self::Learned,
        Self::Fact,
        Self::Kernel,
        Self::Speaker,
    ];
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Announcement => "announcement",
            Self::LocRib => "loc_rib",
            Self::AdjRibOut => "adj_rib_out",
            Self::Learned => "learned",
            Self::Fact => "fact",
            Self::Kernel => "kernel",
            Self::Speaker => "speaker",
        })
    }
}

/// A route that was not where it is said to be, or was where it should not be; or something of BGP that does not run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Alarm {
    /// What was compared.
    pub comparison: Comparison,
    /// The route, and where; or what does not run.
    pub route: String,
    /// What was wrong.
    pub finding: String,
    /// Since when that is known.
    pub at: String,
    /// When it was found right again.
    pub mended_at: Option<String>,
}

/// How often something was looked at, was wrong, and was right again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Figures {
    /// Comparisons.
    pub checked: u64,
    /// Alarms.
    pub alarms: u64,
    /// Alarms that are over.
    pub mended: u64,
    /// Alarms that are open, whether all that they say is kept or not.
    pub open: u64,
}

/// The alarms there are and were.
#[derive(Default)]
pub struct Alarms {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    figures: BTreeMap<Comparison, Figures>,
    open: BTreeMap<(Comparison, String), Alarm>,
    /// Those that are open as well and for which there is no room: of each its hash, by that of the place that it is on.
    counted: HashSet<(Comparison, u64, u64)>,
    hasher: RandomState,
    past: VecDeque<Alarm>,
}

impl State {
    fn figures(&mut self, of: Comparison) -> &mut Figures {
        self.figures.entry(of).or_default()
    }

    /// As what an alarm is counted for which there is no room.
    fn digest(&self, of: Comparison, route: &str) -> (Comparison, u64, u64) {
        let place = route.rsplit_once(ON).map_or("", |(_, place)| place);
        (of, self.hasher.hash_one(place), self.hasher.hash_one(route))
    }

    fn end(&mut self, mut alarm: Alarm, now: Timestamp) {
        alarm.mended_at = Some(now.to_string());
        match alarm.comparison {
            Comparison::Speaker => tracing::info!(what = alarm.route, "it has begun"),
            comparison => {
                tracing::info!(%comparison, route = alarm.route, "the route is as it should be again")
            }
        }
        self.figures(alarm.comparison).mended += 1;
        if self.past.len() == PAST_MAX {
            self.past.pop_front();
        }
        self.past.push_back(alarm);
    }
}

impl Alarms {
    pub(crate) fn checked(&self, comparison: Comparison, count: usize) {
        self.state.lock().figures(comparison).checked += count as u64;
    }

    /// A route is not as it should be.
    pub(crate) fn raise(&self, comparison: Comparison, route: &str, finding: &str, now: Timestamp) {
        let mut state = self.state.lock();
        let key = (comparison, route.to_owned());
        let digest = state.digest(comparison, route);
        if state.open.contains_key(&key) || state.counted.contains(&digest) {
            return;
        }
        match comparison {
            Comparison::Speaker => {
                tracing::error!(what = route, finding, "it cannot begin, and is tried again")
            }
            comparison => tracing::error!(%comparison, route, finding, "a route is not as it should be"),
        }
        if state.open.len() >= OPEN_MAX {
            if state.counted.len() < COUNTED_MAX {
                state.counted.insert(digest);
                state.figures(comparison).alarms += 1;
            }
            return;
        }
        state.figures(comparison).alarms += 1;
        let (route, finding) = (route.to_owned(), finding.to_owned());
        state.open.insert(key, Alarm { comparison, route, finding, at: now.to_string(), mended_at: None });
    }

    /// A route is as it should be.
    pub(crate) fn settle(&self, comparison: Comparison, route: &str, now: Timestamp) {
        let mut state = self.state.lock();
        let digest = state.digest(comparison, route);
        if let Some(alarm) = state.open.remove(&(comparison, route.to_owned())) {
            state.end(alarm, now);
        } else if state.counted.remove(&digest) {
            state.figures(comparison).mended += 1;
        }
    }

    /// All routes of a host are as they should be, or it is no longer known, and nobody says any more how they are.
    pub(crate) fn settle_host(&self, host: &HostName, now: Timestamp) {
        let (of, end) = (Comparison::Kernel, on(host));
        let mut state = self.state.lock();
        let is_meant = |(known, route): &(Comparison, String)| *known == of && route.ends_with(&end);
        let ended: Vec<Alarm> =
            state.open.extract_if(.., |key, _| is_meant(key)).map(|(_, alarm)| alarm).collect();
        ended.into_iter().for_each(|alarm| state.end(alarm, now));
        let (_, place, _) = state.digest(of, &end);
        let before = state.counted.len();
        state.counted.retain(|(known, at, _)| (*known, *at) != (of, place));
        let mended = before - state.counted.len();
        state.figures(of).mended += mended as u64;
    }

    /// A route was not as it should be, and whoever says so has mended it.
    pub(crate) fn mended(&self, comparison: Comparison, route: &str, finding: &str, now: Timestamp) {
        self.raise(comparison, route, finding, now);
        self.settle(comparison, route, now);
    }

    /// How often each comparison was made and what came of it.
    pub(crate) fn figures(&self) -> Vec<(Comparison, Figures)> {
        let state = self.state.lock();
        let mut open: BTreeMap<Comparison, u64> = BTreeMap::new();
        let all = state.open.keys().map(|(of, _)| of).chain(state.counted.iter().map(|(of, ..)| of));
        all.for_each(|of| *open.entry(*of).or_default() += 1);
        let figures = |of: Comparison| {
            let known = state.figures.get(&of).copied().unwrap_or_default();
            (of, Figures { open: open.get(&of).copied().unwrap_or_default(), ..known })
        };
        Comparison::ALL.map(figures).into()
    }

    /// What is not as it should be now, and what was, the newest first.
    pub(crate) fn all(&self) -> Vec<Alarm> {
        let state = self.state.lock();
        state.open.values().chain(state.past.iter().rev()).cloned().collect()
    }

    /// What is not as it should be now of the routes to a destination.
    pub(crate) fn open_of(&self, destination: &str) -> Option<Alarm> {
        let state = self.state.lock();
        state.open.values().find(|alarm| is_to(&alarm.route, destination)).cloned()
    }
}

/// What is between a route and the host that it is on.
const ON: &str = " on ";

/// How a route's text ends that is on a host.
pub(crate) fn on(host: &HostName) -> String {
    format!("{ON}{host}")
}

/// Whether the text of a route names this destination: as a word, or as the end of a path.
fn is_to(route: &str, destination: &str) -> bool {
    let is_it = |word: &str| {
        word.strip_suffix(destination).is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    route.split(' ').any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_raised_once_and_ends_once() {
        let alarms = Alarms::default();
        alarms.raise(Comparison::LocRib, "10.0.0.0/8", "not there", Timestamp(1));
        alarms.raise(Comparison::LocRib, "10.0.0.0/8", "not there", Timestamp(2));
        assert_eq!(alarms.open_of("10.0.0.0/8").map(|alarm| alarm.at), Some(Timestamp(1).to_string()));
        alarms.settle(Comparison::AdjRibOut, "10.0.0.0/8", Timestamp(3));
        assert!(alarms.open_of("10.0.0.0/8").is_some(), "another comparison's");
        alarms.settle(Comparison::LocRib, "10.0.0.0/8", Timestamp(3));
        alarms.settle(Comparison::LocRib, "10.0.0.0/8", Timestamp(4));
        assert_eq!(alarms.open_of("10.0.0.0/8"), None);
        let all = alarms.all();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].mended_at, Some(Timestamp(3).to_string()));
        let figures = alarms.figures().into_iter().find(|(of, _)| *of == Comparison::LocRib).unwrap().1;
        assert_eq!(figures, Figures { checked: 0, alarms: 1, mended: 1, open: 0 });
    }

    #[test]
    fn so_many_alarms_of_the_past_are_remembered() {
        let alarms = Alarms::default();
        for number in 0..=PAST_MAX {
            alarms.mended(Comparison::Kernel, &number.to_string(), "gone", Timestamp(1));
        }
        let all = alarms.all();
        assert_eq!((all.len(), &*all[0].route), (PAST_MAX, "100"));
    }

    #[test]
    fn an_alarm_is_of_the_destination_that_it_names_and_of_no_other() {
        for route in ["11.0.0.0/8 in VRF one", "prefix/11.0.0.0/8 of vrf/one", "route 11.0.0.0/8 on host1"] {
            assert!(is_to(route, "11.0.0.0/8"), "{route}");
            assert!(!is_to(route, "1.0.0.0/8") && !is_to(route, "11.0.0.0/80"), "{route}");
        }
    }

    #[test]
    fn so_many_alarms_are_open_and_more_are_counted_until_they_are_over() {
        let alarms = Alarms::default();
        let [one, other] = ["host1", "host2"].map(|host| host.parse::<HostName>().unwrap());
        for number in 0..=OPEN_MAX {
            alarms.raise(Comparison::Kernel, &format!("{number}{}", on(&one)), "gone", Timestamp(1));
        }
        let counted = |of| {
            let figures = alarms.figures().into_iter().find(|(known, _)| *known == of).unwrap().1;
            (figures.alarms, figures.mended, figures.open)
        };
        let kept = OPEN_MAX as u64;
        assert_eq!((alarms.all().len(), counted(Comparison::Kernel)), (OPEN_MAX, (kept + 1, 0, kept + 1)));
        let further = format!("further{}", on(&other));
        for _ in 0..2 {
            alarms.raise(Comparison::Kernel, &further, "gone", Timestamp(1));
            alarms.raise(Comparison::LocRib, "10.0.0.0/8", "not there", Timestamp(1));
        }
        assert_eq!(counted(Comparison::Kernel), (kept + 2, 0, kept + 2), "each once");
        alarms.settle(Comparison::LocRib, "11.0.0.0/8", Timestamp(2));
        assert_eq!(counted(Comparison::LocRib), (1, 0, 1), "another one's");
        alarms.settle(Comparison::LocRib, "10.0.0.0/8", Timestamp(2));
        alarms.mended(Comparison::LocRib, "12.0.0.0/8", "not there", Timestamp(2));
        assert_eq!(counted(Comparison::LocRib), (2, 2, 0));
        alarms.settle_host(&one, Timestamp(2));
        assert_eq!(counted(Comparison::Kernel), (kept + 2, kept + 1, 1), "the other host's is still open");
        alarms.settle(Comparison::Kernel, &further, Timestamp(3));
        assert_eq!(counted(Comparison::Kernel), (kept + 2, kept + 2, 0), "nothing stays open for ever");
    }
}
