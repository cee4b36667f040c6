//! Where neighbours connect to: one listener for all speakers, which hands each connection to the speaker that has the neighbour.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use weft_bgp::io::{Accepted, Listener};
use weft_bgp::speaker::PeerConfig;
use weft_services::Id;

use super::config::Wanted;
use super::speaker::Bgp;

/// How long nothing is accepted after the kernel had nothing to give: it may be out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens for as long as there are speakers.
#[derive(Default)]
pub(super) struct Reception {
    listener: Option<Listener>,
}

impl Reception {
    /// Waits for the next connection; for ever, if nothing is listened on.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.listener {
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
    pub(super) async fn receive(&self, accepted: io::Result<Accepted>) {
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                return tokio::time::sleep(PAUSE).await;
            }
        };
        let has_it = self.speakers.values().find(|running| running.peers.contains_key(&accepted.remote));
        if let Some(running) = has_it.or(self.speakers.values().next()) {
            running.handle.hand(accepted);
        }
    }
}
