//! Arrows between crates: each may use only what the table allows, and a crate that is not in the table has no place.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::{Finding, packages};

/// Crate, and the crates of the workspace it may use in what it ships.
const ARROWS: &[(&str, &[&str])] = &[
    ("tokensmith-oauth2", &[]),
    ("tokensmith-jose", &["tokensmith-oauth2"]),
    (
        "tokensmith-resource-server",
        &["tokensmith-oauth2", "tokensmith-jose"],
    ),
    (
        "tokensmith-client",
        &["tokensmith-oauth2", "tokensmith-jose"],
    ),
    ("tokensmith-store", &["tokensmith-oauth2"]),
    (
        "tokensmith-server",
        &["tokensmith-oauth2", "tokensmith-jose", "tokensmith-store"],
    ),
    (
        "tokensmith-testkit",
        &[
            "tokensmith-oauth2",
            "tokensmith-jose",
            "tokensmith-store",
            "tokensmith-server",
        ],
    ),
    (
        "tokensmith",
        &[
            "tokensmith-oauth2",
            "tokensmith-jose",
            "tokensmith-store",
            "tokensmith-server",
        ],
    ),
    // Built from the two published libraries and nothing private.
    ("chat", &["tokensmith-resource-server", "tokensmith-client"]),
    (
        "tokensmith-bench",
        &[
            "tokensmith-oauth2",
            "tokensmith-jose",
            "tokensmith-resource-server",
            "tokensmith-client",
            "tokensmith-store",
            "tokensmith-xtask",
        ],
    ),
    ("tokensmith-fuzz", &["tokensmith-oauth2", "tokensmith-jose"]),
    ("tokensmith-xtask", &[]),
];

pub(crate) fn check(metadata: &Value) -> Result<Finding> {
    let names: Vec<&str> = packages(metadata)
        .filter_map(|package| package["name"].as_str())
        .collect();
    if names.is_empty() {
        bail!("cargo metadata names no package");
    }
    let broken = packages(metadata)
        .flat_map(|package| forbidden(package, &names))
        .collect();
    Ok(Finding {
        rule: "arrows between crates",
        broken,
        note: format!("{} crates", names.len()),
    })
}

fn forbidden(package: &Value, members: &[&str]) -> Vec<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
        return vec![format!(
            "{name} is not in the table of arrows: give it its place"
        )];
    };
    package["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
        .filter_map(|dependency| dependency["name"].as_str())
        .filter(|used| members.contains(used) && !allowed.contains(used))
        .map(|used| format!("{name} may not use {used}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, used: &str, kind: Option<&str>) -> Value {
        json!({"name": name, "dependencies": [{"name": used, "kind": kind}]})
    }

    #[test]
    fn an_arrow_against_the_table_is_found() {
        let members = ["tokensmith-oauth2", "tokensmith-store"];
        assert_eq!(
            forbidden(
                &package("tokensmith-oauth2", "tokensmith-store", None),
                &members
            )
            .len(),
            1
        );
        assert!(
            forbidden(
                &package("tokensmith-store", "tokensmith-oauth2", None),
                &members
            )
            .is_empty()
        );
    }

    #[test]
    fn tests_may_use_any_crate() {
        assert!(
            forbidden(
                &package("tokensmith-client", "tokensmith-testkit", Some("dev")),
                &["tokensmith-testkit"]
            )
            .is_empty()
        );
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        assert_eq!(forbidden(&package("newcomer", "serde", None), &[]).len(), 1);
    }
}
