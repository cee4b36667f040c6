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

impl Timestamp {
    /// Reads `2026-11-21T01:51:25`, with or without a `Z`.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = text.strip_suffix('Z').unwrap_or(text);
        let time = jiff::civil::DateTime::strptime("%Y-%m-%dT%H:%M:%S", plain).ok()?;
        let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Self(zoned.timestamp().as_second()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_as_neutron_prints_it() {
        assert_eq!(Timestamp(1_795_225_885).to_string(), "2026-11-21T01:51:25Z");
    }

    #[test]
    fn a_time_is_read_as_it_is_printed_and_nothing_else_is() {
        for good in ["2026-11-21T01:51:25Z", "2026-11-21T01:51:25"] {
            assert_eq!(Timestamp::parse(good), Some(Timestamp(1_795_225_885)));
        }
        for bad in ["", "Z", "2026-11-21", "2026-13-21T01:51:25Z", "2026-11-21T01:51:25+01:00", "yesterday"] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }
}
