//! Destinations as people write them: the same as they are shown.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use weft_net::{Mac, ParseError, RouteDistinguisher};

use super::evpn::{EthernetTag, EvpnDestination};
use super::nlri::{Destination, VpnDestination};

impl FromStr for Destination {
    type Err = ParseError;

    /// Reads `192.0.2.0/24`, `65000:1 192.0.2.0/24`, or of EVPN `[2]:[65000:1]:[0]:[02:00:00:00:00:01]:[192.0.2.1]`,
    /// `[3]:[65000:1]:[0]:[192.0.2.1]` and `[5]:[65000:1]:[0]:[192.0.2.0/24]`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let rule =
            "a prefix, a route distinguisher and a prefix, or [TYPE]:[DISTINGUISHER]:[TAG]:[…] is needed";
        let parsed = match (text.strip_prefix('['), text.split_once(' ')) {
            (Some(evpn), _) => evpn.strip_suffix(']').and_then(evpn_destination).map(Self::Evpn),
            (None, Some((distinguisher, prefix))) => vpn_destination(distinguisher, prefix),
            (None, None) => text.parse().ok().map(unicast),
        };
        parsed.ok_or_else(|| ParseError::new("destination", text, rule))
    }
}

fn unicast(prefix: IpNet) -> Destination {
    match prefix.trunc() {
        IpNet::V4(prefix) => Destination::Ipv4(prefix),
        IpNet::V6(prefix) => Destination::Ipv6(prefix),
    }
}

fn vpn_destination(distinguisher: &str, prefix: &str) -> Option<Destination> {
    let distinguisher: RouteDistinguisher = distinguisher.parse().ok()?;
    Some(match prefix.trim().parse::<IpNet>().ok()?.trunc() {
        IpNet::V4(prefix) => Destination::Vpnv4(VpnDestination { distinguisher, prefix }),
        IpNet::V6(prefix) => Destination::Vpnv6(VpnDestination { distinguisher, prefix }),
    })
}

/// What is between the first bracket and the last.
fn evpn_destination(text: &str) -> Option<EvpnDestination> {
    let fields: Vec<&str> = text.split("]:[").collect();
    let (route_type, rest) = fields.split_first()?;
    let (distinguisher, rest) = rest.split_first()?;
    let distinguisher: RouteDistinguisher = distinguisher.parse().ok()?;
    let (tag, rest) = rest.split_first()?;
    let tag = EthernetTag(tag.parse().ok()?);
    match (*route_type, rest) {
        ("2", [mac, address @ ..]) if address.len() <= 1 => {
            let mac: Mac = mac.parse().ok()?;
            let address = address.first().map(|address| address.parse::<IpAddr>()).transpose().ok()?;
            Some(EvpnDestination::MacIp { distinguisher, tag, mac, address })
        }
        ("3", [originator]) => {
            let originator = originator.parse().ok()?;
            Some(EvpnDestination::InclusiveMulticast { distinguisher, tag, originator })
        }
        ("5", [prefix]) => {
            let prefix = prefix.parse::<IpNet>().ok()?.trunc();
            Some(EvpnDestination::IpPrefix { distinguisher, tag, prefix })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_read_as_it_is_shown() {
        for text in [
            "192.0.2.0/24",
            "2001:db8::/32",
            "65000:1 192.0.2.0/24",
            "192.0.2.1:7 2001:db8::/32",
            "[2]:[65000:1]:[0]:[02:00:00:00:00:01]",
            "[2]:[65000:1]:[0]:[02:00:00:00:00:01]:[192.0.2.1]",
            "[3]:[65000:1]:[100]:[192.0.2.1]",
            "[5]:[192.0.2.1:7]:[0]:[10.0.0.0/8]",
        ] {
            assert_eq!(text.parse::<Destination>().map(|read| read.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("10.0.0.1/8".parse::<Destination>().map(|read| read.to_string()), Ok("10.0.0.0/8".into()));
        for text in
            ["", "ten", "[5]", "[5]:[65000:1]:[0]:[ten]", "[9]:[65000:1]:[0]:[10.0.0.0/8]", "65000:1 x"]
        {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }
}
