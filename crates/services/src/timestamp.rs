//! Points in time, as values that are given, never read.

use std::fmt;

/// Whole seconds since 1970-01-01T00:00:00Z. Printed as Neutron prints times: `2026-11-21T01:51:25Z`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_second(self.0).unwrap_or_default();
        write!(f, "{time:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_as_neutron_prints_it() {
        assert_eq!(Timestamp(1_795_225_885).to_string(), "2026-11-21T01:51:25Z");
    }
}
