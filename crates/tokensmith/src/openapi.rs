//! `tokensmith openapi`: the document of the HTTP API.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use tokensmith_server::openapi;

use crate::listing;

/// Print the document of the HTTP API (OpenAPI 3.1, JSON).
#[derive(Debug, Args)]
pub(crate) struct OpenApi;

impl OpenApi {
    pub(crate) fn run(self) -> Result<ExitCode> {
        listing::write_out(&openapi::text())?;
        Ok(ExitCode::SUCCESS)
    }
}
