//! Attributes of resources as data: what may be given when, and what their values look like.
//!
//! A resource's attributes are a table; [`merge`] puts a request onto what is stored by that table alone. Its laws: an empty
//! request changes nothing, the same request twice is the same as once, and two requests for different attributes can come
//! in either order.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value};
use weft_net::{HostName, Mac};

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
    /// An IPv4 or IPv6 address.
    IpAddress,
    /// An IPv4 or IPv6 prefix; bits beyond its length are cleared.
    Cidr,
    /// A unicast MAC address.
    Mac,
    /// The name of a host; the empty text is `null`.
    HostName,
    /// A list, of what the resource itself reads.
    List,
    /// An object, of what the resource itself reads.
    Object,
}

/// An attribute of a resource.
#[derive(Clone, Copy, Debug)]
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
}

impl Attribute {
    /// An attribute that can only be read.
    #[must_use]
    pub const fn read_only(name: &'static str, kind: AttributeType, doc: &'static str) -> Self {
        Self { name, doc, kind, nullable: false, on_create: OnCreate::ReadOnly, on_update: false }
    }

    /// An attribute that must be given when the resource is made, and stays.
    #[must_use]
    pub const fn required(name: &'static str, kind: AttributeType, doc: &'static str) -> Self {
        Self { name, doc, kind, nullable: false, on_create: OnCreate::Required, on_update: false }
    }

    /// An attribute that may be given, has this JSON text as its default, and can be changed.
    #[must_use]
    pub const fn with_default(
        name: &'static str,
        kind: AttributeType,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { name, doc, kind, nullable: false, on_create: OnCreate::Default(default), on_update: true }
    }

    /// An attribute that may be given, that the resource chooses if it is not, and that can be changed.
    #[must_use]
    pub const fn optional(name: &'static str, kind: AttributeType, doc: &'static str) -> Self {
        Self { name, doc, kind, nullable: false, on_create: OnCreate::Optional, on_update: true }
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

    /// The value in its one canonical form.
    ///
    /// # Errors
    /// If the attribute cannot have this value.
    pub fn convert(&self, value: &Value) -> Result<Value, Refusal> {
        if value.is_null() && (self.nullable || self.kind == AttributeType::HostName) {
            return Ok(Value::Null);
        }
        match self.kind {
            AttributeType::Boolean => boolean(value).map(Value::Bool).ok_or_else(|| {
                Refusal::invalid(
                    "InvalidInput",
                    format!(
                        "Invalid input for operation: {} cannot be converted to boolean for '{}'.",
                        quoted(value),
                        self.name
                    ),
                )
            }),
            AttributeType::Integer(low, high) => self.integer(value, low, high),
            AttributeType::Text(length_max) => self.text(value, length_max),
            AttributeType::OneOf(choices) => self.one_of(value, choices),
            AttributeType::Id => self.parsed::<Id>(value),
            AttributeType::IpAddress => self.parsed::<IpAddr>(value),
            AttributeType::Cidr => self.cidr(value),
            AttributeType::Mac => self.mac(value),
            AttributeType::HostName if value.as_str() == Some("") => Ok(Value::Null),
            AttributeType::HostName => self.parsed::<HostName>(value),
            AttributeType::List if value.is_array() => Ok(value.clone()),
            AttributeType::List => self.refuse(value, "is not a list"),
            AttributeType::Object if value.is_object() => Ok(value.clone()),
            AttributeType::Object => self.refuse(value, "is not an object"),
        }
    }

    fn refuse(&self, value: &Value, rule: &str) -> Result<Value, Refusal> {
        Err(Refusal::attribute(self.name, format!("{} {rule}", quoted(value))))
    }

    fn integer(&self, value: &Value, low: i64, high: i64) -> Result<Value, Refusal> {
        let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        match number {
            Some(number) if (low..=high).contains(&number) => Ok(Value::from(number)),
            Some(_) => self.refuse(value, &format!("is not in the range from {low} to {high}")),
            None => self.refuse(value, "is not a whole number"),
        }
    }

    fn text(&self, value: &Value, length_max: usize) -> Result<Value, Refusal> {
        match value.as_str() {
            Some(text) if text.chars().count() > length_max => {
                self.refuse(value, &format!("exceeds maximum length of {length_max}"))
            }
            Some(text) if text.contains('\0') => self.refuse(value, "contains a zero character"),
            Some(_) => Ok(value.clone()),
            None => self.refuse(value, "is not a valid string"),
        }
    }

    fn one_of(&self, value: &Value, choices: &[&str]) -> Result<Value, Refusal> {
        match value.as_str() {
            Some(text) if choices.contains(&text) => Ok(value.clone()),
            _ => self.refuse(value, &format!("is not one of {}", choices.join(", "))),
        }
    }

    fn parsed<T>(&self, value: &Value) -> Result<Value, Refusal>
    where
        T: std::str::FromStr + std::fmt::Display,
        T::Err: std::fmt::Display,
    {
        let text =
            value.as_str().ok_or(()).or_else(|()| self.refuse(value, "is not a valid string").map(|_| ""))?;
        match text.parse::<T>() {
            Ok(parsed) => Ok(Value::String(parsed.to_string())),
            Err(error) => self.refuse(value, &format!("is not valid: {error}")),
        }
    }

    fn cidr(&self, value: &Value) -> Result<Value, Refusal> {
        match value.as_str().and_then(|text| text.parse::<IpNet>().ok()) {
            Some(prefix) => Ok(Value::String(prefix.trunc().to_string())),
            None => self.refuse(value, "is not a valid IP subnet"),
        }
    }

    fn mac(&self, value: &Value) -> Result<Value, Refusal> {
        match value.as_str().and_then(|text| text.parse::<Mac>().ok()) {
            Some(mac) if mac.is_unicast() => Ok(Value::String(mac.to_string())),
            Some(_) => self.refuse(value, "is not the address of one station"),
            None => self.refuse(value, "is not a valid MAC address"),
        }
    }
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
