use std::{collections::BTreeSet, path::Path};

use super::*;

const REFERENCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/openapi.json"
);

/// Every object in the document.
fn objects(value: &Value) -> Vec<&serde_json::Map<String, Value>> {
    let below: Vec<&Value> = match value {
        Value::Object(members) => members.values().collect(),
        Value::Array(elements) => elements.iter().collect(),
        _ => Vec::new(),
    };
    let mut all: Vec<_> = value.as_object().into_iter().collect();
    all.extend(below.into_iter().flat_map(objects));
    all
}

fn operations() -> Vec<(String, &'static Value)> {
    let paths = whole()["paths"].as_object().unwrap();
    let named = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    named.collect()
}

#[test]
fn the_written_document_is_up_to_date() {
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(Path::new(REFERENCE), text()).unwrap();
    }
    let written = std::fs::read_to_string(REFERENCE).unwrap_or_default();
    assert!(
        written == text(),
        "docs/reference/openapi.json is not up to date: run the tests with UPDATE_REFERENCE=1"
    );
}

#[test]
fn every_reference_leads_to_a_schema_and_every_schema_is_referred_to() {
    let mut referred = BTreeSet::new();
    for object in objects(whole()) {
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(whole().pointer(pointer).is_some(), "{reference}");
            referred.insert(reference.rsplit('/').next().unwrap().to_owned());
        }
    }
    let schemas = whole()["components"]["schemas"].as_object().unwrap();
    let schemas: BTreeSet<String> = schemas.keys().cloned().collect();
    assert_eq!(schemas, referred);
}

#[test]
fn every_operation_has_a_name_of_its_own_words_security_and_described_answers() {
    let mut names = BTreeSet::new();
    for (place, operation) in operations() {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{place}: {name} is the name of another");
        let summary = operation["summary"].as_str().unwrap();
        assert!(
            summary.len() > 3 && !summary.starts_with('`'),
            "{place}: {summary}"
        );
        assert!(operation["security"].is_array(), "{place}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(
            answers.keys().any(|status| status.starts_with('2')),
            "{place}"
        );
        for (status, answer) in answers {
            assert!(
                answer["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{place} {status}"
            );
            let needs_body = !["200", "201", "204"].contains(&status.as_str());
            assert!(
                !needs_body || answer["content"].is_object(),
                "{place} {status}"
            );
        }
    }
}

#[test]
fn every_name_in_a_path_is_a_parameter_and_every_parameter_of_a_path_is_in_it() {
    for (place, operation) in operations() {
        let named = place
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameters = operation["parameters"].as_array().unwrap().iter();
        let of_path = parameters.filter(|parameter| parameter["in"] == "path");
        let described: BTreeSet<&str> = of_path
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(described, named.collect(), "{place}");
    }
}

#[test]
fn what_the_api_says_of_security_is_what_it_asks() {
    for (place, operation) in operations() {
        let takes_bearer = operation["security"].to_string().contains("bearer");
        let is_refused = operation["responses"].get("401").is_some();
        assert!(!takes_bearer || is_refused, "{place}");
    }
    let open = |place: &str| {
        let (_, operation) = operations()
            .into_iter()
            .find(|(known, _)| known == place)
            .unwrap();
        operation["security"].as_array().unwrap().is_empty()
    };
    assert!(!open("get /api/auth/organizations") && !open("post /oauth/introspect"));
    assert!(open("get /health") && open("get /docs"));
}

/// The members that a record read by serde takes, as its refusal of an unknown one says them.
fn members_of<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> BTreeSet<String> {
    let error = serde_json::from_str::<T>(r#"{"unknown_here":1}"#)
        .unwrap_err()
        .to_string();
    let (_, expected) = error.split_once("expected one of ").unwrap();
    expected
        .split('`')
        .filter(|word| !word.is_empty() && !word.starts_with([',', ' ']))
        .map(str::to_owned)
        .collect()
}

#[test]
fn members_of_declarations_are_those_that_are_taken() {
    let described = |schema: &str| -> BTreeSet<String> {
        let properties = whole()["components"]["schemas"][schema]["properties"].as_object();
        properties.unwrap().keys().cloned().collect()
    };
    let missing: Vec<String> = members_of::<tokensmith_store::ClientMetadata>()
        .difference(&described("ClientDocument"))
        .cloned()
        .collect();
    assert!(
        missing.is_empty(),
        "add to ClientDocument in openapi/declarations.rs: {missing:?}"
    );
    assert_eq!(
        described("IssuerDocument"),
        members_of::<tokensmith_store::TrustedIssuer>()
    );
}
