//! Who may do what: the catalogue says the same as the default policies of Neutron and of its BGP VPNs, rule by rule, and of
//! what is not Neutron's what is listed here.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeSet;

use weft_services::access::{Party, Verb, Who};
use weft_services::catalogue::{CATALOGUE, Entry, by_member};
use weft_services::{Attribute, OnCreate};

/// Rules of `neutron/conf/policies` and `networking_bgpvpn/policies` about what is in the catalogue: all of it but parts of an
/// attribute (`fixed_ips:ip_address`) and the deletion of tags, which is an update here.
const POLICIES: &str = "
create_network ADMIN_OR_PROJECT_MEMBER
create_network:shared ADMIN
create_network:provider:network_type ADMIN
create_network:provider:physical_network ADMIN
create_network:provider:segmentation_id ADMIN
create_network:tags ADMIN_OR_PROJECT_MEMBER
get_network ADMIN_OR_PROJECT_READER SERVICE shared external ADVSVC
get_network:provider:network_type ADMIN
get_network:provider:physical_network ADMIN
get_network:provider:segmentation_id ADMIN
get_network:tags ADMIN_OR_PROJECT_READER shared external ADVSVC
update_network ADMIN_OR_PROJECT_MEMBER
update_network:shared ADMIN
update_network:provider:network_type ADMIN
update_network:provider:physical_network ADMIN
update_network:provider:segmentation_id ADMIN
update_network:tags ADMIN_OR_PROJECT_MEMBER
delete_network ADMIN_OR_PROJECT_MEMBER
create_subnet ADMIN_OR_NET_OWNER_MEMBER
create_subnet:tags PROJECT_MEMBER ADMIN_OR_NET_OWNER_MEMBER
get_subnet PROJECT_READER shared external ADMIN_OR_NET_OWNER_READER SERVICE
get_subnet:tags PROJECT_READER shared external ADMIN_OR_NET_OWNER_READER
update_subnet PROJECT_MEMBER ADMIN_OR_NET_OWNER_MEMBER
update_subnet:tags PROJECT_MEMBER ADMIN_OR_NET_OWNER_MEMBER
delete_subnet PROJECT_MEMBER ADMIN_OR_NET_OWNER_MEMBER
create_port ADMIN_OR_SERVICE NET_OWNER_MEMBER shared
create_port:device_id ADMIN_OR_PROJECT_MEMBER SERVICE
create_port:device_owner not_network_device ADMIN_OR_SERVICE NET_OWNER_MEMBER
create_port:mac_address ADMIN_OR_SERVICE NET_OWNER_MEMBER
create_port:fixed_ips ADMIN_OR_SERVICE NET_OWNER_MEMBER shared
create_port:binding:host_id ADMIN_OR_SERVICE
create_port:binding:profile SERVICE
create_port:binding:vnic_type ADMIN_OR_PROJECT_MEMBER SERVICE
create_port:tags ADMIN_OR_PROJECT_MEMBER ADVSVC
get_port ADMIN_OR_SERVICE NET_OWNER_READER PROJECT_READER
get_port:binding:vif_type ADMIN_OR_SERVICE
get_port:binding:vif_details ADMIN_OR_SERVICE
get_port:binding:host_id ADMIN_OR_SERVICE
get_port:binding:profile ADMIN_OR_SERVICE
get_port:tags ADVSVC ADMIN_OR_NET_OWNER_READER PROJECT_READER
update_port ADMIN_OR_SERVICE PROJECT_MEMBER
update_port:device_id ADMIN_OR_PROJECT_MEMBER SERVICE
update_port:device_owner not_network_device ADMIN_OR_SERVICE NET_OWNER_MEMBER
update_port:mac_address ADMIN_OR_SERVICE NET_OWNER_MANAGER
update_port:fixed_ips ADMIN_OR_SERVICE NET_OWNER_MEMBER
update_port:binding:host_id ADMIN_OR_SERVICE
update_port:binding:profile SERVICE
update_port:binding:vnic_type ADMIN_OR_SERVICE PROJECT_MEMBER
update_port:tags ADMIN_OR_PROJECT_MEMBER ADVSVC
delete_port ADMIN_OR_SERVICE NET_OWNER_MEMBER PROJECT_MEMBER
create_router ADMIN_OR_PROJECT_MEMBER
create_router:distributed ADMIN
create_router:ha ADMIN
create_router:evpn_vni ADMIN
create_router:external_gateway_info ADMIN_OR_PROJECT_MEMBER
create_router:tags ADMIN_OR_PROJECT_MEMBER
get_router ADMIN_OR_PROJECT_READER
get_router:distributed ADMIN
get_router:ha ADMIN
get_router:evpn_vni ADMIN_OR_PROJECT_READER
get_router:tags ADMIN_OR_PROJECT_READER
update_router ADMIN_OR_PROJECT_MEMBER
update_router:distributed ADMIN
update_router:ha ADMIN
update_router:external_gateway_info ADMIN_OR_PROJECT_MEMBER
update_router:tags ADMIN_OR_PROJECT_MEMBER
delete_router ADMIN_OR_PROJECT_MEMBER
act_router:add_router_interface ADMIN_OR_PROJECT_MEMBER
act_router:remove_router_interface ADMIN_OR_PROJECT_MEMBER
act_router:add_extraroutes ADMIN_OR_PROJECT_MEMBER
act_router:remove_extraroutes ADMIN_OR_PROJECT_MEMBER
create_bgpvpn ADMIN
update_bgpvpn ADMIN_OR_OWNER
update_bgpvpn:project_id ADMIN
update_bgpvpn:route_targets ADMIN
update_bgpvpn:import_targets ADMIN
update_bgpvpn:export_targets ADMIN
update_bgpvpn:route_distinguishers ADMIN
update_bgpvpn:vni ADMIN
delete_bgpvpn ADMIN
get_bgpvpn ADMIN_OR_OWNER
get_bgpvpn:project_id ADMIN
get_bgpvpn:route_targets ADMIN
get_bgpvpn:import_targets ADMIN
get_bgpvpn:export_targets ADMIN
get_bgpvpn:route_distinguishers ADMIN
get_bgpvpn:vni ADMIN
create_bgpvpn_network_association ADMIN_OR_OWNER
update_bgpvpn_network_association ADMIN_OR_OWNER
delete_bgpvpn_network_association ADMIN_OR_OWNER
get_bgpvpn_network_association ADMIN_OR_OWNER
get_bgpvpn_network_association:project_id ADMIN
create_bgpvpn_port_association ADMIN_OR_OWNER
update_bgpvpn_port_association ADMIN_OR_OWNER
delete_bgpvpn_port_association ADMIN_OR_OWNER
get_bgpvpn_port_association ADMIN_OR_OWNER
get_bgpvpn_port_association:project_id ADMIN
create_bgpvpn_router_association ADMIN_OR_OWNER
update_bgpvpn_router_association ADMIN_OR_OWNER
delete_bgpvpn_router_association ADMIN_OR_OWNER
get_bgpvpn_router_association ADMIN_OR_OWNER
get_bgpvpn_router_association:project_id ADMIN
";

/// The same of what is not in those policies: resources and attributes that Neutron does not have, and its dynamic routing, which
/// is for administrators.
const OF_OURS: &str = "
create_port:anycast ADMIN_OR_SERVICE NET_OWNER_MEMBER
get_bgpvpn:hub_target ADMIN
get_bgpvpn:spoke_target ADMIN
create_instance_port ADMIN_OR_SERVICE PROJECT_MEMBER
create_instance_port:host_id ADMIN_OR_SERVICE
create_instance_port:vnic ADMIN_OR_SERVICE
get_instance_port ADMIN_OR_SERVICE PROJECT_READER
get_instance_port:host_id ADMIN_OR_SERVICE
get_instance_port:vnic ADMIN_OR_SERVICE
update_instance_port ADMIN_OR_SERVICE PROJECT_MEMBER
update_instance_port:host_id ADMIN_OR_SERVICE
update_instance_port:vnic ADMIN_OR_SERVICE
delete_instance_port ADMIN_OR_SERVICE PROJECT_MEMBER
create_interface ADMIN_OR_SERVICE PROJECT_MEMBER
get_interface ADMIN_OR_SERVICE PROJECT_READER
update_interface ADMIN_OR_SERVICE PROJECT_MEMBER
delete_interface ADMIN_OR_SERVICE PROJECT_MEMBER
create_service ADMIN_OR_PROJECT_MEMBER
get_service ADMIN_OR_PROJECT_READER SERVICE shared ADVSVC
update_service ADMIN_OR_PROJECT_MEMBER
delete_service ADMIN_OR_PROJECT_MEMBER
create_service_port ADMIN_OR_SERVICE NET_OWNER_MEMBER shared
create_service_port:fixed_ips ADMIN_OR_SERVICE NET_OWNER_MEMBER shared
create_service_port:anycast ADMIN_OR_SERVICE NET_OWNER_MEMBER
get_service_port ADMIN_OR_SERVICE NET_OWNER_READER PROJECT_READER
get_service_port:binding_failure ADMIN_OR_SERVICE
update_service_port ADMIN_OR_SERVICE PROJECT_MEMBER
update_service_port:fixed_ips ADMIN_OR_SERVICE NET_OWNER_MEMBER
delete_service_port ADMIN_OR_SERVICE NET_OWNER_MEMBER PROJECT_MEMBER
create_bgp_peer ADMIN
get_bgp_peer ADMIN
update_bgp_peer ADMIN
delete_bgp_peer ADMIN
create_bgp_speaker ADMIN
get_bgp_speaker ADMIN
update_bgp_speaker ADMIN
delete_bgp_speaker ADMIN
act_bgp_speaker:add_bgp_peer ADMIN
act_bgp_speaker:get_advertised_routes ADMIN
act_bgpvpn:add_static_routes ADMIN_OR_OWNER
get_host ADMIN
delete_host ADMIN
";

/// Who fulfils a rule, by its words.
fn parties(rule: &str) -> BTreeSet<Party> {
    let of_word = |word: &str| match word {
        "ADMIN" => vec![Party::Admin],
        "SERVICE" => vec![Party::Service],
        "ADVSVC" => vec![Party::AdvancedService],
        "PROJECT_READER" => vec![Party::ProjectReader],
        "PROJECT_MEMBER" => vec![Party::ProjectMember],
        "NET_OWNER_MEMBER" => vec![Party::NetworkOwnerMember],
        "NET_OWNER_READER" => vec![Party::NetworkOwnerReader],
        "NET_OWNER_MANAGER" => vec![Party::NetworkOwnerManager],
        "ADMIN_OR_SERVICE" => vec![Party::Admin, Party::Service],
        "ADMIN_OR_OWNER" => vec![Party::Admin, Party::Owner],
        "ADMIN_OR_PROJECT_MEMBER" => vec![Party::Admin, Party::ProjectMember],
        "ADMIN_OR_PROJECT_READER" => vec![Party::Admin, Party::ProjectReader],
        "ADMIN_OR_NET_OWNER_MEMBER" => vec![Party::Admin, Party::NetworkOwnerMember],
        "ADMIN_OR_NET_OWNER_READER" => vec![Party::Admin, Party::NetworkOwnerReader],
        "shared" => vec![Party::Shared],
        "not_network_device" => vec![Party::NotNetworkDevice],
        // No network is external.
        "external" => vec![],
        other => panic!("{other} is no word of a rule"),
    };
    rule.split(' ').flat_map(of_word).collect()
}

fn verb(word: &str) -> Verb {
    match word {
        "create" => Verb::Create,
        "get" => Verb::Read,
        "update" => Verb::Update,
        "delete" => Verb::Delete,
        other => panic!("{other} is no verb"),
    }
}

/// Whom the catalogue allows what a rule is about.
fn allowed(name: &str) -> Who {
    let (word, rest) = name.split_once('_').unwrap();
    let (member, part) = rest.split_once(':').map_or((rest, None), |(member, part)| (member, Some(part)));
    let entry: &Entry = by_member(member).unwrap_or_else(|| panic!("{name}"));
    match part {
        Some(action) if word == "act" => entry.who_may_act(entry.action(action).expect(name)),
        None => entry.access.who_may(verb(word)),
        Some(attribute) => {
            let attribute = entry.attribute(attribute).expect(name);
            attribute.access.who_may(verb(word)).unwrap_or(entry.access.who_may(verb(word)))
        }
    }
}

fn rules() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = POLICIES.lines().chain(OF_OURS.lines()).filter(|line| !line.is_empty());
    lines.map(|line| line.split_once(' ').unwrap())
}

fn can_be(verb: Verb, attribute: &Attribute) -> bool {
    match verb {
        Verb::Create => attribute.on_create != OnCreate::ReadOnly,
        Verb::Read => attribute.is_shown(),
        Verb::Update => attribute.on_update,
        Verb::Delete => false,
    }
}

#[test]
fn the_catalogue_allows_what_the_default_policies_allow() {
    for (name, rule) in rules() {
        let allowed: BTreeSet<Party> = allowed(name).iter().copied().collect();
        assert_eq!(allowed, parties(rule), "{name}");
    }
}

#[test]
fn whoever_is_allowed_something_else_than_with_the_resource_is_in_a_rule() {
    let named: BTreeSet<&str> = rules().map(|(name, _)| name).collect();
    for entry in CATALOGUE {
        for (word, verb) in [("create", Verb::Create), ("get", Verb::Read), ("update", Verb::Update)] {
            let of_entry = format!("{word}_{}", entry.member);
            assert!(named.contains(of_entry.as_str()) || !entry.verbs.write, "{of_entry}");
            for attribute in entry.attributes.iter().filter(|one| can_be(verb, one)) {
                let of_attribute = format!("{of_entry}:{}", attribute.name);
                // It is the former name of the other.
                let of_attribute = of_attribute.replace(":tenant_id", ":project_id");
                let differs = attribute.access.who_may(verb).is_some();
                assert!(!differs || named.contains(of_attribute.as_str()), "{of_attribute}");
            }
        }
    }
}
