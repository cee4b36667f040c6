//! Which attributes a table shows: chosen by what the catalogue says of them, so that a new service needs no word here.

use weft_services::{Attribute, AttributeType, OnCreate};

use crate::kind::Kind;

/// What every resource has, and what says little at a glance.
const ALWAYS_LEFT_OUT: &[&str] = &[
    "id",
    "name",
    "description",
    "project_id",
    "tenant_id",
    "created_at",
    "updated_at",
    "revision_number",
    "tags",
    "status",
];

/// The attributes of a table, after the name and before the status.
pub(crate) fn columns(kind: Kind, is_wide: bool) -> Vec<&'static Attribute> {
    let shown = |attribute: &&Attribute| {
        let is_shown = attribute.is_shown() && !ALWAYS_LEFT_OUT.contains(&attribute.name);
        is_shown && (is_wide || matters(attribute))
    };
    let mut columns: Vec<&Attribute> = kind.attributes.iter().filter(shown).collect();
    columns.extend(kind.attribute("status"));
    columns.extend(["project_id", "id"].iter().filter(|_| is_wide).filter_map(|name| kind.attribute(name)));
    columns
}

fn matters(attribute: &Attribute) -> bool {
    let is_required = attribute.on_create == OnCreate::Required;
    let is_read_only = attribute.on_create == OnCreate::ReadOnly;
    match attribute.kind {
        AttributeType::Id
        | AttributeType::Reference(_)
        | AttributeType::Cidr
        | AttributeType::Mac
        | AttributeType::IpAddress
        | AttributeType::HostName => true,
        AttributeType::Boolean | AttributeType::Integer(..) => is_required || is_read_only,
        AttributeType::OneOf(_) => {
            is_required || attribute.name.ends_with(":network_type") || attribute.name == "type"
        }
        AttributeType::List => attribute.name == "fixed_ips",
        AttributeType::ListOf(_) => attribute.name == "route_targets",
        AttributeType::Text(_)
        | AttributeType::Secret(_)
        | AttributeType::RouteTarget
        | AttributeType::RouteDistinguisher
        | AttributeType::Objects(_)
        | AttributeType::Object => false,
    }
}

/// The head of a column: `binding:host_id` is `HOST`, `network_id` is `NETWORK`.
pub(crate) fn header(attribute: &Attribute) -> String {
    let name = attribute.name.rsplit(':').next().unwrap_or(attribute.name);
    let is_reference = matches!(attribute.kind, AttributeType::Reference(_) | AttributeType::HostName);
    let name = if is_reference { name.strip_suffix("_id").unwrap_or(name) } else { name };
    name.replace('_', " ").to_ascii_uppercase()
}
