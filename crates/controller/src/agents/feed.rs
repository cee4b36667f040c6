//! Follows the store and what is learned, and hands what they change to the agents it concerns.

use std::collections::VecDeque;
use std::sync::Arc;

use weft_services::compile::FragmentKey;
use weft_services::{Fact, Model, RowKey, RowKind, Write, all_announcing, announcements};
use weft_store::{Event, Snapshot, WatchError};

use super::distribution::{Advance, Delivery};
use super::server::Links;
use crate::head::Head;
use crate::site::Site;

/// How many batches of facts are taken together at most.
const TOGETHER_MAX: usize = 64;
/// How many facts are handed out together at most: agents carry out some while others are worked out.
const FACTS_MAX: usize = 4096;

/// Runs as long as the store is there.
pub async fn follow_store(site: Arc<Site>, links: Arc<Links>) {
    let from = site.distribution.lock().version();
    let mut watch = site.store.watch(from);
    let Some(mut inbox) = site.facts_inbox() else { return };
    let feed = Feed { site, links };
    let (mut left, mut batches) = (VecDeque::new(), 0);
    loop {
        let mut facts = Vec::new();
        // Only here does the distribution move on, so the model is still the same when it is handed out.
        tokio::select! {
            together = watch.next_together() => match together {
                Ok((events, snapshot)) => feed.hand_out(&events, snapshot),
                Err(WatchError::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "the agents are sent everything anew");
                    watch = feed.begin_anew();
                }
            },
            received = inbox.recv_many(&mut facts, TOGETHER_MAX), if left.is_empty() => match received {
                0 => return,
                received => (left, batches) = (facts.into_iter().flatten().collect(), received),
            },
            // Commits are not to wait for all of them.
            () = tokio::task::yield_now(), if !left.is_empty() => {}
        }
        if !left.is_empty() {
            feed.learn(left.drain(..left.len().min(FACTS_MAX)).collect());
        }
        if left.is_empty() {
            feed.site.facts_handed_out(std::mem::take(&mut batches));
        }
    }
}

/// Whether something is announced because of a fragment in one of these models. Most of what is learned leads to where nothing of
/// ours is, and then there is nothing to look at again.
fn may_be_announced(key: &FragmentKey, models: [&Model; 2]) -> bool {
    key.service.kind != RowKind::Vrf || models.into_iter().any(|model| !announcements(model, key).is_empty())
}

struct Feed {
    site: Arc<Site>,
    links: Arc<Links>,
}

impl Feed {
    fn hand_out(&self, events: &[Event<Head>], snapshot: Option<Arc<Snapshot<Head>>>) {
        let Some(version) = events.last().map(|event| event.version) else { return };
        let writes: Vec<&Write> = events.iter().flat_map(|event| event.writes.iter()).collect();
        let (before, from) = self.now();
        let after = snapshot.map(|snapshot| snapshot.model.0.clone());
        let advance = Advance::prepare((&before, from), version, &writes, after);
        // Sent under the lock, so that no agent that comes meanwhile is sent this before its intent.
        let mut distribution = self.site.distribution.lock();
        // A host that was fenced greets again, if it is there after all.
        for write in &writes {
            if let Write::Delete(RowKey::Host(host)) = write {
                self.links.let_go(host);
                self.site.alarms.settle_host(host, self.site.now());
            }
        }
        self.site.touched.note(advance.touched());
        self.send(distribution.hand_out(advance));
    }

    fn learn(&self, facts: Vec<Fact>) {
        let (before, from) = self.now();
        let turn = self.site.distribution.lock().next_turn();
        let Some(advance) = Advance::prepare_facts((&before, from), facts, turn) else { return };
        let announcing: Vec<&FragmentKey> =
            advance.touched().filter(|key| may_be_announced(key, [&before, advance.model()])).collect();
        let mut distribution = self.site.distribution.lock();
        self.site.touched.note(announcing);
        self.send(distribution.hand_out(advance));
        self.site.to_be_kept.notify_one();
    }

    fn begin_anew(&self) -> weft_store::Watch<Head> {
        let snapshot = self.site.durable();
        let (before, from) = self.now();
        let turn = self.site.distribution.lock().next_turn();
        let anew = Advance::prepare_anew((&before, from), snapshot.model.0.clone(), snapshot.version, turn);
        // What was skipped is not known, so it may be any of them.
        let announcing: Vec<FragmentKey> =
            [&before, anew.model()].into_iter().flat_map(all_announcing).collect();
        for host in anew.gone() {
            self.site.alarms.settle_host(host, self.site.now());
        }
        let mut distribution = self.site.distribution.lock();
        self.site.touched.note(&announcing);
        distribution.reset(anew);
        drop(distribution);
        self.site.to_be_kept.notify_one();
        self.links.close_all();
        self.site.store.watch(snapshot.version)
    }

    fn now(&self) -> (Model, super::distribution::Reached) {
        let distribution = self.site.distribution.lock();
        let (model, reached) = distribution.model();
        (model.clone(), reached)
    }

    fn send(&self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            self.site.metrics.update_sent();
            self.links.send(&delivery.host, delivery.updates);
        }
    }
}
