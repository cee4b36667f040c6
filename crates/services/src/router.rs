//! stub
use crate::network::HostRoute;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, RowKind, Standard};
use std::net::IpAddr;
use weft_net::Vni;
/// stub
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Router {
    /// stub
    pub standard: Standard,
    /// stub
    pub admin_state_up: bool,
    /// stub
    pub routes: Vec<HostRoute>,
    /// stub
    pub evpn_vni: Option<Vni>,
}
/// stub
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RouterInterface {
    /// stub
    pub standard: Standard,
    /// stub
    pub router_id: Id,
    /// stub
    pub network_id: Id,
}
impl Stored for Router {
    stored_standard!();
    fn references(&self) -> Vec<(RowKind, Id)> {
        Vec::new()
    }
    fn check_claims(&self, _: &Model) -> Result<(), Refusal> {
        Ok(())
    }
}
impl Indexed for Router {
    fn index(_: &mut Model, _: Option<&Self>, _: Option<&Self>) {}
}
impl Stored for RouterInterface {
    stored_standard!();
    fn references(&self) -> Vec<(RowKind, Id)> {
        vec![
            (RowKind::Router, self.router_id),
            (RowKind::Network, self.network_id),
            (RowKind::ServicePort, self.standard.id),
        ]
    }
    fn check_claims(&self, _: &Model) -> Result<(), Refusal> {
        Ok(())
    }
}
impl Indexed for RouterInterface {
    fn index(_: &mut Model, _: Option<&Self>, _: Option<&Self>) {}
}
impl Model {
    pub(crate) fn has_anycast(&self, _: Id) -> bool {
        false
    }
    pub(crate) fn bindings_at(&self, network: Id, address: IpAddr) -> impl Iterator<Item = Id> + use<'_> {
        self.index.addresses.get(&(network, address)).copied().into_iter()
    }
}
