//! Where the commands find their data.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path};

use anyhow::{Context, Result};

/// Where `dev` keeps its data unless told otherwise.
pub(crate) const DEV_DIRECTORY: &str = "tokensmith-data";

/// The environment, without variables that are not text.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Makes the data directory for its owner alone. One that is there keeps its mode.
pub(crate) fn create_directory(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the directory {}", path.display()))
}
