//! UPDATEs of EVPN routes of type 5 over VXLAN (RFC 9136 §4.4.1, the interface-less model), as octets.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::session::update;

/// An NLRI of an IPv4 prefix: the type, the length of the rest, and that (RFC 9136 §3.1).
const IP_PREFIX: u8 = 5;
const NLRI: usize = 2 + 34;
/// As many routes as fit into one message.
const ROUTES_EACH: usize = 100;
const ENCAPSULATION_VXLAN: [u8; 8] = [3, 0x0c, 0, 0, 0, 0, 0, 8];
/// The attribute of reachable routes (RFC 4760 §3), and its bytes for EVPN.
const MP_REACH: u8 = 14;
const EVPN: [u8; 3] = [0, 25, 70];
const EXTENDED_LENGTH: u8 = 0x10;

/// A VRF that is elsewhere, of which routes are announced.
#[derive(Clone, Copy, Debug)]
pub struct EvpnVrf {
    /// Whose tunnel endpoint packets are sent to.
    pub next_hop: Ipv4Addr,
    /// Under which VNI.
    pub vni: u32,
    /// To which MAC address.
    pub router_mac: [u8; 6],
    /// Its distinguisher and its route target: the AS and the number, the same of both.
    pub target: (u16, u32),
}

impl EvpnVrf {
    /// The UPDATEs by which it announces these prefixes, with one set of attributes for all.
    #[must_use]
    pub fn announce(&self, prefixes: &[Ipv4Net]) -> Vec<u8> {
        prefixes.chunks(ROUTES_EACH).flat_map(|prefixes| self.update(prefixes)).collect()
    }

    fn update(&self, prefixes: &[Ipv4Net]) -> Vec<u8> {
        // ORIGIN, an empty AS_PATH, LOCAL_PREF.
        let mut attributes = vec![0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 5, 4, 0, 0, 0, 100];
        attributes.extend([0xc0, 16, 24, 0, 2]);
        attributes.extend(self.number());
        attributes.extend(ENCAPSULATION_VXLAN);
        attributes.extend([6, 3]);
        attributes.extend(self.router_mac);
        let length = u16::try_from(EVPN.len() + 1 + 4 + 1 + prefixes.len() * NLRI);
        attributes.extend([0x80 | EXTENDED_LENGTH, MP_REACH]);
        attributes.extend(length.expect("they are in one message").to_be_bytes());
        attributes.extend(EVPN);
        attributes.push(4);
        attributes.extend(self.next_hop.octets());
        attributes.push(0);
        prefixes.iter().for_each(|prefix| attributes.extend(self.nlri(*prefix)));
        update(&attributes, &[])
    }

    fn number(&self) -> [u8; 6] {
        let ([a, b], [c, d, e, f]) = (self.target.0.to_be_bytes(), self.target.1.to_be_bytes());
        [a, b, c, d, e, f]
    }

    fn nlri(&self, prefix: Ipv4Net) -> Vec<u8> {
        let mut nlri = vec![IP_PREFIX, 34, 0, 0];
        nlri.extend(self.number());
        // No segment, no tag.
        nlri.extend([0; 10 + 4]);
        nlri.push(prefix.prefix_len());
        nlri.extend(prefix.addr().octets());
        // No gateway.
        nlri.extend([0; 4]);
        nlri.extend(&self.vni.to_be_bytes()[1..]);
        nlri
    }
}

/// The IPv4 prefixes that the body of an UPDATE announces as EVPN routes of type 5.
#[must_use]
pub fn evpn_prefixes(update: &[u8]) -> Vec<Ipv4Net> {
    let mut found = Vec::new();
    let Some(routes) = reachable(update, EVPN) else { return found };
    let mut left = routes;
    while let [kind, length, rest @ ..] = left {
        let Some((nlri, rest)) = rest.split_at_checked(usize::from(*length)) else { break };
        left = rest;
        if let (IP_PREFIX, Some(&[length, a, b, c, d])) = (*kind, nlri.get(22..27))
            && nlri.len() == 34
        {
            found.extend(Ipv4Net::new(Ipv4Addr::new(a, b, c, d), length));
        }
    }
    found
}

/// The routes in an UPDATE's MP_REACH_NLRI of a family, which is an AFI and a SAFI.
pub(crate) fn reachable(update: &[u8], family: [u8; 3]) -> Option<&[u8]> {
    let number = |bytes: &[u8]| Some(usize::from(u16::from_be_bytes(bytes.first_chunk().copied()?)));
    let attributes = update.get(2 + number(update)?..)?;
    let mut left = attributes.get(2..2 + number(attributes)?)?;
    while let [flags, kind, rest @ ..] = left {
        let (length, rest) = if flags & EXTENDED_LENGTH == 0 {
            (usize::from(*rest.first()?), rest.get(1..)?)
        } else {
            (number(rest)?, rest.get(2..)?)
        };
        let (value, rest) = rest.split_at_checked(length)?;
        if *kind == MP_REACH && value.starts_with(&family) {
            return value.get(4 + usize::from(*value.get(3)?) + 1..);
        }
        left = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_is_read_back() {
        let vrf = EvpnVrf {
            next_hop: Ipv4Addr::new(198, 51, 100, 200),
            vni: 9000,
            router_mac: [2, 0, 0, 0, 0, 1],
            target: (64512, 100),
        };
        let prefixes: Vec<Ipv4Net> =
            ["10.0.0.0/8", "10.1.2.3/32"].map(|prefix| prefix.parse().unwrap()).into();
        // Behind the header.
        assert_eq!(evpn_prefixes(&vrf.announce(&prefixes)[19..]), prefixes);
    }
}
