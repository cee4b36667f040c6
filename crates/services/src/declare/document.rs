//! One document: what it says, and what that means for the resource's own attributes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{DeclareError, Inline, Plan, inline, names, rank};
use crate::catalogue::{Entry, by_any_name, by_member};
use crate::{Attribute, AttributeType, Model, OnCreate, Refusal};

/// A document, as far as it can be read by itself.
pub(super) struct Document<'d> {
    pub(super) index: usize,
    pub(super) entry: &'static Entry,
    pub(super) name: &'d str,
    given: &'d Map<String, Value>,
}

/// What a document asks for, in the resource's own attributes.
pub(super) struct Request<'d> {
    pub(super) attributes: Map<String, Value>,
    pub(super) tags: Option<BTreeSet<String>>,
    /// By attribute: the key in the document that says it.
    keys: BTreeMap<String, &'d str>,
}

impl<'d> Document<'d> {
    pub(super) fn read(index: usize, given: &'d Map<String, Value>) -> Result<Self, DeclareError> {
        let wrong =
            |field: &str, rule: String| DeclareError::at(index, field, Refusal::attribute(field, rule));
        let text = |key: &str| given.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let kind =
            text("kind").ok_or_else(|| wrong("kind", "the document does not say what it is".into()))?;
        let entry = by_any_name(kind).filter(|entry| entry.verbs.write);
        let entry = entry
            .ok_or_else(|| wrong("kind", format!("'{kind}' is no kind of resource that can be declared")))?;
        let name = text("name").ok_or_else(|| {
            wrong("name", format!("a {} needs a name, by which its set knows it", entry.member))
        })?;
        Ok(Self { index, entry, name, given })
    }

    /// The place of its kind in the order in which resources can be made.
    pub(super) fn rank(&self) -> usize {
        rank(self.entry)
    }

    /// Whether it asks by value for something of which there is only one.
    pub(super) fn claims(&self) -> bool {
        ["fixed_ips", "provider:segmentation_id", "mac_address"]
            .iter()
            .any(|key| self.given.contains_key(*key))
    }

    /// What it says besides kind and name.
    fn said(&self) -> impl Iterator<Item = (&'d str, &'d Value)> + use<'d> {
        let said = self.given.iter().map(|(key, value)| (key.as_str(), value));
        said.filter(|(key, _)| !["kind", "name"].contains(key))
    }

    /// What it says of what other requests make.
    pub(super) fn inline(&self) -> impl Iterator<Item = (&'static Inline, &'d str, &'d Value)> + use<'d> {
        let entry = self.entry;
        self.said().filter_map(move |(key, value)| {
            let inline = inline(entry).find(|inline| inline.key == key)?;
            Some((inline, key, value))
        })
    }

    /// The attribute that is a reference under this key, and the kind of what it refers to.
    fn reference(&self, key: &str) -> Option<(&'static Attribute, &'static Entry)> {
        let attribute = self.entry.attribute(key).or_else(|| self.entry.attribute(&format!("{key}_id")))?;
        let AttributeType::Reference(member) = attribute.kind else { return None };
        Some((attribute, by_member(member)?))
    }

    /// What it refers to: by which key, of which kind, by which name.
    pub(super) fn references(&self) -> Vec<(&'d str, &'static Entry, &'d str)> {
        let mut found = Vec::new();
        for (inline, key, value) in self.inline() {
            let items = value.as_array().into_iter().flatten();
            found.extend(
                items.filter_map(|item| inline.named(item)).map(|(target, name)| (key, target, name)),
            );
        }
        for (key, value) in self.said() {
            match (self.reference(key), value) {
                (Some((_, target)), Value::String(name)) => found.push((key, target, name.as_str())),
                (None, Value::Array(items)) if key == "fixed_ips" => {
                    let subnets = items
                        .iter()
                        .filter_map(|item| Some((key, names::subnets()?, names::subnet_of(item)?)));
                    found.extend(subnets);
                }
                _ => {}
            }
        }
        found
    }

    /// What a request asks for that is not what is stored; both in the one canonical form.
    pub(super) fn differing(
        &self,
        request: &Request<'_>,
        stored: &Map<String, Value>,
    ) -> Result<Map<String, Value>, DeclareError> {
        let mut differing = Map::new();
        for (name, value) in &request.attributes {
            let Some(attribute) = self.entry.attribute(name) else { continue };
            let wanted = attribute.convert(value).map_err(|refusal| self.blame(refusal, request))?;
            let stored =
                stored.get(name).map(|stored| attribute.convert(stored).unwrap_or_else(|_| stored.clone()));
            if stored.as_ref() != Some(&wanted) {
                differing.insert(name.clone(), wanted);
            }
        }
        Ok(differing)
    }

    /// The key in the document that a refusal is about.
    pub(super) fn blame(&self, refusal: Refusal, request: &Request<'_>) -> DeclareError {
        let known = match refusal.kind {
            "MacAddressInUse" => Some("mac_address"),
            "TunnelIdInUse" | "VlanIdInUse" => Some("provider:segmentation_id"),
            "InvalidAllocationPool" | "OutOfBoundsAllocationPool" | "OverlappingAllocationPools" => {
                Some("allocation_pools")
            }
            "GatewayConflictWithAllocationPools" | "GatewayIpInUse" => Some("gateway_ip"),
            "IpAddressAlreadyAllocated" | "IpAddressGenerationFailure" | "SubnetNotFound" => {
                Some("fixed_ips")
            }
            _ => None,
        };
        let given =
            request.attributes.keys().map(String::as_str).chain(self.given.keys().map(String::as_str));
        let given = given.filter(|key| !["kind", "name"].contains(key) || refusal.message.contains("name."));
        let any = self.entry.attributes.iter().map(|attribute| attribute.name);
        let field = known
            .or_else(|| names::first_named(&refusal.message, given))
            .or_else(|| names::first_named(&refusal.message, any));
        let field = field.map(|field| request.keys.get(field).map_or(field, |key| *key).to_owned());
        DeclareError { refusal, document: Some(self.index), field }
    }
}

impl Request<'_> {
    /// Takes what can be said only of a resource that is there.
    pub(super) fn split_late(&mut self, entry: &Entry) -> Self {
        let mut late = Self { attributes: Map::new(), tags: None, keys: self.keys.clone() };
        let is_late = |name: &String| {
            let attribute = entry.attribute(name);
            attribute.is_some_and(|one| one.on_create == OnCreate::ReadOnly && one.on_update)
        };
        for (name, value) in std::mem::take(&mut self.attributes) {
            let of = if is_late(&name) { &mut late } else { &mut *self };
            of.attributes.insert(name, value);
        }
        late
    }
}

impl Plan<'_> {
    /// What a document asks for: names looked up, short keys in the place where they belong.
    pub(super) fn request<'d>(
        &self,
        model: &Model,
        document: &Document<'d>,
        stored: Option<&Map<String, Value>>,
    ) -> Result<Request<'d>, DeclareError> {
        let mut request = Request { attributes: Map::new(), tags: None, keys: BTreeMap::new() };
        request.attributes.insert("name".into(), document.name.into());
        let is_inline = |key: &str| document.inline().any(|(_, inline, _)| inline == key);
        for (key, value) in document.said().filter(|(key, _)| !is_inline(key)) {
            let wrong = |refusal| DeclareError::at(document.index, key, refusal);
            if key == "tags" && document.entry.attribute("tags").is_some() {
                request.tags = Some(crate::tags(value).map_err(wrong)?);
                continue;
            }
            let (attribute, value) = match profile_key(document.entry, key) {
                true => ("binding:profile", with_profile(&request, stored, key, value)),
                false => self.attribute(model, document, key, value).map_err(wrong)?,
            };
            let before = request.keys.insert(attribute.to_owned(), key);
            if let Some(before) = before
                .filter(|before| !profile_key(document.entry, before) || !profile_key(document.entry, key))
            {
                let rule = format!("'{before}' says it already");
                return Err(wrong(Refusal::attribute(key, rule)));
            }
            if ["project_id", "tenant_id"].contains(&attribute) && value != json!(self.scope.project) {
                let rule = format!("the set is one of project '{}'", self.scope.project);
                return Err(wrong(Refusal::attribute(key, rule)));
            }
            request.attributes.insert(attribute.to_owned(), value);
        }
        Ok(request)
    }

    /// The attribute that a key means, and its value.
    fn attribute(
        &self,
        model: &Model,
        document: &Document<'_>,
        key: &str,
        value: &Value,
    ) -> Result<(&'static str, Value), Refusal> {
        if let Some((attribute, target)) = document.reference(key) {
            let value = match value {
                Value::String(name) => json!(self.id_of(model, key, target, name)?),
                other => other.clone(),
            };
            return Ok((attribute.name, value));
        }
        let host = ["binding:host_id", "host_id"].into_iter().filter(|_| key == "host");
        let attribute = std::iter::once(key).chain(host).find_map(|name| document.entry.attribute(name));
        let Some(attribute) = attribute else {
            let message = format!("Unrecognized attribute(s) '{key}'");
            return Err(Refusal::invalid("HTTPBadRequest", message));
        };
        let value = match (attribute.name, value) {
            ("fixed_ips", Value::Array(items)) => {
                let items: Result<Vec<Value>, Refusal> =
                    items.iter().map(|item| self.fixed_ip(model, item)).collect();
                Value::Array(items?)
            }
            (_, value) => value.clone(),
        };
        Ok((attribute.name, value))
    }

    /// An entry of `fixed_ips`: a plain address, or an object in which the subnet may be a name.
    fn fixed_ip(&self, model: &Model, item: &Value) -> Result<Value, Refusal> {
        match item {
            Value::String(address) => Ok(json!({ "ip_address": address })),
            Value::Object(entry) => {
                let mut entry = entry.clone();
                if let (Some(name), Some(target)) = (names::subnet_of(item), names::subnets()) {
                    let id = self.id_of(model, "fixed_ips", target, name)?;
                    entry.remove("subnet");
                    entry.insert("subnet_id".into(), id.into());
                }
                Ok(Value::Object(entry))
            }
            other => Ok(other.clone()),
        }
    }
}

/// Whether a key is one that belongs into a port's binding profile.
fn profile_key(entry: &Entry, key: &str) -> bool {
    ["namespace", "interface"].contains(&key) && entry.attribute("binding:profile").is_some()
}

/// The binding profile with one key more: what is declared so far, or else what is stored.
fn with_profile(
    request: &Request<'_>,
    stored: Option<&Map<String, Value>>,
    key: &str,
    value: &Value,
) -> Value {
    let so_far = request.attributes.get("binding:profile").or_else(|| stored?.get("binding:profile"));
    let mut profile = so_far.and_then(Value::as_object).cloned().unwrap_or_default();
    profile.insert(key.to_owned(), value.clone());
    Value::Object(profile)
}
