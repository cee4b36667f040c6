//! Seeds: so many in `make test`, any number in `make soak` (`WEFT_SOAK`). A failure prints its seed; `WEFT_SOAK=1 WEFT_SEED=n` runs
//! that one.

use weft_sim::{Faults, run};
use weft_soak::seeds_of_simulation;

const STEPS: usize = 600;
const SEEDS: u64 = 40;

#[test]
fn whatever_goes_wrong_every_host_ends_as_the_model_says() {
    for seed in seeds_of_simulation(SEEDS) {
        run(seed, STEPS, Faults::ALL).unwrap_or_else(|law| panic!("{law}"));
    }
}

#[test]
fn whatever_is_restored_no_two_networks_meet() {
    for seed in seeds_of_simulation(SEEDS) {
        run(seed, STEPS, Faults::RESTORES).unwrap_or_else(|law| panic!("{law}"));
    }
}

#[test]
fn without_faults_too() {
    for seed in seeds_of_simulation(SEEDS).take(20) {
        run(seed, STEPS, Faults::NONE).unwrap_or_else(|law| panic!("{law}"));
    }
}
