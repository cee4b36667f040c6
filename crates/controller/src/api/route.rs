//! From path and method to what answers.

use std::sync::Arc;

use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use serde_json::{Map, Value};
use weft_services::catalogue::{Entry, Place, Target};

use super::respond::{Answer, Problem};
use super::url_query::UrlQuery;
use super::{Notices, accept, documents, native, percent, resources, tags, url_query, watch};
use crate::agents::Links;
use crate::site::{Caller, Site};

/// The API and what it answers from.
pub struct Api {
    pub(crate) site: Arc<Site>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) links: Arc<Links>,
}

/// A request, read whole.
pub(crate) struct Asked {
    /// GET also where it is HEAD: that differs in what is sent, not in what is asked.
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) request_id: String,
}

impl Asked {
    pub(crate) fn query(&self) -> UrlQuery {
        UrlQuery::parse(self.uri.query())
    }

    /// For whom it is. Without identity, whoever can ask is administrator of project `default`.
    pub(crate) fn caller(&self) -> Caller {
        let summary = format!("{} {}", self.method, self.uri.path());
        Caller { request_id: self.request_id.clone(), project_id: "default".into(), summary }
    }

    /// The body as a JSON object.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, Problem> {
        let text = std::str::from_utf8(&self.body)
            .map_err(|error| Problem::malformed(format!("The body is not UTF-8: {error}")))?;
        match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Problem::malformed("The body is not a JSON object")),
            Err(error) => Err(Problem::malformed(format!("The body is not JSON: {error}"))),
        }
    }

    /// Goes on only with one of these methods, as the header `Allow` names them.
    pub(crate) fn allow(&self, methods: &'static str) -> Result<(), Problem> {
        let is_allowed = methods.split(", ").any(|method| method == self.method.as_str());
        if is_allowed { Ok(()) } else { Err(Problem::Method(methods)) }
    }

    /// The address by which the client reached us, for links.
    pub(crate) fn origin(&self) -> String {
        let host = self.headers.get("host").and_then(|value| value.to_str().ok()).unwrap_or("127.0.0.1");
        format!("http://{host}")
    }
}

impl Api {
    /// An API over this site.
    #[must_use]
    pub const fn new(site: Arc<Site>, notices: Arc<Notices>, links: Arc<Links>) -> Self {
        Self { site, notices, links }
    }

    pub(crate) async fn answer(&self, asked: Asked) -> Result<Answer, Problem> {
        let path = decoded_path(asked.uri.path())?;
        url_query::check(asked.uri.query())?;
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        accept::check(&asked.headers, offered(&segments, &asked))?;
        match segments.as_slice() {
            ["v2.0", "extensions" | "extensions.json"] | ["v2.0", "extensions", ""] => {
                documents::extensions(&asked)
            }
            ["v2.0", "extensions", alias] => {
                documents::extension(&asked, alias.strip_suffix(".json").unwrap_or(alias))
            }
            ["v2.0", ""] => documents::collections(&asked),
            ["v2.0", place @ ..] => match Place::find(place) {
                Some(place) => self.place(&asked, &place).await,
                None => Err(Problem::no_such_path()),
            },
            ["v1", rest @ ..] => native::answer(self, &asked, rest).await,
            other => documents::answer(self, &asked, other).await,
        }
    }

    async fn place(&self, asked: &Asked, place: &Place<'_>) -> Result<Answer, Problem> {
        match place.target {
            Target::Collection => self.collection(asked, place).await,
            Target::Member(id) => self.member(asked, place, id).await,
            Target::Tags(id) => tags::all(self, asked, place, id).await,
            Target::Tag(id, tag) => tags::one(self, asked, (place, id), tag).await,
            Target::Action(id, action) => resources::act(self, asked, place, (id, action)).await,
        }
    }

    async fn collection(&self, asked: &Asked, place: &Place<'_>) -> Result<Answer, Problem> {
        let entry = place.entry;
        match asked.method {
            Method::GET if asked.query().flag("watch") => watch::collection(self, asked, place),
            Method::GET => resources::list(self, asked, place),
            Method::POST if entry.verbs.write => resources::create(self, asked, place).await,
            // What Neutron says of a PUT without an identifier.
            Method::PUT => Err(entry.not_found("None").into()),
            _ => Err(Problem::Method(if entry.verbs.write { "GET, HEAD, POST" } else { "GET, HEAD" })),
        }
    }

    async fn member(&self, asked: &Asked, place: &Place<'_>, id: &str) -> Result<Answer, Problem> {
        let verbs = place.entry.verbs;
        match asked.method {
            Method::GET => resources::show(self, asked, place, id),
            Method::PUT if verbs.write => resources::update(self, asked, place, id).await,
            Method::DELETE if verbs.delete => resources::delete(self, asked, place, id).await,
            _ => Err(Problem::Method(member_methods(place.entry))),
        }
    }
}

const fn member_methods(entry: &Entry) -> &'static str {
    match (entry.verbs.write, entry.verbs.delete) {
        (true, true) => "GET, HEAD, PUT, DELETE",
        (true, false) => "GET, HEAD, PUT",
        (false, true) => "GET, HEAD, DELETE",
        (false, false) => "GET, HEAD",
    }
}

/// The media types of which there is one at a path; none where a client is sent what there is, whatever it takes.
fn offered(segments: &[&str], asked: &Asked) -> &'static [&'static str] {
    match segments {
        ["v1", "watch"] => STREAM,
        ["v2.0", place @ ..] if asked.query().flag("watch") && is_collection(place) => STREAM,
        ["v1", "snapshot"] => &[],
        ["v1" | "v2.0", ..] => &["application/json"],
        _ => &[],
    }
}

fn is_collection(place: &[&str]) -> bool {
    Place::find(place).is_some_and(|place| matches!(place.target, Target::Collection))
}

/// An error at the beginning of a stream is JSON.
const STREAM: &[&str] = &["text/event-stream", "application/json"];

fn decoded_path(path: &str) -> Result<String, Problem> {
    let (bytes, is_well_formed) = percent::decode(path);
    if !is_well_formed {
        let message = "The path has a '%' that is not followed by two hexadecimal digits";
        return Err(Problem::malformed(message));
    }
    String::from_utf8(bytes).map_err(|_| Problem::malformed("The path is not UTF-8"))
}
