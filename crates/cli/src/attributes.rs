//! Attributes as flags: one for each that the catalogue has, and what the text after it means.

use anyhow::{Context as _, Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction};
use serde_json::{Map, Value};
use weft_client::Client;
use weft_services::{Attribute, AttributeType};

use crate::kind::Kind;
use crate::names;

/// Flags that every command has; an attribute of such a name gets a longer one.
const TAKEN: &[&str] =
    &["url", "output", "no-headers", "quiet", "verbose", "timeout", "help", "version", "if-revision"];

/// The flag of an attribute.
pub(crate) fn argument(attribute: &'static Attribute) -> Arg {
    let flag = flag(attribute);
    let mut aliases = vec![attribute.name.to_owned(), attribute.name.replace(['_', ':'], "-")];
    if attribute.name == "project_id" {
        aliases.push("project".to_owned());
    }
    aliases.retain(|alias| *alias != flag && !TAKEN.contains(&alias.as_str()));
    aliases.dedup();
    let arg = Arg::new(attribute.name).long(flag).aliases(aliases).help(help(attribute));
    let arg = arg.value_name(value_name(attribute)).action(match attribute.kind {
        kind if is_list(kind) => ArgAction::Append,
        AttributeType::Object => ArgAction::Append,
        _ => ArgAction::Set,
    });
    match attribute.kind {
        AttributeType::OneOf(choices) if attribute.nullable => {
            arg.value_parser(PossibleValuesParser::new(choices.iter().copied().chain(["null"])))
        }
        AttributeType::OneOf(choices) => arg.value_parser(PossibleValuesParser::new(choices)),
        AttributeType::Boolean => arg.value_parser(PossibleValuesParser::new(["true", "false"])),
        _ => arg.allow_hyphen_values(true),
    }
}

fn flag(attribute: &Attribute) -> String {
    let name = match attribute.kind {
        AttributeType::HostName if attribute.name.ends_with("host_id") => "host",
        _ => names::reference(attribute).map_or(attribute.name, |(short, _)| short),
    };
    let name = name.replace(['_', ':'], "-");
    if TAKEN.contains(&name.as_str()) { format!("attribute-{name}") } else { name }
}

/// Whether it has several values.
pub(crate) const fn is_list(kind: AttributeType) -> bool {
    matches!(kind, AttributeType::List | AttributeType::ListOf(_) | AttributeType::Objects(_))
}

fn value_name(attribute: &Attribute) -> &'static str {
    match attribute.kind {
        AttributeType::Boolean => "BOOLEAN",
        AttributeType::Integer(..) => "NUMBER",
        AttributeType::Text(_) => "TEXT",
        AttributeType::OneOf(_) => "WORD",
        AttributeType::Id | AttributeType::Reference(_) => "NAME|ID",
        AttributeType::RouteTarget | AttributeType::RouteDistinguisher => "ADMINISTRATOR:NUMBER",
        AttributeType::Secret(_) => "SECRET",
        AttributeType::ListOf(_) => "ITEM",
        AttributeType::Objects(_) => "KEY=VALUE,…|JSON",
        AttributeType::IpAddress => "ADDRESS",
        AttributeType::Cidr => "PREFIX",
        AttributeType::Mac => "MAC",
        AttributeType::HostName => "HOST",
        AttributeType::List => "ITEM|JSON",
        AttributeType::Object => "KEY=VALUE|JSON",
    }
}

fn help(attribute: &Attribute) -> String {
    let clear = if attribute.nullable && !attribute.doc.contains("null") { " (null: none)" } else { "" };
    let repeat = if is_list(attribute.kind) { "; may be repeated" } else { "" };
    format!("{}{clear}{repeat}", attribute.doc)
}

/// What the texts after a flag mean; names in them become identifiers.
pub(crate) async fn value(client: &Client, attribute: &Attribute, texts: &[String]) -> Result<Value> {
    let flag = flag(attribute);
    let raw = read(attribute, texts).with_context(|| format!("--{flag} cannot be that"))?;
    let value = match (names::reference(attribute), raw) {
        (Some((_, kind)), Value::String(name)) => names::resolve(client, kind, &name).await?.into(),
        (None, Value::Array(items)) => Value::Array(with_ids(client, items).await?),
        (_, raw) => raw,
    };
    match attribute.convert(&value) {
        Ok(_) => Ok(value),
        Err(refusal) => bail!("--{flag}: {refusal}"),
    }
}

/// Items of a list: `subnet` in them becomes `subnet_id`.
async fn with_ids(client: &Client, items: Vec<Value>) -> Result<Vec<Value>> {
    let mut resolved = Vec::new();
    for item in items {
        let Value::Object(map) = item else {
            resolved.push(item);
            continue;
        };
        let mut object = Map::new();
        for (key, value) in map {
            match (weft_services::catalogue::by_member(&key), value.as_str()) {
                (Some(kind), Some(name)) => {
                    object.insert(format!("{key}_id"), names::resolve(client, kind, name).await?.into());
                }
                _ => {
                    object.insert(key, value);
                }
            }
        }
        resolved.push(Value::Object(object));
    }
    Ok(resolved)
}

fn read(attribute: &Attribute, texts: &[String]) -> Result<Value> {
    let first = texts.first().map(String::as_str).unwrap_or_default();
    if attribute.nullable && texts.len() == 1 && first == "null" {
        return Ok(Value::Null);
    }
    match attribute.kind {
        kind if is_list(kind) => list(attribute, texts),
        AttributeType::Object => object(texts),
        AttributeType::Boolean => Ok(Value::Bool(first == "true")),
        AttributeType::Integer(..) => {
            let number: Option<i64> = first.parse().ok();
            Ok(number.with_context(|| format!("'{first}' is not a whole number"))?.into())
        }
        _ => Ok(first.into()),
    }
}

fn list(attribute: &Attribute, texts: &[String]) -> Result<Value> {
    let mut items = Vec::new();
    for text in texts {
        match text.trim_start().chars().next() {
            Some('[') => items.extend(serde_json::from_str::<Vec<Value>>(text)?),
            Some('{') => items.push(serde_json::from_str(text)?),
            _ => match pairs(text) {
                Some(pairs) if attribute.name != "tags" => items.push(Value::Object(pairs)),
                // An empty text is the empty list.
                _ if text.is_empty() && texts.len() == 1 => {}
                _ if attribute.name == "fixed_ips" => items.push(serde_json::json!({ "ip_address": text })),
                _ => items.push(text.as_str().into()),
            },
        }
    }
    Ok(Value::Array(items))
}

fn object(texts: &[String]) -> Result<Value> {
    let mut all = Map::new();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        if text.trim_start().starts_with('{') {
            all.extend(serde_json::from_str::<Map<String, Value>>(text)?);
        } else {
            let pairs = pairs(text);
            all.extend(
                pairs.with_context(|| format!("'{text}' is neither key=value nor an object of JSON"))?,
            );
        }
    }
    Ok(Value::Object(all))
}

/// `a=b,c=d`, if it is that.
fn pairs(text: &str) -> Option<Map<String, Value>> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let is_key = !key.is_empty()
            && key.chars().all(|letter| letter.is_ascii_alphanumeric() || "_:.-".contains(letter));
        is_key.then(|| (key.trim().to_owned(), Value::from(value)))
    };
    text.split(',').map(pair).collect()
}

/// Adds what follows from the rest: the version of a prefix.
pub(crate) fn derive(kind: Kind, attributes: &mut Map<String, Value>) {
    if kind.attribute("ip_version").is_none() || attributes.contains_key("ip_version") {
        return;
    }
    if let Some(cidr) = attributes.get("cidr").and_then(Value::as_str) {
        let version = if cidr.contains(':') { 6 } else { 4 };
        attributes.insert("ip_version".to_owned(), version.into());
    }
}

/// Whether an attribute that must be given follows from another one.
pub(crate) fn is_derived(attribute: &Attribute) -> bool {
    attribute.name == "ip_version"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn attribute(kind: &str, name: &str) -> &'static Attribute {
        crate::kind::by_name(kind).unwrap().attribute(name).unwrap()
    }

    #[test]
    fn a_flag_is_named_after_what_it_refers_to() {
        for (kind, name, expected) in [
            ("port", "network_id", "network"),
            ("port", "binding:host_id", "host"),
            ("port", "binding:vnic_type", "binding-vnic-type"),
            ("port", "device_id", "device-id"),
            ("interface", "parent_interface_id", "parent-interface"),
            ("network", "provider:segmentation_id", "provider-segmentation-id"),
        ] {
            assert_eq!(flag(attribute(kind, name)), expected, "{name}");
        }
    }

    #[test]
    fn lists_and_objects_are_written_short_or_as_json() {
        for (kind, name, texts, expected) in [
            ("port", "fixed_ips", vec!["10.0.0.5"], json!([{"ip_address": "10.0.0.5"}])),
            (
                "port",
                "fixed_ips",
                vec!["subnet=s,ip_address=fd00::5"],
                json!([{"subnet": "s", "ip_address": "fd00::5"}]),
            ),
            ("port", "tags", vec!["a=b", "c"], json!(["a=b", "c"])),
            ("subnet", "dns_nameservers", vec!["[\"9.9.9.9\"]", "1.1.1.1"], json!(["9.9.9.9", "1.1.1.1"])),
            ("subnet", "gateway_ip", vec!["null"], json!(null)),
            ("instance_port", "vnic", vec!["type=tap"], json!({"type": "tap"})),
            ("network", "name", vec!["null"], json!("null")),
            ("network", "shared", vec!["true"], json!(true)),
        ] {
            let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
            assert_eq!(read(attribute(kind, name), &texts).unwrap(), expected, "{name} {texts:?}");
        }
    }
}
