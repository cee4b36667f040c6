//! The laws of diff, on the driver in memory.

use proptest::prelude::*;
use weft_dataplane::conformance::{converge, random_state};
use weft_dataplane::{Comparison, Driver, LinkId, Memory, Object, State, Step, diff};

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(2000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn from_any_state_to_any_other_in_one_plan_and_then_rest(have: u64, want: u64) {
        let mut driver = Memory::default();
        converge(&mut driver, &random_state(have, "n", |_| true)).map_err(TestCaseError::fail)?;
        let want = random_state(want, "n", |_| true);
        converge(&mut driver, &want).map_err(TestCaseError::fail)?;
        prop_assert_eq!(driver.state(), &want);
    }

    #[test]
    fn what_is_damaged_is_mended_and_nothing_else_is_touched(seed: u64, victims in prop::collection::vec(any::<prop::sample::Index>(), 1..4)) {
        let want = random_state(seed, "n", |_| true);
        prop_assume!(!want.is_empty());
        let mut driver = Memory::default();
        converge(&mut driver, &want).map_err(TestCaseError::fail)?;
        for victim in victims {
            if let Some(key) = driver.state().keys().nth(victim.index(driver.state().len().max(1))).cloned() {
                driver.damage(&key);
            }
        }
        let missing = want.len() - driver.state().len();
        let plan = diff(driver.state(), &want);
        prop_assert_eq!(plan.steps.len(), missing);
        prop_assert!(plan.steps.iter().all(|step| matches!(step, Step::Create(_))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(300), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_comparison_gives_the_same_plans_as_diff_whatever_happened_in_between(
        seeds in prop::collection::vec((any::<bool>(), any::<u64>(), any::<prop::sample::Index>()), 1..30)
    ) {
        let (mut have, mut want, mut comparison) = (State::default(), State::default(), Comparison::default());
        for (of_have, seed, victim) in seeds {
            let state = if of_have { &mut have } else { &mut want };
            match seed % 8 {
                0 => *state = random_state(seed, "n", |_| true),
                1 => *state = state.clone(),
                2..=4 => random_state(seed, "n", |_| true).iter().take(3).for_each(|(_, object)| {
                    state.insert(object.clone());
                }),
                _ => {
                    let victim = state.keys().nth(victim.index(state.len().max(1))).cloned();
                    victim.into_iter().for_each(|key| drop(state.remove(&key)));
                }
            }
            if seed % 3 > 0 {
                prop_assert_eq!(comparison.diff(&have, &want), diff(&have, &want));
            }
        }
    }
}

#[test]
fn links_of_others_survive_everything() {
    let theirs = LinkId::on_host("docker0".parse().unwrap());
    let mut driver = Memory::default();
    driver.add_foreign_link(theirs.clone());
    for seed in weft_soak::seeds(50) {
        converge(&mut driver, &random_state(seed, "n", |_| true)).unwrap();
    }
    converge(&mut driver, &State::default()).unwrap();
    assert_eq!(driver.observe().unwrap(), &[Object::ForeignLink(theirs)].into_iter().collect());
}
