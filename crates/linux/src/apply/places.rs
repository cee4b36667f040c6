//! Namespaces and VRFs.

use std::os::fd::AsFd;

use weft_dataplane::{INGRESS_TABLE, LinkId, Namespace, StepOutcome, Vrf};
use weft_net::{IfName, NamespaceName};

use super::links::own_prefix;
use super::{Care, Run, failed, refuse, says_exists, says_not_there};
use crate::host::{LinuxHost, Place};
use crate::mirror::{namespace_mark, vrf_mark};
use crate::netlink::Refusal;
use crate::vrf::{self, VrfMode};
use crate::{encode, guard, namespace};

impl LinuxHost {
    pub(super) fn create_namespace(&mut self, name: &NamespaceName) -> StepOutcome {
        self.create_place(&Namespace::Named(name.clone()), &[&namespace_mark(name)], None)
    }

    /// Makes the namespace that a place is, with the settings of a VRF if it spreads flows by a seed.
    fn create_place(&mut self, place: &Namespace, marks: &[&str], seed: Option<u32>) -> StepOutcome {
        let Some(file_name) = self.file_name(place) else { return refuse("the host's own is there") };
        let mode = self.vrf;
        let ready = || seed.map_or(Ok(()), |seed| vrf::settle(mode, seed));
        let sockets = namespace::create(&file_name, marks, ready).map_err(failed)?;
        self.writes += 1;
        self.places.insert(place.clone(), Place::new(sockets));
        self.reload(place).map_err(failed)
    }

    /// Its links go first: the kernel would take them away in its own time, with the other ends of veths.
    pub(super) fn delete_namespace(&mut self, namespace: &Namespace) -> StepOutcome {
        let links = self.mirror.made_links(namespace);
        let Some(mut place) = self.places.remove(namespace) else { return Ok(()) };
        self.mirror.forget(namespace);
        let mut batch = Vec::new();
        links.iter().for_each(|link| encode::delete_link(&mut batch, *link));
        self.writes += 1 + links.len() as u64;
        if !batch.is_empty() {
            place.sockets.route.change(&mut batch).map_err(failed)?;
        }
        if let Some(file_name) = self.file_name(namespace) {
            namespace::remove(&file_name).map_err(failed)?;
        }
        drop(place);
        self.drain();
        Ok(())
    }

    /// Makes a VRF, or makes one whole of which something is missing.
    pub(super) fn set_vrf(&mut self, run: &mut Run, vrf: &Vrf, is_new: bool) -> StepOutcome {
        self.flush_all(run);
        if vrf.mark.is_adoption() || own_prefix(&vrf.mark) {
            return refuse(format!("mark '{}' is not one for a VRF", vrf.mark));
        }
        if vrf.name.as_str().parse::<NamespaceName>().is_err() {
            return refuse(format!(
                "'{}' is not the name of a VRF: letters, digits, '.', '_', '-'",
                vrf.name
            ));
        }
        if vrf.table >= vrf::INGRESS_OFFSET {
            return refuse(format!("a VRF's table is below {}", vrf::INGRESS_OFFSET));
        }
        match (self.vrf, is_new) {
            (VrfMode::Namespace, true) => {
                let place = Namespace::Vrf(vrf.name);
                let seed = vrf::seed(&self.prefix);
                self.create_place(&place, &[&vrf_mark(vrf), vrf.mark.as_str()], Some(seed))?;
                self.close_ingress(&place)
            }
            (VrfMode::Namespace, false) => {
                let place = Namespace::Vrf(vrf.name);
                self.settle(&place)?;
                self.close_ingress(&place)
            }
            (VrfMode::Device, true) => self.create_vrf_device(vrf),
            (VrfMode::Device, false) => self.mend_vrf_device(vrf),
        }
    }

    /// Sets what no link alone has, for a namespace that is a VRF or for the one in which VRF devices are.
    fn settle(&mut self, netns: &Namespace) -> StepOutcome {
        let (mode, seed) = (self.vrf, vrf::seed(&self.prefix));
        let place = self.place(netns)?;
        namespace::within(place.sockets.namespace.as_fd(), || vrf::settle(mode, seed)).map_err(failed)?;
        self.writes += 1;
        self.drain_one(netns);
        self.mirror.unsettle(netns, false);
        Ok(())
    }

    /// What a namespace's ingress table does not know is unreachable.
    fn close_ingress(&mut self, place: &Namespace) -> StepOutcome {
        let mut batch = Vec::new();
        encode::last_resorts(&mut batch, true, INGRESS_TABLE);
        self.send_to(place, &mut batch, |_| false)
    }

    /// The host's own addresses are no longer looked up before a VRF's table: its packets would reach the host.
    fn create_vrf_device(&mut self, vrf: &Vrf) -> StepOutcome {
        self.settle(&Namespace::Host)?;
        self.move_local_rule()?;
        let index = self.place(&Namespace::Host)?.take_index();
        self.add_mark_rule(vrf.table)?;
        self.change_host(|batch| {
            encode::create_vrf(batch, vrf, index);
            encode::add_altname(batch, index, vrf.mark.as_str());
            finish_vrf_device(batch, index, vrf.table);
        })
    }

    fn mend_vrf_device(&mut self, vrf: &Vrf) -> StepOutcome {
        let Some((index, table)) = self.mirror.vrf_device(vrf.name) else {
            return refuse(format!("there is no VRF {}", vrf.name));
        };
        self.settle(&Namespace::Host)?;
        self.move_local_rule()?;
        self.add_mark_rule(table)?;
        // What is in its own table now; if that is another one than it should be, it is made anew next.
        self.change_host(|batch| finish_vrf_device(batch, index, table))
    }

    fn move_local_rule(&mut self) -> StepOutcome {
        let mut batch = Vec::new();
        encode::local_rule(&mut batch, true);
        encode::local_rule(&mut batch, false);
        let is_well = |refusal: &Refusal| says_exists(refusal) || says_not_there(refusal);
        self.send_to(&Namespace::Host, &mut batch, is_well)
    }

    fn add_mark_rule(&mut self, table: u32) -> StepOutcome {
        let mut batch = Vec::new();
        encode::mark_rule(&mut batch, true, vrf::ingress_table(table));
        self.send_to(&Namespace::Host, &mut batch, says_exists)
    }

    fn change_host(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> StepOutcome {
        let mut batch = Vec::new();
        write(&mut batch);
        self.send_to(&Namespace::Host, &mut batch, |_| false)
    }

    /// Sends a batch at once, and takes in what came of it.
    fn send_to(
        &mut self,
        netns: &Namespace,
        batch: &mut [u8],
        is_well: impl Fn(&Refusal) -> bool,
    ) -> StepOutcome {
        let answers = self.place(netns)?.sockets.route.change(batch).map_err(failed)?;
        self.writes += answers.len() as u64;
        self.drain_one(netns);
        match answers.into_iter().find_map(Result::err).filter(|refusal| !is_well(refusal)) {
            Some(refusal) => refuse(refusal),
            None => Ok(()),
        }
    }

    /// What is in it goes first: the kernel would only let it out. Of its table it forgets nothing by itself.
    pub(super) fn delete_vrf(&mut self, run: &mut Run, name: IfName) -> StepOutcome {
        self.flush_all(run);
        if self.vrf == VrfMode::Namespace {
            return self.delete_namespace(&Namespace::Vrf(name));
        }
        let Some((device, table)) = self.mirror.vrf_device(name) else { return Ok(()) };
        let mut batch = Vec::new();
        for (link, ours) in self.mirror.slaves(device) {
            if ours {
                encode::delete_link(&mut batch, link);
            } else {
                encode::set_master(&mut batch, link, 0);
            }
        }
        encode::delete_link(&mut batch, device);
        encode::mark_rule(&mut batch, false, vrf::ingress_table(table));
        [table, vrf::ingress_table(table)]
            .into_iter()
            .for_each(|table| encode::last_resorts(&mut batch, false, table));
        self.send_to(&Namespace::Host, &mut batch, says_not_there)
    }

    /// Sends packets with a label to where they are routed, or no longer.
    pub(super) fn set_label(
        &mut self,
        run: &mut Run,
        step: usize,
        route: &weft_dataplane::LabelRoute,
        there: bool,
    ) -> StepOutcome {
        if self.vrf != VrfMode::Device {
            return refuse("labels are taken in only where VRFs are devices");
        }
        if !there {
            self.turn_to(run, &Namespace::Host);
            let at = super::At { step, namespace: &Namespace::Host };
            run.put(at, Care::Removes, |batch| encode::label(batch, route.label, None));
            return Ok(());
        }
        self.take_labels()?;
        let link = LinkId::on_host(route.link);
        let (link, at) = self.any(run, step, &link)?;
        run.put(at, Care::Must, |batch| encode::label(batch, route.label, Some((link, route.mac))));
        Ok(())
    }

    fn take_labels(&mut self) -> StepOutcome {
        let interfaces = self.mpls_interfaces.clone();
        let place = self.place(&Namespace::Host)?;
        namespace::within(place.sockets.namespace.as_fd(), || vrf::take_labels(&interfaces)).map_err(failed)
    }
}

/// What keeps a VRF to itself, and only then up.
fn finish_vrf_device(batch: &mut Vec<u8>, index: u32, table: u32) {
    [table, vrf::ingress_table(table)].into_iter().for_each(|table| encode::last_resorts(batch, true, table));
    encode::no_generated_address(batch, index);
    encode::set_ipv4(batch, index, &guard::VRF_IPV4);
    encode::set_up(batch, index);
}
