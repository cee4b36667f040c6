//! Which link of the host's own leads to each router of a labelled path, and when that may be another one. Pure.
//!
//! ```text
//! a labelled path ── meet ──┐                         ┌── ask the kernel ── settle ──> known
//! the host's own routing ── doubt ──> in doubt ── take ┘
//! ```
//!
//! A path in doubt is taken to be as it was until the kernel has answered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

#[derive(Default)]
pub(crate) struct Ways {
    /// The link that leads to each router; `None`: when it was last asked, nothing did.
    known: BTreeMap<IpAddr, Option<u32>>,
    doubtful: BTreeSet<IpAddr>,
}

impl Ways {
    /// A path leads by way of a router: of one that was never asked about, it is to be asked.
    pub(super) fn meet(&mut self, via: IpAddr) {
        if !self.known.contains_key(&via) {
            self.doubtful.insert(via);
        }
    }

    /// A route of the host's own to these destinations came, went or changed.
    pub(super) fn doubt(&mut self, destination: IpNet) {
        let range = destination.network()..=destination.broadcast();
        self.doubtful.extend(self.known.range(range).map(|(via, _)| *via));
    }

    /// Something came, went or changed by which any router may be reached.
    pub(super) fn doubt_all(&mut self) {
        self.doubtful.extend(self.known.keys());
    }

    /// The routers to be asked about; they are in doubt no longer.
    pub(crate) fn take_doubtful(&mut self) -> BTreeSet<IpAddr> {
        std::mem::take(&mut self.doubtful)
    }

    /// What the kernel answers now: the link that leads to a router. Answers whether it is another one than before.
    pub(crate) fn settle(&mut self, via: IpAddr, link: Option<u32>) -> bool {
        self.known.insert(via, link) != Some(link)
    }

    /// Whether another link than this one leads to a router. Where nothing does, a path stays as it is.
    pub(crate) fn leads_elsewhere(&self, via: IpAddr, link: u32) -> bool {
        self.known.get(&via).copied().flatten().is_some_and(|leads| leads != link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: u32 = 2;
    const OTHER: u32 = 3;

    fn via(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn settled(ways: &mut Ways, via: IpAddr, link: Option<u32>) -> bool {
        ways.meet(via);
        assert_eq!(ways.take_doubtful(), [via].into());
        ways.settle(via, link)
    }

    #[test]
    fn a_path_goes_elsewhere_once_another_link_leads_to_its_router() {
        let (mut ways, peer) = (Ways::default(), via("192.0.2.2"));
        ways.meet(peer);
        assert!(!ways.leads_elsewhere(peer, UP), "nobody has been asked yet");
        assert!(settled(&mut ways, peer, Some(UP)));
        assert!(!ways.leads_elsewhere(peer, UP) && ways.leads_elsewhere(peer, OTHER));
        ways.meet(peer);
        assert!(ways.take_doubtful().is_empty(), "it is asked once");
        ways.doubt("192.0.2.0/24".parse().unwrap());
        assert!(!ways.leads_elsewhere(peer, UP), "until the answer is there it is as it was");
        assert_eq!(ways.take_doubtful(), [peer].into());
        assert!(!ways.settle(peer, Some(UP)), "nothing has changed");
        assert!(ways.settle(peer, Some(OTHER)));
        assert!(ways.leads_elsewhere(peer, UP) && !ways.leads_elsewhere(peer, OTHER));
    }

    #[test]
    fn a_path_to_whom_nothing_leads_stays() {
        let (mut ways, peer) = (Ways::default(), via("192.0.2.2"));
        settled(&mut ways, peer, Some(UP));
        ways.doubt_all();
        assert_eq!(ways.take_doubtful(), [peer].into());
        ways.settle(peer, None);
        assert!(!ways.leads_elsewhere(peer, UP) && !ways.leads_elsewhere(peer, OTHER));
        ways.doubt("0.0.0.0/0".parse().unwrap());
        assert_eq!(ways.take_doubtful(), [peer].into(), "it is asked again");
    }

    #[test]
    fn only_what_a_route_covers_is_in_doubt() {
        let mut ways = Ways::default();
        let peers = [via("192.0.2.1"), via("192.0.2.200"), via("198.51.100.1"), via("2001:db8::1")];
        assert!(peers.into_iter().all(|peer| settled(&mut ways, peer, Some(UP))));
        for (destination, expected) in [
            ("192.0.2.128/25", &peers[1..2]),
            ("192.0.2.200/32", &peers[1..2]),
            ("192.0.2.0/24", &peers[..2]),
            ("0.0.0.0/0", &peers[..3]),
            ("::/0", &peers[3..]),
            ("203.0.113.0/24", &[]),
        ] {
            ways.doubt(destination.parse().unwrap());
            let found: Vec<IpAddr> = ways.take_doubtful().into_iter().collect();
            assert_eq!(found, expected, "{destination}");
        }
    }
}
