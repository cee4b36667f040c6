//! Where neighbours connect to: one listener for all speakers, which hands each connection to the speaker that has the neighbour.

use std::collections::BTreeMap;
use std::time::Instant;

use weft_bgp::io::{Accepted, Listener};
use weft_bgp::speaker::PeerConfig;
use weft_services::Id;

use super::config::Wanted;
use super::speaker::Bgp;

/// Listens for as long as there are speakers.
#[derive(Default)]
pub(super) struct Reception {
    listener: Option<Listener>,
}

impl Reception {
    /// Waits for the next connection; for ever, if nothing is listened on.
    pub(super) async fn accept(&mut self) -> Accepted {
        match &mut self.listener {
            Some(listener) => listener.accept().await,
            None => std::future::pending().await,
        }
    }

    /// Tries again which keys could not be set.
    pub(super) fn retry(&mut self) {
        if let Some(listener) = &mut self.listener {
            listener.set_md5_keys(None, Instant::now());
        }
    }
}

impl Bgp {
    /// Listens for the neighbours of these speakers.
    pub(super) fn listen(&mut self, wanted: &BTreeMap<Id, Wanted>) {
        let listener = &mut self.reception.listener;
        if wanted.is_empty() {
            *listener = None;
            return;
        }
        if listener.is_none() {
            match Listener::bind(&self.config.listen) {
                Ok(bound) => *listener = Some(bound),
                Err(error) => tracing::error!(%error, "BGP neighbours cannot connect"),
            }
        }
        let key = |peer: &PeerConfig| Some((peer.address.into(), peer.md5_key.clone()?));
        let keys = wanted.values().flat_map(|wanted| wanted.peers.values()).filter_map(key).collect();
        if let Some(listener) = listener {
            listener.set_md5_keys(Some(keys), Instant::now());
        }
    }

    /// Hands a connection to the speaker that has the neighbour: the first, should two have it. Any of them refuses whom nobody has.
    pub(super) fn receive(&self, accepted: Accepted) {
        let has_it = self.speakers.values().find(|running| running.peers.contains_key(&accepted.remote));
        if let Some(running) = has_it.or(self.speakers.values().next()) {
            running.handle.hand(accepted);
        }
    }
}
