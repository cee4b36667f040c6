//! What `up` and `down` tell while they work.

use std::fmt;

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was as it should be.
    Kept,
    /// It was made, started or mended.
    Made,
    /// It was removed or stopped.
    Removed,
    /// It is being waited for.
    Awaited,
}

/// One thing that was done, and how far the work of its kind is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is: `namespace demo.host1`.
    pub what: String,
    /// What became of it.
    pub change: Change,
    /// How many of its kind are done, this one counted.
    pub done: usize,
    /// How many of its kind there are.
    pub total: usize,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = match self.change {
            Change::Kept => "kept",
            Change::Made => "made",
            Change::Removed => "removed",
            Change::Awaited => "awaited",
        };
        write!(f, "{} {change} ({}/{})", self.what, self.done, self.total)
    }
}

/// Whoever wants to know.
pub(crate) type Tell<'a> = dyn FnMut(Progress) + 'a;

/// Counts things of one kind and tells of each.
pub(crate) struct Counter<'a, 'b> {
    tell: &'a mut Tell<'b>,
    done: usize,
    total: usize,
}

impl<'a, 'b> Counter<'a, 'b> {
    pub(crate) fn new(tell: &'a mut Tell<'b>, total: usize) -> Self {
        Self { tell, done: 0, total }
    }

    /// Tells of one more.
    pub(crate) fn next(&mut self, what: impl Into<String>, change: Change) {
        self.done += 1;
        self.say(what, change);
    }

    /// Sets how many are done, and tells if these are others than before.
    pub(crate) fn reach(&mut self, done: usize, what: &str, change: Change) {
        if self.done != done {
            self.done = done;
            self.say(what, change);
        }
    }

    fn say(&mut self, what: impl Into<String>, change: Change) {
        (self.tell)(Progress { what: what.into(), change, done: self.done, total: self.total });
    }
}
