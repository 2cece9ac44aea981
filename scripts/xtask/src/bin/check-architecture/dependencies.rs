//! Unused dependencies: every dependency of a crate appears in its sources, every line of the version table in a crate.
//! A dependency wanted only for its features says so: `name.workspace = true # features only: why`.

use anyhow::Result;
use serde_json::Value;

use crate::tree::{Files, without_comments};
use crate::{Finding, packages};

pub(crate) fn check(metadata: &Value, files: &Files) -> Result<Finding> {
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let mut broken = Vec::new();
    let mut used_somewhere = Vec::new();
    let mut count = 0;
    for package in packages(metadata) {
        let folder = folder(package, root);
        let sources = sources(files, &folder);
        let manifest = files
            .text(&format!("{folder}Cargo.toml"))
            .unwrap_or_default();
        for name in dependency_names(package) {
            count += 1;
            if !is_named(&sources, &name.replace('-', "_"))
                && !is_for_features_only(manifest, &name)
            {
                broken.push(format!("{folder}Cargo.toml: {name} is not used"));
            }
            used_somewhere.push(name);
        }
    }
    let table = version_table(files.text("Cargo.toml").unwrap_or_default());
    let orphans = table
        .iter()
        .filter(|name| !used_somewhere.iter().any(|used| used == *name));
    broken.extend(
        orphans.map(|name| format!("Cargo.toml: no crate uses {name} of the version table")),
    );
    Ok(Finding {
        rule: "dependencies in use",
        broken,
        note: format!("{count} dependencies"),
    })
}

/// `crates/store/`, relative to the root.
fn folder(package: &Value, root: &str) -> String {
    let manifest = package["manifest_path"].as_str().unwrap_or_default();
    let inner = manifest.strip_prefix(root).unwrap_or(manifest);
    inner
        .trim_start_matches('/')
        .trim_end_matches("Cargo.toml")
        .to_owned()
}

fn sources(files: &Files, folder: &str) -> String {
    files
        .under(folder)
        .filter(|(path, _)| path.ends_with(".rs"))
        .map(|(_, text)| without_comments(text))
        .collect()
}

/// Names as the manifest spells them (a renamed dependency counts under its new name).
fn dependency_names(package: &Value) -> Vec<String> {
    let name = |dependency: &Value| {
        dependency["rename"]
            .as_str()
            .or(dependency["name"].as_str())
            .map(str::to_owned)
    };
    package["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(name)
        .collect()
}

/// Whether the code names a crate: the word, alone.
fn is_named(code: &str, crate_name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(crate_name).any(|(at, _)| {
        !code[..at].ends_with(is_word) && !code[at + crate_name.len()..].starts_with(is_word)
    })
}

fn is_for_features_only(manifest: &str, name: &str) -> bool {
    let is_line_of = |line: &str| {
        line.trim_start()
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    manifest
        .lines()
        .any(|line| is_line_of(line) && line.contains("# features only: "))
}

/// Names of `[workspace.dependencies]`.
fn version_table(manifest: &str) -> Vec<&str> {
    let lines = manifest
        .lines()
        .skip_while(|line| *line != "[workspace.dependencies]")
        .skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_by_the_whole_word_only() {
        assert!(is_named("use time::Duration;", "time"));
        assert!(!is_named("let runtime = downtime;", "time"));
    }

    #[test]
    fn a_dependency_for_its_features_says_so() {
        let manifest =
            "serde.workspace = true\nhyper.workspace = true # features only: turns http2 on\n";
        assert!(is_for_features_only(manifest, "hyper"));
        assert!(!is_for_features_only(manifest, "serde"));
    }

    #[test]
    fn the_version_table_ends_at_the_next_section() {
        let manifest = "[workspace.dependencies]\n# HTTP\naxum = \"0.8\"\nhttp = { version = \"1\" }\n\n[profile.dev]\nopt = 1\n";
        assert_eq!(version_table(manifest), ["axum", "http"]);
    }
}
