//! What pages load beside themselves: one style sheet, one icon, one script, and a style sheet for each colour. Their names hold
//! their hash, so browsers keep them for good.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, header};

use super::colour::Colour;
use crate::{app::App, error::PageError};

struct Asset {
    name: String,
    media_type: &'static str,
    text: &'static str,
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("../../templates/style.css");
    Asset::new("style", "css", "text/css; charset=utf-8", text)
});
static ICON: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("../../templates/icon.svg");
    Asset::new("icon", "svg", "image/svg+xml", text)
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("../../templates/passkey.js");
    Asset::new("passkey", "js", "text/javascript; charset=utf-8", text)
});

impl Asset {
    fn new(stem: &str, ending: &str, media_type: &'static str, text: &'static str) -> Self {
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        let hash: String = hash.as_ref()[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            name: format!("{stem}-{hash}.{ending}"),
            media_type,
            text,
        }
    }
}

/// Path of the style sheet.
pub(crate) fn style_path() -> String {
    format!("/assets/{}", STYLE.name)
}

/// Path of the icon.
pub(crate) fn icon_path() -> String {
    format!("/assets/{}", ICON.name)
}

/// Path of the script that asks for passkeys.
pub(crate) fn script_path() -> String {
    format!("/assets/{}", SCRIPT.name)
}

/// Path of the style sheet of a colour.
pub(super) fn colour_path(colour: Colour) -> String {
    format!("/assets/colour-{}.css", colour.hex())
}

/// `GET /assets/{name}`
pub(super) async fn asset(
    State(_): State<App>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    for asset in [&*STYLE, &*ICON, &*SCRIPT] {
        if asset.name == name {
            return Ok(for_good(asset.media_type, asset.text.to_owned()));
        }
    }
    let colour = name
        .strip_prefix("colour-")
        .and_then(|name| name.strip_suffix(".css"))
        .and_then(Colour::parse)
        .filter(|colour| colour_path(*colour).ends_with(&name));
    match colour {
        Some(colour) => Ok(for_good(STYLE.media_type, colour.style_sheet())),
        None => Err(PageError::not_found()),
    }
}

fn for_good(media_type: &'static str, text: String) -> Response {
    let fields: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ),
    ];
    (fields, text).into_response()
}
