//! Sets of numbers as intervals, one set to an owner: the next free one is one look away however many are taken.

use imbl::OrdMap;

/// Of each owner, the numbers in its set: (owner, first) → last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Intervals<O: Ord + Copy> {
    intervals: OrdMap<(O, u128), u128>,
}

impl<O: Ord + Copy> Default for Intervals<O> {
    fn default() -> Self {
        Self { intervals: OrdMap::new() }
    }
}

impl<O: Ord + Copy> Intervals<O> {
    /// The lowest number of a set from this one on.
    pub(crate) fn lowest_from(&self, owner: O, from: u128) -> Option<u128> {
        if self.contains(owner, from) {
            return Some(from);
        }
        self.intervals.range((owner, from)..=(owner, u128::MAX)).next().map(|((_, first), _)| *first)
    }

    /// Whether a number is in a set.
    pub(crate) fn contains(&self, owner: O, number: u128) -> bool {
        self.around(owner, number).is_some()
    }

    /// Takes a number out; it may not have been in.
    pub(crate) fn take(&mut self, owner: O, taken: u128) {
        let Some((first, last)) = self.around(owner, taken) else { return };
        self.intervals.remove(&(owner, first));
        if first < taken {
            self.intervals.insert((owner, first), taken - 1);
        }
        if taken < last {
            self.intervals.insert((owner, taken + 1), last);
        }
    }

    /// Puts an interval in that has no number of the set; one with those that it touches.
    pub(crate) fn join(&mut self, owner: O, mut first: u128, mut last: u128) {
        if let Some((below, _)) = first.checked_sub(1).and_then(|below| self.around(owner, below)) {
            self.intervals.remove(&(owner, below));
            first = below;
        }
        if let Some(above) = last.checked_add(1).and_then(|above| self.intervals.remove(&(owner, above))) {
            last = above;
        }
        self.intervals.insert((owner, first), last);
    }

    /// Empties a set.
    pub(crate) fn clear(&mut self, owner: O) {
        let of_owner = self.intervals.range((owner, 0)..=(owner, u128::MAX));
        let starts: Vec<(O, u128)> = of_owner.map(|(key, _)| *key).collect();
        for start in starts {
            self.intervals.remove(&start);
        }
    }

    /// The interval in which a number is.
    fn around(&self, owner: O, number: u128) -> Option<(u128, u128)> {
        let ((_, first), last) = self.intervals.range((owner, 0)..=(owner, number)).next_back()?;
        (number <= *last).then_some((*first, *last))
    }
}
