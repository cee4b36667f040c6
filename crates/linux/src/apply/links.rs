//! Links: made, changed, named as ours.

use std::os::fd::{AsFd, AsRawFd};

use weft_dataplane::{Link, LinkId, LinkKind, Mark, Namespace, StepError, StepOutcome};

use super::{At, Care, IPV6_ON, Run, failed, refuse};
use crate::encode::{self, Peer, Site};
use crate::host::LinuxHost;
use crate::mirror::{SPECIAL, peer_mark};
use crate::tap::Tap;
use crate::vrf::VrfMode;
use crate::{guard, limit, namespace};

impl LinuxHost {
    pub(super) fn create_link(&mut self, run: &mut Run, step: usize, link: &Link) -> StepOutcome {
        if link.mark.is_adoption() || own_prefix(&link.mark) {
            return refuse(format!("mark '{}' is not one for a link that we make", link.mark));
        }
        let netns = self.mirror.netns(&link.id.namespace);
        let (making, site) = self.site(run, step, link)?;
        let at = At { step, namespace: netns };
        let index = self.take_index(netns, making.namespace)?;
        if link.kind == LinkKind::Tap {
            return self.create_tap(run, at, link, index);
        }
        let other = self.prepare_peer(link)?;
        run.put(making, Care::Must, |batch| {
            encode::create_link(batch, link, index, other.as_ref().map(|(peer, _)| peer), site);
        });
        run.put(at, Care::Must, |batch| finish_link(batch, link, index));
        self.settle_in_vrf(run, at, &link.id, index);
        run.created.insert(link.id.clone(), index);
        run.has_new_links = true;
        if let (Some((peer, mark)), LinkKind::Veth { peer: id, .. }) = (other, &link.kind) {
            let at = At { step, namespace: self.mirror.netns(&id.namespace) };
            let vrf = self.vrf_of(&id.namespace)?;
            run.put(at, Care::Must, |batch| {
                encode::add_altname(batch, peer.index, &mark);
                // A workload's end is its own to address.
                if !matches!(id.namespace, Namespace::Named(_)) {
                    encode::no_generated_address(batch, peer.index);
                }
                if let Some(vrf) = vrf {
                    encode::set_master(batch, peer.index, vrf);
                }
                encode::set_up(batch, peer.index);
            });
            self.settle_in_vrf(run, at, id, peer.index);
            self.limit_in_vrf(run, at, id, peer.index);
            run.created.insert(id.clone(), peer.index);
        }
        Ok(())
    }

    fn prepare_peer(&mut self, link: &Link) -> Result<Option<(Peer, String)>, StepError> {
        let LinkKind::Veth { peer, peer_mac } = &link.kind else { return Ok(None) };
        let mark = peer_mark(link.mark.as_str());
        if mark.len() > 127 {
            return refuse("the mark of a veth has at most 122 bytes");
        }
        let netns = self.mirror.netns(&peer.namespace);
        let elsewhere = netns != self.mirror.netns(&link.id.namespace);
        let place = self.place(netns)?;
        let namespace = elsewhere.then(|| place.sockets.namespace.as_raw_fd());
        Ok(Some((Peer { name: peer.name, index: place.take_index(), mac: *peer_mac, namespace }, mark)))
    }

    /// A TAP device lives only as long as its descriptor until it bears our mark.
    fn create_tap(&mut self, run: &mut Run, at: At<'_>, link: &Link, index: u32) -> StepOutcome {
        let name = link.id.name;
        self.flush(run, at.namespace);
        let place = self.place(at.namespace)?;
        let tap = namespace::within(place.sockets.namespace.as_fd(), || Tap::create(name, index))
            .map_err(failed)?;
        self.writes += 1;
        run.put(at, Care::Must, |batch| {
            encode::set_mtu(batch, index, link.mtu);
            finish_link(batch, link, index);
        });
        self.flush(run, at.namespace);
        if run.outcomes[at.step].is_ok() {
            tap.keep().map_err(failed)?;
        } else {
            drop(tap);
        }
        self.drain_one(at.namespace);
        Ok(())
    }

    pub(super) fn change_link(&mut self, run: &mut Run, step: usize, from: &Link, to: &Link) -> StepOutcome {
        let (index, at) = self.own(run, step, &to.id)?;
        let other = self.mirror.link(&to.id).and_then(|raw| self.mirror.peer(raw, &to.mark));
        let other = other.map(|(_, other)| (other.index, other.mac));
        if let (LinkKind::Veth { peer, peer_mac }, Some((other, mac))) = (&to.kind, other) {
            let at = At { step, namespace: self.mirror.netns(&peer.namespace) };
            run.put(at, Care::Must, |batch| {
                // Even with the address that it has, a link that is given one forgets its neighbours.
                if mac != *peer_mac {
                    encode::set_mac(batch, other, *peer_mac);
                }
                encode::set_mtu(batch, other, to.mtu);
                encode::set_up(batch, other);
            });
            self.settle_in_vrf(run, at, peer, other);
            self.limit_in_vrf(run, at, peer, other);
        }
        run.put(at, Care::Must, |batch| {
            if from.mtu != to.mtu {
                encode::set_mtu(batch, index, to.mtu);
            }
            match to.kind {
                LinkKind::Bridge => {
                    encode::set_bridge(batch, index);
                    guard::put(batch, index);
                }
                LinkKind::Vxlan { mac, .. } => {
                    encode::set_vxlan(batch, index);
                    if let Some(mac) = mac.filter(|_| from.kind != to.kind) {
                        encode::set_mac(batch, index, mac);
                    }
                }
                LinkKind::Tap | LinkKind::Veth { .. } | LinkKind::Vlan { .. } => {}
            }
            encode::set_up(batch, index);
        });
        self.settle_in_vrf(run, at, &to.id, index);
        Ok(())
    }

    /// Where a link is made: in which network namespace the message goes out, and what it names.
    fn site<'a>(&mut self, run: &mut Run, step: usize, link: &'a Link) -> Result<(At<'a>, Site), StepError> {
        let netns = self.mirror.netns(&link.id.namespace);
        let mut at = At { step, namespace: netns };
        let mut site = Site { vrf: self.vrf_of(&link.id.namespace)?, ..Site::default() };
        match &link.kind {
            LinkKind::Vlan { parent, .. } => {
                let id = LinkId { namespace: link.id.namespace.clone(), name: *parent };
                site.parent = self.any(run, step, &id)?.0;
            }
            LinkKind::Vxlan { mac, .. } => {
                let in_vrf = matches!(link.id.namespace, Namespace::Vrf(_));
                if mac.is_some() != in_vrf {
                    return refuse("a VXLAN device has an address of its own in a VRF, and only there");
                }
                // It sends and receives in the namespace in which it is made, wherever it is itself.
                if in_vrf && *netns != Namespace::Host {
                    site.namespace = Some(self.place(netns)?.sockets.namespace.as_raw_fd());
                    at.namespace = &Namespace::Host;
                }
            }
            LinkKind::Bridge | LinkKind::Tap | LinkKind::Veth { .. } => {}
        }
        self.turn_to(run, at.namespace);
        Ok((at, site))
    }

    /// An index for a new link, free in its namespace and in that where the message goes: older kernels look there as well.
    fn take_index(&mut self, netns: &Namespace, making: &Namespace) -> Result<u32, StepError> {
        let index = self.place(making)?.take_index();
        if netns == making {
            return Ok(index);
        }
        let index = self.place(netns)?.take_index().max(index);
        self.place(netns)?.raise_index(index);
        self.place(making)?.raise_index(index);
        Ok(index)
    }

    /// The device of the VRF that a place is, where VRFs are devices.
    fn vrf_of(&self, place: &Namespace) -> Result<Option<u32>, StepError> {
        match place {
            Namespace::Vrf(name) if self.vrf == VrfMode::Device => match self.mirror.vrf_device(*name) {
                Some((device, _)) => Ok(Some(device)),
                None => refuse(format!("there is no VRF {name}")),
            },
            Namespace::Host | Namespace::Named(_) | Namespace::Vrf(_) => Ok(None),
        }
    }

    /// From what comes out of a veth, a VRF learns few neighbours at a time.
    fn limit_in_vrf(&self, run: &mut Run, at: At<'_>, id: &LinkId, index: u32) {
        if self.mirror.has_limits() && matches!(id.namespace, Namespace::Vrf(_)) {
            run.put(at, Care::Must, |batch| limit::put(batch, index));
        }
    }

    /// What a link in a VRF is set to, whoever has changed it.
    fn settle_in_vrf(&self, run: &mut Run, at: At<'_>, id: &LinkId, index: u32) {
        if !matches!(id.namespace, Namespace::Vrf(_)) {
            return;
        }
        run.put(at, Care::Must, |batch| encode::set_ipv4(batch, index, &guard::VRF_IPV4));
        // A link that is only now to have IPv6 has no such setting yet.
        run.put(at, Care::May, |batch| encode::answer_at_once(batch, index));
        if let Some(queue) = run.queues.get_mut(at.namespace) {
            let settings = [IPV6_ON, ("forwarding", "1"), ("accept_ra", "0"), ("accept_redirects", "0")];
            queue.settings.extend(settings.map(|setting| (at.step, id.name, setting)));
            queue.look_at.push(index);
        }
    }
}

/// What every link of ours gets once it is there: our mark, what it does not do, and up.
fn finish_link(batch: &mut Vec<u8>, link: &Link, index: u32) {
    encode::add_altname(batch, index, link.mark.as_str());
    if link.kind == LinkKind::Bridge {
        encode::set_mtu(batch, index, link.mtu);
        guard::put(batch, index);
    }
    encode::no_generated_address(batch, index);
    encode::set_up(batch, index);
}

/// Marks that mean something else than "we made this link".
pub(super) fn own_prefix(mark: &Mark) -> bool {
    SPECIAL.iter().any(|prefix| mark.as_str().starts_with(prefix))
}
