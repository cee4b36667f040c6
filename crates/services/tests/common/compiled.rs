//! What a model is compiled to, as tests look at it.

use std::collections::BTreeMap;

use weft_dataplane::{FragmentId, Object};
use weft_net::HostName;
use weft_services::compile::{self, FragmentKey, Subject};
use weft_services::{Id, Model, RowKind};

/// The name of a host by its number.
pub(crate) fn host_name(host: u8) -> HostName {
    format!("host{host}").parse().unwrap()
}

/// What a prefix of a VRF comes to on a host.
pub(crate) fn objects_of_prefix(model: &Model, (vrf, prefix): (Id, &str), host: u8) -> Vec<Object> {
    let key = FragmentKey::new(RowKind::Vrf, vrf, Subject::Prefix(prefix.parse().unwrap()));
    let compiled = compile::compile(model, &key);
    compiled.map(|found| found.objects_on(&host_name(host)).to_vec()).unwrap_or_default()
}

/// Everything on every host.
pub(crate) fn everything(model: &Model) -> BTreeMap<(HostName, FragmentId), Vec<Object>> {
    let on = |name: HostName| {
        let fragments = compile::intent_of(model, &name).into_iter();
        fragments.map(move |one| ((name.clone(), one.id), one.objects))
    };
    model.hosts().flat_map(|host| on(host.name.clone())).collect()
}
