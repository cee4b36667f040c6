//! Attributes of resources as data: what may be given when, and what their values look like.
//!
//! A resource's attributes are a table; [`merge`] puts a request onto what is stored by that table alone. Its laws: an empty
//! request changes nothing, the same request twice is the same as once, and two requests for different attributes can come
//! in either order.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value};
use weft_net::{HostName, Mac, RouteDistinguisher, RouteTarget};

use crate::access::{AttributeAccess, Who};
use crate::{Id, Refusal};

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Make a resource.
    Create,
    /// Change one.
    Update,
}

/// What holds for an attribute when a resource is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCreate {
    /// It must be given.
    Required,
    /// It may be given; if not, this JSON text is its value.
    Default(&'static str),
    /// It may be given; if not, the resource chooses.
    Optional,
    /// It cannot be given: it is the resource's to say.
    ReadOnly,
}

/// What the values of an attribute look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeType {
    /// `true` or `false`; also as Neutron reads them from texts and numbers.
    Boolean,
    /// A whole number within bounds, both included; also as a text.
    Integer(i64, i64),
    /// A text of at most so many characters.
    Text(usize),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A UUID.
    Id,
    /// The UUID of a resource that is there, of the kind with this member name.
    Reference(&'static str),
    /// An IPv4 or IPv6 address.
    IpAddress,
    /// An IPv4 or IPv6 prefix; bits beyond its length are cleared.
    Cidr,
    /// A unicast MAC address.
    Mac,
    /// The name of a host; the empty text is `null`.
    HostName,
    /// A route target (RFC 4360 §4): `64512:100`, `192.0.2.1:100`.
    RouteTarget,
    /// A route distinguisher (RFC 4364 §4.2), in the same forms.
    RouteDistinguisher,
    /// A text of at most so many characters that is never shown again.
    Secret(usize),
    /// A list of values of a type; one that is no list is a list of itself, and `null` is the empty one.
    ListOf(&'static Self),
    /// A list of objects with attributes of their own; `null` is the empty one.
    Objects(&'static [Attribute]),
    /// A list, of what the resource itself reads.
    List,
    /// An object, of what the resource itself reads.
    Object,
}

/// An attribute of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name in JSON.
    pub name: &'static str,
    /// What it is, for people.
    pub doc: &'static str,
    /// What its values look like.
    pub kind: AttributeType,
    /// Whether `null` is a value.
    pub nullable: bool,
    /// What holds when the resource is made.
    pub on_create: OnCreate,
    /// Whether it can be changed later.
    pub on_update: bool,
    /// Who may see and set it.
    pub access: AttributeAccess,
}

impl Attribute {
    /// An attribute that can only be read.
    #[must_use]
    pub const fn read_only(name: &'static str, kind: AttributeType, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            kind,
            nullable: false,
            on_create: OnCreate::ReadOnly,
            on_update: false,
            access: AttributeAccess::AS_RESOURCE,
        }
    }

    /// An attribute that must be given when the resource is made, and stays.
    #[must_use]
    pub const fn required(name: &'static str, kind: AttributeType, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            kind,
            nullable: false,
            on_create: OnCreate::Required,
            on_update: false,
            access: AttributeAccess::AS_RESOURCE,
        }
    }

    /// An attribute that may be given, has this JSON text as its default, and can be changed.
    #[must_use]
    pub const fn with_default(
        name: &'static str,
        kind: AttributeType,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            doc,
            kind,
            nullable: false,
            on_create: OnCreate::Default(default),
            on_update: true,
            access: AttributeAccess::AS_RESOURCE,
        }
    }

    /// An attribute that may be given, that the resource chooses if it is not, and that can be changed.
    #[must_use]
    pub const fn optional(name: &'static str, kind: AttributeType, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            kind,
            nullable: false,
            on_create: OnCreate::Optional,
            on_update: true,
            access: AttributeAccess::AS_RESOURCE,
        }
    }

    /// The same, with `null` as a value.
    #[must_use]
    pub const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The same, not to be changed once the resource is made.
    #[must_use]
    pub const fn immutable(mut self) -> Self {
        self.on_update = false;
        self
    }

    /// The same, to be changed although it must be given first.
    #[must_use]
    pub const fn mutable(mut self) -> Self {
        self.on_update = true;
        self
    }

    /// The same, to be seen by these alone.
    #[must_use]
    pub const fn read_by(mut self, who: Who) -> Self {
        self.access.read = Some(who);
        self
    }

    /// The same, to be given and changed by these alone.
    #[must_use]
    pub const fn set_by(mut self, who: Who) -> Self {
        self.access.create = Some(who);
        self.access.update = Some(who);
        self
    }

    /// The same, to be seen and set by those whom this names.
    #[must_use]
    pub const fn with_access(mut self, access: AttributeAccess) -> Self {
        self.access = access;
        self
    }

    fn check_may_be_given(&self, operation: Operation) -> Result<(), Refusal> {
        let may = match operation {
            Operation::Create => self.on_create != OnCreate::ReadOnly,
            Operation::Update => self.on_update,
        };
        if may {
            Ok(())
        } else if operation == Operation::Create {
            Err(Refusal::invalid("HTTPBadRequest", format!("Attribute '{}' not allowed in POST", self.name)))
        } else {
            Err(Refusal::invalid(
                "HTTPBadRequest",
                format!("Cannot update read-only attribute {}", self.name),
            ))
        }
    }

    /// Whether it is shown to anybody.
    #[must_use]
    pub const fn is_shown(&self) -> bool {
        !matches!(self.kind, AttributeType::Secret(_))
    }

    /// The value in its one canonical form.
    ///
    /// # Errors
    /// If the attribute cannot have this value.
    pub fn convert(&self, value: &Value) -> Result<Value, Refusal> {
        if value.is_null() && (self.nullable || self.kind == AttributeType::HostName) {
            return Ok(Value::Null);
        }
        self.kind.convert(self.name, value)
    }
}

impl AttributeType {
    /// A value of this type in its one canonical form; `name` is where it stands, as in `routes[2].nexthop`.
    fn convert(self, name: &str, value: &Value) -> Result<Value, Refusal> {
        let refuse = |rule: &str| Err(Refusal::attribute(name, format!("{} {rule}", quoted(value))));
        match self {
            Self::Boolean => boolean(value).map(Value::Bool).ok_or_else(|| {
                let shown = quoted(value);
                Refusal::invalid(
                    "InvalidInput",
                    format!(
                        "Invalid input for operation: {shown} cannot be converted to boolean for '{name}'."
                    ),
                )
            }),
            Self::Integer(low, high) => integer(name, value, low, high),
            Self::Text(length_max) => text(name, value, length_max),
            Self::Secret(length_max) => secret(name, value, length_max),
            Self::OneOf(choices) => match value.as_str() {
                Some(text) if choices.contains(&text) => Ok(value.clone()),
                _ => refuse(&format!("is not one of {}", choices.join(", "))),
            },
            Self::Id | Self::Reference(_) => parsed::<Id>(name, value),
            Self::IpAddress => parsed::<IpAddr>(name, value),
            Self::Cidr => match value.as_str().and_then(|text| text.parse::<IpNet>().ok()) {
                Some(prefix) => Ok(Value::String(prefix.trunc().to_string())),
                None => refuse("is not a valid IP subnet"),
            },
            Self::Mac => match value.as_str().and_then(|text| text.parse::<Mac>().ok()) {
                Some(mac) if mac.is_unicast() => Ok(Value::String(mac.to_string())),
                Some(_) => refuse("is not the address of one station"),
                None => refuse("is not a valid MAC address"),
            },
            Self::HostName if value.as_str() == Some("") => Ok(Value::Null),
            Self::HostName => parsed::<HostName>(name, value),
            Self::RouteTarget => administered::<RouteTarget>(name, value),
            Self::RouteDistinguisher => administered::<RouteDistinguisher>(name, value),
            Self::ListOf(kind) => {
                let one = std::slice::from_ref(value);
                let items = if value.is_null() { &[] } else { value.as_array().map_or(one, Vec::as_slice) };
                each(name, items, |name, item| kind.convert(name, item))
            }
            Self::Objects(attributes) => match value {
                Value::Null => Ok(Value::Array(Vec::new())),
                Value::Array(items) => each(name, items, |name, item| object(name, item, attributes)),
                _ => refuse("is not a list"),
            },
            Self::List if value.is_array() => Ok(value.clone()),
            Self::List => refuse("is not a list"),
            Self::Object if value.is_object() => Ok(value.clone()),
            Self::Object => refuse("is not an object"),
        }
    }
}

fn integer(name: &str, value: &Value, low: i64, high: i64) -> Result<Value, Refusal> {
    let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    let rule = match number {
        Some(number) if (low..=high).contains(&number) => return Ok(Value::from(number)),
        Some(_) => format!("is not in the range from {low} to {high}"),
        None => "is not a whole number".into(),
    };
    Err(Refusal::attribute(name, format!("{} {rule}", quoted(value))))
}

fn text(name: &str, value: &Value, length_max: usize) -> Result<Value, Refusal> {
    match broken_rule_of_text(value, length_max) {
        Some(rule) => Err(Refusal::attribute(name, format!("{} {rule}", quoted(value)))),
        None => Ok(value.clone()),
    }
}

/// What is wrong with a secret is told without it.
fn secret(name: &str, value: &Value, length_max: usize) -> Result<Value, Refusal> {
    match broken_rule_of_text(value, length_max) {
        Some(rule) => Err(Refusal::attribute(name, format!("the value {rule}"))),
        None => Ok(value.clone()),
    }
}

fn broken_rule_of_text(value: &Value, length_max: usize) -> Option<String> {
    match value.as_str() {
        Some(text) if text.chars().count() > length_max => {
            Some(format!("exceeds maximum length of {length_max}"))
        }
        Some(text) if text.contains('\0') => Some("contains a zero character".into()),
        Some(_) => None,
        None => Some("is not a valid string".into()),
    }
}

/// A route target or a route distinguisher in the forms that Neutron takes. There are more by which those of neighbours are shown.
fn administered<T>(name: &str, value: &Value) -> Result<Value, Refusal>
where
    T: std::str::FromStr + std::fmt::Display,
    T::Err: std::fmt::Display,
{
    let is_of_neighbours = |text: &str| text.starts_with("0x") || text.matches('.').count() == 1;
    if value.as_str().is_some_and(is_of_neighbours) {
        let rule = "is not valid: an AS number is one decimal number, as in 65000:100";
        return Err(Refusal::attribute(name, format!("{} {rule}", quoted(value))));
    }
    parsed::<T>(name, value)
}

fn parsed<T>(name: &str, value: &Value) -> Result<Value, Refusal>
where
    T: std::str::FromStr + std::fmt::Display,
    T::Err: std::fmt::Display,
{
    let rule = match value.as_str().map(str::parse::<T>) {
        Some(Ok(parsed)) => return Ok(Value::String(parsed.to_string())),
        Some(Err(error)) => format!("is not valid: {error}"),
        None => "is not a valid string".into(),
    };
    Err(Refusal::attribute(name, format!("{} {rule}", quoted(value))))
}

/// The items of a list, each by its place in it.
fn each(
    name: &str,
    items: &[Value],
    convert: impl Fn(&str, &Value) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    let items = items.iter().enumerate().map(|(at, item)| convert(&format!("{name}[{at}]"), item));
    items.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// An object with these attributes, as an item of a list: it is made anew whenever the list is given.
fn object(name: &str, item: &Value, attributes: &[Attribute]) -> Result<Value, Refusal> {
    let Value::Object(given) = item else {
        return Err(Refusal::attribute(name, format!("{} is not an object", quoted(item))));
    };
    let is_unknown = |key: &&String| !attributes.iter().any(|known| known.name == **key);
    if let Some(unknown) = given.keys().find(is_unknown) {
        let known: Vec<&str> = attributes.iter().map(|attribute| attribute.name).collect();
        let unknown = quoted(&Value::from(unknown.as_str()));
        let rule = format!("it has {unknown}, which is not one of {}", known.join(", "));
        return Err(Refusal::attribute(name, rule));
    }
    let mut converted = Map::new();
    for attribute in attributes {
        let place = format!("{name}.{}", attribute.name);
        let value = match (given.get(attribute.name), attribute.on_create) {
            (Some(Value::Null), _) if attribute.nullable => Value::Null,
            (Some(value), _) => attribute.kind.convert(&place, value)?,
            (None, OnCreate::Required) => return Err(Refusal::attribute(&place, "it is not given")),
            (None, OnCreate::Default(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
            (None, OnCreate::Optional | OnCreate::ReadOnly) => continue,
        };
        converted.insert(attribute.name.to_owned(), value);
    }
    Ok(Value::Object(converted))
}

/// Reads a boolean as Neutron does, also from a filter.
pub(crate) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(boolean) => Some(*boolean),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A value as it is shown in a message: bounded, so that a large body does not come back.
fn quoted(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let short: String = text.chars().take(80).collect();
    if short.len() < text.len() { format!("'{short}…'") } else { format!("'{short}'") }
}

/// Puts a request onto what is stored: unknown, read-only and immutable attributes are refused, values get their canonical
/// form, and what a new resource was not given gets its default.
///
/// `stored` holds the resource's own attributes when it is changed, and nothing when it is made.
///
/// # Errors
/// The first attribute that is wrong, with the rule that it breaks.
pub(crate) fn merge(
    attributes: &[Attribute],
    operation: Operation,
    stored: Map<String, Value>,
    request: &Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let unknown: Vec<&str> = request
        .keys()
        .map(String::as_str)
        .filter(|name| !attributes.iter().any(|known| known.name == *name))
        .collect();
    if !unknown.is_empty() {
        let names = unknown.iter().map(|name| quoted(&Value::from(*name))).collect::<Vec<_>>().join(", ");
        return Err(Refusal::invalid("HTTPBadRequest", format!("Unrecognized attribute(s) {names}")));
    }
    let mut merged = stored;
    for attribute in attributes {
        if let Some(value) = request.get(attribute.name) {
            attribute.check_may_be_given(operation)?;
            merged.insert(attribute.name.to_owned(), attribute.convert(value)?);
        } else if operation == Operation::Create {
            match attribute.on_create {
                OnCreate::Required => {
                    let message = format!(
                        "Failed to parse request. Required attribute '{}' not specified",
                        attribute.name
                    );
                    return Err(Refusal::invalid("HTTPBadRequest", message));
                }
                OnCreate::Default(text) => {
                    let value = serde_json::from_str(text).unwrap_or(Value::Null);
                    merged.insert(attribute.name.to_owned(), value);
                }
                OnCreate::Optional | OnCreate::ReadOnly => {}
            }
        }
    }
    Ok(merged)
}

#[cfg(test)]
mod tests;
