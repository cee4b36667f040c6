//! What speakers have learned of networks: MAC addresses and endpoints, each told by several routes. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::ops::Bound;
use std::time::{Duration, Instant};

use weft_bgp::speaker::{Learned, LearnedPath, Route};
use weft_bgp::wire::{Attributes, Destination, ExtendedCommunity, LabelField, Payload, PmsiTunnel};
use weft_net::{Mac, Vni};
use weft_services::network::{Announcement, Reach};
use weft_services::{About, Fact, Id, LearnedMac, Onward};

use super::instance::Instance;
use super::routes::is_host;
use super::source::Source;

/// How long a MAC address stays where it is after two places have claimed it in turn (RFC 7432 §15.1).
const FROZEN_FOR: Duration = Duration::from_secs(180);

/// The route by which something of a network is announced: EVPN type 2 (RFC 7432 §7.2) or 3 (§7.3), over VXLAN (RFC 8365 §5.1).
pub(super) fn route(announcement: &Announcement) -> Route {
    let distinguisher = announcement.route_distinguisher;
    let mut attributes = Attributes::new(announcement.next_hop.into());
    attributes.local_pref = Some(announcement.local_pref);
    let targets = announcement.targets.iter().copied().map(ExtendedCommunity::from);
    let vxlan = ExtendedCommunity::encapsulation(ExtendedCommunity::ENCAPSULATION_VXLAN);
    match announcement.reach {
        Reach::Everybody => {
            let originator = announcement.next_hop;
            let label = LabelField::from_vni(announcement.vni);
            let tunnel = PmsiTunnel::ingress_replication(label, originator);
            attributes.edit_rare(|rare| rare.pmsi_tunnel = Some(tunnel));
            attributes.set_extended_communities(targets.chain([vxlan]));
            let destination = Destination::evpn_inclusive_multicast(distinguisher, originator);
            Route { destination, payload: Payload::None, attributes }
        }
        Reach::Station { mac, address, sequence } => {
            // What has never moved is told without (RFC 7432 §15).
            let moved = (sequence > 0).then(|| ExtendedCommunity::mac_mobility(sequence, false));
            attributes.set_extended_communities(targets.chain([vxlan]).chain(moved));
            let destination = Destination::evpn_mac_ip(distinguisher, mac, address);
            Route { destination, payload: Payload::vni(announcement.vni), attributes }
        }
    }
}

/// A MAC address of a network, with an address of its station.
pub(super) type MacKey = (Id, Mac, Option<IpAddr>);

/// What was learned of networks, by which speaker.
#[derive(Default)]
pub(super) struct Bridged {
    macs: BTreeMap<MacKey, BTreeMap<Id, LearnedMac>>,
    /// What two places claim in turn, and stays where a speaker had it first.
    frozen: HashMap<(Id, MacKey), Frozen>,
    /// The endpoint that an originator has told of.
    originators: HashMap<(Id, Id, IpAddr), IpAddr>,
    /// Of each endpoint, who has told of it.
    endpoints: BTreeMap<(Id, IpAddr), BTreeMap<(Id, IpAddr), Vni>>,
}

/// Where a MAC address is said to be that is kept where it was.
struct Frozen {
    until: Instant,
    said: LearnedMac,
}

impl Bridged {
    /// Takes over what a speaker has learned of a network; answers what that changes. What is no route to a MAC address or to
    /// everybody is left aside, and so is what cannot be used.
    pub(super) fn hear(&mut self, speaker: Id, network: Id, learned: &Learned, now: Instant) -> Vec<Fact> {
        match Source::of(Instance::MacVrf(network), &learned.destination) {
            Some(Source::Mac(network, mac, address)) => {
                let at = learned.paths.iter().find_map(place);
                let key = (network, mac, address);
                if self.is_kept(speaker, key, (at, learned.is_duplicate_mac), now) {
                    return Vec::new();
                }
                self.set_mac(speaker, key, at).into_iter().collect()
            }
            Some(Source::Everybody(network, originator)) => {
                let endpoint = learned.paths.iter().find_map(endpoint);
                self.set_endpoint((network, speaker, originator), endpoint)
            }
            Some(Source::Prefix(..)) | None => Vec::new(),
        }
    }

    /// Whether what is known to have been learned of a MAC address from a speaker is what the speaker has.
    pub(super) fn has_mac(&self, speaker: Id, key: MacKey, paths: &[LearnedPath]) -> bool {
        self.is_at(speaker, key, paths.iter().find_map(place))
    }

    /// It may be another place while two claim it.
    fn is_at(&self, speaker: Id, key: MacKey, at: Option<LearnedMac>) -> bool {
        let known = self.macs.get(&key).and_then(|by| by.get(&speaker)).copied();
        known == at || self.frozen.contains_key(&(speaker, key))
    }

    /// Whether what is known to have been learned from a speaker of where an originator wants what is for everybody is what the
    /// speaker has.
    pub(super) fn has_originator(
        &self,
        speaker: Id,
        (network, originator): (Id, IpAddr),
        paths: &[LearnedPath],
    ) -> bool {
        self.wants_at((network, speaker, originator)) == paths.iter().find_map(endpoint)
    }

    fn wants_at(&self, key: (Id, Id, IpAddr)) -> Option<(IpAddr, Vni)> {
        let (network, speaker, originator) = key;
        let endpoint = *self.originators.get(&key)?;
        let vni = self.endpoints.get(&(network, endpoint))?.get(&(speaker, originator))?;
        Some((endpoint, *vni))
    }

    /// What was learned after this, in order.
    pub(super) fn known_after(&self, onward: Onward) -> impl Iterator<Item = About> + use<'_> {
        let Onward { macs, endpoints, .. } = onward;
        let macs = macs.into_iter().flat_map(|from| self.macs.range((from, Bound::Unbounded)));
        let endpoints = endpoints.into_iter().flat_map(|from| self.endpoints.range((from, Bound::Unbounded)));
        let macs = macs.map(|((network, mac, address), _)| About::Mac(*network, *mac, *address));
        macs.chain(endpoints.map(|((network, endpoint), _)| About::Endpoint(*network, *endpoint)))
    }

    /// What was learned of a MAC address, by all speakers together.
    pub(super) fn mac(&self, key: MacKey) -> Option<LearnedMac> {
        self.macs.get(&key).and_then(last)
    }

    /// The VNI that an endpoint wants what is for everybody under, by all speakers together.
    pub(super) fn endpoint(&self, network: Id, endpoint: IpAddr) -> Option<Vni> {
        self.endpoints.get(&(network, endpoint)).and_then(|by| by.values().min().copied())
    }

    /// Who has learned something of a MAC address.
    pub(super) fn speakers_of_mac(&self, key: MacKey) -> impl Iterator<Item = Id> + use<'_> {
        self.macs.get(&key).into_iter().flat_map(|by| by.keys().copied())
    }

    /// Who has learned of an endpoint, and from which originators.
    pub(super) fn originators_of(
        &self,
        network: Id,
        endpoint: IpAddr,
    ) -> impl Iterator<Item = (Id, IpAddr)> + use<'_> {
        self.endpoints.get(&(network, endpoint)).into_iter().flat_map(|by| by.keys().copied())
    }

    /// Whether a MAC address stays where it is whatever a speaker says now: two places claim it (RFC 7432 §15.1). That nobody has it
    /// any more ends that.
    fn is_kept(
        &mut self,
        speaker: Id,
        key: MacKey,
        (at, is_duplicate): (Option<LearnedMac>, bool),
        now: Instant,
    ) -> bool {
        let place = (speaker, key);
        let Some(said) = at.filter(|_| self.macs.get(&key).is_some_and(|by| by.contains_key(&speaker)))
        else {
            self.frozen.remove(&place);
            return false;
        };
        if is_duplicate {
            let until = now + FROZEN_FOR;
            if self.frozen.insert(place, Frozen { until, said }).is_none() {
                let (network, mac, _) = key;
                tracing::error!(%network, %mac, %speaker, "two places claim a MAC address: it stays where it is");
            }
            return true;
        }
        let Some(frozen) = self.frozen.get_mut(&place) else { return false };
        frozen.said = said;
        true
    }

    /// What has not been claimed by two places for long enough is where it is said to be; answers what that changes.
    pub(super) fn thaw(&mut self, now: Instant) -> Vec<Fact> {
        let thawed: Vec<_> = self.frozen.extract_if(|_, frozen| frozen.until <= now).collect();
        thawed
            .into_iter()
            .filter_map(|((speaker, key), frozen)| self.set_mac(speaker, key, Some(frozen.said)))
            .collect()
    }

    /// What a speaker has learned is known no more; answers what that changes.
    pub(super) fn forget(&mut self, speaker: Id) -> Vec<Fact> {
        self.frozen.retain(|(of, _), _| *of != speaker);
        let macs: Vec<_> =
            self.macs.iter().filter(|(_, by)| by.contains_key(&speaker)).map(|(key, _)| *key).collect();
        let mut facts: Vec<Fact> =
            macs.into_iter().filter_map(|key| self.set_mac(speaker, key, None)).collect();
        let told: Vec<_> = self.originators.keys().filter(|(_, of, _)| *of == speaker).copied().collect();
        facts.extend(told.into_iter().flat_map(|key| self.set_endpoint(key, None)));
        facts
    }

    fn set_mac(&mut self, speaker: Id, key: MacKey, at: Option<LearnedMac>) -> Option<Fact> {
        let by = self.macs.entry(key).or_default();
        let before = last(by);
        match at {
            Some(at) => by.insert(speaker, at),
            None => by.remove(&speaker),
        };
        let after = last(by);
        if by.is_empty() {
            self.macs.remove(&key);
        }
        let (network, mac, address) = key;
        (before != after).then_some(Fact::Mac { network, mac, address, at: after })
    }

    fn set_endpoint(&mut self, key: (Id, Id, IpAddr), at: Option<(IpAddr, Vni)>) -> Vec<Fact> {
        let (network, speaker, originator) = key;
        let before = match at {
            Some((endpoint, _)) => self.originators.insert(key, endpoint),
            None => self.originators.remove(&key),
        };
        let gone = before.filter(|before| at.is_none_or(|(endpoint, _)| endpoint != *before));
        let set = gone.map(|endpoint| (endpoint, None)).into_iter();
        let set = set.chain(at.map(|(endpoint, vni)| (endpoint, Some(vni))));
        let set: HashSet<(IpAddr, Option<Vni>)> = set.collect();
        let told = |(endpoint, vni)| {
            let by = self.endpoints.entry((network, endpoint)).or_default();
            let before = by.values().min().copied();
            match vni {
                Some(vni) => by.insert((speaker, originator), vni),
                None => by.remove(&(speaker, originator)),
            };
            let after = by.values().min().copied();
            if by.is_empty() {
                self.endpoints.remove(&(network, endpoint));
            }
            (before != after).then_some(Fact::Endpoint { network, endpoint, vni: after })
        };
        set.into_iter().filter_map(told).collect()
    }
}

/// Of what several speakers say of one MAC address, where it has moved to last.
fn last(by: &BTreeMap<Id, LearnedMac>) -> Option<LearnedMac> {
    by.values()
        .max_by_key(|at| (at.is_sticky, at.sequence, std::cmp::Reverse((at.endpoint, at.vni))))
        .copied()
}

/// Where a path of type 2 leads; `None` where it cannot be used.
fn place(path: &LearnedPath) -> Option<LearnedMac> {
    let Payload::Evpn(payload) = &path.payload else { return None };
    let communities = path.attributes.extended_communities();
    let mobility = communities.iter().find_map(|one| one.as_mac_mobility());
    let (sequence, is_sticky) = mobility.unwrap_or_default();
    let endpoint = Some(path.attributes.next_hop.address()).filter(|endpoint| is_host(*endpoint))?;
    Some(LearnedMac { endpoint, vni: payload.label.vni()?, sequence, is_sticky })
}

/// To where a path of type 3 wants frames to be sent, and under which VNI (RFC 8365 §9); `None` where a copy for each receiver is
/// not what it wants.
fn endpoint(path: &LearnedPath) -> Option<(IpAddr, Vni)> {
    let tunnel = path.attributes.rare().pmsi_tunnel.as_ref()?;
    let receiver = tunnel.receiver().filter(|receiver| is_host(*receiver))?;
    Some((receiver, tunnel.label.vni()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> Id {
        format!("00000000-0000-4000-8000-0000000000{n:02x}").parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn vni(number: u32) -> Vni {
        number.try_into().unwrap()
    }

    #[test]
    fn an_endpoint_is_there_for_as_long_as_somebody_tells_of_it() {
        let (network, one, two) = (id(1), id(2), id(3));
        let [near, far] = [address("192.0.2.1"), address("192.0.2.2")];
        let mut bridged = Bridged::default();
        let told = |endpoint, vni| Fact::Endpoint { network, endpoint, vni };
        let mut set = |speaker, at| bridged.set_endpoint((network, speaker, near), at);
        assert_eq!(set(one, Some((near, vni(7)))), [told(near, Some(vni(7)))]);
        assert_eq!(set(one, Some((near, vni(7)))), [], "no news");
        assert_eq!(set(two, Some((near, vni(9)))), [], "the lowest VNI is taken");
        assert_eq!(set(one, None), [told(near, Some(vni(9)))]);
        let mut moved = set(two, Some((far, vni(9))));
        moved.sort_by_key(|fact| format!("{fact:?}"));
        assert_eq!(moved, [told(near, None), told(far, Some(vni(9)))]);
        assert_eq!(bridged.forget(two), [told(far, None)]);
        assert!(bridged.originators.is_empty() && bridged.endpoints.is_empty());
    }

    #[test]
    fn what_a_speaker_has_of_a_network_and_is_not_known_so_is_seen() {
        let (network, speaker) = (id(1), id(2));
        let [near, far] = [address("192.0.2.1"), address("192.0.2.2")];
        let at = |endpoint| Some(LearnedMac { endpoint, vni: vni(7), sequence: 0, is_sticky: false });
        let mac = Mac::new([2, 0, 0, 0, 0, 1]);
        let key = (network, mac, None);
        let mut bridged = Bridged::default();
        assert!(bridged.is_at(speaker, key, None) && !bridged.is_at(speaker, key, at(near)));
        bridged.set_mac(speaker, key, at(near));
        assert_eq!([None, at(near), at(far)].map(|at| bridged.is_at(speaker, key, at)), [false, true, false]);
        assert!(bridged.is_kept(speaker, key, (at(far), true), Instant::now()));
        assert!(bridged.is_at(speaker, key, at(far)), "it stays where it is while two claim it");
        let origin = (network, speaker, near);
        assert_eq!(bridged.wants_at(origin), None);
        bridged.set_endpoint(origin, Some((far, vni(7))));
        assert_eq!(bridged.wants_at(origin), Some((far, vni(7))));
        let known: Vec<About> = bridged.known_after(About::onward(None)).collect();
        assert_eq!(known, [About::Mac(network, mac, None), About::Endpoint(network, far)]);
        let from_mac = About::onward(Some(known[0]));
        assert_eq!(bridged.known_after(from_mac).collect::<Vec<_>>(), known[1..]);
        assert_eq!((bridged.mac(key), bridged.endpoint(network, far)), (at(near), Some(vni(7))));
        assert_eq!(bridged.speakers_of_mac(key).collect::<Vec<_>>(), [speaker]);
        assert_eq!(bridged.originators_of(network, far).collect::<Vec<_>>(), [(speaker, near)]);
        bridged.forget(speaker);
        assert_eq!(bridged.known_after(About::onward(None)).next(), None);
    }

    #[test]
    fn of_what_speakers_say_of_a_mac_address_the_last_move_counts() {
        let (network, one, two, mac) = (id(1), id(2), id(3), Mac::new([2, 0, 0, 0, 0, 1]));
        let at = |endpoint: &str, sequence| LearnedMac {
            endpoint: address(endpoint),
            vni: vni(7),
            sequence,
            is_sticky: false,
        };
        let told = |at| Fact::Mac { network, mac, address: None, at };
        let mut bridged = Bridged::default();
        let (older, newer) = (at("192.0.2.1", 0), at("192.0.2.2", 1));
        let key = (network, mac, None);
        assert_eq!(bridged.set_mac(one, key, Some(newer)), Some(told(Some(newer))));
        assert_eq!(bridged.set_mac(two, key, Some(older)), None);
        assert_eq!(bridged.forget(one), [told(Some(older))]);
        assert_eq!(bridged.forget(two), [told(None)]);
        assert!(bridged.macs.is_empty());
    }

    #[test]
    fn a_mac_address_that_two_places_claim_stays_until_they_have_been_quiet() {
        let (network, speaker, mac) = (id(1), id(2), Mac::new([2, 0, 0, 0, 0, 1]));
        let at = |host: u8| {
            let endpoint = [192, 0, 2, host].into();
            Some(LearnedMac { endpoint, vni: vni(7), sequence: 0, is_sticky: false })
        };
        let told = |at| Fact::Mac { network, mac, address: None, at };
        let (key, start) = ((network, mac, None), Instant::now());
        let mut bridged = Bridged::default();
        assert!(!bridged.is_kept(speaker, key, (at(1), true), start), "nothing is known yet");
        bridged.set_mac(speaker, key, at(1));
        assert!(bridged.is_kept(speaker, key, (at(2), true), start));
        assert!(bridged.is_kept(speaker, key, (at(3), false), start));
        assert_eq!(bridged.thaw(start), []);
        assert_eq!(bridged.thaw(start + FROZEN_FOR), [told(at(3))], "where it was said to be last");
        assert!(!bridged.is_kept(speaker, key, (at(2), false), start + FROZEN_FOR));
        // Whoever has gone claims nothing.
        assert!(bridged.is_kept(speaker, key, (at(2), true), start));
        assert!(!bridged.is_kept(speaker, key, (None, false), start));
        assert_eq!(bridged.thaw(start + FROZEN_FOR), []);
    }
}
