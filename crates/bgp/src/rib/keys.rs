//! The keys of each family's table.

use ipnet::{Ipv4Net, Ipv6Net};

use super::table::Key;
use crate::wire::{
    Destination, EvpnDestination, EvpnPayload, LabelField, Membership, Payload, VpnDestination,
};

/// A key without payload.
macro_rules! bare {
    ($key:ty, $variant:ident) => {
        impl Key for $key {
            type Payload = ();

            fn of(destination: &Destination) -> Option<&Self> {
                if let Destination::$variant(key) = destination { Some(key) } else { None }
            }

            fn destination(&self) -> Destination {
                Destination::$variant(*self)
            }

            fn compact(_payload: &Payload) {}

            fn payload((): &()) -> Payload {
                Payload::None
            }
        }
    };
}

/// A key whose routes have a label.
macro_rules! labelled {
    ($key:ty, $variant:ident) => {
        impl Key for $key {
            type Payload = LabelField;

            fn of(destination: &Destination) -> Option<&Self> {
                if let Destination::$variant(key) = destination { Some(key) } else { None }
            }

            fn destination(&self) -> Destination {
                Destination::$variant(*self)
            }

            fn compact(payload: &Payload) -> LabelField {
                if let Payload::Label(label) = payload { *label } else { LabelField::WITHDRAWN }
            }

            fn payload(label: &LabelField) -> Payload {
                Payload::Label(*label)
            }
        }
    };
}

bare!(Ipv4Net, Ipv4);
bare!(Ipv6Net, Ipv6);
bare!(Membership, RouteTarget);
labelled!(VpnDestination<Ipv4Net>, Vpnv4);
labelled!(VpnDestination<Ipv6Net>, Vpnv6);

impl Key for EvpnDestination {
    type Payload = Option<Box<EvpnPayload>>;

    fn of(destination: &Destination) -> Option<&Self> {
        if let Destination::Evpn(key) = destination { Some(key) } else { None }
    }

    fn destination(&self) -> Destination {
        Destination::Evpn(self.clone())
    }

    fn compact(payload: &Payload) -> Self::Payload {
        if let Payload::Evpn(payload) = payload { Some(payload.clone()) } else { None }
    }

    fn payload(payload: &Self::Payload) -> Payload {
        payload.clone().map_or(Payload::None, Payload::Evpn)
    }
}
