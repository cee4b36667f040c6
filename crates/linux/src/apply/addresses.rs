//! What links are addressed by, and answer for; and their settings that no netlink message carries.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use ipnet::IpNet;
use weft_dataplane::{LinkId, Namespace, StepOutcome};
use weft_net::IfName;

use super::{Care, DISABLE_IPV6, IPV6_ON, Run, Setting};
use crate::host::LinuxHost;
use crate::mirror::{end_mark, own_mark};
use crate::parse::Fact;
use crate::vrf::VrfMode;
use crate::{encode, guard, namespace, vrf};

impl LinuxHost {
    /// Whether a link has an IPv6 address that we gave it.
    pub(super) fn has_own_ipv6(&self, id: &LinkId) -> bool {
        let raw = self.mirror.link(id);
        raw.is_some_and(|raw| self.mirror.has_ipv6(self.mirror.netns(&id.namespace), raw.index))
    }

    pub(super) fn create_address(
        &mut self,
        run: &mut Run,
        step: usize,
        link: &LinkId,
        address: IpNet,
    ) -> StepOutcome {
        let (index, at) = self.any(run, step, link)?;
        // A link that this plan made, or took out of a bridge, is known as what it is now once that was sent.
        if address.addr().is_ipv6() && self.mirror.link(link).is_none_or(|raw| raw.ipv6_disabled) {
            self.flush(run, at.namespace);
        }
        let raw = self.mirror.link(link);
        let routed = raw.is_none_or(|raw| raw.master.is_none());
        let ours = run.created.contains_key(link)
            || raw.is_some_and(|raw| own_mark(raw).is_some() || end_mark(raw).is_some());
        if address.addr().is_ipv6() && routed && raw.is_some_and(|raw| raw.ipv6_disabled) {
            self.flush(run, at.namespace);
            self.set_ipv6(run, at.namespace, &[(step, link.name, IPV6_ON)]);
        }
        let ingress = self.ingress_table_of(&link.namespace);
        let is_there = ingress.is_some() && self.mirror.has_address(at.namespace, index, address);
        run.put(at, Care::Must, |batch| {
            if ours && routed && address.addr().is_ipv4() {
                encode::set_ipv4(batch, index, &guard::ROUTED_IPV4);
            }
            // In a VRF device, it may be there without being delivered to from everywhere.
            if !is_there {
                encode::address(batch, true, index, address);
            }
            if let Some(table) = ingress {
                encode::delivery(batch, true, table, (index, address.addr()));
            }
        });
        if address.addr().is_ipv6()
            && let Some(queue) = run.queues.get_mut(at.namespace)
        {
            queue.facts.push((step, Fact::Address { link: index, address, ours: true }));
        }
        Ok(())
    }

    /// The number of the ingress table of a VRF, where its own addresses have to be named in that.
    pub(super) fn ingress_table_of(&self, place: &Namespace) -> Option<u32> {
        match place {
            Namespace::Vrf(name) if self.vrf == VrfMode::Device => {
                self.mirror.vrf_device(*name).map(|(_, table)| vrf::ingress_table(table))
            }
            Namespace::Host | Namespace::Named(_) | Namespace::Vrf(_) => None,
        }
    }

    /// Has a link answer for an address, or no longer. The kernel tells of neither.
    pub(super) fn set_proxy(
        &mut self,
        run: &mut Run,
        step: usize,
        (link, address): (&LinkId, IpAddr),
        there: bool,
    ) -> StepOutcome {
        let (index, at) = match self.any(run, step, link) {
            Ok(found) => found,
            // Where the link is gone, so is all that it had.
            Err(_) if !there => return Ok(()),
            Err(error) => return Err(error),
        };
        let care = if there { Care::Must } else { Care::Removes };
        run.put(at, care, |batch| encode::proxy(batch, there, index, address));
        if let Some(queue) = run.queues.get_mut(at.namespace) {
            queue.facts.push((step, Fact::Proxy { link: index, address, there }));
            let may = ("proxy_ndp", "1");
            if there && address.is_ipv6() {
                queue.settings.push((step, link.name, may));
                queue.look_at.push(index);
            }
        }
        Ok(())
    }

    /// Has a link that we made answer for all that is elsewhere, or no longer.
    pub(super) fn set_proxy_arp(
        &mut self,
        run: &mut Run,
        step: usize,
        link: &LinkId,
        there: bool,
    ) -> StepOutcome {
        let (index, at) = match self.made(run, step, link) {
            Ok(found) => found,
            Err(_) if !there => return Ok(()),
            Err(error) => return Err(error),
        };
        let settings = [(guard::PROXY_ARP, u32::from(there))];
        run.put(at, Care::Must, |batch| encode::set_ipv4(batch, index, &settings));
        if let Some(queue) = run.queues.get_mut(at.namespace) {
            queue.look_at.push(index);
        }
        Ok(())
    }

    /// Takes in what the kernel tells of late or not at all, of steps that went well.
    pub(super) fn note_facts(&mut self, run: &Run, namespace: &Namespace, facts: Vec<(usize, Fact)>) {
        for (step, fact) in facts {
            if run.outcomes.get(step).is_some_and(Result::is_ok)
                && self.mirror.take(namespace, fact).is_err()
                && let Some(place) = self.places.get_mut(namespace)
            {
                place.stale = true;
            }
        }
    }

    /// Sets IPv6 settings of links.
    pub(super) fn set_ipv6(
        &mut self,
        run: &mut Run,
        namespace: &Namespace,
        links: &[(usize, IfName, Setting)],
    ) {
        let Some(place) = self.places.get(namespace).filter(|_| !links.is_empty()) else { return };
        let set = |(_, name, (setting, value)): &(usize, IfName, Setting)| match *setting {
            DISABLE_IPV6 => guard::set_ipv6(*name, *value == "0"),
            setting => vrf::set_ipv6(*name, setting, value),
        };
        let within = || Ok(links.iter().map(set).collect::<Vec<_>>());
        let outcomes: Vec<io::Result<()>> = match namespace::within(place.sockets.namespace.as_fd(), within) {
            Ok(outcomes) => outcomes,
            Err(error) => links.iter().map(|_| Err(io::Error::other(error.to_string()))).collect(),
        };
        // No event tells of the switch, but each tells how it stood: those from before it must not be heard after it.
        self.drain_one(namespace);
        for ((step, name, (setting, value)), outcome) in links.iter().zip(outcomes) {
            match outcome {
                Ok(()) if *setting == DISABLE_IPV6 => {
                    self.mirror.set_ipv6_disabled(namespace, *name, *value != "0");
                }
                Ok(()) => {}
                Err(error) => run.fail(*step, &format!("IPv6 on '{name}' cannot be set: {error}")),
            }
        }
    }
}
