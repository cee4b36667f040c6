//! Where neighbours connect to: one listener for all speakers, which hands each connection to the speaker that has the neighbour.

use std::collections::BTreeMap;
use std::time::Instant;

use ipnet::IpNet;
use weft_bgp::io::{Accepted, Listener};
use weft_bgp::speaker::Md5Key;
use weft_services::Id;

use super::attempts::Beginner;
use super::config::{Neighbors, Wanted};
use super::speaker::{Bgp, Running};

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
    pub(super) fn retry(&mut self, now: Instant) {
        if let Some(listener) = &mut self.listener {
            listener.set_md5_keys(None, now);
        }
    }
}

impl Bgp {
    /// Listens for the neighbours of these speakers.
    pub(super) fn listen(&mut self, wanted: &BTreeMap<Id, Wanted>, now: Instant) {
        if wanted.is_empty() {
            self.reception.listener = None;
            return;
        }
        if self.reception.listener.is_none() {
            match Listener::bind(&self.config.listen) {
                Ok(bound) => {
                    self.reception.listener = Some(bound);
                    self.begun(Beginner::Listener);
                }
                Err(error) => self.not_begun(Beginner::Listener, &error.to_string(), now),
            }
        }
        let keys = wanted.values().flat_map(|wanted| keys(&wanted.neighbors)).collect();
        if let Some(listener) = &mut self.reception.listener {
            listener.set_md5_keys(Some(keys), now);
        }
    }

    /// Hands a connection to the speaker that has the neighbour: by its address, or else by the narrowest range; the first, should two have
    /// it. Any of them refuses whom nobody has.
    pub(super) fn receive(&self, accepted: Accepted) {
        let admit = |running: &Running| running.neighbors.admit(accepted.remote);
        let mut having: Option<(&Running, Option<u8>)> = None;
        for running in self.speakers.values() {
            if having.is_none_or(|(_, most)| admit(running) > most) {
                having = Some((running, admit(running)));
            }
        }
        if let Some((running, _)) = having {
            running.handle.hand(accepted);
        }
    }
}

/// Whose packets have to be signed, and with which keys (RFC 2385).
fn keys(neighbors: &Neighbors) -> impl Iterator<Item = (IpNet, Md5Key)> {
    let of_ranges = neighbors.accept.iter().map(|accept| (accept.prefix, &accept.neighbor));
    // Whoever is known by address comes last, and so before a range of that address alone.
    let all = of_ranges.chain(neighbors.peers.iter().map(|(address, peer)| ((*address).into(), peer)));
    all.filter_map(|(prefix, peer)| Some((prefix, peer.md5_key.clone()?)))
}
