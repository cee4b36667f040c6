//! Follows the store and hands each commit to the agents it concerns.

use std::sync::Arc;

use weft_store::WatchError;

use super::server::Links;
use crate::site::Site;

/// Runs as long as the store is there.
pub async fn follow_store(site: Arc<Site>, links: Arc<Links>) {
    let from = site.distribution.lock().version();
    let mut watch = site.store.watch(from);
    loop {
        match watch.next().await {
            Ok(event) => {
                let mut distribution = site.distribution.lock();
                for delivery in distribution.advance(event.version, &event.writes) {
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
