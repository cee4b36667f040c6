//! A value of JSON in a cell of a table: one line, no quotes where none are needed.

use serde_json::Value;

/// The text of a value.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace(['\n', '\r', '\t'], " "),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => items.iter().map(item).collect::<Vec<_>>().join(", "),
        Value::Object(map) if map.is_empty() => String::new(),
        Value::Object(_) => item(value),
    }
}

/// An item of a list: an address where it has one; `a=b` otherwise.
fn item(value: &Value) -> String {
    let Value::Object(map) = value else { return cell(value) };
    match map.get("ip_address") {
        Some(Value::String(address)) => address.clone(),
        _ => map.iter().map(|(key, value)| format!("{key}={}", cell(value))).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cell_is_one_line_without_quotes() {
        for (value, text) in [
            (json!(null), ""),
            (json!("a\nb"), "a b"),
            (json!(true), "true"),
            (
                json!([{"subnet_id": "s", "ip_address": "10.0.0.5"}, {"ip_address": "fd00::5"}]),
                "10.0.0.5, fd00::5",
            ),
            (json!([{"start": "10.0.0.2", "end": "10.0.0.9"}]), "start=10.0.0.2 end=10.0.0.9"),
            (json!({}), ""),
            (json!({"type": "tap"}), "type=tap"),
        ] {
            assert_eq!(cell(&value), text, "{value}");
        }
    }
}
