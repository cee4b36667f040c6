//! Lists: filters, order, pages, fields.

use serde_json::{Map, Value};

use crate::attribute::{AttributeType, boolean};
use crate::catalogue::{Entry, Statuses};
use crate::{Model, Refusal, Timestamp};

/// Neutron's filter by when a resource was last changed: this time or later.
const CHANGED_SINCE: &str = "changed_since";

/// What a list is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// All of these must hold.
    pub conditions: Vec<Condition>,
    /// The order; by identifier where it says nothing more.
    pub sort: Vec<SortKey>,
    /// At most so many, counted from the marker; `None`: all.
    pub limit: Option<usize>,
    /// The identifier after which the page begins (before which it ends, backwards).
    pub marker: Option<String>,
    /// Whether the page is the one before the marker.
    pub page_reverse: bool,
}

/// A condition on an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has one of these values, as texts.
    OneOf(String, Vec<String>),
    /// The tags hold all (or, for the second, any) of these; negated if the flag says so.
    Tags {
        /// Whether one is enough.
        any: bool,
        /// Whether what fulfils it is left out.
        negated: bool,
        /// The tags.
        tags: Vec<String>,
    },
}

/// An attribute to order by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The attribute.
    pub attribute: String,
    /// Whether the highest comes first.
    pub descending: bool,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The resources.
    pub items: Vec<Map<String, Value>>,
}

impl Query {
    /// Carries the query out.
    ///
    /// # Errors
    /// If a condition's value is not one that the attribute can have, a sort key is no attribute, or the marker is not there.
    pub fn run(&self, entry: &Entry, model: &Model, statuses: &dyn Statuses) -> Result<Page, Refusal> {
        self.check(entry)?;
        let marker = match &self.marker {
            None => None,
            Some(id) => Some(entry.render(model, id, statuses).ok_or_else(|| entry.not_found(id))?),
        };
        let matches = |id: &String| {
            let rendered = entry.render(model, id, statuses)?;
            self.matches(entry, &rendered).then_some(rendered)
        };
        let limit = self.limit.unwrap_or(usize::MAX);
        let items = match self.candidates(entry, model) {
            None if self.sort.is_empty() && !self.page_reverse => {
                entry.ids(model, self.marker.as_deref()).filter_map(|id| matches(&id)).take(limit).collect()
            }
            candidates => {
                let ids = candidates.unwrap_or_else(|| entry.ids(model, None).collect());
                self.page_of(ids.iter().filter_map(matches).collect(), marker.as_ref(), limit)
            }
        };
        Ok(Page { items })
    }

    /// Whether a resource as it is shown fulfils all conditions.
    #[must_use]
    pub fn matches(&self, entry: &Entry, rendered: &Map<String, Value>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(entry, rendered))
    }

    /// Refuses conditions and an order that resources of this collection cannot have.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn check(&self, entry: &Entry) -> Result<(), Refusal> {
        for condition in &self.conditions {
            let Condition::OneOf(name, values) = condition else { continue };
            if name == CHANGED_SINCE {
                check_times(values)?;
            }
            let is_boolean =
                entry.attribute(name).is_some_and(|attribute| attribute.kind == AttributeType::Boolean);
            if let Some(bad) =
                values.iter().find(|value| is_boolean && boolean(&Value::from(value.as_str())).is_none())
            {
                return Err(Refusal::invalid(
                    "InvalidInput",
                    format!(
                        "Invalid input for operation: '{bad}' cannot be converted to boolean for '{name}'."
                    ),
                ));
            }
        }
        match self.sort.iter().find(|key| entry.attribute(&key.attribute).is_none()) {
            Some(key) => Err(Refusal::invalid(
                "HTTPBadRequest",
                format!("'{}' is not a valid attribute for sort key", key.attribute),
            )),
            None => Ok(()),
        }
    }

    /// What an index knows of the resources that can match: the first condition of which one knows.
    fn candidates(&self, entry: &Entry, model: &Model) -> Option<Vec<String>> {
        let of_condition = |condition: &Condition| {
            let Condition::OneOf(name, values) = condition else { return None };
            let each: Option<Vec<Vec<String>>> =
                values.iter().map(|value| entry.candidates(model, name, value)).collect();
            each.map(|lists| lists.concat())
        };
        let mut ids = self.conditions.iter().find_map(of_condition)?;
        ids.sort();
        ids.dedup();
        Some(ids)
    }

    fn page_of(
        &self,
        mut items: Vec<Map<String, Value>>,
        marker: Option<&Map<String, Value>>,
        limit: usize,
    ) -> Vec<Map<String, Value>> {
        items.sort_by(|a, b| self.order(a, b));
        // The marker marks a place in the order, whether or not it is itself one of those that are asked for.
        let before = |upto: std::cmp::Ordering| {
            marker.map(|marker| items.partition_point(|item| self.order(item, marker) <= upto))
        };
        let (from, to) = if self.page_reverse {
            let to = before(std::cmp::Ordering::Less).unwrap_or(items.len());
            (to.saturating_sub(limit), to)
        } else {
            let from = before(std::cmp::Ordering::Equal).unwrap_or(0);
            (from, from.saturating_add(limit).min(items.len()))
        };
        items.drain(from..to).collect()
    }

    fn order(&self, a: &Map<String, Value>, b: &Map<String, Value>) -> std::cmp::Ordering {
        for key in &self.sort {
            let ordering = compare(a.get(&key.attribute), b.get(&key.attribute));
            let ordering = if key.descending { ordering.reverse() } else { ordering };
            if ordering.is_ne() {
                return ordering;
            }
        }
        compare(a.get("id"), b.get("id"))
    }
}

fn check_times(values: &[String]) -> Result<(), Refusal> {
    match values.iter().find(|value| Timestamp::parse(value).is_none()) {
        Some(bad) => Err(Refusal::invalid(
            "InvalidInput",
            format!(
                "Invalid input for operation: '{bad}' is not a time of the form YYYY-MM-DDTHH:MM:SSZ for '{CHANGED_SINCE}'."
            ),
        )),
        None => Ok(()),
    }
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> std::cmp::Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_i64().cmp(&b.as_i64()),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (a, b) => a.map(as_text).cmp(&b.map(as_text)),
    }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl Condition {
    /// Whether it is about what hosts report, and not about what is stored.
    #[must_use]
    pub fn is_of_reports(&self) -> bool {
        matches!(self, Self::OneOf(name, _) if name == "status" || name == "alive")
    }

    fn holds(&self, entry: &Entry, rendered: &Map<String, Value>) -> bool {
        match self {
            Self::Tags { any, negated, tags } => {
                let has = |tag: &String| {
                    let all = rendered.get("tags").and_then(Value::as_array);
                    all.is_some_and(|all| all.iter().any(|value| value.as_str() == Some(tag)))
                };
                let holds = if *any { tags.iter().any(has) } else { tags.iter().all(has) };
                holds != *negated
            }
            Self::OneOf(name, values) if name == "fixed_ips" => fixed_ips_hold(rendered, values),
            Self::OneOf(name, values) if name == CHANGED_SINCE => {
                let changed = rendered.get("updated_at").and_then(Value::as_str).and_then(Timestamp::parse);
                values.iter().any(|since| changed >= Timestamp::parse(since))
            }
            // An attribute that the resource does not have filters nothing out, as with Neutron.
            Self::OneOf(name, _) if entry.attribute(name).is_none() => true,
            Self::OneOf(name, values) => {
                let value = rendered.get(name).unwrap_or(&Value::Null);
                values.iter().any(|wanted| equals(value, wanted))
            }
        }
    }
}

fn equals(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Bool(boolean_value) => boolean(&Value::from(wanted)) == Some(*boolean_value),
        Value::Array(list) => list.iter().any(|item| equals(item, wanted)),
        Value::String(text) => text == wanted,
        other => as_text(other) == wanted,
    }
}

/// `fixed_ips=ip_address=A`, `subnet_id=S`, `ip_address_substr=T`: each key must hold, by one of its values.
fn fixed_ips_hold(rendered: &Map<String, Value>, values: &[String]) -> bool {
    let pairs: Vec<(&str, &str)> = values.iter().filter_map(|value| value.split_once('=')).collect();
    let empty = Vec::new();
    let fixed_ips = rendered.get("fixed_ips").and_then(Value::as_array).unwrap_or(&empty);
    ["ip_address", "subnet_id", "ip_address_substr"].iter().all(|key| {
        let wanted: Vec<&str> =
            pairs.iter().filter(|(name, _)| name == key).map(|(_, value)| *value).collect();
        let field = key.trim_end_matches("_substr");
        let holds = |fixed_ip: &Value| {
            let text = fixed_ip.get(field).and_then(Value::as_str).unwrap_or_default();
            wanted
                .iter()
                .any(|wanted| if key.ends_with("_substr") { text.contains(wanted) } else { text == *wanted })
        };
        wanted.is_empty() || fixed_ips.iter().any(holds)
    })
}
