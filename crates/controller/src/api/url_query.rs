//! Query strings: Neutron's filters, paging, order and fields.

use weft_services::{Condition, Query, Refusal, SortKey};

use super::percent;
use super::respond::Problem;

/// A query string, taken apart.
#[derive(Debug, Default)]
pub(crate) struct UrlQuery {
    pairs: Vec<(String, String)>,
}

/// What is no filter.
pub(crate) const RESERVED: [&str; 13] = [
    "fields",
    "limit",
    "marker",
    "page_reverse",
    "sort_key",
    "sort_dir",
    "tags",
    "tags-any",
    "not-tags",
    "not-tags-any",
    "watch",
    "since",
    "all_projects",
];

/// Refuses a query string of which a part is not UTF-8: it would stand for something else.
pub(crate) fn check(text: Option<&str>) -> Result<(), Problem> {
    for pair in text.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = String::from_utf8(percent::decode(name).0);
        let name =
            name.map_err(|_| Problem::malformed("The name of a parameter in the query is not UTF-8"))?;
        if std::str::from_utf8(&percent::decode(value).0).is_err() {
            return Err(Problem::malformed(format!("{name}: the value in the query is not UTF-8")));
        }
    }
    Ok(())
}

impl UrlQuery {
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(text.unwrap_or_default().as_bytes());
        Self { pairs: pairs.into_owned().collect() }
    }

    /// The last value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The names of all parameters.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The attributes that are wanted; all, if none is named.
    pub(crate) fn fields(&self) -> Option<Vec<&str>> {
        let fields: Vec<&str> = self.all("fields").filter(|field| !field.is_empty()).collect();
        (!fields.is_empty()).then_some(fields)
    }

    /// A flag, as Neutron reads booleans.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "1"))
    }

    pub(crate) fn to_query(&self) -> Result<Query, Refusal> {
        Ok(Query {
            conditions: self.conditions(),
            sort: self.sort()?,
            limit: self.limit()?,
            marker: self.get("marker").map(str::to_owned),
            page_reverse: self.flag("page_reverse"),
        })
    }

    fn conditions(&self) -> Vec<Condition> {
        let mut conditions: Vec<Condition> = Vec::new();
        for (key, value) in self.pairs.iter().filter(|(key, _)| !RESERVED.contains(&key.as_str())) {
            let same = conditions.iter_mut().find_map(|condition| match condition {
                Condition::OneOf(name, values) if name == key => Some(values),
                _ => None,
            });
            match same {
                Some(values) => values.push(value.clone()),
                None => conditions.push(Condition::OneOf(key.clone(), vec![value.clone()])),
            }
        }
        let kinds = [
            ("tags", false, false),
            ("tags-any", true, false),
            ("not-tags", false, true),
            ("not-tags-any", true, true),
        ];
        for (name, any, negated) in kinds {
            let tags: Vec<String> =
                self.all(name).flat_map(|value| value.split(',')).map(str::to_owned).collect();
            if !tags.is_empty() {
                conditions.push(Condition::Tags { any, negated, tags });
            }
        }
        conditions
    }

    fn sort(&self) -> Result<Vec<SortKey>, Refusal> {
        let (keys, directions): (Vec<&str>, Vec<&str>) =
            (self.all("sort_key").collect(), self.all("sort_dir").collect());
        if keys.len() != directions.len() {
            let message = "The number of sort_keys and sort_dirs must be same";
            return Err(Refusal::invalid("HTTPBadRequest", message));
        }
        let pairs = keys.into_iter().zip(directions);
        let key = |(attribute, direction): (&str, &str)| match direction {
            "asc" | "desc" => {
                Ok(SortKey { attribute: attribute.to_owned(), descending: direction == "desc" })
            }
            _ => Err(Refusal::invalid(
                "HTTPBadRequest",
                format!("sort_dir: '{direction}' is neither asc nor desc"),
            )),
        };
        pairs.map(key).collect()
    }

    pub(crate) fn limit(&self) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.get("limit") else { return Ok(None) };
        match text.parse::<usize>() {
            Ok(0) => Ok(None),
            Ok(limit) => Ok(Some(limit)),
            Err(_) => {
                let message =
                    format!("Invalid input for limit. Reason: '{text}' is not a whole number of at least 0.");
                Err(Refusal::invalid("HTTPBadRequest", message))
            }
        }
    }

    /// The same query with another marker and direction, for the links of a page.
    pub(crate) fn link(&self, marker: Option<&str>, page_reverse: bool) -> String {
        let kept = self.pairs.iter().filter(|(key, _)| key != "marker" && key != "page_reverse");
        let mut link = form_urlencoded::Serializer::new(String::new());
        link.extend_pairs(kept);
        if let Some(marker) = marker {
            link.append_pair("marker", marker);
        }
        if page_reverse {
            link.append_pair("page_reverse", "True");
        }
        link.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<Query, Refusal> {
        UrlQuery::parse(Some(text)).to_query()
    }

    #[test]
    fn a_repeated_filter_is_one_condition_with_several_values() {
        let expected = vec![Condition::OneOf("name".into(), vec!["a".into(), "b c".into()])];
        assert_eq!(query("name=a&limit=5&name=b%20c").unwrap().conditions, expected);
    }

    #[test]
    fn tags_are_split_at_commas() {
        let tags = Condition::Tags { any: true, negated: true, tags: vec!["x".into(), "y".into()] };
        assert_eq!(query("not-tags-any=x,y").unwrap().conditions, vec![tags]);
    }

    #[test]
    fn zero_is_no_limit_and_what_is_no_number_is_refused_by_name() {
        assert_eq!(query("limit=0").unwrap().limit, None);
        assert_eq!(query("limit=7").unwrap().limit, Some(7));
        for text in ["limit=-1", "limit=abc"] {
            assert!(query(text).unwrap_err().message.contains("limit"), "{text}");
        }
    }

    #[test]
    fn sort_keys_and_directions_come_in_pairs() {
        assert!(query("sort_key=name").is_err());
        assert!(query("sort_key=name&sort_dir=up").unwrap_err().message.contains("sort_dir"));
        assert!(query("sort_key=name&sort_dir=desc").unwrap().sort[0].descending);
    }

    #[test]
    fn the_link_to_the_next_page_keeps_all_but_the_place() {
        let parsed = UrlQuery::parse(Some("name=a&marker=old&page_reverse=True&limit=2"));
        assert_eq!(parsed.link(Some("new"), false), "name=a&limit=2&marker=new");
    }
}
