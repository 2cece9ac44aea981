//! Reading declarative files: TOML tables `[scopes."groups:read"]`, `[clients.reports]` and so on. Every member keeps its
//! line, so that a problem says where it is.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tokensmith_server::registry::{Document, key_member};
use tokensmith_store::DeclarationKind;
use toml_edit::{ImDocument, Item, TableLike};

/// Largest file.
const LARGEST: u64 = 16 << 20;

/// Something wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = crate::listing::printable(&self.sentence);
        match self.line {
            0 => write!(f, "{}: {sentence}", self.file.display()),
            line => write!(f, "{}:{line}: {sentence}", self.file.display()),
        }
    }
}

/// A declaration as a file has it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) kind: DeclarationKind,
    pub(super) key: String,
    pub(super) object: Document,
    file: PathBuf,
    line: usize,
    lines: BTreeMap<String, usize>,
}

impl Wanted {
    /// A problem with one of its members, or with the whole when there is none of that name.
    pub(super) fn problem(&self, member: &str, sentence: &str) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.lines.get(member).copied().unwrap_or(self.line),
            sentence: format!("{} {}: {sentence}", self.kind.word(), self.key),
        }
    }
}

/// Everything that the files say.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) wanted: Vec<Wanted>,
    /// The kinds they speak of, if only by an empty table.
    pub(super) kinds: Vec<DeclarationKind>,
}

/// Reads files as one.
pub(super) fn read_all(paths: &[PathBuf]) -> Result<Files, Vec<Problem>> {
    let (mut files, mut problems) = (Files::default(), Vec::new());
    for path in paths {
        match text(path) {
            Ok(text) => read(path, &text, &mut files, &mut problems),
            Err(sentence) => problems.push(Problem {
                file: path.clone(),
                line: 0,
                sentence,
            }),
        }
    }
    let mut seen = BTreeMap::new();
    for wanted in &files.wanted {
        if seen.insert((wanted.kind, &wanted.key), ()).is_some() {
            problems.push(wanted.problem("", "it is declared twice."));
        }
    }
    if problems.is_empty() {
        Ok(files)
    } else {
        Err(problems)
    }
}

fn text(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > LARGEST {
        return Err(format!("the file is larger than {LARGEST} bytes."));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

fn read(path: &Path, text: &str, files: &mut Files, problems: &mut Vec<Problem>) {
    let line_of = |span: Option<std::ops::Range<usize>>| {
        span.map_or(0, |span| {
            1 + text[..span.start.min(text.len())].matches('\n').count()
        })
    };
    let mut problem = |line, sentence: String| {
        problems.push(Problem {
            file: path.to_owned(),
            line,
            sentence,
        });
    };
    let document = match ImDocument::parse(text) {
        Ok(document) => document,
        Err(error) => {
            // Its message quotes no value; the line that the error shows by itself might hold a secret.
            return problem(
                line_of(error.span()),
                format!("{}.", error.message().trim().replace('\n', ": ")),
            );
        }
    };
    let root = document.as_table();
    for (name, item) in root.iter() {
        let line = line_of(root.key(name).and_then(toml_edit::Key::span));
        let mut kinds = DeclarationKind::ALL.into_iter();
        let Some(kind) = kinds.find(|kind| kind.plural() == name) else {
            problem(line, format!("{name} is no part of such a file."));
            continue;
        };
        let Some(table) = item.as_table_like() else {
            problem(
                line,
                format!("{name} must be a table of tables, such as [{name}.example]."),
            );
            continue;
        };
        files.kinds.push(kind);
        for (key, item) in table.iter() {
            let line = line_of(table.key(key).and_then(toml_edit::Key::span));
            match item.as_table_like() {
                Some(record) => {
                    files
                        .wanted
                        .push(wanted(kind, key, record, (path, line), &line_of));
                }
                None => problem(line, format!("{key} must be a table: [{name}.{key:?}].")),
            }
        }
    }
}

fn wanted(
    kind: DeclarationKind,
    key: &str,
    record: &dyn TableLike,
    (file, line): (&Path, usize),
    line_of: &dyn Fn(Option<std::ops::Range<usize>>) -> usize,
) -> Wanted {
    let (mut object, mut lines) = (Document::new(), BTreeMap::new());
    for (name, item) in record.iter() {
        let line = line_of(record.key(name).and_then(toml_edit::Key::span));
        lines.insert(name.to_owned(), line);
        object.insert(name.to_owned(), item_value(item));
    }
    object.entry(key_member(kind)).or_insert_with(|| json!(key));
    Wanted {
        kind,
        key: key.to_owned(),
        object,
        file: file.to_owned(),
        line,
        lines,
    }
}

fn item_value(item: &Item) -> Value {
    if let Some(value) = item.as_value() {
        return value_json(value);
    }
    if let Some(table) = item.as_table_like() {
        return table_json(table);
    }
    match item.as_array_of_tables() {
        Some(tables) => tables.iter().map(|table| table_json(table)).collect(),
        None => Value::Null,
    }
}

fn table_json(table: &dyn TableLike) -> Value {
    let members = table.iter();
    let members = members.map(|(name, item)| (name.to_owned(), item_value(item)));
    Value::Object(members.collect())
}

fn value_json(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => json!(text.value()),
        toml_edit::Value::Integer(number) => json!(number.value()),
        toml_edit::Value::Float(number) => json!(number.value()),
        toml_edit::Value::Boolean(flag) => json!(flag.value()),
        toml_edit::Value::Datetime(instant) => json!(instant.value().to_string()),
        toml_edit::Value::Array(values) => values.iter().map(value_json).collect(),
        toml_edit::Value::InlineTable(table) => table_json(table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(usize, String)> {
        let (mut files, mut found) = (Files::default(), Vec::new());
        read(Path::new("f.toml"), text, &mut files, &mut found);
        found
            .into_iter()
            .map(|one| (one.line, one.sentence))
            .collect()
    }

    #[test]
    fn unknown_parts_and_wrong_forms_are_found_with_their_lines() {
        let found = problems("[scopes.read]\n\n[clint.x]\n[roles]\neditor = 1\n");
        assert_eq!(found[0], (3, "clint is no part of such a file.".to_owned()));
        assert_eq!(found[1].0, 5);
        assert_eq!(found.len(), 2);
        let broken = problems("[clients.x]\nsecret_env = \"A\nscope = \"\"\n");
        assert_eq!(broken[0].0, 2);
        assert!(!broken[0].1.contains("secret_env"), "{broken:?}");
    }

    #[test]
    fn a_member_keeps_its_line_and_its_value() {
        let (mut files, mut found) = (Files::default(), Vec::new());
        let text = "[clients.reports]\nscope = \"read\"\nresources = [\"https://a\"]\njwks.keys = [{kty = \"EC\"}]\n";
        read(Path::new("f.toml"), text, &mut files, &mut found);
        assert!(found.is_empty(), "{found:?}");
        let wanted = &files.wanted[0];
        let object = json!({"client_id": "reports", "scope": "read", "resources": ["https://a"], "jwks": {"keys": [{"kty": "EC"}]}});
        assert_eq!(Value::Object(wanted.object.clone()), object);
        let problem = wanted.problem("resources", "it is wrong.").to_string();
        assert_eq!(problem, "f.toml:3: client reports: it is wrong.");
        assert!(
            wanted
                .problem("absent", "x")
                .to_string()
                .starts_with("f.toml:1:")
        );
    }
}
