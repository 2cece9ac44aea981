//! The least an answer to a form can cost: a bare axum server that reads the body and answers a fixed 700 bytes of JSON.

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Port on 127.0.0.1.
    #[arg(long)]
    port: u16,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let text: &'static str =
        Box::leak(format!(r#"{{"active":true,"pad":"{}"}}"#, "x".repeat(674)).into_boxed_str());
    let answer =
        move |_: Bytes| async move { ([(CONTENT_TYPE, "application/json")], text).into_response() };
    let router = Router::new()
        .route("/oauth/introspect", post(answer))
        .route("/ready", get(|| async {}));
    super::serve(arguments.port, router)
}
