//! Features of the server keep to themselves: `crates/server/src/<feature>` may import the shared rooms, not another
//! feature. The exceptions stand in ARCHITECTURE.md between the marks `feature-imports`, each line with its reason.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::Finding;
use crate::tree::{Files, is_production, without_comments, without_tests};

const ROOT: &str = "crates/server/src/";
/// Rooms without a route of their own, which every feature may enter. They use each other, never a feature.
const SHARED: &[&str] = &[
    "app",
    "assertion",
    "audit",
    "authorization_audit",
    "caller",
    "config",
    "context",
    "correlation",
    "dpop",
    "entropy",
    "error",
    "extract",
    "fetch",
    "keys",
    "listen",
    "mtls",
    "now",
    "mail",
    "observe",
    "openapi",
    "rate_limit",
    "registry",
];
/// Where features are put together: these may name them all.
const COMPOSITION: &[&str] = &["lib", "app", "router", "start", "legacy", "jobs", "openapi"];

/// One feature naming another, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    from: String,
    to: String,
    file: String,
}

pub(crate) fn check(files: &Files) -> Result<Finding> {
    let sources: Vec<_> = files
        .under(ROOT)
        .filter(|(path, _)| is_production(path))
        .collect();
    let features: BTreeSet<&str> = sources
        .iter()
        .filter_map(|(path, _)| feature_of(path))
        .collect();
    let allowed = exceptions(files.text("ARCHITECTURE.md").unwrap_or_default());
    let imports: BTreeSet<Import> = sources
        .iter()
        .flat_map(|(path, text)| imports(path, text, &features))
        .collect();
    let unlisted = imports
        .iter()
        .filter(|import| !allowed.contains(&(import.from.as_str(), import.to.as_str())))
        .map(|import| {
            format!(
                "{}: `{}` → `{}`, which ARCHITECTURE.md does not list",
                import.file, import.from, import.to
            )
        });
    let unused = allowed
        .iter()
        .filter(|(from, to)| {
            !imports
                .iter()
                .any(|import| import.from == *from && import.to == *to)
        })
        .map(|(from, to)| format!("ARCHITECTURE.md lists `{from}` → `{to}`, but it is not so"));
    let note = format!(
        "{} features, {} listed exceptions",
        features.len(),
        allowed.len()
    );
    Ok(Finding {
        rule: "features of the server",
        broken: unlisted.chain(unused).collect(),
        note,
    })
}

/// `crates/server/src/token/mod.rs` belongs to `token`, as does `crates/server/src/token.rs`.
fn feature_of(path: &str) -> Option<&str> {
    let first = path.strip_prefix(ROOT)?.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
        .filter(|name| !matches!(*name, "templates" | "providers"))
}

fn imports(path: &str, text: &str, features: &BTreeSet<&str>) -> Vec<Import> {
    let Some(from) = feature_of(path).filter(|from| !COMPOSITION.contains(from)) else {
        return Vec::new();
    };
    let code = without_comments(without_tests(text));
    roots_named(&code, depth(path))
        .into_iter()
        .filter(|to| to != from && features.contains(to.as_str()) && !SHARED.contains(&to.as_str()))
        .map(|to| Import {
            from: from.to_owned(),
            to,
            file: path.to_owned(),
        })
        .collect()
}

/// How many `super::` lead from a file to the root of the crate.
fn depth(path: &str) -> usize {
    let inner = path.strip_prefix(ROOT).unwrap_or(path);
    let names = inner.split('/').count();
    if inner.ends_with("/mod.rs") {
        names - 1
    } else {
        names
    }
}

/// Modules of the crate root that the code names, through `crate::` or enough `super::`.
fn roots_named(code: &str, depth: usize) -> BTreeSet<String> {
    let climbed = "super::".repeat(depth);
    let after = |prefix: &str| {
        code.match_indices(prefix)
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    let mut named = BTreeSet::new();
    for prefix in ["crate::", climbed.as_str()] {
        for at in after(prefix) {
            let is_whole = !code[..at]
                .ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$');
            if is_whole {
                named.extend(heads(&code[at + prefix.len()..]));
            }
        }
    }
    named
}

/// `a::b` names `a`; `{a::b, c, d::{e, f}}` names `a`, `c` and `d`.
fn heads(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![word(rest)];
    };
    let (mut level, mut names, mut start) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => level += 1,
            '}' if level == 0 => break,
            '}' => level -= 1,
            ',' if level == 0 => start = true,
            c if start && !c.is_whitespace() => {
                names.push(word(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

const BEGIN: &str = "<!-- feature-imports -->";
const END: &str = "<!-- /feature-imports -->";

/// The pairs of lines such as "- `login` → `token`, `session` → `token`: both issue tokens".
fn exceptions(architecture: &str) -> Vec<(&str, &str)> {
    let list = architecture
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once(END));
    list.map_or_else(Vec::new, |(list, _)| {
        list.lines().flat_map(exceptions_of_line).collect()
    })
}

fn exceptions_of_line(line: &str) -> Vec<(&str, &str)> {
    let reasoned = line
        .trim()
        .strip_prefix("- ")
        .and_then(|line| line.split_once(": "));
    let Some((pairs, why)) = reasoned else {
        return Vec::new();
    };
    let pairs = pairs.split(", ").filter_map(|pair| pair.split_once(" → "));
    pairs
        .filter(|_| !why.trim().is_empty())
        .map(|(from, to)| (from.trim_matches('`'), to.trim_matches('`')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(code: &str, depth: usize) -> Vec<String> {
        roots_named(code, depth).into_iter().collect()
    }

    #[test]
    fn imports_are_found_in_every_spelling() {
        assert_eq!(named("use crate::token::Grant;", 1), ["token"]);
        assert_eq!(
            named(
                "use crate::{\n    app::App,\n    orgs::{self, Org},\n    token,\n};",
                1
            ),
            ["app", "orgs", "token"]
        );
        assert_eq!(named("let x = crate::login::check();", 1), ["login"]);
        assert_eq!(named("use super::super::login::x;", 2), ["login"]);
    }

    #[test]
    fn neighbours_inside_a_feature_are_not_imports_of_another() {
        assert!(
            named("use super::refresh_token::x; pub(crate) fn y() {}", 2)
                .iter()
                .all(String::is_empty)
        );
    }

    #[test]
    fn the_depth_of_a_file_is_its_distance_to_the_root() {
        let depths = ["lib.rs", "par.rs", "token/mod.rs", "token/refresh_token.rs"]
            .map(|file| depth(&format!("{ROOT}{file}")));
        assert_eq!(depths, [1, 1, 1, 2]);
    }

    #[test]
    fn an_exception_needs_its_reason() {
        let list = format!(
            "- `a` → `b`: outside\n{BEGIN}\n- `login` → `token`, `session` → `token`: both issue\n- `c` → `d`: \n{END}"
        );
        assert_eq!(
            exceptions(&list),
            [("login", "token"), ("session", "token")]
        );
    }

    #[test]
    fn an_import_of_another_feature_is_found_and_a_shared_room_is_not() {
        let features = BTreeSet::from(["token", "login", "app"]);
        let found = imports(
            "crates/server/src/token/mod.rs",
            "use crate::{app, login};",
            &features,
        );
        assert_eq!(
            found
                .iter()
                .map(|import| import.to.as_str())
                .collect::<Vec<_>>(),
            ["login"]
        );
    }
}
