//! Which management network a lab has: one that clashes with none that the machine knows.

use std::io;

use ipnet::{IpNet, Ipv4Net};

use crate::names::LabName;
use crate::netlink::Netlink;

/// How many networks of /24 there are in 198.18.0.0/15 (RFC 2544: for tests of one's own, never routed to others).
const CANDIDATES: u64 = 512;

/// The network that a lab's link in the machine's own namespace has already, or else a free one.
pub(crate) fn choose(lab: &LabName, machine: &mut Netlink) -> io::Result<Option<Ipv4Net>> {
    let addresses = machine.addresses()?;
    let own = machine.link(&lab.machine_link())?.filter(|link| link.marks.contains(&lab.mark("controller")));
    let present = addresses.iter().find_map(|(index, network)| match network {
        IpNet::V4(network) if own.as_ref().is_some_and(|link| link.index == *index) => Some(network.trunc()),
        IpNet::V4(_) | IpNet::V6(_) => None,
    });
    if present.is_some() {
        return Ok(present);
    }
    let mut taken = machine.ipv4_destinations()?;
    taken.extend(addresses.into_iter().filter_map(|(_, network)| match network {
        IpNet::V4(network) => Some(network),
        IpNet::V6(_) => None,
    }));
    Ok(free(lab, &taken))
}

/// The first candidate, beginning with the one that the name gives, which overlaps none of `taken`.
///
/// A default route is a route to everywhere, and no clash.
fn free(lab: &LabName, taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    let overlaps =
        |one: &Ipv4Net, other: &Ipv4Net| one.contains(&other.network()) || other.contains(&one.network());
    let mut candidates = (0..CANDIDATES).map(|step| candidate((lab.hash() + step) % CANDIDATES));
    candidates.find(|net| !taken.iter().any(|other| other.prefix_len() > 0 && overlaps(net, other)))
}

fn candidate(number: u64) -> Ipv4Net {
    let base = u32::from_be_bytes([198, 18, 0, 0]);
    let number = u32::try_from(number % CANDIDATES).unwrap_or(0);
    Ipv4Net::new_assert((base + (number << 8)).into(), 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<Ipv4Net> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_network_that_the_machine_knows_is_not_taken() {
        let lab: LabName = "demo".parse().unwrap();
        let first = free(&lab, &nets(&["0.0.0.0/0", "192.0.2.0/24"])).unwrap();
        let second = free(&lab, &[first]).unwrap();
        assert_ne!(first, second);
        let host = Ipv4Net::new(first.network(), 32).unwrap();
        assert_eq!(free(&lab, &[host]), Some(second));
        assert_eq!(free(&lab, &nets(&["198.18.0.0/15"])), None);
        let upper = free(&lab, &nets(&["198.18.0.0/16"])).unwrap();
        assert!(upper.to_string().starts_with("198.19."));
    }

    #[test]
    fn two_labs_begin_with_different_networks() {
        let [one, other] = ["demo", "other"].map(|name| free(&name.parse().unwrap(), &[]).unwrap());
        assert_ne!(one, other);
    }
}
