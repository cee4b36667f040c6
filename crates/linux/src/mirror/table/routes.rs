//! Routes and the next hops that they lead to.
//!
//! ```text
//! route ── by number ──> group ── members ──> next hop ──> link
//!   └────────────── inline ──────────────────────────────> link
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::Touched;
use crate::parse::{RawHop, RawNextHop, RawRoute, RawTo};

/// A routing table's number, and a destination.
type RouteKey = (u32, IpNet);

const SMALLEST: RouteKey = (0, IpNet::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 0)));

#[derive(Default)]
pub(crate) struct Routes {
    routes: BTreeMap<RouteKey, RawRoute>,
    by_link: BTreeSet<(u32, u32, IpNet)>,
    by_next_hop: BTreeSet<(u32, u32, IpNet)>,
    /// What routes name by number, and whether it is ours.
    next_hops: BTreeMap<u32, (RawNextHop, bool)>,
    /// Those of ours that are no groups.
    by_hop: BTreeSet<(RawHop, u32)>,
    groups_of: BTreeSet<(u32, u32)>,
    /// What nothing may lead to any more.
    doubtful: BTreeSet<u32>,
}

impl Routes {
    pub(crate) fn get(&self, key: &RouteKey) -> Option<&RawRoute> {
        self.routes.get(key)
    }

    /// The ways out of a next hop, or of a group of them, with their weights.
    pub(crate) fn hops(&self, id: u32) -> Vec<(&RawHop, u16)> {
        let single = |id: u32| match self.next_hops.get(&id) {
            Some((RawNextHop::Hop(hop), _)) => Some(hop),
            _ => None,
        };
        match self.next_hops.get(&id) {
            Some((RawNextHop::Group { members, .. }, _)) => {
                members.iter().filter_map(|(id, weight)| Some((single(*id)?, *weight))).collect()
            }
            _ => single(id).map(|hop| (hop, 1)).into_iter().collect(),
        }
    }

    /// The number of the next hop of ours that leads this way.
    pub(crate) fn find(&self, wanted: &RawHop) -> Option<u32> {
        let found = self.by_hop.range((wanted.clone(), 0)..).next();
        found.filter(|(hop, _)| hop == wanted).map(|(_, id)| *id)
    }

    /// Whether a next hop is somebody else's.
    pub(in crate::mirror) fn is_strangers(&self, id: u32) -> bool {
        self.next_hops.get(&id).is_some_and(|(_, ours)| !ours)
    }

    /// The routes along labelled paths by way of any of these routers.
    pub(in crate::mirror) fn labelled(&self, routers: &BTreeSet<IpAddr>) -> Vec<RouteKey> {
        let is_one =
            |hop: &RawHop| !hop.labels.is_empty() && hop.via.is_some_and(|via| routers.contains(&via));
        let leads = |to: &RawTo| match to {
            RawTo::Hop(hop) => is_one(hop),
            RawTo::NextHop(id) => self.hops(*id).into_iter().any(|(hop, _)| is_one(hop)),
            RawTo::Unreachable | RawTo::Blackhole | RawTo::Other => false,
        };
        self.routes.iter().filter(|(_, route)| leads(&route.to)).map(|(key, _)| *key).collect()
    }

    /// The group of ours and of this type that a route leads to, and its members with their weights.
    pub(crate) fn own_group(&self, key: &RouteKey, of_type: bool) -> Option<(u32, Vec<(u32, u16)>)> {
        let RawTo::NextHop(id) = self.routes.get(key)?.to else { return None };
        match self.next_hops.get(&id)? {
            (RawNextHop::Group { resilient, members }, true) if *resilient == of_type => {
                Some((id, members.clone()))
            }
            _ => None,
        }
    }

    /// The largest number that is taken.
    pub(crate) fn largest(&self) -> u32 {
        self.next_hops.keys().next_back().copied().unwrap_or(0)
    }

    /// What is ours and nothing leads to: groups first, then their members. They are so until they are gone.
    pub(crate) fn orphans(&mut self) -> Vec<u32> {
        let doubtful = std::mem::take(&mut self.doubtful);
        let left = doubtful.into_iter().filter(|id| !first_of(&self.by_next_hop, *id));
        let ours = left.filter_map(|id| match self.next_hops.get(&id)? {
            (hop, true) => Some((id, hop)),
            (_, false) => None,
        });
        let (mut groups, mut single) = (BTreeSet::new(), BTreeSet::new());
        for (id, hop) in ours {
            match hop {
                RawNextHop::Group { members, .. } => {
                    groups.insert(id);
                    single.extend(members.iter().map(|(member, _)| *member));
                }
                RawNextHop::Hop(_) | RawNextHop::Other => drop(single.insert(id)),
            }
        }
        single.retain(|id| {
            let is_ours = self.next_hops.get(id).is_some_and(|(_, ours)| *ours);
            let mut groups_of = self.groups_of.range((*id, 0)..).take_while(|(member, _)| member == id);
            let is_in_others = groups_of.any(|(_, group)| !groups.contains(group));
            is_ours && !is_in_others && !first_of(&self.by_next_hop, *id)
        });
        self.doubtful = groups.union(&single).copied().collect();
        groups.into_iter().chain(single).collect()
    }

    /// Takes a route in; `knows` says whether a link is known.
    pub(in crate::mirror) fn route(
        &mut self,
        key: RouteKey,
        route: RawRoute,
        knows: impl Fn(u32) -> bool,
    ) -> Touched {
        let before = self.routes.get(&key);
        if !route.ours {
            return match before {
                Some(before) if route.replaces && before.priority == route.priority => {
                    self.remove(key);
                    Touched::Route(key)
                }
                _ => Touched::Nothing,
            };
        }
        if matches!(&route.to, RawTo::Hop(hop) if !knows(hop.link)) {
            return Touched::Unknown;
        }
        if before == Some(&route) {
            return Touched::Nothing;
        }
        if before.is_some() {
            self.remove(key);
        }
        match &route.to {
            RawTo::Hop(hop) => {
                self.by_link.insert((hop.link, key.0, key.1));
            }
            RawTo::NextHop(id) => {
                self.by_next_hop.insert((*id, key.0, key.1));
            }
            RawTo::Unreachable | RawTo::Blackhole | RawTo::Other => {}
        }
        self.routes.insert(key, route);
        Touched::Route(key)
    }

    pub(in crate::mirror) fn gone(&mut self, key: RouteKey, priority: u32) -> Touched {
        if self.routes.get(&key).is_none_or(|route| route.priority != priority) {
            return Touched::Nothing;
        }
        self.remove(key);
        Touched::Route(key)
    }

    fn remove(&mut self, key: RouteKey) {
        match self.routes.remove(&key).map(|route| route.to) {
            Some(RawTo::Hop(hop)) => {
                self.by_link.remove(&(hop.link, key.0, key.1));
            }
            Some(RawTo::NextHop(id)) => {
                self.by_next_hop.remove(&(id, key.0, key.1));
                self.doubtful.insert(id);
            }
            Some(RawTo::Unreachable | RawTo::Blackhole | RawTo::Other) | None => {}
        }
    }

    /// Takes a next hop in; answers the routes that lead to it.
    pub(crate) fn next_hop(&mut self, id: u32, hop: RawNextHop, ours: bool) -> Vec<RouteKey> {
        self.forget(id);
        match &hop {
            RawNextHop::Group { members, .. } => {
                self.groups_of.extend(members.iter().map(|(member, _)| (*member, id)));
            }
            RawNextHop::Hop(hop) if ours => drop(self.by_hop.insert((hop.clone(), id))),
            RawNextHop::Hop(_) | RawNextHop::Other => {}
        }
        self.next_hops.insert(id, (hop, ours));
        self.doubtful.insert(id);
        self.leading_to(id)
    }

    /// A next hop or a group is no longer what it was.
    fn forget(&mut self, id: u32) {
        match self.next_hops.remove(&id) {
            Some((RawNextHop::Group { members, .. }, _)) => {
                for (member, _) in members {
                    self.groups_of.remove(&(member, id));
                    self.doubtful.insert(member);
                }
            }
            Some((RawNextHop::Hop(hop), _)) => drop(self.by_hop.remove(&(hop, id))),
            Some((RawNextHop::Other, _)) | None => {}
        }
    }

    /// The routes that lead to a next hop, by way of groups as well.
    fn leading_to(&self, id: u32) -> Vec<RouteKey> {
        let direct = |id: u32| {
            let from = (id, SMALLEST.0, SMALLEST.1);
            let range = self.by_next_hop.range(from..).take_while(move |(other, ..)| *other == id);
            range.map(|(_, table, destination)| (*table, *destination))
        };
        let groups = self.groups_of.range((id, 0)..).take_while(|(member, _)| *member == id);
        direct(id).chain(groups.flat_map(|(_, group)| direct(*group))).collect()
    }

    /// A next hop is gone: groups do without it, what has none left is gone with it. Answers the routes that led to it.
    pub(crate) fn lose_next_hop(&mut self, id: u32) -> Vec<RouteKey> {
        let touched = self.leading_to(id);
        let groups: Vec<u32> = (self.groups_of.range((id, 0)..))
            .take_while(|(member, _)| *member == id)
            .map(|(_, group)| *group)
            .collect();
        self.forget(id);
        for group in groups {
            self.groups_of.remove(&(id, group));
            if let Some((RawNextHop::Group { members, .. }, _)) = self.next_hops.get_mut(&group) {
                members.retain(|(member, _)| *member != id);
                if members.is_empty() {
                    self.next_hops.remove(&group);
                }
            }
        }
        for key in &touched {
            let is_lost = self.routes.get(key).is_some_and(
                |route| matches!(route.to, RawTo::NextHop(id) if !self.next_hops.contains_key(&id)),
            );
            if is_lost {
                self.remove(*key);
            }
        }
        touched
    }

    /// The next hops on a link are gone, and the kernel does not say so. Answers the routes that led to them.
    pub(crate) fn lose_link_hops(&mut self, link: u32) -> Vec<RouteKey> {
        self.hops_on(link).into_iter().flat_map(|id| self.lose_next_hop(id)).collect()
    }

    /// A link is gone, and all that led out of it. Answers the routes that did.
    pub(crate) fn lose_link(&mut self, link: u32) -> Vec<RouteKey> {
        let mut touched = self.lose_link_hops(link);
        let inline: Vec<RouteKey> = self.inline(link).collect();
        for key in inline {
            self.remove(key);
            touched.push(key);
        }
        touched
    }

    /// The IPv4 routes out of a link are gone, and the kernel does not say so.
    pub(crate) fn lose_ipv4(&mut self, link: u32) -> Vec<RouteKey> {
        let lost: Vec<RouteKey> = self.inline(link).filter(|(_, to)| to.addr().is_ipv4()).collect();
        lost.iter().for_each(|key| self.remove(*key));
        lost
    }

    fn hops_on(&self, link: u32) -> Vec<u32> {
        let is_on = |hop: &RawNextHop| matches!(hop, RawNextHop::Hop(hop) if hop.link == link);
        self.next_hops.iter().filter(|(_, (hop, _))| is_on(hop)).map(|(id, _)| *id).collect()
    }

    fn inline(&self, link: u32) -> impl Iterator<Item = RouteKey> {
        let from = (link, SMALLEST.0, SMALLEST.1);
        let range = self.by_link.range(from..).take_while(move |(other, ..)| *other == link);
        range.map(|(_, table, destination)| (*table, *destination))
    }

    /// The routes whose meaning depends on a link.
    pub(crate) fn of_link(&self, link: u32) -> Vec<RouteKey> {
        let by_number = self.hops_on(link).into_iter().flat_map(|id| self.leading_to(id));
        self.inline(link).chain(by_number).collect()
    }

    /// The routes of a routing table.
    pub(crate) fn of_table(&self, table: u32) -> Vec<RouteKey> {
        let keys = self.routes.range((table, SMALLEST.1)..).map(|(key, _)| *key);
        keys.take_while(|(other, _)| *other == table).collect()
    }

    /// All routes.
    pub(crate) fn keys(&self) -> Vec<RouteKey> {
        self.routes.keys().copied().collect()
    }
}

fn first_of(set: &BTreeSet<(u32, u32, IpNet)>, id: u32) -> bool {
    set.range((id, SMALLEST.0, SMALLEST.1)..).next().is_some_and(|(other, ..)| *other == id)
}
