//! Pings without pause, to prove that forwarding goes on while something else is killed, restarted or changed.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::Tried;
use crate::icmp::{self, Echo, Sockets, Token};
use crate::{LabError, LabName, nodes};

/// How often each pair is pinged.
const INTERVAL: Duration = Duration::from_millis(20);
/// After how long without an answer a ping is lost.
const LOST: Duration = Duration::from_secs(1);

/// Who pings whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingPair {
    /// The host of the one who pings: `host1`.
    pub host: String,
    /// The workload that pings: `web1`.
    pub workload: String,
    /// The address that it pings.
    pub address: IpAddr,
}

/// How many pings there were, and how many of them had no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingCount {
    /// Who pinged whom.
    pub pair: PingPair,
    /// How many were sent, or could not even be sent.
    pub sent: u64,
    /// How many had no answer within a second. While pings go on, those on their way are not counted.
    pub lost: u64,
    /// The longest time between two answers.
    pub longest_gap: Duration,
}

#[derive(Clone)]
struct Tally {
    sent: u64,
    lost: u64,
    /// Sent and neither answered nor lost, by number.
    pending: BTreeMap<u64, Instant>,
    last_answer: Instant,
    longest_gap: Duration,
}

/// Pings that go on until they are stopped.
pub struct ContinuousPing {
    pairs: Vec<PingPair>,
    tallies: Arc<Mutex<Vec<Tally>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl ContinuousPing {
    /// Begins to ping every 20 ms between all these pairs.
    ///
    /// # Errors
    /// When there is no such workload, or the machine refuses.
    pub fn start(lab: &LabName, pairs: &[PingPair]) -> Result<Self, LabError> {
        let mut sockets = Vec::new();
        for pair in pairs {
            let place = nodes::workload(lab, &pair.host, &pair.workload)?;
            sockets.push((nodes::within(&place, Sockets::open)?, pair.address));
        }
        let start = Instant::now();
        let tally = Tally {
            sent: 0,
            lost: 0,
            pending: BTreeMap::new(),
            last_answer: start,
            longest_gap: Duration::ZERO,
        };
        let tallies = Arc::new(Mutex::new(vec![tally; pairs.len()]));
        let stopping = Arc::new(AtomicBool::new(false));
        let (theirs, stop) = (Arc::clone(&tallies), Arc::clone(&stopping));
        let thread =
            thread::Builder::new().name("pings".to_owned()).spawn(move || run(&sockets, &theirs, &stop));
        let thread = Some(thread.tried(|| "no thread can be started".to_owned())?);
        Ok(Self { pairs: pairs.to_vec(), tallies, stopping, thread })
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Vec<PingCount> {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |(pair, tally): (&PingPair, &Tally)| PingCount {
            pair: pair.clone(),
            sent: tally.sent,
            lost: tally.lost,
            longest_gap: tally.longest_gap,
        };
        self.pairs.iter().zip(tallies.iter()).map(count).collect()
    }

    /// Sends no more, waits up to a second for what is on its way, and answers the counts.
    ///
    /// # Errors
    /// When the machine refused meanwhile.
    pub fn stop(mut self) -> Result<Vec<PingCount>, LabError> {
        self.stopping.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map_or(Ok(()), |thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
        });
        ended.tried(|| "the workloads cannot ping".to_owned())?;
        Ok(self.counts())
    }
}

impl Drop for ContinuousPing {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

fn run(sockets: &[(Sockets, IpAddr)], tallies: &Mutex<Vec<Tally>>, stopping: &AtomicBool) -> io::Result<()> {
    let run = icmp::new_run();
    let mut next = Instant::now();
    loop {
        let now = Instant::now();
        let is_stopping = stopping.load(Ordering::Relaxed);
        {
            let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
            tallies.iter_mut().for_each(|tally| tally.give_up(now));
            if is_stopping && tallies.iter().all(|tally| tally.pending.is_empty()) {
                return Ok(());
            }
            if now >= next {
                if !is_stopping {
                    send(sockets, &mut tallies, run, now);
                }
                // After a delay the beat goes on from now; what was missed is not made up for by a burst.
                next = (next + INTERVAL).max(now);
            }
        }
        icmp::await_any(sockets.iter().map(|(socket, _)| socket), next.saturating_duration_since(now))?;
        let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, (socket, _)) in sockets.iter().enumerate() {
            let arrived = Instant::now();
            socket.drain(run, |echo, token| {
                if echo == Echo::Reply
                    && token.probe as usize == at
                    && let Some(tally) = tallies.get_mut(at)
                {
                    tally.answer(token.number, arrived);
                }
            })?;
        }
    }
}

fn send(sockets: &[(Sockets, IpAddr)], tallies: &mut [Tally], run: u64, now: Instant) {
    for (at, ((socket, address), tally)) in (0..).zip(sockets.iter().zip(tallies)) {
        socket.request(*address, Token { run, probe: at, number: tally.sent });
        tally.pending.insert(tally.sent, now);
        tally.sent += 1;
    }
}

impl Tally {
    fn answer(&mut self, number: u64, now: Instant) {
        if self.pending.remove(&number).is_some() {
            self.longest_gap = self.longest_gap.max(now.saturating_duration_since(self.last_answer));
            self.last_answer = now;
        }
    }

    fn give_up(&mut self, now: Instant) {
        let before = self.pending.len();
        self.pending.retain(|_, sent| now.saturating_duration_since(*sent) < LOST);
        self.lost += (before - self.pending.len()) as u64;
        if self.pending.len() < before {
            self.longest_gap = self.longest_gap.max(now.saturating_duration_since(self.last_answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_lost_after_a_second_and_not_found_again() {
        let start = Instant::now();
        let mut tally = Tally {
            sent: 2,
            lost: 0,
            pending: BTreeMap::from([(0, start), (1, start)]),
            last_answer: start,
            longest_gap: Duration::ZERO,
        };
        tally.answer(1, start + Duration::from_millis(5));
        tally.give_up(start + LOST / 2);
        assert_eq!((tally.lost, tally.pending.len()), (0, 1));
        tally.give_up(start + LOST);
        tally.answer(0, start + LOST);
        assert_eq!((tally.lost, tally.pending.len()), (1, 0));
        assert_eq!(tally.longest_gap, Duration::from_millis(995));
    }
}
