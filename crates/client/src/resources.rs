//! Resources of the catalogue: lists of any length, one by name or identifier, and changes of one.

use reqwest::Method;
use serde_json::{Map, Value, json};
use weft_services::Id;
use weft_services::catalogue::{Entry, MemberAction, Method as ActionMethod, Place, Target};

use crate::{Client, Error};

/// A resource as the API shows it.
pub type Object = Map<String, Value>;

/// How many resources one page of a list has.
const PAGE: usize = 500;

impl Client {
    /// All resources of a kind for which these filters hold; page after page, as many as there are.
    ///
    /// # Errors
    /// When one of the pages cannot be had.
    pub async fn list(
        &self,
        entry: &'static Entry,
        filters: &[(String, String)],
    ) -> Result<Vec<Object>, Error> {
        let limit = PAGE.to_string();
        let mut all: Vec<Object> = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let mut query: Vec<(&str, &str)> =
                filters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            query.push(("limit", &limit));
            if let Some(marker) = &marker {
                query.push(("marker", marker));
            }
            let (items, is_last) = self.page(entry, &query).await?;
            let last =
                items.last().and_then(|item| item.get("id")).and_then(Value::as_str).map(str::to_owned);
            all.extend(items);
            match last {
                Some(last) if !is_last && marker.as_ref() != Some(&last) => marker = Some(last),
                _ => return Ok(all),
            }
        }
    }

    /// One page, and whether it is the last one.
    async fn page(
        &self,
        entry: &'static Entry,
        query: &[(&str, &str)],
    ) -> Result<(Vec<Object>, bool), Error> {
        let path = path(entry, None, Target::Collection);
        let mut answer: Object = self.json(self.request(Method::GET, &path, query)).await?;
        let collection = entry.collection_in_json();
        let Some(Value::Array(items)) = answer.remove(collection) else {
            return Err(misses(&path, collection));
        };
        let links = answer.get(&format!("{collection}_links")).and_then(Value::as_array);
        let is_last = match links {
            Some(links) => !links.iter().any(|link| link.get("rel").is_some_and(|rel| rel == "next")),
            None => items.len() < PAGE,
        };
        let items = items.into_iter().filter_map(|item| match item {
            Value::Object(object) => Some(object),
            _ => None,
        });
        Ok((items.collect(), is_last))
    }

    /// The resource with this identifier.
    ///
    /// # Errors
    /// When there is none, or the controller does not answer.
    pub async fn get(&self, entry: &'static Entry, id: &str) -> Result<Object, Error> {
        let path = path(entry, None, Target::Member(id));
        let answer = self.json(self.request(Method::GET, &path, &[])).await?;
        only(entry, answer, &path)
    }

    /// The resource with this identifier or, if none has it, the only one with this name.
    ///
    /// # Errors
    /// When nothing, or more than one thing, is called so.
    pub async fn find(&self, entry: &'static Entry, name: &str) -> Result<Object, Error> {
        if name.parse::<Id>().is_ok() {
            match self.get(entry, name).await {
                Err(Error::Refused(refusal)) if refusal.status == 404 => {}
                outcome => return outcome,
            }
        }
        let mut found = self.list(entry, &[("name".to_owned(), name.to_owned())]).await?;
        let kind = entry.member;
        match (found.pop(), found.is_empty()) {
            (Some(object), true) => Ok(object),
            (None, _) => Err(Error::NotFound { kind, name: name.to_owned() }),
            (Some(last), false) => {
                found.push(last);
                let ids = found.iter().filter_map(|object| object.get("id")?.as_str().map(str::to_owned));
                Err(Error::Ambiguous { kind, name: name.to_owned(), ids: ids.collect() })
            }
        }
    }

    /// Makes a resource.
    ///
    /// # Errors
    /// When the controller refuses it or does not answer.
    pub async fn create(&self, entry: &'static Entry, mut attributes: Object) -> Result<Object, Error> {
        // What it is below is said by the path.
        let parent = entry.parent().and_then(|(_, attribute)| attributes.remove(attribute));
        let path = path(entry, parent.as_ref().and_then(Value::as_str), Target::Collection);
        let request = self
            .request(Method::POST, &path, &[])
            .json(&json!({ entry.member_in_json(): Value::Object(attributes) }));
        only(entry, self.json(request).await?, &path)
    }

    /// Changes a resource; if a revision is given, only when it has been written so many times.
    ///
    /// # Errors
    /// When the controller refuses it or does not answer.
    pub async fn update(
        &self,
        entry: &'static Entry,
        id: &str,
        attributes: Object,
        revision: Option<u64>,
    ) -> Result<Object, Error> {
        let path = path(entry, None, Target::Member(id));
        let request = self
            .request(Method::PUT, &path, &[])
            .json(&json!({ entry.member_in_json(): Value::Object(attributes) }));
        only(entry, self.json(conditional(request, revision)).await?, &path)
    }

    /// Deletes a resource, on the same condition.
    ///
    /// # Errors
    /// When the controller refuses it or does not answer.
    pub async fn delete(&self, entry: &'static Entry, id: &str, revision: Option<u64>) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &path(entry, None, Target::Member(id)), &[]);
        self.send(conditional(request, revision)).await.map(|_| ())
    }

    /// Does an action on a resource, on the same condition; answers what it answers, or the resource as it is after it.
    ///
    /// # Errors
    /// When the controller refuses it or does not answer.
    pub async fn act(
        &self,
        entry: &'static Entry,
        (id, action): (&str, &'static MemberAction),
        attributes: Object,
        revision: Option<u64>,
    ) -> Result<Object, Error> {
        let path = path(entry, None, Target::Action(id, action));
        let request = match (action.method(), action.is_of_member) {
            (ActionMethod::Get, _) => self.request(Method::GET, &path, &[]),
            (ActionMethod::Put, true) => self
                .request(Method::PUT, &path, &[])
                .json(&json!({ entry.member_in_json(): Value::Object(attributes) })),
            (ActionMethod::Put, false) => {
                self.request(Method::PUT, &path, &[]).json(&Value::Object(attributes))
            }
        };
        let answer: Object = self.json(conditional(request, revision)).await?;
        if action.is_of_member { only(entry, answer, &path) } else { Ok(answer) }
    }
}

fn conditional(request: reqwest::RequestBuilder, revision: Option<u64>) -> reqwest::RequestBuilder {
    match revision {
        Some(revision) => request.header("If-Match", format!("revision_number={revision}")),
        None => request,
    }
}

/// The path of a place, below whichever parent where none is given.
pub(crate) fn path(entry: &'static Entry, parent: Option<&str>, target: Target<'_>) -> String {
    format!("/v2.0/{}", Place { entry, parent, target }.path(encoded))
}

/// An identifier is a UUID or the name of a host; whatever else somebody types must stay one segment.
fn encoded(id: &str) -> String {
    let id = id.replace('%', "%25").replace('/', "%2F").replace('?', "%3F").replace('#', "%23");
    if id.is_empty() || id == "." || id == ".." { "-".to_owned() } else { id }
}

fn only(entry: &Entry, mut answer: Object, path: &str) -> Result<Object, Error> {
    let member = entry.member_in_json();
    match answer.remove(member) {
        Some(Value::Object(object)) => Ok(object),
        _ => Err(misses(path, member)),
    }
}

fn misses(path: &str, name: &str) -> Error {
    Error::Answer { request: path.to_owned(), reason: format!("it has no '{name}'") }
}
