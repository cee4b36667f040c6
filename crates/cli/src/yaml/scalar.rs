//! What a scalar means: the catalogue says of which type an attribute is, so that a name can be `no` and a port's tag `1.10`.

use serde_json::{Map, Value};
use weft_services::{Attribute, AttributeType};

use super::tree::{Content, Node, Scalar};

/// The value of a node for an attribute of this type.
pub(crate) fn typed(kind: AttributeType, node: &Node) -> Value {
    let Content::Scalar(scalar) = &node.content else { return within(kind, node) };
    if !scalar.is_plain {
        return Value::String(scalar.text.clone());
    }
    if is_null(&scalar.text) {
        return Value::Null;
    }
    match kind {
        AttributeType::Boolean => boolean(&scalar.text).map_or_else(|| text(scalar), Value::Bool),
        AttributeType::Integer(..) => scalar.text.parse::<i64>().map_or_else(|_| text(scalar), Value::from),
        AttributeType::List | AttributeType::Object | AttributeType::Objects(_) => untyped(node),
        AttributeType::ListOf(kind) => typed(*kind, node),
        AttributeType::Text(_)
        | AttributeType::Secret(_)
        | AttributeType::OneOf(_)
        | AttributeType::Id
        | AttributeType::Reference(_)
        | AttributeType::IpAddress
        | AttributeType::Cidr
        | AttributeType::Mac
        | AttributeType::RouteTarget
        | AttributeType::RouteDistinguisher
        | AttributeType::HostName => text(scalar),
    }
}

/// The items of a list, each of the type that it is a list of, or of that of its key.
fn within(kind: AttributeType, node: &Node) -> Value {
    match (kind, &node.content) {
        (AttributeType::ListOf(kind), Content::List(items)) => {
            Value::Array(items.iter().map(|item| typed(*kind, item)).collect())
        }
        (AttributeType::Objects(attributes), Content::List(items)) => {
            Value::Array(items.iter().map(|item| object(attributes, item)).collect())
        }
        _ => untyped(node),
    }
}

fn object(attributes: &[Attribute], node: &Node) -> Value {
    let Content::Map(entries) = &node.content else { return untyped(node) };
    let value = |key: &str, value: &Node| {
        let attribute = attributes.iter().find(|attribute| attribute.name == key);
        attribute.map_or_else(|| untyped(value), |attribute| typed(attribute.kind, value))
    };
    let entries = entries.iter().map(|(key, node)| (key.text.clone(), value(&key.text, node)));
    Value::Object(entries.collect())
}

/// A list of texts, its items as they are written; maps among them say more.
pub(crate) fn texts(node: &Node) -> Value {
    match &node.content {
        Content::List(items) => items.iter().map(|item| typed(AttributeType::Text(0), item)).collect(),
        _ => untyped(node),
    }
}

/// The value of a node of which nothing is known: by the core schema of YAML 1.2 (§10.3).
pub(crate) fn untyped(node: &Node) -> Value {
    match &node.content {
        Content::Scalar(scalar) if scalar.is_plain => core(scalar),
        Content::Scalar(scalar) => text(scalar),
        Content::List(items) => Value::Array(items.iter().map(untyped).collect()),
        Content::Map(entries) => Value::Object(
            entries.iter().map(|(key, value)| (key.text.clone(), untyped(value))).collect::<Map<_, _>>(),
        ),
    }
}

fn text(scalar: &Scalar) -> Value {
    Value::String(scalar.text.clone())
}

/// Whether a plain scalar is null.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// A boolean where one is expected: also as YAML 1.1 has them.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn core(scalar: &Scalar) -> Value {
    match scalar.text.as_str() {
        null if is_null(null) => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        other => number(other).unwrap_or_else(|| text(scalar)),
    }
}

/// A number, unless reading and printing it would change what was written.
fn number(text: &str) -> Option<Value> {
    if let Ok(number) = text.parse::<i64>() {
        return (number.to_string() == text).then(|| number.into());
    }
    let is_float =
        text.contains('.') && text.chars().all(|letter| letter.is_ascii_digit() || "+-.eE".contains(letter));
    let number = text.parse::<f64>().ok().filter(|number| is_float && number.to_string() == text)?;
    serde_json::Number::from_f64(number).map(Value::Number)
}
