//! Routes: inline where there is one path, by its number where that is to a router, by a group of next hops where there are more.
//!
//! A group is one route's alone, so that its members change without the route being touched, and flows stay where they are on
//! the members that stay. What leads the same way is one next hop, whatever groups it is in. Numbers are chosen here, and read
//! back from the routes that use them.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_dataplane::{
    INGRESS_TABLE, LinkId, Namespace, PATHS_MAX, Path, Route, RouteTo, StepError, StepOutcome, WEIGHT_MAX,
};
use weft_net::Capability;

use super::{At, Care, Run, refuse};
use crate::encode::{self, RouteChange, Target};
use crate::guard;
use crate::host::{LinuxHost, Place};
use crate::parse::{self, Family, RawHop};
use crate::steer;
use crate::vrf::{self, VrfMode};
use crate::wire::number::{AF_INET, AF_INET6};

/// A route being set: where, in which table, and how.
struct Setting<'a> {
    at: At<'a>,
    route: &'a Route,
    key: (u32, IpNet),
    change: RouteChange,
}

/// The next hops that a plan made, which the mirror may not know yet.
pub(super) type Made = HashMap<(Namespace, RawHop), u32>;

impl LinuxHost {
    pub(super) fn set_route(
        &mut self,
        run: &mut Run,
        step: usize,
        route: &Route,
        change: RouteChange,
    ) -> StepOutcome {
        let netns = self.mirror.netns(&route.namespace);
        let at = At { step, namespace: netns };
        let key = (self.table_of(route)?, route.destination);
        let to = match &route.to {
            RouteTo::Unreachable => Target::Unreachable,
            RouteTo::Blackhole => Target::Blackhole,
            RouteTo::Paths(paths) => {
                return self.set_paths(run, &Setting { at, route, key, change }, paths);
            }
        };
        self.turn_to(run, netns);
        run.put(at, Care::Must, |batch| encode::route(batch, change, key, to));
        Ok(())
    }

    fn set_paths(&mut self, run: &mut Run, setting: &Setting<'_>, paths: &[Path]) -> StepOutcome {
        let Setting { at, route, key, change } = *setting;
        if paths.is_empty() || paths.len() > PATHS_MAX {
            return refuse(format!("a route has 1 to {PATHS_MAX} paths"));
        }
        if paths.iter().any(|path| path.weight > WEIGHT_MAX) {
            return refuse(format!("the weight of a path is {WEIGHT_MAX} at most"));
        }
        let resilient = self.capabilities.contains(&Capability::ResilientNextHops);
        let routes = self.mirror.routes(at.namespace).filter(|_| change == RouteChange::Replace);
        let group = routes.and_then(|routes| routes.own_group(&key, resilient));
        if let ([path], None) = (paths, &group) {
            return self.set_path(run, setting, path);
        }
        let hops = paths.iter().map(|path| self.hop(run, at, route, path));
        let hops: Vec<RawHop> = hops.collect::<Result<_, _>>()?;
        // The kernel takes no next hop out of a link without a carrier.
        if run.has_new_links {
            self.flush_all(run);
        }
        let mut members = Vec::with_capacity(hops.len());
        for (hop, path) in hops.into_iter().zip(paths) {
            members.push((self.next_hop(run, at, hop)?, path.weight));
        }
        members.sort_unstable();
        let (id, before) = match group {
            Some((id, before)) => (id, Some(before)),
            None => (self.place(at.namespace)?.take_next_hop(), None),
        };
        let is_ingress = route.table == INGRESS_TABLE;
        let buckets = if is_ingress { encode::INGRESS_BUCKETS } else { encode::BUCKETS };
        run.put(at, Care::Must, |batch| {
            encode::group(batch, (id, before.as_deref()), &members, resilient.then_some(buckets));
            if before.is_none() {
                encode::route(batch, change, key, Target::NextHop(id));
            }
        });
        Ok(())
    }

    /// One path: to a router by its number, since very many routes lead to one and the kernel then looks at the way once; inline
    /// else.
    fn set_path(&mut self, run: &mut Run, setting: &Setting<'_>, path: &Path) -> StepOutcome {
        let Setting { at, route, key, change } = *setting;
        let hop = self.hop(run, at, route, path)?;
        let is_router = matches!(path.via, Some(IpAddr::V6(via)) if via.is_unicast_link_local());
        if !is_router || !path.labels.is_empty() {
            run.put(at, Care::Must, |batch| encode::route(batch, change, key, Target::Hop(&hop)));
            return Ok(());
        }
        if run.has_new_links {
            self.flush_all(run);
        }
        let id = self.next_hop(run, at, hop)?;
        run.put(at, Care::Must, |batch| encode::route(batch, change, key, Target::NextHop(id)));
        Ok(())
    }

    /// A path by the numbers of links.
    fn hop(&mut self, run: &mut Run, at: At<'_>, route: &Route, path: &Path) -> Result<RawHop, StepError> {
        if route.destination.addr().is_ipv6() && path.via.is_some_and(|via| via.is_ipv4()) {
            return refuse("the router of an IPv6 route has an IPv6 address, with labels as well");
        }
        let link = match (path.link, path.via) {
            (Some(name), _) => {
                self.any(run, at.step, &LinkId { namespace: route.namespace.clone(), name })?.0
            }
            (None, Some(via)) if self.vrf == VrfMode::Device && !path.labels.is_empty() => {
                self.way_to(via)?
            }
            (None, _) => return refuse("a path without a link has labels, in a VRF that is a device"),
        };
        let is_ipv4 = path.via.map_or(route.destination.addr().is_ipv4(), |via| via.is_ipv4());
        let family = if is_ipv4 { AF_INET } else { AF_INET6 };
        Ok(RawHop { family, link, via: path.via, labels: path.labels.clone() })
    }

    /// The link of the host's own namespace that leads to an address.
    fn way_to(&mut self, via: IpAddr) -> Result<u32, StepError> {
        match self.place(&Namespace::Host)?.sockets.way_to(via) {
            Ok(Some(link)) => Ok(link),
            Ok(None) => refuse(format!("nothing leads to {via}")),
            Err(error) => refuse(format!("nothing leads to {via}: {error}")),
        }
    }

    /// The number of the next hop that leads this way; it is made if there is none.
    fn next_hop(&mut self, run: &mut Run, at: At<'_>, hop: RawHop) -> Result<u32, StepError> {
        if let Some(id) = self.mirror.routes(at.namespace).and_then(|routes| routes.find(&hop)) {
            return Ok(id);
        }
        let named = (at.namespace.clone(), hop);
        if let Some(id) = run.next_hops.get(&named) {
            return Ok(*id);
        }
        let id = self.place(at.namespace)?.take_next_hop();
        run.put(at, Care::Must, |batch| encode::next_hop(batch, id, &named.1));
        run.next_hops.insert(named, id);
        Ok(id)
    }

    /// The number of the table that a route is in.
    fn table_of(&self, route: &Route) -> Result<u32, StepError> {
        let (is_own, is_ingress) =
            (route.table == u32::from(libc::RT_TABLE_MAIN), route.table == INGRESS_TABLE);
        match (&route.namespace, self.vrf) {
            (Namespace::Vrf(_), _) if !is_own && !is_ingress => {
                refuse(format!("a VRF has the tables 254 and {INGRESS_TABLE}"))
            }
            (Namespace::Vrf(name), VrfMode::Device) => match self.mirror.vrf_device(*name) {
                Some((_, table)) if is_own => Ok(table),
                Some((_, table)) => Ok(vrf::ingress_table(table)),
                None => refuse(format!("there is no VRF {name}")),
            },
            _ => Ok(route.table),
        }
    }

    /// Has what comes in by a link of a VRF routed by its ingress table, or no longer: in the families in which it is not.
    ///
    /// By a rule that names the link; but for IPv6, the kernel asks rules as if all that comes into a VRF device had come in by
    /// the device itself. There the link marks what comes in, and a rule names the mark.
    pub(super) fn set_ingress(
        &mut self,
        run: &mut Run,
        step: usize,
        link: &LinkId,
        there: bool,
    ) -> StepOutcome {
        if !matches!(link.namespace, Namespace::Vrf(_)) {
            return refuse("only a VRF has an ingress table");
        }
        let netns = self.mirror.netns(&link.namespace);
        self.turn_to(run, netns);
        let at = At { step, namespace: netns };
        let table = self.ingress_table_of(&link.namespace).unwrap_or(INGRESS_TABLE);
        let families = self.mirror.ingress(netns, table, link.name);
        let care = if there { Care::Must } else { Care::Removes };
        for family in
            [Family::Ipv4, Family::Ipv6].into_iter().filter(|family| families.contains(family) != there)
        {
            if family == Family::Ipv6 && self.vrf == VrfMode::Device {
                self.set_mark(run, step, link, there.then_some(table))?;
            } else {
                let rule = (link.name, table);
                run.put(at, care, |batch| encode::ingress_rule(batch, there, family, rule));
            }
        }
        // A gateway has the same address on every host, and what another one says with it is to be heard.
        if there && let Ok((index, at)) = self.any(run, step, link) {
            run.put(at, care, |batch| encode::set_ipv4(batch, index, &guard::INGRESS_IPV4));
        }
        Ok(())
    }

    /// Has a link mark what comes in, or no longer.
    fn set_mark(&mut self, run: &mut Run, step: usize, link: &LinkId, mark: Option<u32>) -> StepOutcome {
        let (index, at) = match self.any(run, step, link) {
            Ok(found) => found,
            // Where the link is gone, so is all that it had.
            Err(_) if mark.is_none() => return Ok(()),
            Err(error) => return Err(error),
        };
        match mark {
            Some(mark) => {
                run.put(at, Care::May, |batch| steer::ready(batch, index));
                run.put(at, Care::Must, |batch| steer::put_mark(batch, index, mark));
            }
            None => run.put(at, Care::Removes, |batch| steer::take_off(batch, index)),
        }
        Ok(())
    }

    pub(super) fn delete_route(&mut self, run: &mut Run, step: usize, route: &Route) -> StepOutcome {
        // Where the VRF is gone, so is all that it had.
        let Ok(table) = self.table_of(route) else { return Ok(()) };
        let netns = self.mirror.netns(&route.namespace);
        let (at, key) = (At { step, namespace: netns }, (table, route.destination));
        self.turn_to(run, netns);
        let raw = self.mirror.routes(netns).and_then(|routes| routes.get(&key)).map(|raw| raw.to.clone());
        let to = match &raw {
            Some(parse::RawTo::Hop(hop)) => Target::Hop(hop),
            Some(parse::RawTo::NextHop(id)) => Target::NextHop(*id),
            Some(parse::RawTo::Unreachable) => Target::Unreachable,
            Some(parse::RawTo::Blackhole) => Target::Blackhole,
            Some(parse::RawTo::Other) => return refuse("it is of a kind that is not known here"),
            None => return Ok(()),
        };
        run.put(at, Care::Removes, |batch| encode::route(batch, RouteChange::Delete, key, to));
        Ok(())
    }

    /// Removes the next hops and groups of ours that nothing leads to any more. Where events were lost, it is not known what does.
    pub(super) fn remove_orphans(&mut self, run: &mut Run) {
        let is_known = |(_, place): &(&Namespace, &Place)| !place.stale;
        let places: Vec<Namespace> =
            self.places.iter().filter(is_known).map(|(namespace, _)| namespace.clone()).collect();
        for namespace in places {
            let orphans = self.mirror.orphans(&namespace);
            // What is not removed now is seen, and removed, the next time; it is no step's failure.
            let at = At { step: usize::MAX, namespace: &namespace };
            for chunk in orphans.chunks(super::STEP_MESSAGES_MAX) {
                self.turn_to(run, &namespace);
                run.put(at, Care::Removes, |batch| {
                    chunk.iter().for_each(|id| encode::delete_next_hop(batch, *id));
                });
            }
        }
    }
}
