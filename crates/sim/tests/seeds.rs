//! Seeds: so many in `make test`, any number in `make soak` (`WEFT_SOAK`). A failure prints its seed; `SEED=n` runs that one.

use weft_sim::{Faults, run};

const STEPS: usize = 600;

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match (number("SEED"), number("WEFT_SOAK")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 0..count,
        (None, None) => 0..40,
    }
}

#[test]
fn whatever_goes_wrong_every_host_ends_as_the_model_says() {
    for seed in seeds() {
        run(seed, STEPS, Faults::ALL).unwrap_or_else(|law| panic!("{law}"));
    }
}

#[test]
fn whatever_is_restored_no_two_networks_meet() {
    for seed in seeds() {
        run(seed, STEPS, Faults::RESTORES).unwrap_or_else(|law| panic!("{law}"));
    }
}

#[test]
fn without_faults_too() {
    for seed in seeds().take(20) {
        run(seed, STEPS, Faults::NONE).unwrap_or_else(|law| panic!("{law}"));
    }
}
