//! Where values come from, weakest first: defaults, the TOML file, the older services' variable
//! names, `TOKENSMITH_` variables. `<secret>_file` reads a secret from a file. Unknown keys are refused.

use std::collections::BTreeMap;
use std::path::Path;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::Config;
use super::section::{Field, Given, Reader, Section};
use super::value::text;

const PREFIX: &str = "TOKENSMITH_";
/// Read by the command line, not by the configuration.
const FOR_THE_COMMAND_LINE: &str = "TOKENSMITH_CONFIG";
/// Begins what `scripts/services` sets for our tests.
const FOR_TESTS: &str = "TOKENSMITH_TEST_";
const LARGEST_FILE: u64 = 1 << 20;

/// Names under which the older services read the same settings, with the unit their number has.
const OLDER_NAMES: [(&str, &str, &str); 8] = [
    (
        "JWT_ACCESS_TOKEN_EXPIRE_MINUTES",
        "tokens.access_token_lifetime",
        "m",
    ),
    (
        "JWT_REFRESH_TOKEN_EXPIRE_DAYS",
        "tokens.refresh_token_lifetime",
        "d",
    ),
    ("JWT_SECRET_KEY", "tokens.legacy_shared_secret", ""),
    (
        "TOKEN_ROTATION_ENABLED",
        "tokens.refresh_token_rotation",
        "",
    ),
    ("REDIS_URL", "redis_url", ""),
    ("DATABASE_URL", "database", ""),
    (
        "MAX_REQUESTS_PER_MINUTE",
        "rate_limit.requests_per_minute",
        "",
    ),
    ("AUDIT_LOGGING_ENABLED", "audit.enabled", ""),
];

pub(super) fn older_names_of(key: &str) -> impl Iterator<Item = &'static str> {
    OLDER_NAMES
        .into_iter()
        .filter(move |(_, of, _)| *of == key)
        .map(|(name, ..)| name)
}

/// The `TOKENSMITH_` variable of a key.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// Gathers all layers into one reader and notes what cannot be a setting.
pub(super) fn gather(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
) -> Reader {
    let mut fields = Vec::new();
    Config::fields(&mut fields);
    let mut reader = Reader::default();
    let mut figment = Figment::new();
    if let Some(path) = file {
        figment = figment.merge(toml(path, &mut reader));
    }
    for variable in variables(env) {
        figment = figment.merge(variable);
    }
    let profiles = figment.data().unwrap_or_default();
    for dict in profiles.values() {
        flatten(&figment, "", dict, &fields, &mut reader.given);
    }
    read_files(&fields, &mut reader);
    refuse_unknown(&fields, &mut reader);
    reader
}

fn toml(path: &Path, reader: &mut Reader) -> Layer {
    let name = format!("file {}", path.display());
    let read = match std::fs::metadata(path) {
        Ok(file) if file.len() > LARGEST_FILE => Err("is larger than 1 MiB".to_owned()),
        Ok(_) => std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}")),
        Err(error) => Err(format!("cannot be read: {error}")),
    };
    let parsed = read.and_then(|text| Toml::string(&text).data().map_err(|error| not_toml(&error)));
    let content = parsed.unwrap_or_else(|reason| {
        reader.note(format!("{name} {reason}."));
        Map::new()
    });
    Layer { name, content }
}

/// A parse error, on one line and without the line of the file, which may hold a secret.
fn not_toml(error: &Error) -> String {
    let reason = error.kind.to_string();
    let place = reason.lines().next().unwrap_or_default();
    let cause = reason.lines().last().unwrap_or_default();
    if place == cause {
        format!("is not valid TOML: {cause}")
    } else {
        format!("is not valid TOML: {place}: {cause}")
    }
}

/// The variables that are settings: older names first, so that `TOKENSMITH_` names win.
fn variables(env: impl IntoIterator<Item = (String, String)>) -> Vec<Layer> {
    let env: BTreeMap<String, String> = env.into_iter().collect();
    let mut layers = Vec::new();
    for (name, value) in &env {
        layers.extend(OLDER_NAMES.iter().find_map(|(older, key, unit)| {
            match name.strip_prefix(older) {
                Some("") => Some(Layer::variable(name, key, &with_unit(value, unit))),
                Some("_FILE") => Some(Layer::variable(name, &format!("{key}_file"), value)),
                _ => None,
            }
        }));
    }
    for (name, value) in &env {
        let key = name
            .strip_prefix(PREFIX)
            .filter(|_| name != FOR_THE_COMMAND_LINE && !name.starts_with(FOR_TESTS));
        let key = key.map(|key| key.to_ascii_lowercase().replace("__", "."));
        layers.extend(key.map(|key| Layer::variable(name, &key, value)));
    }
    layers
}

fn with_unit(value: &str, unit: &str) -> String {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        format!("{value}{unit}")
    } else {
        value.to_owned()
    }
}

/// One source of values; its name is what a problem says about it.
struct Layer {
    name: String,
    content: Map<Profile, Dict>,
}

impl Layer {
    fn variable(name: &str, key: &str, value: &str) -> Self {
        let nested = figment::util::nest(key, Value::from(value));
        let content = Profile::Default.collect(nested.into_dict().unwrap_or_default());
        Self {
            name: format!("environment variable {name}"),
            content,
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(self.content.clone())
    }
}

/// Turns nested tables into dotted keys. A table under a known key stays whole.
fn flatten(
    figment: &Figment,
    prefix: &str,
    dict: &Dict,
    fields: &[Field],
    given: &mut BTreeMap<String, Given>,
) {
    for (name, value) in dict {
        let key = format!("{prefix}{name}");
        match value {
            Value::Dict(_, inner) if !fields.iter().any(|field| field.key == key) => {
                flatten(figment, &format!("{key}."), inner, fields, given);
            }
            value => {
                let origin = figment.get_metadata(value.tag());
                let origin =
                    origin.map_or("configuration".to_owned(), |from| from.name.to_string());
                given.insert(
                    key,
                    Given {
                        value: value.clone(),
                        origin,
                    },
                );
            }
        }
    }
}

/// Replaces every `<secret>_file` by the content of that file, without the newline at its end.
fn read_files(fields: &[Field], reader: &mut Reader) {
    for field in fields.iter().filter(|field| field.secret) {
        let file_key = format!("{}_file", field.key);
        let Some(named) = reader.given.remove(&file_key) else {
            continue;
        };
        if reader.given.contains_key(field.key) {
            reader.note(format!(
                "`{}` and `{file_key}` are both set; keep one ({}).",
                field.key, named.origin
            ));
            continue;
        }
        let path = text(&named.value).unwrap_or_default();
        match std::fs::read_to_string(&path) {
            Ok(content) => {
                let value = Value::from(content.trim_end_matches(['\r', '\n']));
                let origin = format!("file {path}, named by {}", named.origin);
                reader
                    .given
                    .insert(field.key.to_owned(), Given { value, origin });
            }
            Err(error) => {
                reader.note(format!(
                    "`{file_key}` names {path}, which cannot be read: {error} ({}).",
                    named.origin
                ));
                reader.noted.insert(field.key);
            }
        }
    }
}

fn refuse_unknown(fields: &[Field], reader: &mut Reader) {
    let is_known = |key: &String| fields.iter().any(|field| field.key == *key);
    let (known, unknown): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut reader.given)
        .into_iter()
        .partition(|(key, _)| is_known(key));
    reader.given = known;
    for (key, given) in unknown {
        let near = fields
            .iter()
            .map(|field| field.key)
            .min_by_key(|known| distance(known, &key));
        let near = near.filter(|known| distance(known, &key) <= 3);
        let hint = near
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or(".".to_owned());
        reader.note(format!(
            "`{}` is not a setting ({}){hint}",
            key.escape_debug(),
            given.origin
        ));
    }
}

/// Edit distance, to find the key that was meant.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
