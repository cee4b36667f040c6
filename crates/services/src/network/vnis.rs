//! Which VNIs are free: neither a network's nor in quarantine.
//!
//! Kept as intervals, so that a free one is one look away however many are taken.

use imbl::OrdMap;
use weft_net::Vni;

/// The free VNIs: first → last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FreeVnis {
    intervals: OrdMap<u32, u32>,
}

impl Default for FreeVnis {
    fn default() -> Self {
        Self { intervals: OrdMap::unit(Vni::MIN.get(), Vni::MAX.get()) }
    }
}

impl FreeVnis {
    /// Notes whether a VNI is free.
    pub(crate) fn set(&mut self, vni: Vni, is_free: bool) {
        match (is_free, self.around(vni.get())) {
            (true, None) => self.give_back(vni.get()),
            (false, Some(interval)) => self.take(vni.get(), interval),
            _ => {}
        }
    }

    /// The lowest free one from this one on.
    pub(crate) fn lowest_from(&self, from: Vni) -> Option<Vni> {
        let lowest = match self.around(from.get()) {
            Some(_) => from.get(),
            None => *self.intervals.range(from.get()..).next()?.0,
        };
        Vni::try_from(lowest).ok()
    }

    fn take(&mut self, taken: u32, (first, last): (u32, u32)) {
        self.intervals.remove(&first);
        if first < taken {
            self.intervals.insert(first, taken - 1);
        }
        if taken < last {
            self.intervals.insert(taken + 1, last);
        }
    }

    fn give_back(&mut self, freed: u32) {
        let below = freed.checked_sub(1).and_then(|below| self.around(below));
        let first = below.map_or(freed, |(first, _)| first);
        let last = self.intervals.remove(&(freed + 1)).unwrap_or(freed);
        self.intervals.insert(first, last);
    }

    /// The interval in which a VNI is.
    fn around(&self, vni: u32) -> Option<(u32, u32)> {
        let (first, last) = self.intervals.range(..=vni).next_back()?;
        (vni <= *last).then_some((*first, *last))
    }
}
