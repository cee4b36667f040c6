//! Bridge ports, and what is steered past bridges.

use weft_dataplane::{BridgePort, LinkId, STEERED_ADDRESSES_MAX, Steering, StepOutcome};

use super::{At, Care, Run, refuse};
use crate::host::LinuxHost;
use crate::mirror::{adoption_mark, own_mark};
use crate::{encode, guard, steer};

impl LinuxHost {
    pub(super) fn attach(&mut self, run: &mut Run, step: usize, port: &BridgePort) -> StepOutcome {
        let bridge = LinkId { namespace: port.link.namespace.clone(), name: port.bridge };
        let (bridge, _) = self.own(run, step, &bridge)?;
        let (index, at) = self.any(run, step, &port.link)?;
        // The addresses that this plan took from it are known to be gone once that was sent.
        if self.has_own_ipv6(&port.link) {
            self.flush(run, at.namespace);
        }
        let raw = self.mirror.link(&port.link);
        let keeps_ipv6 = self.has_own_ipv6(&port.link) || raw.is_some_and(|raw| raw.ipv6_disabled);
        let ours = run.created.contains_key(&port.link) || raw.and_then(own_mark).is_some();
        if !ours && port.adoption.is_none() {
            return refuse("a link of somebody else's needs a mark of adoption");
        }
        let bears = raw.and_then(adoption_mark);
        // One that comes into the bridge only now becomes forwarding by itself.
        let blocked = raw.is_some_and(|raw| raw.master == Some(bridge) && raw.port.blocked);
        run.put(at, Care::Must, |batch| {
            if let Some(mark) = port.adoption.as_ref().filter(|mark| bears.as_ref() != Some(mark)) {
                encode::add_altname(batch, index, mark.as_str());
            }
            encode::set_ipv4(batch, index, &guard::PORT_IPV4);
            encode::set_master(batch, index, bridge);
            encode::set_port(batch, index, port.role);
            if blocked {
                encode::set_forwarding(batch, index);
            }
        });
        if let Some(queue) = run.queues.get_mut(at.namespace) {
            queue.look_at.extend(port.adoption.as_ref().map(|_| index));
            queue.settings.extend((!keeps_ipv6).then_some((step, port.link.name, super::IPV6_OFF)));
        }
        Ok(())
    }

    pub(super) fn detach(&mut self, run: &mut Run, step: usize, port: &BridgePort) -> StepOutcome {
        let Ok((index, at)) = self.any(run, step, &port.link) else { return Ok(()) };
        let raw = self.mirror.link(&port.link);
        let ours = raw.and_then(own_mark).is_some();
        let master = raw.and_then(|raw| raw.master);
        let netns = self.mirror.netns(&port.link.namespace);
        let master = master.and_then(|master| self.mirror.link_at(netns, master));
        let in_ours = master.and_then(own_mark).is_some();
        run.put(at, Care::Removes, |batch| {
            if in_ours {
                encode::set_master(batch, index, 0);
            }
            let settings: &[(u16, u32)] = if ours { &guard::ROUTED_IPV4 } else { &guard::RELEASED_IPV4 };
            encode::set_ipv4(batch, index, settings);
            if let Some(mark) = &port.adoption {
                encode::remove_altname(batch, index, mark.as_str());
            }
        });
        if let Some(queue) = run.queues.get_mut(at.namespace) {
            queue.look_at.extend(port.adoption.as_ref().map(|_| index));
            queue.settings.push((step, port.link.name, super::IPV6_ON));
        }
        Ok(())
    }

    /// Both directions at once; one of the two alone is told as something else.
    pub(super) fn steer(&mut self, run: &mut Run, step: usize, steering: &Steering) -> StepOutcome {
        if steering.link.namespace != steering.to.namespace {
            return refuse("what is steered stays in its namespace");
        }
        if steering.addresses.len() > STEERED_ADDRESSES_MAX {
            return refuse(format!("at most {STEERED_ADDRESSES_MAX} addresses are steered"));
        }
        let (to, _) = self.any(run, step, &steering.to)?;
        let (link, at) = self.any(run, step, &steering.link)?;
        self.ready_for_filters(run, at, [link, to]);
        run.put(at, Care::Must, |batch| {
            steer::put_back(batch, to, link);
            steer::put(batch, link, (steering.mac, &steering.addresses), to);
        });
        Ok(())
    }

    /// In a batch of its own: where the owner of a link has its own place for filters, that is refused and is as good.
    fn ready_for_filters(&mut self, run: &mut Run, at: At<'_>, links: [u32; 2]) {
        run.put(at, Care::May, |batch| links.iter().for_each(|link| steer::ready(batch, *link)));
    }

    pub(super) fn unsteer(&mut self, run: &mut Run, step: usize, steering: &Steering) -> StepOutcome {
        for end in [&steering.link, &steering.to] {
            if let Ok((index, at)) = self.any(run, step, end) {
                run.put(at, Care::Removes, |batch| steer::take_off(batch, index));
            }
        }
        Ok(())
    }
}
