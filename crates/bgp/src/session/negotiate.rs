//! What we say in OPEN, and what follows from the neighbour's (RFC 5492).

use std::time::Duration;

use weft_net::Asn;

use super::config::{PeerAs, SessionConfig};
use crate::wire::{
    AddPathMode, Capability, Codec, Family, FamilySet, GracefulRestart, GracefulRestartFamily,
    LongLivedFamily, Notification, NotificationCode, Open, RawFamily,
};

/// AFI of IPv6, as RFC 8950 names the next hop's family.
const AFI_IPV6: u16 = 2;

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// How messages are read and written.
    pub codec: Codec,
    /// How long the neighbour may be silent; nothing: as long as it likes.
    pub hold_time: Option<Duration>,
    /// What the neighbour said.
    pub open: Open,
    /// Its autonomous system.
    pub peer_as: Asn,
    /// Both know ROUTE-REFRESH.
    pub has_route_refresh: bool,
    /// Both know its begin and end (RFC 7313).
    pub has_enhanced_refresh: bool,
    /// What the neighbour said of graceful restart, if we said something too.
    pub graceful: Option<GracefulRestart>,
    /// Both keep routes also after a NOTIFICATION (RFC 8538).
    pub graceful_notification: bool,
    /// How long the neighbour's stale routes may be kept after its restart time (RFC 9494).
    pub long_lived: Vec<(Family, Duration)>,
}

/// Whether we have just restarted, as OPEN says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restart {
    /// We have, and have not yet all routes again.
    pub(crate) is_restarting: bool,
    /// Packets were forwarded meanwhile.
    pub(crate) forwarding_kept: bool,
}

pub(super) fn open(config: &SessionConfig, restart: Restart) -> Open {
    let raw = |set: FamilySet| set.iter().map(Family::raw);
    let mut capabilities: Vec<Capability> = raw(config.families).map(Capability::Multiprotocol).collect();
    capabilities.extend([Capability::RouteRefresh, Capability::EnhancedRouteRefresh]);
    capabilities.push(Capability::FourOctetAs(config.local_as));
    capabilities.push(Capability::ExtendedMessage);
    if !config.extended_next_hop.is_empty() {
        let families = raw(config.extended_next_hop).map(|family| (family, AFI_IPV6));
        capabilities.push(Capability::ExtendedNextHop(families.collect()));
    }
    let add_path: Vec<(RawFamily, AddPathMode)> = config
        .families
        .iter()
        .filter_map(|family| Some((family.raw(), add_path_mode(config, family)?)))
        .collect();
    if !add_path.is_empty() {
        capabilities.push(Capability::AddPath(add_path));
    }
    if let Some(graceful) = config.graceful_restart {
        let forwarding_kept = restart.forwarding_kept;
        let families = raw(config.families).map(|family| GracefulRestartFamily { family, forwarding_kept });
        capabilities.push(Capability::GracefulRestart(GracefulRestart {
            is_restarting: restart.is_restarting,
            with_notification: true,
            restart_time_s: graceful.restart_time_s,
            families: families.collect(),
        }));
        let stale_time_s = graceful.long_lived_stale_time_s;
        if stale_time_s > 0 {
            let families = raw(config.families);
            let families = families.map(|family| LongLivedFamily { family, forwarding_kept, stale_time_s });
            capabilities.push(Capability::LongLivedGracefulRestart(families.collect()));
        }
    }
    let my_as = config.local_as.two_octets().unwrap_or(Asn::TRANS.two_octets().unwrap_or_default());
    Open { my_as, hold_time_s: config.hold_time_s, router_id: config.router_id, capabilities }
}

fn add_path_mode(config: &SessionConfig, family: Family) -> Option<AddPathMode> {
    match (config.add_path_receive.contains(family), config.add_path_send.contains(family)) {
        (true, true) => Some(AddPathMode::Both),
        (true, false) => Some(AddPathMode::Receive),
        (false, true) => Some(AddPathMode::Send),
        (false, false) => None,
    }
}

/// What follows from a neighbour's OPEN, or why the session cannot be (RFC 4271 §6.2).
pub(super) fn negotiate(config: &SessionConfig, open: Open) -> Result<Negotiated, Notification> {
    let peer_as = open.asn();
    let is_wanted = match config.peer_as {
        PeerAs::Exactly(asn) => asn == peer_as,
        PeerAs::External => peer_as != config.local_as,
        PeerAs::Any => true,
    };
    if !is_wanted {
        return Err(Notification::new(NotificationCode::BAD_PEER_AS));
    }
    let codec = codec(config, &open, peer_as);
    if open.router_id == config.router_id && peer_as == config.local_as {
        return Err(Notification::new(NotificationCode::BAD_BGP_IDENTIFIER));
    }
    let hold_time_s = open.hold_time_s.min(config.hold_time_s);
    let has = |wanted: &Capability| open.capabilities.contains(wanted);
    let ours = config.graceful_restart;
    let graceful = find(&open, |capability| match capability {
        Capability::GracefulRestart(graceful) => Some(graceful.clone()),
        _ => None,
    });
    let graceful = graceful.filter(|_| ours.is_some());
    Ok(Negotiated {
        codec,
        hold_time: (hold_time_s > 0).then(|| Duration::from_secs(hold_time_s.into())),
        peer_as,
        has_route_refresh: has(&Capability::RouteRefresh),
        has_enhanced_refresh: has(&Capability::RouteRefresh) && has(&Capability::EnhancedRouteRefresh),
        graceful_notification: graceful.as_ref().is_some_and(|graceful| graceful.with_notification),
        graceful,
        long_lived: long_lived(config, &open),
        open,
    })
}

fn long_lived(config: &SessionConfig, open: &Open) -> Vec<(Family, Duration)> {
    if config.graceful_restart.is_none_or(|ours| ours.long_lived_stale_time_s == 0) {
        return Vec::new();
    }
    let families = find(open, |capability| match capability {
        Capability::LongLivedGracefulRestart(families) => Some(families.clone()),
        _ => None,
    });
    let time = |family: &LongLivedFamily| {
        Some((family.family.known()?, Duration::from_secs(family.stale_time_s.into())))
    };
    families.iter().flatten().filter_map(time).filter(|(_, time)| !time.is_zero()).collect()
}

fn codec(config: &SessionConfig, open: &Open, peer_as: Asn) -> Codec {
    let mut codec = Codec::new(config.kind_of(peer_as));
    let mut announced = FamilySet::EMPTY;
    let mut has_multiprotocol = false;
    for capability in &open.capabilities {
        match capability {
            Capability::Multiprotocol(raw) => {
                has_multiprotocol = true;
                raw.known().into_iter().for_each(|family| announced.insert(family));
            }
            Capability::FourOctetAs(_) => codec.four_octet_as = true,
            Capability::ExtendedMessage => codec.extended_message = true,
            Capability::ExtendedNextHop(families) => {
                let to_ipv6 = families.iter().filter(|(_, afi)| *afi == AFI_IPV6);
                let known = to_ipv6.filter_map(|(raw, _)| raw.known());
                codec.extended_next_hop =
                    known.filter(|family| config.extended_next_hop.contains(*family)).collect();
            }
            Capability::AddPath(families) => add_path(config, families, &mut codec),
            Capability::RouteRefresh
            | Capability::EnhancedRouteRefresh
            | Capability::GracefulRestart(_)
            | Capability::LongLivedGracefulRestart(_)
            | Capability::Unknown { .. } => {}
        }
    }
    if !has_multiprotocol {
        // RFC 4760 §8: who does not say otherwise speaks IPv4 unicast.
        announced.insert(Family::Ipv4Unicast);
    }
    codec.families = config.families.iter().filter(|family| announced.contains(*family)).collect();
    codec
}

fn add_path(config: &SessionConfig, families: &[(RawFamily, AddPathMode)], codec: &mut Codec) {
    for (raw, mode) in families {
        let Some(family) = raw.known() else { continue };
        let (sends, receives) = match mode {
            AddPathMode::Receive => (false, true),
            AddPathMode::Send => (true, false),
            AddPathMode::Both => (true, true),
        };
        if sends && config.add_path_receive.contains(family) {
            codec.add_path_receive.insert(family);
        }
        if receives && config.add_path_send.contains(family) {
            codec.add_path_send.insert(family);
        }
    }
}

fn find<T>(open: &Open, what: impl Fn(&Capability) -> Option<T>) -> Option<T> {
    open.capabilities.iter().find_map(what)
}
