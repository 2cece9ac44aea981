//! Public items of the published libraries: 25 is the aim, 40 the bound (STYLE.md, "Sizes").
//! Counts what a user can name: items and re-exports at the top level of `lib.rs` and of its public modules.

use anyhow::{Context, Result};

use crate::Finding;
use crate::tree::{Files, without_comments, without_tests};

const BOUND: usize = 40;
/// The libraries that other people's services are built on.
const PUBLISHED: &[&str] = &["crates/resource-server/src/", "crates/client/src/"];

pub(crate) fn check(files: &Files) -> Result<Finding> {
    let mut broken = Vec::new();
    let mut notes = Vec::new();
    for folder in PUBLISHED {
        let count = count(files, folder, "lib").with_context(|| format!("counting {folder}"))?;
        notes.push(format!("{} {count}", folder.trim_end_matches("/src/")));
        if count > BOUND {
            broken.push(format!(
                "{folder} shows {count} public items; {BOUND} is the bound"
            ));
        }
    }
    Ok(Finding {
        rule: "public items",
        broken,
        note: notes.join(", "),
    })
}

fn count(files: &Files, folder: &str, module: &str) -> Result<usize> {
    let text = [
        format!("{folder}{module}.rs"),
        format!("{folder}{module}/mod.rs"),
    ]
    .iter()
    .find_map(|path| files.text(path))
    .with_context(|| format!("no file for module {module}"))?;
    let code = without_comments(without_tests(text));
    let mut total = 0;
    for item in code.split("\npub ").skip(1) {
        total += match item.split_once(' ') {
            Some(("use", names)) => reexports(names),
            Some(("mod", name))
                if name
                    .split('\n')
                    .next()
                    .is_some_and(|line| line.ends_with(';')) =>
            {
                count(files, folder, name.split(';').next().unwrap_or_default())?
            }
            _ => 1,
        };
    }
    Ok(total)
}

/// `a::{B, C, d::E};` names three; `a::B;` one.
fn reexports(names: &str) -> usize {
    let clause = names.split(';').next().unwrap_or_default();
    clause
        .split(',')
        .filter(|name| !name.trim().trim_end_matches('}').trim().is_empty())
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reexports_are_counted_one_by_one() {
        assert_eq!(reexports("a::{B, C,\n    d::E};\nfn x() {}"), 3);
        assert_eq!(reexports("a::B;"), 1);
    }
}
