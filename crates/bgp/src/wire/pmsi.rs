//! The PMSI Tunnel attribute (RFC 6514 §5): how flooded frames are carried.

use std::net::IpAddr;

use super::nlri::LabelField;

/// Through which tunnel flooded frames go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PmsiTunnel {
    /// The first octet: bit 0 asks for leaf routes.
    pub flags: u8,
    /// The tunnel's type.
    pub tunnel_type: u8,
    /// The label or the VNI.
    pub label: LabelField,
    /// What the type says identifies a tunnel; the address of the receiver for ingress replication.
    pub identifier: Box<[u8]>,
}

impl PmsiTunnel {
    /// The tunnel type in which the sender makes a copy for each receiver.
    pub const INGRESS_REPLICATION: u8 = 6;

    /// Ingress replication to `receiver`.
    #[must_use]
    pub fn ingress_replication(label: LabelField, receiver: IpAddr) -> Self {
        let identifier = match receiver {
            IpAddr::V4(address) => address.octets().into(),
            IpAddr::V6(address) => address.octets().into(),
        };
        Self { flags: 0, tunnel_type: Self::INGRESS_REPLICATION, label, identifier }
    }

    /// The receiver, of ingress replication.
    #[must_use]
    pub fn receiver(&self) -> Option<IpAddr> {
        if self.tunnel_type != Self::INGRESS_REPLICATION {
            return None;
        }
        let v4 = <[u8; 4]>::try_from(&self.identifier[..]).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(&self.identifier[..]).map(IpAddr::from)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ingress_replication_alone_has_a_receiver() {
        for receiver in ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().expect("an address")) {
            let tunnel = PmsiTunnel::ingress_replication(LabelField::from_bits(100), receiver);
            assert_eq!(tunnel.receiver(), Some(receiver));
            assert_eq!(PmsiTunnel { tunnel_type: 1, ..tunnel }.receiver(), None);
        }
    }
}
