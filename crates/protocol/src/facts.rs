//! A host's facts, to the wire and back.

use bytes::Bytes;
use weft_net::HostFact;

use crate::error::{DecodeError, FieldError};
use crate::objects::{ip_address, ip_bytes, text};
use crate::wire;

impl From<&HostFact> for wire::Facts {
    fn from(fact: &HostFact) -> Self {
        let interface =
            |(name, interface): (&String, &weft_net::IfName)| (name.clone(), interface.to_string());
        Self {
            capabilities: fact.capabilities.iter().map(ToString::to_string).collect(),
            tunnel_endpoint: fact.tunnel_endpoint.map_or_else(Bytes::new, ip_bytes),
            underlay_mtu: fact.underlay_mtu,
            physical_networks: fact.physical_networks.iter().map(interface).collect(),
            l3_encapsulation: fact.l3_encapsulation.to_string(),
        }
    }
}

impl TryFrom<&wire::Facts> for HostFact {
    type Error = DecodeError;

    /// Passes over capabilities that this version has no name for.
    fn try_from(facts: &wire::Facts) -> Result<Self, DecodeError> {
        let read = || -> Result<Self, FieldError> {
            let mut fact = Self {
                tunnel_endpoint: None,
                underlay_mtu: facts.underlay_mtu,
                capabilities: facts.capabilities.iter().filter_map(|name| name.parse().ok()).collect(),
                physical_networks: std::collections::BTreeMap::new(),
                l3_encapsulation: facts.l3_encapsulation.parse().unwrap_or_default(),
            };
            if !facts.tunnel_endpoint.is_empty() {
                fact.tunnel_endpoint = Some(ip_address("tunnel_endpoint", &facts.tunnel_endpoint)?);
            }
            for (name, interface) in &facts.physical_networks {
                fact.physical_networks.insert(name.clone(), text("physical_networks", interface)?);
            }
            Ok(fact)
        };
        read().map_err(|error| error.at("facts"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_net::{Capability, L3Encapsulation};

    #[test]
    fn facts_come_back_as_they_were_without_what_only_a_newer_agent_knows() {
        let fact = HostFact {
            tunnel_endpoint: Some("2001:db8::1".parse().unwrap()),
            underlay_mtu: 9000,
            capabilities: Capability::ALL.into(),
            physical_networks: [("provider".to_owned(), "eth1".parse().unwrap())].into(),
            l3_encapsulation: L3Encapsulation::Mpls,
        };
        let mut facts = wire::Facts::from(&fact);
        facts.capabilities.push("teleport".to_owned());
        assert_eq!(HostFact::try_from(&facts), Ok(fact));
    }

    #[test]
    fn an_endpoint_of_five_bytes_is_refused_by_name() {
        let facts = wire::Facts { tunnel_endpoint: Bytes::from_static(&[1; 5]), ..wire::Facts::default() };
        let error = HostFact::try_from(&facts).unwrap_err();
        assert_eq!(error.to_string(), "facts: tunnel_endpoint: 5 bytes are not an IP address");
    }
}
