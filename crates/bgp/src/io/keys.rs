//! Whose packets to our listeners must be signed (RFC 2385), and for whom the kernel has not been told so. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::speaker::Md5Key;

/// How long after a key could not be set it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The keys of listeners.
#[derive(Debug, Default)]
pub(super) struct Keys {
    wanted: BTreeMap<IpNet, Md5Key>,
    /// Those that a listener does not have: what comes from there may be unsigned.
    missing: BTreeSet<IpNet>,
    retry_at: Option<Instant>,
}

impl Keys {
    /// Takes over which keys are wanted, if that has changed, and tries again what has failed, if it is time; `set` tells the listeners, an
    /// empty key that there is none any more.
    pub(super) fn update(
        &mut self,
        wanted: Option<BTreeMap<IpNet, Md5Key>>,
        now: Instant,
        mut set: impl FnMut(IpNet, &str) -> io::Result<()>,
    ) {
        let is_due = self.retry_at.is_some_and(|at| at <= now);
        if wanted.is_none() && !is_due {
            return;
        }
        let wanted = wanted.unwrap_or_else(|| self.wanted.clone());
        let before = std::mem::replace(&mut self.wanted, wanted);
        for prefix in before.keys().filter(|prefix| !self.wanted.contains_key(prefix)) {
            // Where it could not be set there may be nothing to take away.
            let was_missing = self.missing.remove(prefix);
            if let Err(error) = set(*prefix, "")
                && !was_missing
            {
                tracing::error!(%prefix, %error, "packets to a listener still have to be signed");
            }
        }
        for (prefix, key) in &self.wanted {
            if !self.missing.contains(prefix) && before.get(prefix) == Some(key) {
                continue;
            }
            match set(*prefix, key.reveal()) {
                Ok(()) => {
                    self.missing.remove(prefix);
                }
                Err(error) => {
                    tracing::error!(%prefix, %error, "packets to a listener cannot be verified: connections are refused");
                    self.missing.insert(*prefix);
                }
            }
        }
        self.retry_at = (!self.missing.is_empty()).then(|| now + RETRY_AFTER);
    }

    /// Whether what comes from there should be signed and may not be.
    pub(super) fn is_unverified(&self, remote: IpAddr) -> bool {
        self.missing.iter().any(|prefix| prefix.contains(&remote))
    }

    /// When [`Keys::update`] is to be asked at the latest.
    pub(super) const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(keys: &[(&str, &str)]) -> Option<BTreeMap<IpNet, Md5Key>> {
        let key = |(prefix, key): &(&str, &str)| (prefix.parse().unwrap(), Md5Key::from((*key).to_owned()));
        Some(keys.iter().map(key).collect())
    }

    #[test]
    fn whose_key_could_not_be_set_is_refused_until_it_could() {
        let (mut keys, start) = (Keys::default(), Instant::now());
        let [near, far] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([198, 51, 100, 1])];
        let both = [("192.0.2.0/24", "one"), ("198.51.100.1/32", "two")];
        keys.update(wanted(&both), start, |prefix, _| {
            if prefix.contains(&near) { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(()) }
        });
        assert_eq!([near, far].map(|remote| keys.is_unverified(remote)), [true, false]);
        keys.update(None, start, |_, _| panic!("it is not time yet"));
        let mut set = Vec::new();
        let due = keys.retry_at().unwrap();
        keys.update(None, due, |prefix, key| {
            set.push((prefix.to_string(), key.to_owned()));
            Ok(())
        });
        assert_eq!(set, [("192.0.2.0/24".to_owned(), "one".to_owned())], "only what has failed");
        assert!(!keys.is_unverified(near) && keys.retry_at().is_none());
    }

    #[test]
    fn only_what_has_changed_is_set() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        let mut update = |to| {
            let mut set = Vec::new();
            keys.update(to, now, |prefix, key| {
                set.push(format!("{prefix} {key}"));
                Ok(())
            });
            set
        };
        let both = [("192.0.2.1/32", "one"), ("198.51.100.1/32", "two")];
        assert_eq!(update(wanted(&both)), ["192.0.2.1/32 one", "198.51.100.1/32 two"]);
        assert_eq!(update(wanted(&both)), [""; 0]);
        let other = [("192.0.2.1/32", "three")];
        assert_eq!(update(wanted(&other)), ["198.51.100.1/32 ", "192.0.2.1/32 three"]);
    }
}
