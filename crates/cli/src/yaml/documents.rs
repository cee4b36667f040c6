//! Documents: kind, name and attributes, checked by the catalogue before anything is sent.

use std::collections::HashMap;

use serde_json::{Map, Value};
use weft_client::{Object, Refusal};
use weft_services::catalogue::CATALOGUE;
use weft_services::declare::inline;
use weft_services::{Attribute, AttributeType, OnCreate};

use super::problem::{Problem, Problems, Source};
use super::scalar;
use super::tree::{self, Content, Key, Node, Place};
use crate::kind::{self, Kind};
use crate::{names, suggest};

/// How many problems are told at once.
const PROBLEMS_MAX: usize = 20;

/// What the files say, with the way back from a document to its place.
#[derive(Debug, Default)]
pub(crate) struct Input {
    sources: Vec<Source>,
    documents: Vec<Document>,
}

#[derive(Debug)]
struct Document {
    source: usize,
    place: Place,
    keys: Vec<(String, Place)>,
    body: Object,
}

impl Input {
    /// The documents, as the controller takes them.
    pub(crate) fn bodies(&self) -> Vec<Object> {
        self.documents.iter().map(|document| document.body.clone()).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// The controller's refusal, with the place of what it is about; `None` if it is about no document.
    pub(crate) fn locate(&self, refusal: &Refusal) -> Option<Problems> {
        let document = self.documents.get(refusal.document?)?;
        let place = refusal.field.as_deref().and_then(|field| document.place_of(field));
        let source = self.sources.get(document.source)?;
        Some(source.problem(place.unwrap_or(document.place), refusal.to_string()).into())
    }
}

impl Document {
    /// The place of an attribute, by whichever of its names it is given.
    fn place_of(&self, field: &str) -> Option<Place> {
        let field = field.split(['.', '[', '/']).next().unwrap_or(field);
        let last = field.rsplit(':').next().unwrap_or(field);
        let short = last.strip_suffix("_id").unwrap_or(last);
        let is_profile = field == "binding:profile" || field == "vnic";
        [field, last, short]
            .into_iter()
            .chain(if is_profile { ["namespace", "interface"].as_slice() } else { &[] }.iter().copied())
            .find_map(|name| self.keys.iter().find(|(key, _)| key == name).map(|(_, place)| *place))
    }
}

/// Takes files in, one after the other.
#[derive(Default)]
pub(crate) struct Reader {
    input: Input,
    problems: Problems,
    /// Where each kind and name was first.
    seen: HashMap<(&'static str, String), (usize, usize)>,
}

impl Reader {
    /// Takes one file in; what is wrong with it is kept for the end.
    pub(crate) fn read(&mut self, source: Source) {
        let parsed = tree::parse(&source.text);
        self.input.sources.push(source);
        match parsed {
            Err(fault) => self.problem(fault.place, fault.message),
            Ok(nodes) => nodes.into_iter().for_each(|node| self.node(node)),
        }
    }

    /// What was read, or everything that is wrong with it.
    pub(crate) fn finish(self) -> Result<Input, Problems> {
        if self.problems.is_empty() { Ok(self.input) } else { Err(self.problems) }
    }

    fn problem(&mut self, place: Place, message: impl Into<String>) {
        let problem: Option<Problem> = self.input.sources.last().map(|source| source.problem(place, message));
        if self.problems.each().count() < PROBLEMS_MAX {
            problem.into_iter().for_each(|problem| self.problems.push(problem));
        }
    }

    fn node(&mut self, node: Node) {
        match node.content {
            Content::Map(entries) => self.document(node.place, &entries),
            Content::List(items) => items.into_iter().for_each(|item| self.node(item)),
            Content::Scalar(_) => {
                self.problem(node.place, "a document is a map with 'kind', 'name' and attributes");
            }
        }
    }

    fn document(&mut self, place: Place, entries: &[(Key, Node)]) {
        let Some(kind) = self.kind(place, entries) else { return };
        let mut body = Map::new();
        body.insert("kind".into(), kind.member.into());
        for (key, value) in entries.iter().filter(|(key, _)| key.text != "kind") {
            match attribute(kind, key, value) {
                Ok(value) => {
                    body.insert(key.text.clone(), value);
                }
                Err((place, message)) => self.problem(place, message),
            }
        }
        crate::attributes::derive(kind, &mut body);
        self.name(kind, place, &body, entries);
        let keys = entries.iter().map(|(key, value)| (key.text.clone(), value_place(key, value))).collect();
        let source = self.input.sources.len() - 1;
        self.input.documents.push(Document { source, place, keys, body });
    }

    fn kind(&mut self, place: Place, entries: &[(Key, Node)]) -> Option<Kind> {
        let Some((_, value)) = entries.iter().find(|(key, _)| key.text == "kind") else {
            self.problem(place, "the document does not say of which 'kind' it is");
            return None;
        };
        let Content::Scalar(scalar) = &value.content else {
            self.problem(value.place, "the kind is one word, as in 'kind: network'");
            return None;
        };
        let kind = kind::by_name(&scalar.text);
        match kind {
            None => {
                let hint = suggest::hint(&scalar.text, CATALOGUE.iter().map(|kind| kind.member));
                self.problem(value.place, format!("there is no kind '{}'{hint}", scalar.text));
                None
            }
            Some(kind) if !kind.verbs.write => {
                self.problem(
                    value.place,
                    format!("a {} is not made by documents: it says itself what it is", kind.member),
                );
                None
            }
            Some(kind) => Some(kind),
        }
    }

    /// Within a set a document is known by kind and name.
    fn name(&mut self, kind: Kind, place: Place, body: &Object, entries: &[(Key, Node)]) {
        let name_place = entries
            .iter()
            .find(|(key, _)| key.text == "name")
            .map_or(place, |(key, value)| value_place(key, value));
        let Some(name) = body.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
            // A name that is given and wrong has been told already.
            if body.contains_key("name") || !entries.iter().any(|(key, _)| key.text == "name") {
                self.problem(
                    name_place,
                    format!("the {} needs a 'name', by which it is known in its set", kind.member),
                );
            }
            return;
        };
        let here = (self.input.sources.len() - 1, name_place.line);
        if let Some((source, line)) = self.seen.insert((kind.member, name.to_owned()), here) {
            let file = self.input.sources.get(source).map_or("", |source| &source.name).to_owned();
            self.problem(name_place, format!("the {} '{name}' is already in {file}:{line}", kind.member));
        }
    }
}

/// Where a value is; an empty one is where its key is.
fn value_place(key: &Key, value: &Node) -> Place {
    match &value.content {
        Content::Scalar(scalar) if scalar.text.is_empty() => key.place,
        Content::Scalar(_) => value.place,
        Content::List(_) | Content::Map(_) => key.place,
    }
}

/// The value of one key, or what is wrong with it and where.
fn attribute(kind: Kind, key: &Key, node: &Node) -> Result<Value, (Place, String)> {
    let name = key.text.as_str();
    if inline(kind).any(|inline| inline.key == name) {
        return Ok(scalar::texts(node));
    }
    if let Some(attribute) = kind.attribute(name) {
        if attribute.on_create == OnCreate::ReadOnly && !attribute.on_update && name != "tags" {
            return Err((
                key.place,
                format!("'{name}' is not given to a {}: it can only be read", kind.member),
            ));
        }
        return known(attribute, key, node);
    }
    if short_names(kind).any(|short| short == name) {
        return match &node.content {
            Content::Scalar(_) => Ok(scalar::typed(AttributeType::Text(0), node)),
            _ => Err((key.place, format!("'{name}' takes one name"))),
        };
    }
    let settable = kind.attributes.iter().filter(|attribute| attribute.on_create != OnCreate::ReadOnly);
    let keys = inline(kind).map(|inline| inline.key);
    let candidates =
        settable.map(|attribute| attribute.name).chain(short_names(kind)).chain(keys).chain(["kind"]);
    let hint = suggest::hint(name, candidates);
    Err((key.place, format!("a {} has no attribute '{name}'{hint}", kind.member)))
}

fn known(attribute: &Attribute, key: &Key, node: &Node) -> Result<Value, (Place, String)> {
    let value = match attribute.name {
        "tags" => scalar::texts(node),
        _ => scalar::typed(attribute.kind, node),
    };
    // What refers to a resource may be a name, which the controller looks up.
    let is_name = names::reference(attribute).is_some() && value.is_string();
    match attribute.convert(&value) {
        Err(refusal) if !is_name => Err((value_place(key, node), refusal.to_string())),
        _ => Ok(value),
    }
}

/// Names that the controller knows besides those of the attributes.
fn short_names(kind: Kind) -> impl Iterator<Item = &'static str> {
    let references = kind.attributes.iter().filter_map(|attribute| Some(names::reference(attribute)?.0));
    let has = |name: &str| kind.attribute(name).is_some();
    let host = (has("host_id") || has("binding:host_id")).then_some("host");
    let profile: &[&str] = if has("binding:profile") { &["namespace", "interface"] } else { &[] };
    references.chain(host).chain(profile.iter().copied())
}
