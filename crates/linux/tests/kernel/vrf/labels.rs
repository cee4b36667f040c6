//! VRFs joined by MPLS labels instead of VXLAN (RFC 4364).

use weft_dataplane::conformance::converge;
use weft_dataplane::{Driver, LabelRoute, Object, Path, RouteTo, State};
use weft_linux::VrfMode;
use weft_net::{Capability, MplsLabel};

use super::{Site, answers, hosts, site};
use crate::common::{Bench, run, state};
use crate::damage::check;

fn label(site: Site) -> MplsLabel {
    (100 + u32::from(site.host)).try_into().unwrap()
}

fn wanted(site: Site) -> State {
    let there = site.there();
    let path = |via: String| Path {
        via: Some(via.parse().unwrap()),
        link: None,
        labels: vec![label(there)],
        weight: 1,
    };
    let mut objects = site.local();
    objects.push(Object::LabelRoute(LabelRoute { label: label(site), vrf: site.vrf() }));
    objects.push(site.route(&format!("10.{}.0.5/32", there.host), RouteTo::paths([path(there.vtep())])));
    objects.push(site.route(
        &format!("2001:db8:{}::5/128", there.host),
        RouteTo::paths([path(format!("2001:db8:ffff::{}", there.host))]),
    ));
    state(objects)
}

#[test]
#[ignore = "needs VRF devices and MPLS; runs in a virtual machine"]
fn two_vrfs_are_joined_by_labels() {
    let bench = Bench::with(VrfMode::Device);
    let wants = [1, 2].map(|host| wanted(site('a', host)));
    let [mut first, _second] = hosts(&bench, [&wants[0], &wants[1]]);
    assert!(first.capabilities().contains(&Capability::Mpls));
    let from = site('a', 1).workload(&bench);
    assert!(answers(&from, "10.2.0.5") && answers(&from, "2001:db8:2::5"));
    let n = bench.host("a");
    run(&format!("ip -n {n} -f mpls route del 101"));
    check(&mut first, &wants[0], "a label is gone", &["+ label"]);
    run(&format!(
        "ip -n {n} route replace 10.2.0.5/32 table 1001 encap mpls 999 via 192.0.2.2 dev up0 proto 217"
    ));
    check(&mut first, &wants[0], "another label", &["~ route"]);
    assert_eq!(converge(&mut bench.open("a"), &wants[0]), Ok(0), "a fresh look");
    assert!(answers(&from, "10.2.0.5"));
}

#[test]
fn a_label_is_refused_where_vrfs_are_namespaces() {
    let bench = Bench::new();
    bench.add_host("h");
    let mut host = bench.open("h");
    assert!(!host.capabilities().contains(&Capability::Mpls));
    let vrf = site('a', 1).local().remove(0);
    let label = Object::LabelRoute(LabelRoute { label: label(site('a', 1)), vrf: site('a', 1).vrf() });
    let plan = crate::common::plan(&mut host, &state([vrf, label]));
    let outcomes = host.apply(&plan);
    assert!(outcomes[0].is_ok(), "{outcomes:?}");
    assert!(
        outcomes[1].as_ref().unwrap_err().to_string().contains("only where VRFs are devices"),
        "{outcomes:?}"
    );
}
