//! What every driver must pass: from any state to any other in one plan without a refusal, and then rest.
//!
//! The same laws run on [`Memory`](crate::Memory) and on kernels. States are made from a seed, so a failure can be told
//! by its seed.

use weft_net::Capability;

use crate::{Driver, State, diff};
use maker::Maker;

mod maker;

/// Leads a driver's host to `want` and says how many steps it took.
///
/// # Errors
/// A text that says which law is broken: a look failed, a step was refused, or the host is not at rest afterwards.
pub fn converge(driver: &mut impl Driver, want: &State) -> Result<usize, String> {
    let have = driver.observe().map_err(|error| error.to_string())?.clone();
    let plan = diff(&have, want);
    let outcomes = driver.apply(&plan);
    if outcomes.len() != plan.steps.len() {
        return Err(format!("{} outcomes for {} steps", outcomes.len(), plan.steps.len()));
    }
    for (step, outcome) in plan.steps.iter().zip(&outcomes) {
        if let Err(error) = outcome {
            return Err(format!("step '{step}' was refused: {error}\nof the plan\n{plan}from\n{have}"));
        }
    }
    let after = driver.observe().map_err(|error| error.to_string())?;
    let rest = diff(after, want);
    if rest.is_at_rest() {
        Ok(plan.steps.len())
    } else {
        Err(format!("not at rest:\n{rest}after the plan\n{plan}"))
    }
}

/// A valid state, made from a seed, of what a host with these capabilities can have.
///
/// Every object has what it needs, and no two claim what only one can have. `prefix` begins the names of namespaces,
/// so that tests in one kernel keep apart; at most 40 bytes of a [`NamespaceName`].
///
/// # Panics
/// If `prefix` cannot begin a namespace's name.
#[must_use]
pub fn random_state(seed: u64, prefix: &str, capable: impl Fn(Capability) -> bool) -> State {
    let mut maker = Maker::new(seed, prefix);
    let namespaces = if capable(Capability::NetworkNamespace) { maker.namespaces() } else { Vec::new() };
    maker.bridges_with_tunnels();
    maker.veths(&namespaces);
    if let [first, ..] = &namespaces[..] {
        maker.steering(first);
    }
    if capable(Capability::VrfNamespace) || capable(Capability::VrfDevice) {
        maker.vrfs(capable(Capability::Mpls));
    }
    if capable(Capability::Vlan) {
        maker.vlans();
    }
    maker.state
}
