//! The laws of putting a request onto what is stored, for every resource of the catalogue.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::catalogue::{CATALOGUE, Entry};

/// Values that an attribute can have, of which some are spelt in more than one way.
fn value(attribute: &Attribute, (which, number): (u8, u8)) -> Value {
    if attribute.nullable && which % 5 == 0 {
        return Value::Null;
    }
    of_type(attribute.kind, (which, number))
}

fn of_type(kind: AttributeType, (which, number): (u8, u8)) -> Value {
    match kind {
        AttributeType::Boolean => {
            [json!(true), json!("False"), json!("1"), json!(0)][usize::from(which) % 4].clone()
        }
        AttributeType::Integer(low, high) => {
            let value = (low + i64::from(number)).min(high);
            if which % 2 == 0 { json!(value) } else { json!(value.to_string()) }
        }
        AttributeType::Text(length_max) | AttributeType::Secret(length_max) => {
            json!("ä".repeat(usize::from(number).min(length_max)))
        }
        AttributeType::OneOf(choices) => json!(choices[usize::from(number) % choices.len()]),
        AttributeType::Id | AttributeType::Reference(_) => {
            let id = format!("8c1f24aa-77bb-4ccc-8ddd-eeeeeeeeee{number:02x}");
            json!(if which % 2 == 0 { id } else { id.to_uppercase() })
        }
        AttributeType::IpAddress => {
            json!(if which % 2 == 0 { format!("10.0.0.{number}") } else { format!("FD00:0::{number:x}") })
        }
        AttributeType::Cidr => json!(format!("10.0.{number}.7/24")),
        AttributeType::Mac => json!(format!("02:00:00:00:00:{number:02X}")),
        AttributeType::HostName => {
            json!(if which % 2 == 0 { String::new() } else { format!("host{number}") })
        }
        AttributeType::RouteTarget | AttributeType::RouteDistinguisher => json!(format!("64512:{number}")),
        AttributeType::ListOf(kind) => match which % 3 {
            0 => Value::Null,
            1 => of_type(*kind, (which / 3, number)),
            _ => json!([of_type(*kind, (which / 3, number)), of_type(*kind, (which / 3, number / 2))]),
        },
        AttributeType::Objects(attributes) => {
            let given = attributes.iter().filter(|one| one.on_create == OnCreate::Required || which % 2 == 0);
            let item: Map<String, Value> =
                given.map(|one| (one.name.to_owned(), value(one, (which / 2, number)))).collect();
            json!([item])
        }
        AttributeType::List => json!([number]),
        AttributeType::Object => json!({ "a": number }),
    }
}

/// Requests with the attributes that the seeds choose.
fn request(
    entry: &Entry,
    operation: Operation,
    seeds: &[(u8, u8)],
    chosen: impl Fn(usize) -> bool,
) -> Map<String, Value> {
    let attributes = entry.attributes.iter().zip(seeds).enumerate();
    let given = attributes.filter(|(at, (attribute, _))| {
        let must = operation == Operation::Create && attribute.on_create == OnCreate::Required;
        attribute.check_may_be_given(operation).is_ok() && (must || chosen(*at))
    });
    given.map(|(_, (attribute, seed))| (attribute.name.to_owned(), value(attribute, *seed))).collect()
}

fn put(entry: &Entry, stored: &Map<String, Value>, request: &Map<String, Value>) -> Map<String, Value> {
    merge(entry.attributes, Operation::Update, stored.clone(), request).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(256), ..ProptestConfig::default() })]

    #[test]
    fn requests_are_put_onto_what_is_stored_by_the_laws(
        seeds in prop::collection::vec(any::<(u8, u8)>(), 32),
        others in prop::collection::vec(any::<(u8, u8)>(), 32),
        chosen in any::<u32>(),
    ) {
        for entry in CATALOGUE {
            let bit = |at: usize| chosen >> (at % 32) & 1 == 1;
            let made = request(entry, Operation::Create, &seeds, bit);
            let stored = merge(entry.attributes, Operation::Create, Map::new(), &made).unwrap();
            prop_assert_eq!(&put(entry, &stored, &Map::new()), &stored, "an empty request changes nothing");
            let one = request(entry, Operation::Update, &others, bit);
            let other = request(entry, Operation::Update, &others, |at| !bit(at));
            let once = put(entry, &stored, &one);
            prop_assert_eq!(&put(entry, &once, &one), &once, "twice is once");
            prop_assert_eq!(put(entry, &once, &other), put(entry, &put(entry, &stored, &other), &one), "different attributes commute");
            // What is canonical is read as itself.
            for (name, value) in &once {
                let attribute = entry.attribute(name).unwrap();
                prop_assert_eq!(&attribute.convert(value).unwrap_or_else(|_| value.clone()), value);
            }
        }
    }

    #[test]
    fn what_cannot_be_given_is_refused_by_its_name(
        seeds in prop::collection::vec(any::<(u8, u8)>(), 32),
        unknown in "[a-z_]{1,12}x7",
    ) {
        for entry in CATALOGUE {
            let stored = merge(entry.attributes, Operation::Create, Map::new(), &request(entry, Operation::Create, &seeds, |_| true)).unwrap();
            for operation in [Operation::Create, Operation::Update] {
                let good = request(entry, operation, &seeds, |_| true);
                let bad = entry.attributes.iter().zip(&seeds).filter(|(attribute, _)| attribute.check_may_be_given(operation).is_err());
                let bad = bad.map(|(attribute, seed)| (attribute.name.to_owned(), value(attribute, *seed)));
                for (name, value) in bad.chain([(unknown.clone(), json!(1))]) {
                    let mut request = good.clone();
                    request.insert(name.clone(), value);
                    let before = if operation == Operation::Create { Map::new() } else { stored.clone() };
                    let refusal = merge(entry.attributes, operation, before, &request).unwrap_err();
                    prop_assert!(refusal.message.contains(&name), "{}", refusal);
                }
            }
        }
    }
}

const ROUTES: Attribute = Attribute::optional(
    "routes",
    AttributeType::Objects(&[
        Attribute::required("destination", AttributeType::Cidr, ""),
        Attribute::required("nexthop", AttributeType::IpAddress, ""),
        Attribute::optional("local_pref", AttributeType::Integer(0, 9), "").nullable(),
    ]),
    "",
);

#[test]
fn what_is_wrong_in_a_list_of_objects_is_told_by_its_place() {
    let good = json!({"destination": "10.0.0.7/8", "nexthop": "10.1.0.1"});
    for (item, says) in [
        (json!({"destination": "10.0.0.0/8"}), "routes[1].nexthop"),
        (json!({"destination": "10.0.0.0/8", "nexthop": "x"}), "routes[1].nexthop. Reason: 'x'"),
        (json!({"destination": null, "nexthop": "10.1.0.1"}), "routes[1].destination"),
        (
            json!({"destination": "10.0.0.0/8", "nexthop": "10.1.0.1", "local_pref": 10}),
            "routes[1].local_pref",
        ),
        (
            json!({"destination": "10.0.0.0/8", "nexthop": "10.1.0.1", "via": 1}),
            "routes[1]. Reason: it has 'via'",
        ),
        (json!("10.0.0.0/8"), "routes[1]. Reason: '10.0.0.0/8' is not an object"),
    ] {
        let refusal = ROUTES.convert(&json!([good, item])).unwrap_err();
        assert!(refusal.message.contains(says), "{item}: {refusal}");
    }
    assert_eq!(
        ROUTES.convert(&json!([good])).unwrap(),
        json!([{"destination": "10.0.0.0/8", "nexthop": "10.1.0.1"}])
    );
    assert_eq!(ROUTES.convert(&Value::Null).unwrap(), json!([]));
    assert!(ROUTES.convert(&json!({})).unwrap_err().message.contains("routes"));
}

#[test]
fn what_is_wrong_with_a_secret_is_told_without_it() {
    let password = Attribute::optional("password", AttributeType::Secret(4), "").nullable();
    for bad in [json!("hunter2"), json!(12345), json!(["hunter2"]), json!("hu\0")] {
        let refusal = password.convert(&bad).unwrap_err().message;
        assert!(
            refusal.contains("password") && !refusal.contains("hu") && !refusal.contains("123"),
            "{refusal}"
        );
    }
    assert_eq!(password.convert(&Value::Null).unwrap(), Value::Null);
}

#[test]
fn what_attributes_refer_to_is_in_the_catalogue_and_so_is_the_parent_of_what_is_below_another() {
    let refers = |attributes: &[Attribute]| {
        for attribute in attributes {
            if let AttributeType::Reference(member) = attribute.kind {
                assert!(crate::catalogue::by_member(member).is_some(), "{} of {member}", attribute.name);
            }
        }
    };
    for entry in CATALOGUE {
        refers(entry.attributes);
        entry.actions.iter().for_each(|action| refers(action.attributes));
        assert_eq!(entry.parent().is_some(), entry.path.contains('{'), "{}", entry.path);
        if let Some((parent, attribute)) = entry.parent() {
            let kind = entry.attribute(attribute).map(|attribute| attribute.kind);
            assert_eq!(kind, Some(AttributeType::Reference(parent.member)), "{}", entry.path);
        }
    }
}
