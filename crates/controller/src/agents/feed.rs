//! Follows the store and hands what its commits change to the agents it concerns.

use std::sync::Arc;

use weft_services::{RowKey, Write};
use weft_store::WatchError;

use super::distribution::Advance;
use super::server::Links;
use crate::site::Site;

/// Runs as long as the store is there.
pub async fn follow_store(site: Arc<Site>, links: Arc<Links>) {
    let from = site.distribution.lock().version();
    let mut watch = site.store.watch(from);
    loop {
        match watch.next_together().await {
            Ok((events, snapshot)) => {
                let Some(version) = events.last().map(|event| event.version) else { continue };
                let writes: Vec<&Write> = events.iter().flat_map(|event| event.writes.iter()).collect();
                // Only here does the distribution move on, so the model is still the same when it is handed out.
                let before = site.distribution.lock().model().clone();
                let after = snapshot.map(|snapshot| snapshot.model.0.clone());
                let advance = Advance::prepare(&before, version, &writes, after);
                // Sent under the lock, so that no agent that comes meanwhile is sent this before its intent.
                let mut distribution = site.distribution.lock();
                // A host that was fenced greets again, if it is there after all.
                for write in &writes {
                    if let Write::Delete(RowKey::Host(host)) = write {
                        links.let_go(host);
                    }
                }
                for delivery in distribution.hand_out(advance) {
                    site.metrics.update_sent();
                    links.send(&delivery.host, delivery.updates);
                }
            }
            Err(WatchError::Closed) => return,
            Err(error) => {
                tracing::warn!(%error, "the agents are sent everything anew");
                let snapshot = site.durable();
                site.distribution.lock().reset(snapshot.model.0.clone(), snapshot.version);
                links.close_all();
                watch = site.store.watch(snapshot.version);
            }
        }
    }
}
