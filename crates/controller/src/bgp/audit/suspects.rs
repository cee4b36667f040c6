//! What was not as it should be, and is looked at again: an alarm if it still is not, and told anew.

use std::collections::{BTreeMap, BTreeSet};

use weft_bgp::speaker::{Route, Speaker};
use weft_bgp::wire::Destination;
use weft_services::compile::FragmentKey;
use weft_services::{About, Fact, Id, Model};

use crate::bgp::alarms::Comparison;
use crate::bgp::source::{self, Source};
use crate::bgp::speaker::Bgp;

/// Something that was not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Suspect {
    /// What is announced because of a fragment.
    Announcement(FragmentKey),
    /// What a speaker originates to a destination, because of a fragment; without one: which nobody has announced.
    Originated(Id, Destination, Option<FragmentKey>),
    /// What was learned from a speaker.
    Learned(Id, Source),
    /// What the model has of what was learned.
    Fact(About),
}

impl Suspect {
    const fn comparison(&self) -> Comparison {
        match self {
            Self::Announcement(_) => Comparison::Announcement,
            Self::Originated(..) => Comparison::LocRib,
            Self::Learned(..) => Comparison::Learned,
            Self::Fact(_) => Comparison::Fact,
        }
    }

    /// The route, and where it is not right.
    fn route(&self) -> String {
        match self {
            Self::Announcement(key) => key.id().to_string(),
            Self::Originated(speaker, destination, _) => format!("{destination} of speaker {speaker}"),
            Self::Learned(speaker, source) => format!("{source} from speaker {speaker}"),
            Self::Fact(about) => source::about(*about).to_string(),
        }
    }

    const fn finding(&self) -> &'static str {
        match self {
            Self::Announcement(_) => "what is announced is not what its hosts have carried out",
            Self::Originated(..) => "what the speaker originates is not what is announced",
            Self::Learned(..) => "what was learned is not what the speaker has",
            Self::Fact(_) => "what the model has is not what was learned",
        }
    }
}

/// What a speaker is told anew.
#[derive(Default)]
struct Mending {
    originated: Vec<Route>,
    withdrawn: Vec<Destination>,
    told_again: Vec<Source>,
}

impl Mending {
    fn carry_out(self, speaker: &mut Speaker) {
        self.originated.into_iter().for_each(|route| speaker.originate(route));
        for destination in &self.withdrawn {
            speaker.withdraw(destination);
        }
        for source in self.told_again {
            speaker.tell_again(&source.instance().to_string(), &source.destination());
        }
    }
}

impl Bgp {
    /// Looks again at all that was suspicious.
    pub(super) async fn audit_suspects(&mut self) {
        let suspects = std::mem::take(&mut self.audit.suspects);
        if suspects.is_empty() {
            return;
        }
        let (now, model) = (self.site.now(), self.model());
        let (waiting, due): (BTreeMap<_, _>, BTreeMap<_, _>) =
            suspects.into_iter().partition(|(suspect, _)| self.is_on_its_way(suspect));
        self.audit.suspects = waiting;
        let wrong = self.still_wrong(due.keys(), &model).await;
        for (suspect, is_known) in due {
            if !wrong.contains(&suspect) {
                self.site.alarms.settle(suspect.comparison(), &suspect.route(), now);
                continue;
            }
            if !is_known {
                self.site.alarms.raise(suspect.comparison(), &suspect.route(), suspect.finding(), now);
            }
            self.audit.suspects.insert(suspect, true);
        }
        self.mend(&wrong).await;
    }

    /// Whether what it is compared with may still be changed by what is known already: however long that takes, it is no alarm.
    fn is_on_its_way(&self, suspect: &Suspect) -> bool {
        match suspect {
            Suspect::Announcement(key) => self.site.touched.contains(key),
            Suspect::Originated(..) => false,
            Suspect::Learned(..) => !self.inbox.1.is_empty(),
            Suspect::Fact(_) => !self.inbox.1.is_empty() || self.site.has_facts_on_their_way(),
        }
    }

    /// Those that are not right now either.
    async fn still_wrong<'s>(
        &self,
        suspects: impl Iterator<Item = &'s Suspect>,
        model: &Model,
    ) -> BTreeSet<Suspect> {
        let mut wrong = BTreeSet::new();
        let mut originated: BTreeMap<Id, Vec<(Destination, Option<FragmentKey>)>> = BTreeMap::new();
        let mut learned: BTreeMap<Id, Vec<Source>> = BTreeMap::new();
        for suspect in suspects {
            match suspect {
                Suspect::Announcement(key) if self.is_announced_rightly(key) => {}
                Suspect::Fact(about) if self.is_fact_right(*about) => {}
                Suspect::Announcement(_) | Suspect::Fact(_) => drop(wrong.insert(suspect.clone())),
                Suspect::Originated(speaker, destination, key) => {
                    originated.entry(*speaker).or_default().push((destination.clone(), key.clone()));
                }
                Suspect::Learned(speaker, source) => learned.entry(*speaker).or_default().push(*source),
            }
        }
        wrong.extend(self.originated_wrongly(originated).await);
        wrong.extend(self.learned_wrongly(learned, model).await);
        wrong
    }

    async fn originated_wrongly(
        &self,
        suspects: BTreeMap<Id, Vec<(Destination, Option<FragmentKey>)>>,
    ) -> Vec<Suspect> {
        let mut wrong = Vec::new();
        for (id, suspects) in suspects {
            let Some(running) = self.speakers.get(&id) else { continue };
            let asked: Vec<Destination> =
                suspects.iter().map(|(destination, _)| destination.clone()).collect();
            let ask = move |speaker: &mut Speaker, _| {
                asked.iter().map(|destination| speaker.originated(destination)).collect::<Vec<_>>()
            };
            let has = running.handle.with(ask).await.unwrap_or_default();
            for ((destination, key), has) in suspects.into_iter().zip(has) {
                let is_right = match self.wanted(&destination, key.as_ref()) {
                    Wanted::Route(route) => has.is_some_and(|has| has == *route),
                    Wanted::Nothing => has.is_none(),
                    Wanted::Anothers => true,
                };
                if !is_right {
                    wrong.push(Suspect::Originated(id, destination, key));
                }
            }
        }
        wrong
    }

    /// What speakers are to originate to a destination, because of the fragment that announced it if one did.
    fn wanted(&self, destination: &Destination, key: Option<&FragmentKey>) -> Wanted {
        match key.and_then(|key| self.announced.route_of(key, destination)) {
            Some(route) => Wanted::Route(Box::new(route)),
            None if self.announced.announces(destination) => Wanted::Anothers,
            None => Wanted::Nothing,
        }
    }

    /// Has all of it told anew.
    async fn mend(&self, wrong: &BTreeSet<Suspect>) {
        let mut by_speaker: BTreeMap<Id, Mending> = BTreeMap::new();
        let mut facts: Vec<Fact> = Vec::new();
        for suspect in wrong {
            match suspect {
                Suspect::Announcement(key) => self.site.touched.note([key]),
                Suspect::Originated(speaker, destination, key) => {
                    let mending = by_speaker.entry(*speaker).or_default();
                    match self.wanted(destination, key.as_ref()) {
                        Wanted::Route(route) => mending.originated.push(*route),
                        Wanted::Nothing => mending.withdrawn.push(destination.clone()),
                        Wanted::Anothers => {}
                    }
                }
                Suspect::Learned(speaker, source) => {
                    by_speaker.entry(*speaker).or_default().told_again.push(*source);
                }
                Suspect::Fact(about) => facts.push(self.known(*about)),
            }
        }
        for (speaker, mending) in by_speaker {
            let Some(running) = self.speakers.get(&speaker) else { continue };
            let _ended = running.handle.with(move |speaker, _| mending.carry_out(speaker)).await;
        }
        self.tell(facts).await;
    }
}

/// What speakers are to originate to a destination.
enum Wanted {
    /// This.
    Route(Box<Route>),
    /// Nothing.
    Nothing,
    /// What another fragment announces by now, which is looked at with that.
    Anothers,
}
