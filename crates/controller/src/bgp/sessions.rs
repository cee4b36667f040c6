//! Sessions that come up and go down, told to watchers and to the log.

use super::speaker::Bgp;
use crate::api::SessionNotice;

impl Bgp {
    /// Tells of what has happened to sessions since the last time.
    pub(super) async fn tell_sessions(&self) {
        let mut happened = Vec::new();
        for (id, running) in &self.speakers {
            let events = running.handle.with(|speaker, _| speaker.take_session_events()).await;
            happened.extend(events.into_iter().flatten().map(|event| (*id, event)));
        }
        if happened.is_empty() {
            return;
        }
        let snapshot = self.site.durable();
        let model = &snapshot.model.0;
        for (speaker, event) in happened {
            let neighbor = event.neighbor;
            match &event.ended_by {
                None => tracing::info!(%speaker, %neighbor, "BGP session up"),
                Some(reason) => tracing::warn!(%speaker, %neighbor, reason, "BGP session down"),
            }
            let row = model.bgp_speakers().find(|row| row.standard.id == speaker);
            let peer = row.and_then(|row| row.peer_at(model, neighbor)).map(|peer| peer.standard.id);
            // Of one that is no peer any more nobody is told.
            if let Some(peer) = peer {
                self.site.notices.session(SessionNotice {
                    speaker,
                    peer,
                    neighbor,
                    ended_by: event.ended_by,
                });
            }
        }
    }
}
