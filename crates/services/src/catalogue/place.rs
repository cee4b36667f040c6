//! Places: what a path below `/v2.0/` leads to, and the path that leads there.
//!
//! ```text
//! networks                                        a collection
//! networks/ID                                     a member
//! networks/ID/tags, networks/ID/tags/TAG          its tags
//! routers/ID/add_router_interface                 an action on it
//! bgpvpn/bgpvpns/ID/network_associations          a collection below a resource of another
//! bgpvpn/bgpvpns/-/network_associations           the same, below all of them: to be read, and for who knows a member only
//! ```

use serde_json::{Map, Value};

use super::{CATALOGUE, Entry, MemberAction, NoStatuses};
use crate::{Condition, Model, Refusal};

/// In the place of a parent's identifier: whichever it is.
pub const ANY_PARENT: &str = "-";

/// What a path leads to.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    /// Of which resources it is.
    pub entry: &'static Entry,
    /// The identifier of the resource below which they are, for those that are below one.
    pub parent: Option<&'p str>,
    /// What of them.
    pub target: Target<'p>,
}

/// What of a collection a path leads to.
#[derive(Clone, Copy)]
pub enum Target<'p> {
    /// All of it.
    Collection,
    /// The resource with this identifier.
    Member(&'p str),
    /// The tags of the resource with this identifier.
    Tags(&'p str),
    /// One tag of it.
    Tag(&'p str, &'p str),
    /// An action on it.
    Action(&'p str, &'static MemberAction),
}

impl<'p> Place<'p> {
    /// What the segments of a path lead to, if there is something. Neutron answers `networks.json` as `networks`, and a
    /// collection with a slash at its end as one without.
    #[must_use]
    pub fn find(segments: &[&'p str]) -> Option<Self> {
        CATALOGUE.iter().find_map(|entry| Self::of_entry(entry, segments))
    }

    fn of_entry(entry: &'static Entry, segments: &[&'p str]) -> Option<Self> {
        let (mut parent, mut rest) = (None, segments);
        let mut template = entry.path.split('/').peekable();
        while let Some(part) = template.next() {
            let (first, others) = rest.split_first()?;
            let is_last = template.peek().is_none() && others.is_empty();
            let first = if is_last { without_suffix(first) } else { first };
            if part.starts_with('{') {
                parent = Some(first);
            } else if part != first {
                return None;
            }
            rest = others;
        }
        let target = match *rest {
            [] | [""] => Target::Collection,
            [id] => Target::Member(without_suffix(id)),
            [id, "tags"] => Target::Tags(id),
            [id, "tags", tag] => Target::Tag(id, tag),
            [id, name] => Target::Action(id, entry.action(without_suffix(name))?),
            _ => return None,
        };
        Some(Self { entry, parent, target })
    }

    /// The path below `/v2.0/` that leads here, with each of its variable parts as `encode` writes it.
    #[must_use]
    pub fn path(&self, encode: impl Fn(&str) -> String) -> String {
        let fixed = self.entry.path.split('/').map(|part| match part.starts_with('{') {
            true => encode(self.parent.unwrap_or(ANY_PARENT)),
            false => part.to_owned(),
        });
        let mut parts: Vec<String> = fixed.collect();
        match self.target {
            Target::Collection => {}
            Target::Member(id) => parts.push(encode(id)),
            Target::Tags(id) => parts.extend([encode(id), "tags".into()]),
            Target::Tag(id, tag) => parts.extend([encode(id), "tags".into(), encode(tag)]),
            Target::Action(id, action) => parts.extend([encode(id), action.name.into()]),
        }
        parts.join("/")
    }

    /// The attribute that names the parent, and the parent, where it is a certain one.
    #[must_use]
    pub fn of_parent(&self) -> Option<(&'static Entry, &'static str, &'p str)> {
        let (entry, attribute) = self.entry.parent()?;
        let id = self.parent.filter(|id| *id != ANY_PARENT)?;
        Some((entry, attribute, id))
    }

    /// What holds of everything here: that it is the parent's.
    #[must_use]
    pub fn condition(&self) -> Option<Condition> {
        let (_, attribute, id) = self.of_parent()?;
        Some(Condition::OneOf(attribute.to_owned(), vec![id.to_owned()]))
    }

    /// A request for a new resource here: it is the parent's.
    ///
    /// # Errors
    /// If the request says that it is another's.
    pub fn within(&self, mut request: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
        if let Some((_, attribute, id)) = self.of_parent() {
            let said = request.insert(attribute.to_owned(), id.into());
            if said.is_some_and(|said| said != id) {
                return Err(Refusal::attribute(attribute, "the path says otherwise"));
            }
        }
        Ok(request)
    }

    /// Refuses a parent that is not there, and a resource that is another one's.
    ///
    /// # Errors
    /// That what was looked for was not found.
    pub fn check(&self, model: &Model) -> Result<(), Refusal> {
        let Some((entry, attribute, parent)) = self.of_parent() else { return Ok(()) };
        if !entry.contains(model, parent) {
            return Err(entry.not_found(parent));
        }
        let (Target::Member(id) | Target::Tags(id) | Target::Tag(id, _) | Target::Action(id, _)) =
            self.target
        else {
            return Ok(());
        };
        let shown = self.entry.render(model, id, &NoStatuses);
        let is_parents = shown.is_some_and(|shown| shown.get(attribute).is_some_and(|its| its == parent));
        if is_parents { Ok(()) } else { Err(self.entry.not_found(id)) }
    }
}

/// Without what Neutron passes over.
fn without_suffix(segment: &str) -> &str {
    segment.strip_suffix(".json").unwrap_or(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<(&'static str, Option<&str>, String)> {
        let segments: Vec<&str> = path.split('/').collect();
        let place = Place::find(&segments)?;
        let target = match place.target {
            Target::Collection => "all".to_owned(),
            Target::Member(id) => id.to_owned(),
            Target::Tags(id) => format!("tags of {id}"),
            Target::Tag(id, tag) => format!("tag {tag} of {id}"),
            Target::Action(id, action) => format!("{} of {id}", action.name),
        };
        Some((place.entry.member, place.parent, target))
    }

    #[test]
    fn a_path_leads_to_a_collection_a_member_its_tags_or_nothing() {
        for (path, member, target) in [
            ("networks", "network", "all"),
            ("networks/", "network", "all"),
            ("networks.json", "network", "all"),
            ("networks/a", "network", "a"),
            ("networks/a.json", "network", "a"),
            ("networks/a/tags", "network", "tags of a"),
            ("networks/a/tags/b.json", "network", "tag b.json of a"),
            ("instance-ports", "instance_port", "all"),
        ] {
            assert_eq!(found(path), Some((member, None, target.to_owned())), "{path}");
        }
        for path in ["", "network", "networks/a/", "networks/a/b", "networks/a/tags/b/c", "networks//a/tags"]
        {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn the_path_of_every_place_leads_there() {
        for entry in CATALOGUE {
            let mut targets =
                vec![Target::Collection, Target::Member("m"), Target::Tags("m"), Target::Tag("m", "t")];
            targets.extend(entry.actions.iter().map(|action| Target::Action("m", action)));
            let parent = entry.parent().map(|_| "p");
            for target in targets {
                let place = Place { entry, parent, target };
                let path = place.path(str::to_owned);
                let segments: Vec<&str> = path.split('/').collect();
                let back = Place::find(&segments)
                    .map(|back| (back.entry.member, back.parent, back.path(str::to_owned)));
                assert_eq!(back, Some((entry.member, parent, path.clone())), "{path}");
            }
        }
    }
}
