//! BGP as the controller has it: neighbours, tables, decisions.

use std::net::IpAddr;

use reqwest::Method;
use serde_json::Value;

use crate::{Client, Error, Object};

/// The most routes that are asked for at a time.
const PAGE: usize = 1000;

/// A table of RFC 4271 §3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rib {
    /// All routes.
    Loc,
    /// What a neighbour has announced.
    AdjIn(IpAddr),
    /// What a neighbour has been told.
    AdjOut(IpAddr),
}

impl Rib {
    fn path(self) -> String {
        match self {
            Self::Loc => "/v1/bgp/rib".to_owned(),
            Self::AdjIn(neighbor) => format!("/v1/bgp/neighbors/{neighbor}/adj-in"),
            Self::AdjOut(neighbor) => format!("/v1/bgp/neighbors/{neighbor}/adj-out"),
        }
    }
}

impl Client {
    /// The BGP neighbours and their sessions.
    ///
    /// # Errors
    /// When the controller does not answer.
    pub async fn bgp_neighbors(&self) -> Result<Vec<Object>, Error> {
        objects(self.json(self.request(Method::GET, "/v1/bgp/neighbors", &[])).await?, "neighbors")
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is no such neighbour, or the controller does not answer.
    pub async fn bgp_neighbor(&self, address: IpAddr) -> Result<Object, Error> {
        let path = format!("/v1/bgp/neighbors/{address}");
        let mut answer: Object = self.json(self.request(Method::GET, &path, &[])).await?;
        match answer.remove("neighbor") {
            Some(Value::Object(neighbor)) => Ok(neighbor),
            _ => Err(misses("neighbor")),
        }
    }

    /// At most so many routes of a table for which these filters hold, and whether there may be more.
    ///
    /// # Errors
    /// When a filter is refused, there is no such neighbour, or the controller does not answer.
    pub async fn bgp_routes(
        &self,
        rib: Rib,
        filters: &[(String, String)],
        limit: usize,
    ) -> Result<(Vec<Object>, bool), Error> {
        let (mut routes, mut marker) = (Vec::new(), None::<String>);
        loop {
            let page = (limit - routes.len()).min(PAGE).to_string();
            let mut query: Vec<(&str, &str)> =
                filters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            query.push(("limit", &page));
            query.extend(marker.as_deref().map(|marker| ("marker", marker)));
            let answer: Object = self.json(self.request(Method::GET, &rib.path(), &query)).await?;
            marker = answer.get("next_marker").and_then(Value::as_str).map(str::to_owned);
            routes.extend(objects(answer, "routes")?);
            if marker.is_none() || routes.len() >= limit {
                return Ok((routes, marker.is_some()));
            }
        }
    }

    /// How the paths to a destination were compared: by prefix, or as the table shows it.
    ///
    /// # Errors
    /// When there is no path to it, or the controller does not answer.
    pub async fn bgp_explain(&self, destination: &str) -> Result<Vec<Object>, Error> {
        let query = [("destination", destination)];
        objects(self.json(self.request(Method::GET, "/v1/bgp/explain", &query)).await?, "destinations")
    }

    /// From who asked for it to the kernels of hosts: a route of what is called so.
    ///
    /// # Errors
    /// When nothing is called so or has such a route, or the controller does not answer.
    pub async fn explain_route(
        &self,
        from: &str,
        destination: &str,
        host: Option<&str>,
    ) -> Result<Vec<Object>, Error> {
        let mut query = vec![("from", from), ("destination", destination)];
        query.extend(host.map(|host| ("host", host)));
        objects(self.json(self.request(Method::GET, "/v1/explain/route", &query)).await?, "routes")
    }
}

fn objects(mut answer: Object, name: &str) -> Result<Vec<Object>, Error> {
    let Some(Value::Array(items)) = answer.remove(name) else { return Err(misses(name)) };
    let object = |item| if let Value::Object(object) = item { Some(object) } else { None };
    Ok(items.into_iter().filter_map(object).collect())
}

fn misses(name: &str) -> Error {
    Error::Answer { request: format!("/v1/bgp: {name}"), reason: format!("it has no '{name}'") }
}
