//! What is printed of the configuration: the reference page and the answer of `config show`.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::layers::{older_names_of, variable_of};
use super::section::{Field, Section};
use super::{Config, place::Database, value::Setting};

const OPENING: &str = "\
# Configuration

This page is generated from the code (`crates/server/src/config/mod.rs`). A test compares the two.

`tokensmith serve --config FILE` reads one TOML file. Each setting can also be an environment variable, which wins over
the file: `TOKENSMITH_` and the key in capitals, with two underscores for each dot. Lists are TOML arrays, or one text
with commas. A secret can be kept in a file of its own: `<key>_file` in TOML, the name with `_FILE` in the environment.
Unknown keys are refused, and all problems are reported at once. `tokensmith config check` reports them without starting;
`tokensmith config show` prints every value and where it comes from.
";

/// The reference page, in Markdown.
pub fn reference() -> String {
    let mut fields = Vec::new();
    Config::fields(&mut fields);
    let mut page = OPENING.to_owned();
    let mut section = None;
    for field in &fields {
        let (table, name) = field.key.rsplit_once('.').unwrap_or(("", field.key));
        if section.replace(table) != Some(table) {
            let heading = if table.is_empty() {
                "Top level".to_owned()
            } else {
                format!("`[{table}]`")
            };
            let _ = write!(page, "\n## {heading}\n");
        }
        let _ = write!(page, "\n### `{name}`\n\n{}", entry(field));
    }
    page
}

fn entry(field: &Field) -> String {
    let mut entry = String::new();
    for line in field.doc {
        let _ = writeln!(entry, "{}", line.trim());
    }
    let default = field
        .default
        .map_or("none".to_owned(), |default| format!("`{default}`"));
    let _ = writeln!(entry, "\n- Value: {}", field.form);
    let _ = writeln!(entry, "- Default: {default}");
    let variables =
        std::iter::once(variable_of(field.key)).chain(older_names_of(field.key).map(str::to_owned));
    let variables = variables
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    let _ = writeln!(entry, "- Environment: {variables}");
    if field.secret {
        let (_, name) = field.key.rsplit_once('.').unwrap_or(("", field.key));
        let _ = writeln!(
            entry,
            "- From a file: `{name}_file`, `{}_FILE`",
            variable_of(field.key)
        );
    }
    entry
}

/// Every key with its value, secrets left out, and where the value was written.
pub(super) fn show(config: &Config, origins: &BTreeMap<String, String>) -> String {
    let mut values = Vec::new();
    config.show(&mut values);
    let longest = values
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .max()
        .unwrap_or(0);
    let mut page = String::new();
    for (key, value) in values {
        let origin = origins.get(key).map_or("default", String::as_str);
        let width = (longest + 3 - key.len()).min(70);
        let _ = writeln!(page, "{key} = {value:<width$} # {origin}");
    }
    page
}

impl Config {
    /// The database as it may be logged.
    pub fn database_shown(&self) -> String {
        Database::show(&self.database)
    }
}
