//! The look of a page: name, colour and logo of the organization it is for, else those of the server.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, header};
use tokensmith_store::{OrganizationId, StoreError};

use super::{assets, colour::Colour};
use crate::{app::App, error::PageError, extract::PathId};

/// What stands at the top of a page.
#[derive(Clone, Debug)]
pub(crate) struct Brand {
    pub(crate) name: String,
    /// Path of a style sheet.
    pub(crate) colour: Option<String>,
    /// Path of a picture.
    pub(crate) logo: Option<String>,
}

impl Brand {
    pub(super) async fn of(app: &App, org: Option<&OrganizationId>) -> Result<Self, StoreError> {
        let brand = match org {
            Some(org) => app.store().organization_brand(org).await?,
            None => None,
        };
        let (brand, has_own) = (brand.clone().unwrap_or_default(), brand.is_some());
        let colour = brand.colour.as_deref().and_then(Colour::parse);
        let logo = org.filter(|_| has_own && brand.logo.is_some());
        Ok(Self {
            name: brand.name.unwrap_or_else(|| "Tokensmith".to_owned()),
            colour: colour.map(assets::colour_path),
            logo: logo.map(|org| format!("/logos/{org}")),
        })
    }
}

/// `GET /logos/{org_id}`
pub(super) async fn logo(
    State(app): State<App>,
    PathId(org): PathId<OrganizationId>,
) -> Result<Response, PageError> {
    let brand = app.store().organization_brand(&org).await?;
    let picture = brand.and_then(|brand| brand.logo_type.zip(brand.logo));
    let (media_type, bytes) = picture.ok_or_else(PageError::not_found)?;
    let media_type = HeaderValue::from_str(&media_type).map_err(|_| PageError::not_found())?;
    let fields: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, media_type),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=300"),
        ),
    ];
    Ok((fields, bytes).into_response())
}
