//! What lab is wanted.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use weft_net::Capability;

use crate::{LabError, LabName};

/// How many hosts a lab has at most.
pub const HOSTS_MAX: u16 = 64;

/// Which protocol the hosts reach each other by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Underlay {
    /// IPv4: `198.51.100.N/24`.
    #[default]
    Ipv4,
    /// IPv6: `2001:db8:ffff::N/64`.
    Ipv6,
}

/// What lab is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabSpec {
    /// Its name. By default `demo`.
    pub name: LabName,
    /// How many hosts, 1 to [`HOSTS_MAX`]. By default 2.
    pub hosts: u16,
    /// Which protocol the hosts reach each other by. By default IPv4.
    pub underlay: Underlay,
    /// The MTU of the underlay in bytes, 1280 to 65535. By default 1600: VXLAN over IPv6, the larger case, adds 70 bytes
    /// (40 IPv6, 8 UDP, 8 VXLAN, 14 Ethernet), so that a network carries 1500 and there is room for a segment list.
    pub underlay_mtu: u32,
    /// The directory with `weft-controller` and `weft-agent`. By default they are looked for next to the running
    /// executable, then along `PATH`.
    pub binaries: Option<PathBuf>,
    /// Where logs, certificates and the states of controller and agents are. By default `/var/lib/weft/lab/NAME`.
    pub state_directory: Option<PathBuf>,
    /// What the hosts do not offer although this machine's kernel can do it. By default nothing.
    pub without_capabilities: BTreeSet<Capability>,
    /// The port of the REST API on 127.0.0.1; another free one is taken if it is in use. By default 9696.
    pub port: u16,
    /// The port at which BGP neighbours can connect to the controller, at its address in the management network. By default they
    /// cannot: it connects to them.
    pub bgp_port: Option<u16>,
}

impl LabSpec {
    /// The lab of this name, all else by default.
    #[must_use]
    pub const fn new(name: LabName) -> Self {
        Self {
            name,
            hosts: 2,
            underlay: Underlay::Ipv4,
            underlay_mtu: 1600,
            binaries: None,
            state_directory: None,
            without_capabilities: BTreeSet::new(),
            port: 9696,
            bgp_port: None,
        }
    }

    /// Sees that the numbers are within their bounds.
    pub(crate) fn check(&self) -> Result<(), LabError> {
        if !(1..=HOSTS_MAX).contains(&self.hosts) {
            return Err(LabError::Spec(format!("a lab has 1 to {HOSTS_MAX} hosts, not {}", self.hosts)));
        }
        if !(1280..=65535).contains(&self.underlay_mtu) {
            return Err(LabError::Spec(format!(
                "an underlay's MTU is 1280 to 65535, not {}",
                self.underlay_mtu
            )));
        }
        if self.state_directory.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err(LabError::Spec("the state directory has to be an absolute path".to_owned()));
        }
        Ok(())
    }

    /// Where one of the daemons is.
    pub(crate) fn binary(&self, name: &str) -> Result<PathBuf, LabError> {
        let own = env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
        let path = env::var_os("PATH").unwrap_or_default();
        let places: Vec<PathBuf> = match &self.binaries {
            Some(directory) => vec![directory.clone()],
            None => own.into_iter().chain(env::split_paths(&path)).collect(),
        };
        let found = places.iter().map(|place| place.join(name)).find(|path| path.is_file());
        let found = found.and_then(|path| std::path::absolute(path).ok());
        found.ok_or_else(|| {
            let tried: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
            LabError::Spec(format!("'{name}' is not in {}", tried.join(", ")))
        })
    }
}

impl Default for LabSpec {
    fn default() -> Self {
        Self::new("demo".parse().expect("'demo' is the name of a lab"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_their_bounds_are_refused() {
        LabSpec::default().check().unwrap();
        for hosts in [0, 65] {
            assert!(LabSpec { hosts, ..LabSpec::default() }.check().is_err());
        }
        for underlay_mtu in [1279, 65536] {
            assert!(LabSpec { underlay_mtu, ..LabSpec::default() }.check().is_err());
        }
    }

    #[test]
    fn a_daemon_that_is_nowhere_is_named_with_the_places_looked_at() {
        let spec = LabSpec { binaries: Some("/nowhere".into()), ..LabSpec::default() };
        assert_eq!(spec.binary("weft-agent").unwrap_err().to_string(), "'weft-agent' is not in /nowhere");
    }
}
