//! YAML as a tree in which everything has its place, and a scalar is the text that somebody wrote.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

/// How many nodes one file can have, with what its aliases repeat.
const NODES_MAX: usize = 1_000_000;
/// How deep they can be nested.
const DEPTH_MAX: usize = 64;

/// Where something is, counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// In characters, on the first line.
    pub(crate) length: usize,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) content: Content,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A scalar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Whether it is written without quotes, so that it can also be a number, a boolean or null.
    pub(crate) is_plain: bool,
}

/// The key of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// Reads the documents of a text; empty ones are left out.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, Fault> {
    let mut builder = Builder { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    let mut documents = Vec::new();
    while let Some((event, span)) = builder.next()? {
        match event {
            Event::DocumentStart(..) => builder.anchors.clear(),
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(_) => {
                let node = builder.node(event, span, 0)?;
                if !is_empty(&node) {
                    documents.push(node);
                }
            }
            _ => {}
        }
    }
    Ok(documents)
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.content, Content::Scalar(scalar) if scalar.is_plain && super::scalar::is_null(&scalar.text))
}

type Events<'t> = Parser<'t, serde_saphyr::granit_parser::StrInput<'t>>;

struct Builder<'t> {
    parser: Events<'t>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    /// The next event that is not a comment.
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, Fault> {
        loop {
            match self.parser.next().transpose().map_err(|error| scan_fault(&error))? {
                Some((Event::Comment(..), _)) => {}
                other => return Ok(other),
            }
        }
    }

    fn next_inside(&mut self, begin: Place) -> Result<(Event<'t>, Span), Fault> {
        self.next()?.ok_or_else(|| fault(begin, "this does not end"))
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Fault> {
        let place = place(&span);
        self.count(1, place)?;
        if depth > DEPTH_MAX {
            return Err(fault(place, format!("this is nested deeper than {DEPTH_MAX} levels")));
        }
        let (anchor, content) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                check_tag(tag.as_deref(), place)?;
                let is_text = tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
                let is_plain = style == ScalarStyle::Plain && !is_text;
                (anchor, Content::Scalar(Scalar { text: text.into_owned(), is_plain }))
            }
            Event::SequenceStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), place)?;
                (anchor, Content::List(self.list(place, depth)?))
            }
            Event::MappingStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), place)?;
                (anchor, Content::Map(self.map(place, depth)?))
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| fault(place, "this repeats what it is itself part of"))?;
                self.count(size(&node), place)?;
                return Ok(node);
            }
            _ => return Err(fault(place, "a value is missing")),
        };
        let node = Node { place, content };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, begin: Place, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next_inside(begin)? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, begin: Place, depth: usize) -> Result<Vec<(Key, Node)>, Fault> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let (event, span) = match self.next_inside(begin)? {
                (Event::MappingEnd, _) => break,
                next => next,
            };
            let key = self.node(event, span, depth + 1)?;
            let Content::Scalar(scalar) = key.content else {
                return Err(fault(key.place, "a key has to be a plain text"));
            };
            let (event, span) = self.next_inside(begin)?;
            let value = self.node(event, span, depth + 1)?;
            if scalar.is_plain && scalar.text == "<<" {
                merged.push(value);
                continue;
            }
            if let Some((first, _)) = entries.iter().find(|(known, _)| known.text == scalar.text) {
                let message = format!("'{}' is already given in line {}", scalar.text, first.place.line);
                return Err(fault(key.place, message));
            }
            entries.push((Key { text: scalar.text, place: key.place }, value));
        }
        for source in merged {
            merge(&mut entries, source)?;
        }
        Ok(entries)
    }

    fn count(&mut self, nodes: usize, place: Place) -> Result<(), Fault> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            return Err(fault(place, format!("the file has more than {NODES_MAX} values")));
        }
        Ok(())
    }
}

/// `<<`: what another map, or a list of such, has and this one does not.
fn merge(entries: &mut Vec<(Key, Node)>, source: Node) -> Result<(), Fault> {
    match source.content {
        Content::Map(others) => {
            for (key, value) in others {
                if !entries.iter().any(|(known, _)| known.text == key.text) {
                    entries.push((key, value));
                }
            }
            Ok(())
        }
        Content::List(sources) => sources.into_iter().try_for_each(|source| merge(entries, source)),
        Content::Scalar(_) => Err(fault(source.place, "'<<' takes a map, or a list of maps")),
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.content {
        Content::Scalar(_) => 0,
        Content::List(items) => items.iter().map(size).sum(),
        Content::Map(entries) => entries.iter().map(|(_, value)| 1 + size(value)).sum(),
    }
}

fn check_tag(tag: Option<&Tag>, place: Place) -> Result<(), Fault> {
    match tag {
        Some(tag) if tag.core_suffix().is_none() && tag.suffix() != "!" && !tag.original().is_empty() => {
            Err(fault(place, format!("the tag {} means nothing here", tag.original())))
        }
        _ => Ok(()),
    }
}

fn place(span: &Span) -> Place {
    let length = if span.start.line() == span.end.line() {
        span.end.col().saturating_sub(span.start.col())
    } else {
        usize::MAX
    };
    Place { length, ..at(&span.start) }
}

fn at(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1, length: 1 }
}

fn scan_fault(error: &ScanError) -> Fault {
    fault(at(error.marker()), error.info())
}

fn fault(place: Place, message: impl Into<String>) -> Fault {
    Fault { place, message: message.into() }
}
