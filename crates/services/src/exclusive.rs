//! What only one service at a time can have on a host, which of it is free, and who has the rest.

use std::fmt;
use std::sync::Arc;

use weft_net::Vni;

use crate::compile::ServiceKey;
use crate::index::reclaim;
use crate::intervals::Intervals;
use crate::{Departure, Model, Refusal};

/// What only one service at a time can have on a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusive {
    /// A VXLAN network identifier.
    Vni(Vni),
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
            Self::Vlan { vlan_id, physical_network } => format!("vlan/{vlan_id}/{physical_network}"),
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        match kind {
            "vni" => Some(Self::Vni(rest.parse().ok()?)),
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
            Self::Vlan { vlan_id, physical_network } => {
                write!(f, "VLAN {vlan_id} of physical network {physical_network}")
            }
        }
    }
}

/// VNIs that are neither in use nor in quarantine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FreeVnis(Intervals<()>);

impl Default for FreeVnis {
    fn default() -> Self {
        let mut all = Intervals::default();
        all.join((), Vni::MIN.get().into(), Vni::MAX.get().into());
        Self(all)
    }
}

impl FreeVnis {
    fn set(&mut self, vni: Vni, is_free: bool) {
        let number = vni.get().into();
        match (is_free, self.0.contains((), number)) {
            (true, false) => self.0.join((), number, number),
            (false, true) => self.0.take((), number),
            (true, true) | (false, false) => {}
        }
    }

    fn lowest_from(&self, from: Vni) -> Option<Vni> {
        let lowest = self.0.lowest_from((), from.get().into())?;
        Vni::try_from(u32::try_from(lowest).ok()?).ok()
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
        let Exclusive::Vni(vni) = what else { return };
        let is_free = self.owner_of(what).is_none() && self.departures_of(what).next().is_none();
        self.index.free_vnis.set(*vni, is_free);
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
        let after_highest = match self.index.exclusives.range(all).next_back() {
            Some((Exclusive::Vni(highest), _)) => highest.next(),
            Some((Exclusive::Vlan { .. }, _)) | None => Some(Vni::MIN),
        };
        let free = &self.index.free_vnis;
        after_highest.and_then(|from| free.lowest_from(from)).or_else(|| free.lowest_from(Vni::MIN))
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
