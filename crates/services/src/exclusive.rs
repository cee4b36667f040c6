//! What only one service at a time can have on a host, which of it is free, and who has the rest.

use std::fmt;
use std::sync::Arc;

use weft_net::Vni;

use crate::compile::ServiceKey;
use crate::index::reclaim;
use crate::intervals::Intervals;
use crate::vrf::VrfNumber;
use crate::{Departure, Model, Refusal};

/// What only one service at a time can have on a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusive {
    /// A VXLAN network identifier.
    Vni(Vni),
    /// The number of a VRF: with it go its table and its label.
    Vrf(VrfNumber),
    /// An IEEE 802.1Q VLAN of a physical network.
    Vlan {
        /// The VLAN tag, 1 to 4094.
        vlan_id: u16,
        /// The physical network, as hosts call it.
        physical_network: Arc<str>,
    },
}

impl Exclusive {
    /// The form in stored keys: `vni/5000`, `vlan/100/provider`.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Vni(vni) => format!("vni/{vni}"),
            Self::Vrf(number) => format!("vrf/{}", number.0),
            Self::Vlan { vlan_id, physical_network } => format!("vlan/{vlan_id}/{physical_network}"),
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        match kind {
            "vni" => Some(Self::Vni(rest.parse().ok()?)),
            "vrf" => Some(Self::Vrf(VrfNumber(rest.parse().ok()?))),
            "vlan" => {
                let (vlan_id, physical_network) = rest.split_once('/')?;
                Some(Self::Vlan { vlan_id: vlan_id.parse().ok()?, physical_network: physical_network.into() })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Exclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vni(vni) => write!(f, "VNI {vni}"),
            Self::Vrf(number) => write!(f, "VRF number {}", number.0),
            Self::Vlan { vlan_id, physical_network } => {
                write!(f, "VLAN {vlan_id} of physical network {physical_network}")
            }
        }
    }
}

/// The pools from which numbers are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pool {
    Vni,
    Vrf,
}

impl Pool {
    fn range(self) -> (u128, u128) {
        match self {
            Self::Vni => (Vni::MIN.get().into(), Vni::MAX.get().into()),
            Self::Vrf => (VrfNumber::MIN.0.into(), VrfNumber::MAX.0.into()),
        }
    }
}

/// Numbers that are neither in use nor in quarantine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FreeNumbers(Intervals<Pool>);

impl Default for FreeNumbers {
    fn default() -> Self {
        let mut all = Intervals::default();
        for pool in [Pool::Vni, Pool::Vrf] {
            let (first, last) = pool.range();
            all.join(pool, first, last);
        }
        Self(all)
    }
}

impl FreeNumbers {
    fn set(&mut self, pool: Pool, number: u128, is_free: bool) {
        match (is_free, self.0.contains(pool, number)) {
            (true, false) => self.0.join(pool, number, number),
            (false, true) => self.0.take(pool, number),
            (true, true) | (false, false) => {}
        }
    }

    /// The lowest after the highest in use; if there is none, the lowest.
    fn next_after(&self, pool: Pool, highest: Option<u128>) -> Option<u128> {
        let (first, _) = pool.range();
        let from = highest.map_or(first, |highest| highest + 1);
        self.0.lowest_from(pool, from).or_else(|| self.0.lowest_from(pool, first))
    }
}

impl Model {
    /// Who has it.
    pub(crate) fn owner_of(&self, what: &Exclusive) -> Option<ServiceKey> {
        self.index.exclusives.get(what).copied()
    }

    /// Notes that an instance has this in the place of what it had.
    pub(crate) fn index_exclusive(
        &mut self,
        owner: ServiceKey,
        before: Option<Exclusive>,
        after: Option<Exclusive>,
    ) {
        reclaim(&mut self.index.exclusives, owner, before.clone(), after.clone());
        before.into_iter().chain(after).for_each(|what| self.index_free(&what));
    }

    /// Notes whether something that came or went is free now.
    pub(crate) fn index_free(&mut self, what: &Exclusive) {
        let (pool, number) = match what {
            Exclusive::Vni(vni) => (Pool::Vni, vni.get().into()),
            Exclusive::Vrf(number) => (Pool::Vrf, number.0.into()),
            Exclusive::Vlan { .. } => return,
        };
        let is_free = self.owner_of(what).is_none() && self.departures_of(what).next().is_none();
        self.index.free_numbers.set(pool, number, is_free);
    }

    /// The departures from hosts that may still have it.
    pub(crate) fn departures_of<'m>(
        &'m self,
        what: &Exclusive,
    ) -> impl Iterator<Item = &'m Departure> + use<'m> {
        // In ASCII, only '-' and '.' come before digits, and no name of a host begins with them.
        let first = (what.clone(), "0".parse().expect("one digit"));
        let what = what.clone();
        let from = self.departures.range(first..).map(|(_, departure)| departure);
        from.take_while(move |departure| departure.what == what)
    }

    /// The lowest free VNI after the highest in use; if there is none, the lowest that is free.
    pub(crate) fn free_vni(&self) -> Option<Vni> {
        let all = Exclusive::Vni(Vni::MIN)..=Exclusive::Vni(Vni::MAX);
        let highest = match self.index.exclusives.range(all).next_back() {
            Some((Exclusive::Vni(highest), _)) => Some(highest.get().into()),
            Some(_) | None => None,
        };
        let free = self.index.free_numbers.next_after(Pool::Vni, highest)?;
        Vni::try_from(u32::try_from(free).ok()?).ok()
    }

    /// The same of the numbers of VRFs.
    pub(crate) fn free_vrf_number(&self) -> Option<VrfNumber> {
        let all = Exclusive::Vrf(VrfNumber::MIN)..=Exclusive::Vrf(VrfNumber::MAX);
        let highest = match self.index.exclusives.range(all).next_back() {
            Some((Exclusive::Vrf(highest), _)) => Some(highest.0.into()),
            Some(_) | None => None,
        };
        let free = self.index.free_numbers.next_after(Pool::Vrf, highest)?;
        u16::try_from(free).ok().map(VrfNumber)
    }
}

/// What is the matter with something that only one can have; it may be one's own, if one is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// This instance has it.
    By(ServiceKey),
    /// It is in quarantine: a host may still have it.
    Departing(Departure),
}

/// Why it cannot be had, if it cannot.
pub(crate) fn taken(model: &Model, what: &Exclusive) -> Option<Taken> {
    let owner = model.owner_of(what).map(Taken::By);
    owner.or_else(|| model.departures_of(what).next().cloned().map(Taken::Departing))
}

/// Refuses what another instance has.
pub(crate) fn check_owned(model: &Model, owner: ServiceKey, what: &Exclusive) -> Result<(), Refusal> {
    match model.owner_of(what).filter(|other| *other != owner) {
        Some(other) => {
            let message = format!("{what} is {} {}'s now.", other.kind.in_words(), other.id);
            Err(Refusal::conflict("InUse", message))
        }
        None => Ok(()),
    }
}
