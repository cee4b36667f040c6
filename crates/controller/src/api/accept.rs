//! Which media types a client takes: the header `Accept` (RFC 9110 §12.5.1).

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};

use super::respond::Problem;

/// Refuses a request whose client takes none of these media types, if there are any.
pub(crate) fn check(headers: &HeaderMap, offered: &[&str]) -> Result<(), Problem> {
    let lines: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok()).collect();
    let header = lines.join(",");
    if offered.is_empty() || offered.iter().any(|media_type| takes(&header, media_type)) {
        return Ok(());
    }
    let message =
        format!("Accept: '{header}' takes nothing of what there is here, which is {}.", offered.join(", "));
    Err(Problem::Http(StatusCode::NOT_ACCEPTABLE, "HTTPNotAcceptable", message))
}

/// Whether a client with this header takes a media type. One that says nothing, or nothing that can be read, takes all.
fn takes(header: &str, media_type: &str) -> bool {
    let ranges: Vec<Range> = header.split(',').filter_map(Range::parse).collect();
    // The most specific range that holds for the media type is the one that counts.
    let counts =
        ranges.iter().filter(|range| range.holds_for(media_type)).max_by_key(|range| range.specificity());
    ranges.is_empty() || counts.is_some_and(|range| range.quality > 0.0)
}

/// A media range with its quality: `text/*;q=0.5`.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: f32,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = match parts.next()? {
            // Not of the RFC, but some clients say so.
            "*" => ("*", "*"),
            range => {
                range.split_once('/').filter(|(kind, subtype)| !kind.is_empty() && !subtype.is_empty())?
            }
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = quality.and_then(|text| text.parse().ok()).unwrap_or(1.0);
        Some(Self { kind, subtype, quality })
    }

    fn holds_for(&self, media_type: &str) -> bool {
        let same = |own: &str, theirs: &str| own == "*" || own.eq_ignore_ascii_case(theirs);
        media_type
            .split_once('/')
            .is_some_and(|(kind, subtype)| same(self.kind, kind) && same(self.subtype, subtype))
    }

    fn specificity(&self) -> u8 {
        u8::from(self.kind != "*") + u8::from(self.subtype != "*")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_taken_by_who_does_not_exclude_it() {
        for header in [
            "",
            "*/*",
            "*",
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/*",
            "text/html, application/xml;q=0.9, */*;q=0.1",
            "text/html;q=0.9,application/json;q=0.001",
            "*/*;q=0, application/json",
            "text/html;level=1;q=0.4, application/json;q=1.0",
            "rubbish",
        ] {
            assert!(takes(header, "application/json"), "{header}");
        }
        for header in [
            "application/xml",
            "text/*",
            "text/html, image/png;q=0.5",
            "application/json;q=0",
            "application/json; q=0.0, */*",
            "application/*;q=0, */*",
            "*/*;q=0",
        ] {
            assert!(!takes(header, "application/json"), "{header}");
        }
    }
}
