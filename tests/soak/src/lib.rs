//! How much the tests try: in short, or in the long form of `make soak`; and how patient they are.
//!
//! Never here: anything that is tested, or that tests. It is a dev-dependency of whoever draws cases or seeds.
//!
//! `WEFT_SOAK` asks for the long form and says how many seeds the simulation runs; all else is made ten times as often as in
//! short, and more often if that number is more than 10,000. `WEFT_SEED` says with which seed to begin: with `WEFT_SOAK=1` the
//! simulation runs that one alone. `WEFT_SLOWNESS` says how many times as long as elsewhere everything may take: the virtual machine is
//! emulated.

use std::env;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often the long form makes what the short one makes once, at least.
const FACTOR_MIN: u64 = 10;
/// Seeds of the simulation for each time that all else is made.
const SEEDS_A_TIME: u64 = 1000;

/// How many cases a property is tried with: `short`, or many times that in the long form.
#[must_use]
pub fn cases(short: u32) -> u32 {
    let factor = factor(number("WEFT_SOAK"));
    short.saturating_mul(u32::try_from(factor).unwrap_or(u32::MAX))
}

/// How many rounds a test makes: `short`, or ten times as many in the long form, whatever the number of seeds.
#[must_use]
pub fn rounds(short: usize) -> usize {
    if is_long() { short * 10 } else { short }
}

/// Whether this is the long form.
#[must_use]
pub fn is_long() -> bool {
    number("WEFT_SOAK").is_some()
}

/// The seeds that a test runs: so many, always the same ones; or many times that and each time others in the long form.
///
/// It prints them, so that those of a failure can be run again.
#[must_use]
pub fn seeds(short: u64) -> Range<u64> {
    from_start(short.saturating_mul(factor(number("WEFT_SOAK"))))
}

/// The seeds that the simulation runs: so many, or as many as `WEFT_SOAK` says; otherwise as [`seeds`].
#[must_use]
pub fn seeds_of_simulation(short: u64) -> Range<u64> {
    from_start(number("WEFT_SOAK").unwrap_or(short))
}

fn from_start(count: u64) -> Range<u64> {
    let start = number("WEFT_SEED").unwrap_or_else(|| if is_long() { drawn() } else { 0 });
    let seeds = start..start.saturating_add(count);
    println!("seeds {seeds:?}; WEFT_SEED={start} begins with the same");
    seeds
}

/// How long something may take: what is said, or many times that where everything is slow.
#[must_use]
pub fn patience(within: Duration) -> Duration {
    let slowness = number("WEFT_SLOWNESS").unwrap_or(1);
    within.saturating_mul(u32::try_from(slowness).unwrap_or(u32::MAX))
}

fn factor(soak: Option<u64>) -> u64 {
    soak.map_or(1, |seeds| FACTOR_MIN.max(seeds / SEEDS_A_TIME))
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not '{text}'")))
}

/// The seconds since 1970: long forms that are more than a moment apart have no seed in common.
fn drawn() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_form_is_at_least_ten_times_the_short_one() {
        assert_eq!(factor(None), 1);
        assert_eq!(factor(Some(1)), 10);
        assert_eq!(factor(Some(10_000)), 10);
        assert_eq!(factor(Some(250_000)), 250);
    }
}
