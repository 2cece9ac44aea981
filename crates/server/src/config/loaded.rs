//! A configuration that was read, with the origin of each value, or everything that is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::section::{Problem, Reader};
use super::{Config, layers, mail, reference, tls, value};

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// One sentence each.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration cannot be used:")?;
        self.problems
            .iter()
            .try_for_each(|problem| writeln!(f, "  - {problem}"))
    }
}

/// A configuration together with where each value was written.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    origins: BTreeMap<String, String>,
}

impl Loaded {
    /// Reads a file and an environment for `serve` and every other command that works on its data.
    ///
    /// # Errors
    /// Every problem of form and every broken rule, each with its key.
    pub fn from(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut reader = layers::gather(file, env);
        refuse_unfit_to_serve(&mut reader);
        tls::refuse_contradictions(&mut reader);
        mail::refuse_contradictions(&mut reader);
        let origins = reader
            .given
            .iter()
            .map(|(key, given)| (key.clone(), given.origin.clone()));
        let origins = origins.collect();
        let config = Config::finish(reader)?;
        Ok(Self { config, origins })
    }

    /// Every key with its value and its origin, secrets left out: the answer of `config show`.
    pub fn show(&self) -> String {
        reference::show(&self.config, &self.origins)
    }
}

/// Rules of `serve` that no single value breaks by itself.
fn refuse_unfit_to_serve(reader: &mut Reader) {
    let is_set = |key: &str| {
        reader
            .given
            .get(key)
            .is_some_and(|given| value::text(&given.value).is_some_and(|text| !text.is_empty()))
    };
    if !is_set("master_key") && !reader.noted.contains("master_key") {
        reader.note("`master_key` is required: make one with `openssl rand -base64 32` and name its file in `master_key_file` or TOKENSMITH_MASTER_KEY_FILE.".into());
    }
    let demo = reader
        .given
        .get("demo")
        .and_then(|given| value::text(&given.value));
    if demo.as_deref() == Some("true") {
        reader.note("`demo` must be false: demo users and secrets are public; use `tokensmith dev` for them.".into());
    }
}
