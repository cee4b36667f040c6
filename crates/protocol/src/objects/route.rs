//! Routes, to the wire and back. One plain path has the fields that it always had.

use bytes::Bytes;
use weft_dataplane::{Path, Route, RouteTo};

use super::{ip_address, ip_bytes, label, number, place, place_texts, prefix, text};
use crate::error::FieldError;
use crate::wire;
use crate::wire::route::Nowhere;

impl From<&Route> for wire::Route {
    fn from(route: &Route) -> Self {
        let (namespace, vrf) = place_texts(&route.namespace);
        let mut wire = Self {
            namespace,
            vrf,
            table: route.table,
            destination: Some((&route.destination).into()),
            ..Self::default()
        };
        match &route.to {
            RouteTo::Unreachable => wire.nowhere = Nowhere::Unreachable.into(),
            RouteTo::Blackhole => wire.nowhere = Nowhere::Blackhole.into(),
            RouteTo::Paths(paths) => match &paths[..] {
                [Path { via, link: Some(link), labels, weight: 1 }] if labels.is_empty() => {
                    wire.via = via.map_or_else(Bytes::new, ip_bytes);
                    wire.link = link.to_string();
                }
                paths => wire.paths = paths.iter().map(wire::Path::from).collect(),
            },
        }
        wire
    }
}

impl From<&Path> for wire::Path {
    fn from(path: &Path) -> Self {
        Self {
            via: path.via.map_or_else(Bytes::new, ip_bytes),
            link: path.link.map(|link| link.to_string()).unwrap_or_default(),
            labels: path.labels.iter().map(|label| label.get()).collect(),
            weight: u32::from(path.weight),
        }
    }
}

pub(super) fn from_wire(route: &wire::Route) -> Result<Route, FieldError> {
    let unknown = |_| FieldError::new("route.nowhere", format_args!("{} is not known", route.nowhere));
    let to = match Nowhere::try_from(route.nowhere).map_err(unknown)? {
        Nowhere::Unreachable => RouteTo::Unreachable,
        Nowhere::Blackhole => RouteTo::Blackhole,
        Nowhere::Somewhere if route.paths.is_empty() => {
            RouteTo::link(text("route.link", &route.link)?, via("route.via", &route.via)?)
        }
        Nowhere::Somewhere => {
            RouteTo::paths(route.paths.iter().map(path_from_wire).collect::<Result<Vec<_>, _>>()?)
        }
    };
    Ok(Route {
        namespace: place("route.namespace", &route.namespace, &route.vrf)?,
        table: route.table,
        destination: prefix("route.destination", route.destination.as_ref())?,
        to,
    })
}

fn path_from_wire(path: &wire::Path) -> Result<Path, FieldError> {
    let via = via("path.via", &path.via)?;
    let link = match path.link.as_str() {
        "" if path.labels.is_empty() || via.is_none() => {
            return Err(FieldError::new("path.link", "is missing, and there are no labels and no router"));
        }
        "" => None,
        name => Some(text("path.link", name)?),
    };
    let labels = path.labels.iter().map(|number| label("path.labels", *number)).collect::<Result<_, _>>()?;
    Ok(Path { via, link, labels, weight: number("path.weight", path.weight, 1..=u16::MAX)? })
}

fn via(field: &'static str, bytes: &[u8]) -> Result<Option<std::net::IpAddr>, FieldError> {
    if bytes.is_empty() { Ok(None) } else { ip_address(field, bytes).map(Some) }
}
