//! The driver: a namespace of the host, the named ones that bear our mark, and the picture of them all.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use weft_dataplane::{Driver, Namespace, ObserveError, Plan, State, StepOutcome};
use weft_net::{Capability, IfName, NamespaceName};

use crate::error::OpenError;
use crate::mirror::Mirror;
use crate::namespace::{self, Sockets};
use crate::parse::{self, Fact, RawKind, RawLink};
use crate::vrf::{self, VrfMode};
use crate::wait::{self, Waker, Woken};
use crate::{capabilities, encode, guard, mirror, neighbours};

/// How often a look begins anew before it is given up. Each new beginning means that something changed meanwhile.
const LOOKS_MAX: u32 = 10;
/// A folder's time of change is coarse: one as young as this may hide a change that comes after the look.
const FOLDER_SETTLES: Duration = Duration::from_millis(50);
/// The first index that we give to a link: far above those that the kernel gives by itself.
const FIRST_INDEX: u32 = 1_000_000;

/// Whose kernel to drive.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The file of the network namespace to work for; `None`: the calling thread's own.
    pub namespace: Option<PathBuf>,
    /// What begins the file names, under `/run/netns`, of the named namespaces: `lab.host1.`.
    pub namespace_prefix: String,
    /// As what VRFs are realised.
    pub vrf: VrfMode,
    /// The links from which labelled packets are taken in, where VRFs are devices.
    pub mpls_interfaces: Vec<IfName>,
}

/// A Linux host, driven by netlink.
///
/// What it reports is a picture kept by the kernel's events; the kernel is asked in full at the start, when events were
/// lost, and on [`LinuxHost::resync`]. It makes, changes and removes only what bears our mark.
pub struct LinuxHost {
    pub(crate) prefix: String,
    pub(crate) places: BTreeMap<Namespace, Place>,
    pub(crate) mirror: Mirror,
    pub(crate) writes: u64,
    pub(crate) vrf: VrfMode,
    pub(crate) mpls_interfaces: Vec<IfName>,
    pub(crate) capabilities: BTreeSet<Capability>,
    /// Namespaces' files that begin with our prefix and do not bear our mark.
    strangers: HashSet<(String, (u64, u64))>,
    folder_seen: Option<SystemTime>,
}

/// A namespace in our care.
pub(crate) struct Place {
    pub(crate) sockets: Sockets,
    /// Events were lost, or it was never looked at.
    pub(crate) stale: bool,
    next_index: u32,
    next_hop: u32,
}

impl Place {
    pub(crate) const fn new(sockets: Sockets) -> Self {
        Self { sockets, stale: true, next_index: FIRST_INDEX, next_hop: FIRST_INDEX }
    }

    /// Gives no index up to this one any more.
    pub(crate) fn raise_index(&mut self, taken: u32) {
        self.next_index = self.next_index.max(taken);
    }

    /// A number for a new next hop.
    pub(crate) const fn take_next_hop(&mut self) -> u32 {
        self.next_hop += 1;
        self.next_hop
    }

    /// An index for a new link.
    pub(crate) const fn take_index(&mut self) -> u32 {
        self.next_index += 1;
        self.next_index
    }
}

impl LinuxHost {
    /// Takes a host into care: finds out what its kernel can do, and looks at it in full.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or the first look fails.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let sockets = Sockets::open(config.namespace.as_deref()).map_err(|source| {
            let path = config.namespace.as_deref().unwrap_or(Path::new("(own)")).display().to_string();
            OpenError::Namespace { path, source }
        })?;
        if config.namespace.is_none()
            && let Err(error) = neighbours::make_room()
        {
            tracing::warn!(%error, "the kernel keeps few neighbours, and their number cannot be raised");
        }
        let has_limits = capabilities::can_limit().map_err(OpenError::Capabilities)?;
        if !has_limits {
            tracing::warn!(
                "tenants can fill the host's table of neighbours: there is no act_police that counts packets"
            );
        }
        let mut host = Self {
            prefix: config.namespace_prefix,
            places: [(Namespace::Host, Place::new(sockets))].into(),
            mirror: Mirror::new(config.vrf, has_limits),
            writes: 0,
            vrf: config.vrf,
            mpls_interfaces: config.mpls_interfaces,
            capabilities: capabilities::probe(config.vrf).map_err(OpenError::Capabilities)?,
            strangers: HashSet::new(),
            folder_seen: None,
        };
        host.catch_up()?;
        Ok(host)
    }

    /// Looks at everything anew at the next [`Driver::observe`], in case an event told less than the truth.
    pub fn resync(&mut self) {
        self.folder_seen = None;
        self.places.values_mut().for_each(|place| place.stale = true);
    }

    /// How many changes were sent to the kernel since this host was opened.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// The link that has the address of a tunnel endpoint, and its MTU in bytes.
    #[must_use]
    pub fn underlay(&self, endpoint: IpAddr) -> Option<(IfName, u32)> {
        self.mirror.link_with(&Namespace::Host, endpoint)
    }

    /// The links of the host's own namespace that are there and have no carrier, as of the last look.
    #[must_use]
    pub fn without_carrier(&self) -> Vec<IfName> {
        self.mirror.without_carrier()
    }

    /// Sleeps until the kernel told of a change, `waker` was fired or `timeout` is over.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub fn wait(&mut self, timeout: Duration, waker: &Waker) -> io::Result<Woken> {
        wait::wait(self.places.values().map(|place| place.sockets.events.as_fd()), timeout, waker)
    }

    /// Brings the picture up to date.
    pub(crate) fn catch_up(&mut self) -> Result<(), ObserveError> {
        let mut last = io::Error::other("it keeps changing");
        for _ in 0..LOOKS_MAX {
            if let Err(error) = self.find_namespaces() {
                last = error;
                continue;
            }
            self.drain();
            self.look_at_proxies();
            self.look_at_ways();
            let stale = |(_, place): &(&Namespace, &Place)| place.stale;
            let stale: Vec<Namespace> =
                self.places.iter().filter(stale).map(|(name, _)| name.clone()).collect();
            if stale.is_empty() {
                return Ok(());
            }
            for namespace in stale {
                if let Err(error) = self.reload(&namespace) {
                    tracing::debug!(%namespace, %error, "a look was disturbed");
                    last = error;
                }
            }
        }
        Err(ObserveError { reason: last.to_string() })
    }

    /// Takes in the events of all places.
    pub(crate) fn drain(&mut self) {
        let sources = self.places.values().map(|place| place.sockets.events.as_fd());
        let heard = wait::readable(sources).unwrap_or_default();
        for (number, (namespace, place)) in self.places.iter_mut().enumerate() {
            if heard.get(number) != Some(&false) {
                drain_place(&mut self.mirror, namespace, place);
            }
        }
    }

    /// Takes in the events of one place.
    pub(crate) fn drain_one(&mut self, namespace: &Namespace) {
        if let Some(place) = self.places.get_mut(namespace) {
            drain_place(&mut self.mirror, namespace, place);
        }
    }

    /// Looks at single links, of whose change no event tells.
    pub(crate) fn look_at(&mut self, namespace: &Namespace, links: &[u32]) {
        let Some(place) = self.places.get_mut(namespace) else { return };
        for link in links {
            let mirror = &mut self.mirror;
            let looked = place.sockets.route.ask(encode::ask_link(*link), |message| {
                if let Some(fact) = parse::fact(message) {
                    place.stale |= mirror.take(namespace, fact).is_err();
                }
            });
            // That it is gone, an event tells.
            place.stale |= looked.is_err_and(|error| error.raw_os_error() != Some(libc::ENODEV));
        }
    }

    /// Looks at what links answer for, where something may have taken that away: no event tells of it.
    fn look_at_proxies(&mut self) {
        for (namespace, place) in &mut self.places {
            for link in self.mirror.take_doubtful(namespace) {
                let mut facts = Vec::new();
                let looked = (place.sockets.route)
                    .ask(encode::ask_proxies(link), |message| facts.extend(parse::fact(message)));
                match looked {
                    Ok(()) => self.mirror.set_proxies(namespace, link, facts),
                    // That it is gone, an event tells.
                    Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                    Err(_) => place.stale = true,
                }
            }
        }
    }

    /// Asks which links lead to the routers of labelled paths, where the host's own routing may have changed.
    fn look_at_ways(&mut self) {
        let Some(place) = self.places.get_mut(&Namespace::Host) else { return };
        let routers = self.mirror.take_doubtful_ways().into_iter();
        // Where nothing leads, paths stay as they are.
        let answers = routers.map(|via| (via, place.sockets.way_to(via).ok().flatten())).collect();
        self.mirror.set_ways(answers);
    }

    /// Looks at a place in full.
    pub(crate) fn reload(&mut self, namespace: &Namespace) -> io::Result<()> {
        let Some(place) = self.places.get_mut(namespace) else { return Ok(()) };
        // What was heard so far is older than the dump, and may have holes.
        while place
            .sockets
            .events
            .drain(|_| {})
            .is_err_and(|error| error.raw_os_error() == Some(libc::ENOBUFS))
        {}
        let mut facts = Vec::new();
        let has_devices = *namespace == Namespace::Host && self.vrf == VrfMode::Device;
        let also = encode::RulesAndLabels {
            rules: has_devices || matches!(namespace, Namespace::Vrf(_)),
            labels: has_devices && self.capabilities.contains(&Capability::Mpls),
        };
        for request in encode::dumps(also) {
            place.sockets.route.ask(request, |message| facts.extend(parse::fact(message)))?;
        }
        let has_limits = self.mirror.has_limits() && matches!(namespace, Namespace::Vrf(_));
        for link in filtered(&facts, (has_devices, has_limits)) {
            place.sockets.route.ask(guard::ask(link), |message| facts.extend(parse::fact(message)))?;
        }
        self.mirror.load(namespace, facts);
        if matches!(namespace, Namespace::Vrf(_)) || has_devices {
            let namespace_of_place = place.sockets.namespace.as_fd();
            let settled = namespace::within(namespace_of_place, || vrf::is_settled(self.vrf));
            self.mirror.unsettle(namespace, !settled.unwrap_or(false));
        }
        place.stale = false;
        place.raise_index(self.mirror.largest_index(namespace));
        let largest = self.mirror.routes(namespace).map_or(0, mirror::Routes::largest);
        place.next_hop = place.next_hop.max(largest);
        if !self.mirror.bears_mark(namespace) {
            self.let_go(namespace);
        }
        Ok(())
    }

    /// A namespace without our mark is not ours.
    fn let_go(&mut self, namespace: &Namespace) {
        self.mirror.forget(namespace);
        if let (Some(place), Some(file_name)) = (self.places.remove(namespace), self.file_name(namespace)) {
            self.strangers.insert((file_name, place.sockets.identity));
        }
    }

    /// The name of a namespace's file, if it has one.
    pub(crate) fn file_name(&self, namespace: &Namespace) -> Option<String> {
        match namespace {
            Namespace::Host => None,
            named @ (Namespace::Named(_) | Namespace::Vrf(_)) => Some(format!("{}{named}", self.prefix)),
        }
    }

    /// What a namespace that was found is to us, by what is on its `lo`.
    fn place_in(&self, name: &NamespaceName, sockets: &mut Sockets) -> io::Result<Namespace> {
        let mut place = Namespace::Named(name.clone());
        sockets.route.ask(encode::ask_link(namespace::LOOPBACK), |message| {
            if let Some(Fact::Link(lo)) = parse::fact(message) {
                place = mirror::place_of(name, &lo, self.vrf);
            }
        })?;
        Ok(place)
    }

    /// Finds the namespaces that came and went since it was last looked.
    fn find_namespaces(&mut self) -> io::Result<()> {
        let changed = namespace::last_change();
        if changed.is_some() && changed == self.folder_seen {
            return Ok(());
        }
        let settled = |time: &SystemTime| time.elapsed().is_ok_and(|age| age > FOLDER_SETTLES);
        let found: BTreeMap<String, (u64, u64)> = namespace::list(&self.prefix)?.into_iter().collect();
        let is_there = |file_name: &str, place: &Place| found.get(file_name) == Some(&place.sockets.identity);
        let gone: Vec<Namespace> = (self.places.iter())
            .filter(|(namespace, place)| {
                self.file_name(namespace).is_some_and(|file_name| !is_there(&file_name, place))
            })
            .map(|(namespace, _)| namespace.clone())
            .collect();
        for namespace in gone {
            self.mirror.forget(&namespace);
            self.places.remove(&namespace);
        }
        self.strangers.retain(|(file_name, identity)| found.get(file_name) == Some(identity));
        for (file_name, identity) in found {
            let Ok(name) = file_name[self.prefix.len()..].parse::<NamespaceName>() else { continue };
            let as_vrf = file_name[self.prefix.len()..].parse().map(Namespace::Vrf);
            let is_known = as_vrf.is_ok_and(|vrf| self.places.contains_key(&vrf))
                || self.places.contains_key(&Namespace::Named(name.clone()))
                || self.strangers.contains(&(file_name.clone(), identity));
            if is_known {
                continue;
            }
            match Sockets::open(Some(&namespace::path_of(&file_name))) {
                Ok(mut sockets) => {
                    let namespace = self.place_in(&name, &mut sockets)?;
                    self.places.insert(namespace, Place::new(sockets));
                }
                // Removed by somebody meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.folder_seen = changed.filter(settled);
        Ok(())
    }
}

fn drain_place(mirror: &mut Mirror, namespace: &Namespace, place: &mut Place) {
    let mut missed = false;
    let heard = place.sockets.events.drain(|message| {
        if let Some(fact) = parse::fact(message) {
            missed |= mirror.take(namespace, fact).is_err();
        }
    });
    place.stale |= missed || heard.is_err() || !mirror.bears_mark(namespace);
}

/// The links that may have filters of ours.
fn filtered(facts: &[Fact], (has_devices, has_limits): (bool, bool)) -> Vec<u32> {
    let ours = |fact: &Fact| match fact {
        // In a VRF device, what comes in may be marked, at either end of a veth.
        Fact::Link(link) if has_devices && link.master.is_some() && mirror::end_mark(link).is_some() => {
            Some(link.index)
        }
        Fact::Link(link) if has_limits && mirror::end_mark(link).is_some() => Some(link.index),
        // Otherwise nothing is filtered on a tunnel, nor on a VLAN.
        Fact::Link(RawLink { kind: RawKind::Vxlan { .. }, .. }) if !has_devices => None,
        Fact::Link(RawLink { kind: RawKind::Vlan { .. }, .. }) => None,
        Fact::Link(link) => {
            let ours = mirror::own_mark(link).is_some() || mirror::adoption_mark(link).is_some();
            ours.then_some(link.index)
        }
        _ => None,
    };
    facts.iter().filter_map(ours).collect()
}

impl Driver for LinuxHost {
    fn observe(&mut self) -> Result<&State, ObserveError> {
        self.catch_up()?;
        Ok(self.mirror.state())
    }

    fn apply(&mut self, plan: &Plan) -> Vec<StepOutcome> {
        self.carry_out(plan)
    }

    fn capabilities(&self) -> BTreeSet<Capability> {
        self.capabilities.clone()
    }
}
