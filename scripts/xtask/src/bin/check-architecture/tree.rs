//! The files git tracks, and the rules that need nothing but their text: sizes, lints in every crate, no machine path.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::Finding;

/// A production file beyond this is looked at in review; beyond `BOUND` it fails.
const REVIEW: usize = 350;
const BOUND: usize = 600;

/// Text files of the tree by path.
pub(crate) struct Files(BTreeMap<String, String>);

impl Files {
    /// Reads what git tracks, and what is new and not ignored.
    pub(crate) fn tracked() -> Result<Self> {
        let output = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .output()
            .context("running git ls-files")?;
        ensure!(
            output.status.success(),
            "git ls-files: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let names = String::from_utf8(output.stdout)?;
        let read = |name: &str| Some((name.to_owned(), std::fs::read_to_string(name).ok()?));
        Ok(Self(names.split('\0').filter_map(read).collect()))
    }

    /// Files below a folder.
    pub(crate) fn under(&self, folder: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter(move |(path, _)| path.starts_with(folder))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// One file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

/// A file up to its test module, which stands last.
pub(crate) fn without_tests(text: &str) -> &str {
    text.split_once("\n#[cfg(test)]\nmod ")
        .map_or(text, |(code, _)| code)
}

/// Drops `//` comments to the end of their line; one inside a string goes too, which no rule here minds.
pub(crate) fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .flat_map(|line| [line, "\n"])
        .collect()
}

pub(crate) fn sizes(files: &Files) -> Finding {
    let mut lengths: Vec<(usize, &str)> = files
        .under("")
        .filter(|(path, _)| is_production(path))
        .map(|(path, text)| (text.lines().count(), path))
        .collect();
    lengths.sort_unstable();
    let median = lengths
        .get(lengths.len() / 2)
        .map_or(0, |(lines, _)| *lines);
    let long: Vec<String> = lengths
        .iter()
        .filter(|(lines, _)| *lines > REVIEW)
        .map(|(lines, path)| format!("{path} {lines}"))
        .collect();
    let broken = lengths
        .iter()
        .filter(|(lines, _)| *lines > BOUND)
        .map(|(lines, path)| format!("{path} has {lines} lines; {BOUND} is the bound"));
    let note = format!(
        "{} production files, median {median} lines; over {REVIEW}: {}",
        lengths.len(),
        list(&long)
    );
    Finding {
        rule: "file sizes",
        broken: broken.collect(),
        note,
    }
}

/// Rust that ships or runs, not what tests it.
pub(crate) fn is_production(path: &str) -> bool {
    path.ends_with(".rs")
        && !path.ends_with("/tests.rs")
        && !path.contains("/tests/")
        && !path.starts_with("interop/")
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".into()
    } else {
        names.join(", ")
    }
}

pub(crate) fn lints(files: &Files) -> Finding {
    let manifests: Vec<_> = files
        .under("")
        .filter(|(path, _)| path.ends_with("/Cargo.toml") && !path.starts_with("interop/"))
        .collect();
    let broken = manifests
        .iter()
        .filter(|(_, text)| !text.contains("[lints]\nworkspace = true"));
    let broken = broken
        .map(|(path, _)| format!("{path} lacks [lints] workspace = true"))
        .collect();
    Finding {
        rule: "lints in every crate",
        broken,
        note: format!("{} manifests", manifests.len()),
    }
}

/// Home and work folders of the people and machines that build this have no place in the tree.
pub(crate) fn machine_paths(files: &Files) -> Finding {
    let folders = ["home", "root", "Users", "work", "farm"].map(folder);
    let is_lock = |path: &str| {
        [".lock", "package-lock.json", "go.sum"]
            .iter()
            .any(|end| path.ends_with(end))
    };
    let mut broken = Vec::new();
    for (path, text) in files.under("").filter(|(path, _)| !is_lock(path)) {
        for (at, line) in text.lines().enumerate() {
            if folders.iter().any(|folder| names_folder(line, folder)) {
                broken.push(format!("{path}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    Finding {
        rule: "no machine paths",
        broken,
        note: format!("{} files", files.0.len()),
    }
}

fn folder(name: &str) -> String {
    format!("/{name}/")
}

/// The folder at the start of an absolute path, not inside a longer one or a URL.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}*)/".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_path_of_a_machine_is_found() {
        assert!(names_folder(
            &["see ", "home", "ann"].join("/"),
            &folder("home")
        ));
        assert!(!names_folder(
            "https://example.com/docs/home/page",
            &folder("home")
        ));
        assert!(!names_folder("$DIR/docs/root/", &folder("root")));
    }

    #[test]
    fn the_test_module_is_left_out() {
        assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\n}"), "a");
    }

    #[test]
    fn comments_are_left_out() {
        assert_eq!(without_comments("use a; // crate::b\n"), "use a; \n");
    }
}
