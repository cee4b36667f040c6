//! Answers: JSON, and the one place where errors become HTTP.

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};
use weft_services::{Reason, Refusal};

use crate::site::Failure;

pub(crate) type Answer = Response<Body>;

/// A request that ends without what it asked for.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The services refuse it.
    Refused(Refusal),
    /// A part of a declaration is refused.
    Declared(weft_services::DeclareError),
    /// HTTP itself has a status for it: type, message.
    Http(StatusCode, &'static str, String),
    /// There is something at the path, for which only these methods are meant.
    Method(&'static str),
}

impl Problem {
    /// A request that cannot be understood.
    pub(crate) fn malformed(message: impl std::fmt::Display) -> Self {
        Self::Http(StatusCode::BAD_REQUEST, "HTTPBadRequest", message.to_string())
    }

    /// A path at which there is nothing.
    pub(crate) fn no_such_path() -> Self {
        Self::Http(StatusCode::NOT_FOUND, "HTTPNotFound", "The resource could not be found.".into())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<E: Into<Self>> From<Failure<E>> for Problem {
    fn from(failure: Failure<E>) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::TooLarge => Self::Http(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                "The change is larger than one commit can be.".into(),
            ),
            Failure::Unavailable(reason) => {
                tracing::error!(reason, "the store cannot write");
                Self::Http(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "ServiceUnavailable",
                    "The store cannot write now; whether the change is there is not known.".into(),
                )
            }
        }
    }
}

impl From<weft_services::DeclareError> for Problem {
    fn from(error: weft_services::DeclareError) -> Self {
        Self::Declared(error)
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Refused(refusal) => refused(&refusal, None),
            Problem::Declared(error) => refused(&error.refusal, Some((error.document, error.field))),
            Problem::Http(status, kind, message) => error(status, kind, &message, None),
            Problem::Method(allowed) => {
                let message = "The method is not allowed for this resource.";
                let status = StatusCode::METHOD_NOT_ALLOWED;
                let mut answer = error(status, "HTTPMethodNotAllowed", message, None);
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
                answer
            }
        }
    }
}

/// Which document of a declaration is wrong, and which of its keys.
type Place = (Option<usize>, Option<String>);

fn refused(refusal: &Refusal, place: Option<Place>) -> Answer {
    error(status_of(refusal.reason), refusal.kind, &refusal.message, place)
}

fn error(status: StatusCode, kind: &str, message: &str, place: Option<Place>) -> Answer {
    let mut error = json!({ "type": kind, "message": message, "detail": "" });
    if let (Some((document, field)), Some(object)) = (place, error.as_object_mut()) {
        object.insert("document".into(), json!(document));
        object.insert("field".into(), json!(field));
    }
    json_answer(status, &json!({ "NeutronError": error }))
}

fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::Invalid => StatusCode::BAD_REQUEST,
        Reason::Forbidden => StatusCode::FORBIDDEN,
        Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::Conflict => StatusCode::CONFLICT,
        Reason::Outdated => StatusCode::PRECONDITION_FAILED,
    }
}

/// A JSON answer.
pub(crate) fn json_answer(status: StatusCode, value: &Value) -> Answer {
    typed_answer(status, "application/json", value.to_string())
}

/// A 200 with JSON.
pub(crate) fn ok(value: &Value) -> Answer {
    json_answer(StatusCode::OK, value)
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}

/// An answer of a media type.
pub(crate) fn typed_answer(status: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}
