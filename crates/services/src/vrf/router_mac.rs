//! The MAC addresses of VRFs on hosts (RFC 9135 §4.1: the router's MAC address), by which others send them what is to be routed.
//!
//! ```text
//!  46 bits │ VNI: the lower 14 │ tunnel endpoint, 32 bits, XOR VNI × an odd number, 32 bits │  and the two that say "locally
//!                                                                                              administered, one station's"
//! ```
//!
//! So all VRFs of a host have different ones, and so have all hosts' VRFs of one VNI, in whatever sites they are: of IPv4 endpoints always, of
//! IPv6 ones as far as 32 bits can tell them apart. Within a site no two hosts are let in that those do not tell apart.

use std::net::{IpAddr, Ipv4Addr};

use weft_net::{HostName, Mac, Vni};

use crate::Model;
use crate::index::replace;
use crate::vrf::Vrf;

/// An odd number whose multiples are far from each other: 2^32 divided by the golden ratio.
const SPREAD: u32 = 0x9e37_79b1;
/// The first octet's lowest bits: locally administered, and one station's.
const LOCAL: u8 = 0b10;

/// The MAC address of the VRF with this VNI on the host with this tunnel endpoint: locally administered, and one station's.
#[must_use]
pub fn router_mac(vni: Vni, endpoint: IpAddr) -> Mac {
    Bits { vni: lower(vni), rest: EndpointBits::of(endpoint).0 ^ spread(vni) }.mac()
}

/// What of a tunnel endpoint is in MAC addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointBits(u32);

impl EndpointBits {
    /// An IPv4 address as it is. Of an IPv6 address the lowest 32 bits, upon which the others are folded.
    pub(crate) fn of(endpoint: IpAddr) -> Self {
        match endpoint {
            IpAddr::V4(address) => Self(address.to_bits()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, lowest @ ..] = address.segments();
                let fold =
                    |bits: u32, segment: u16| (bits.rotate_left(5) ^ u32::from(segment)).wrapping_mul(SPREAD);
                let folded = [a, b, c, d, e, f].into_iter().fold(0, fold);
                Self(folded ^ (u32::from(lowest[0]) << 16 | u32::from(lowest[1])))
            }
        }
    }
}

impl From<EndpointBits> for Ipv4Addr {
    fn from(bits: EndpointBits) -> Self {
        Self::from_bits(bits.0)
    }
}

/// A MAC address, without the two bits that all of ours have.
#[derive(Clone, Copy)]
struct Bits {
    /// Of the VNI, 14 bits.
    vni: u16,
    /// Of the endpoint and the VNI together.
    rest: u32,
}

impl Bits {
    fn of(mac: Mac) -> Option<Self> {
        let [first, second, rest @ ..] = mac.octets();
        let vni = u16::from(first >> 2) << 8 | u16::from(second);
        (first & !(u8::MAX << 2) == LOCAL).then(|| Self { vni, rest: u32::from_be_bytes(rest) })
    }

    fn mac(self) -> Mac {
        let [high, second] = self.vni.to_be_bytes();
        let [a, b, c, d] = self.rest.to_be_bytes();
        Mac::new([high << 2 | LOCAL, second, a, b, c, d])
    }
}

/// The lower bits of a VNI.
fn lower(vni: Vni) -> u16 {
    let [.., high, low] = vni.get().to_be_bytes();
    u16::from_be_bytes([high & 0x3f, low])
}

fn spread(vni: Vni) -> u32 {
    vni.get().wrapping_mul(SPREAD)
}

/// The first and the last of the MAC addresses that a VRF with this VNI can have.
pub(super) fn router_macs(vni: Vni) -> [Mac; 2] {
    [u32::MIN, u32::MAX].map(|rest| Bits { vni: lower(vni), rest }.mac())
}

/// What of the tunnel endpoint is in a MAC address, if it is that of a VRF of ours: for each of those that it may be.
pub(super) fn endpoints_of(model: &Model, mac: Mac) -> impl Iterator<Item = EndpointBits> {
    let bits = Bits::of(mac);
    bits.into_iter().flat_map(|Bits { vni, rest }| {
        let alike = model.index.vrf_vnis.range((vni, Vni::MIN)..=(vni, Vni::MAX));
        alike.map(move |(_, vni)| EndpointBits(rest ^ spread(*vni)))
    })
}

/// Whether a MAC address is that of a VRF of ours on a host of ours.
pub(super) fn is_own_router(model: &Model, mac: Mac) -> bool {
    endpoints_of(model, mac).any(|bits| model.host_with(bits).is_some())
}

/// Notes which VNIs VRFs have.
pub(super) fn index_vni(model: &mut Model, around: [Option<&Vrf>; 2]) {
    let [before, after] = around.map(|vrf| vrf.map(|vrf| (lower(vrf.vni), vrf.vni)));
    replace(&mut model.index.vrf_vnis, before, after);
}

impl Model {
    /// A host whose tunnel endpoint comes to this.
    pub(crate) fn host_with(&self, bits: EndpointBits) -> Option<&HostName> {
        // In ASCII, only '-' and '.' come before digits, and no name of a host begins with them.
        let first: HostName = "0".parse().expect("one digit");
        let (found, name) = self.index.endpoint_bits.range((bits, first)..).next()?;
        (*found == bits).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn vni(number: u32) -> Vni {
        number.try_into().unwrap()
    }

    #[test]
    fn it_stays_and_is_one_stations_and_administered_locally() {
        for (number, endpoint, wanted) in [
            (1, "192.0.2.1", "02:01:5e:37:7b:b0"),
            (5001, "192.0.2.1", "4e:89:09:b8:40:b8"),
            (16_777_215, "255.255.255.255", "fe:ff:ed:37:79:b0"),
            (5001, "2001:db8::1", "4e:89:c2:51:b9:37"),
        ] {
            let mac = router_mac(vni(number), endpoint.parse().unwrap());
            assert_eq!(mac.to_string(), wanted, "{number} {endpoint}");
            assert!(mac.is_unicast() && mac.octets()[0] & 0b10 != 0);
        }
    }

    #[test]
    fn vrfs_of_one_host_and_hosts_of_one_vni_all_have_different_ones() {
        let endpoint = |n: u32| IpAddr::from(n.to_be_bytes());
        let mut of_one_host = HashSet::new();
        assert!((1..200_000).all(|n| of_one_host.insert(router_mac(vni(n), endpoint(0xc000_0201)))));
        // Sites with addresses of their own, and hosts of one network.
        let endpoints =
            (0..100_000).map(|n| endpoint(n * 40_503)).chain((0..1000).map(|n| endpoint(0x0a40_0001 + n)));
        let mut of_one_vni = HashSet::new();
        assert!(endpoints.clone().all(|endpoint| of_one_vni.insert(router_mac(vni(5001), endpoint))));
        // And what has neither in common.
        let mut all = HashSet::new();
        for number in [5000, 5001, 5000 + (1 << 14), 5001 + (3 << 14)] {
            assert!(
                endpoints.clone().take(50_000).all(|endpoint| all.insert(router_mac(vni(number), endpoint)))
            );
        }
        let ipv6 = |n: u32| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, (n >> 16) as u16, n as u16]);
        let mut of_ipv6 = HashSet::new();
        assert!((0..100_000).all(|n| of_ipv6.insert(router_mac(vni(5001), ipv6(n)))));
        assert_ne!(
            EndpointBits::of("2001:db8:1::1".parse().unwrap()),
            EndpointBits::of("2001:db8:2::1".parse().unwrap())
        );
    }

    #[test]
    fn a_mac_address_is_led_back_to_what_it_was_made_of() {
        for (number, endpoint) in [(1, "192.0.2.1"), (5001, "2001:db8::7"), (16_777_215, "10.255.0.1")] {
            let (vni, endpoint) = (vni(number), endpoint.parse().unwrap());
            let mac = router_mac(vni, endpoint);
            let bits = Bits::of(mac).unwrap();
            assert_eq!(
                (bits.vni, EndpointBits(bits.rest ^ spread(vni))),
                (lower(vni), EndpointBits::of(endpoint))
            );
            let [first, last] = router_macs(vni);
            assert!(first <= mac && mac <= last);
        }
        assert!(Bits::of("00:00:5e:00:01:01".parse().unwrap()).is_none());
    }
}
