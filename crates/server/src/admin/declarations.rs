//! Listing, reading, making, replacing, changing and removing declarations.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tokensmith_store::{Declaration, DeclarationKind};

use super::{
    body,
    kind::{Kind, KindAndKey, nothing},
    rights::Administrator,
    secrets,
    view::{self, Condition},
};
use crate::{
    app::App,
    error::{ApiError, ApiJson, JsonPatch, no_store},
    extract::{Page, next_after},
    openapi,
    registry::{self, Document, Step},
};

/// `GET /api/admin/v1/{kind}`: declarations of a kind: `clients`, `resources`, `issuers`, `roles`, `permissions`, `scopes`.
///
/// # Errors
/// 401, 403, 404 for what is no kind, 422.
#[utoipa::path(get, path = "/api/admin/v1/{kind}", params(crate::extract::PageQuery), responses((status = 200, body = openapi::DeclarationPage), (status = 422)))]
pub(super) async fn list(
    State(app): State<App>,
    _: Administrator,
    Kind(kind): Kind,
    page: Page,
) -> Result<Response, ApiError> {
    let found = app
        .store()
        .declarations(kind, &page.after, page.limit)
        .await?;
    let next = next_after(&found, page.limit, |declared| declared.key().to_owned());
    let views: Vec<Value> = found.iter().map(view::view).map(Value::Object).collect();
    let mut response = Json(json!({ kind.plural(): views, "next": next })).into_response();
    no_store(response.headers_mut());
    Ok(response)
}

/// `GET /api/admin/v1/{kind}/{key}`: one declaration.
///
/// # Errors
/// 401, 403, 404.
#[utoipa::path(get, path = "/api/admin/v1/{kind}/{key}", responses((status = 200, body = openapi::DeclarationDocument)))]
pub(super) async fn show(
    State(app): State<App>,
    _: Administrator,
    KindAndKey(kind, key): KindAndKey,
) -> Result<Response, ApiError> {
    let found = find(&app, kind, &key).await?;
    Ok(view::answer(StatusCode::OK, &found))
}

pub(super) async fn find(
    app: &App,
    kind: DeclarationKind,
    key: &str,
) -> Result<Declaration, ApiError> {
    // A NUL is in no key, and the database would not take it.
    let key = Some(key)
        .filter(|key| !key.contains('\0'))
        .ok_or_else(nothing)?;
    app.store()
        .declaration(kind, key)
        .await?
        .ok_or_else(nothing)
}

/// `POST /api/admin/v1/{kind}`: a new declaration. A client that authenticates by a secret gets one, shown once.
///
/// # Errors
/// 401, 403, 409 when the key is taken or something it names is not declared, 422.
#[utoipa::path(post, path = "/api/admin/v1/{kind}", request_body = openapi::DeclarationDocument, responses((status = 201, body = openapi::DeclarationDocument), (status = 409)))]
pub(super) async fn create(
    State(app): State<App>,
    administrator: Administrator,
    Kind(kind): Kind,
    ApiJson(object): ApiJson<Document>,
) -> Result<Response, ApiError> {
    administrator.may_write(kind)?;
    let now = administrator.context.now;
    let mut declared = body::declaration(kind, None, object, None, now)?;
    let secret = match &mut declared {
        Declaration::Client(client) if registry::needs_secret(client.auth_method) => {
            Some(secrets::add(&app, client, now).await?)
        }
        _ => None,
    };
    if app
        .store()
        .declaration(kind, declared.key())
        .await?
        .is_some()
    {
        let sentence = format!("There is a {} of this name already.", kind.word());
        return Err(ApiError::conflict("name_taken", sentence));
    }
    write(&app, &administrator, None, Some(declared.clone())).await?;
    let mut shown = view::view(&declared);
    if let Some(secret) = secret {
        shown.insert("client_secret".to_owned(), json!(secret.expose()));
    }
    let mut response = view::answer_with(StatusCode::CREATED, &declared, shown);
    if let Ok(location) = HeaderValue::from_str(&location(&declared)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn location(declared: &Declaration) -> String {
    let key: String = url::form_urlencoded::byte_serialize(declared.key().as_bytes()).collect();
    let key = key.replace('+', "%20");
    format!("/api/admin/v1/{}/{key}", declared.kind().plural())
}

/// `PUT /api/admin/v1/{kind}/{key}`: the whole declaration anew. It needs `If-Match`, because what it does not name
/// goes away.
///
/// # Errors
/// 401, 403, 404, 409, 412 and 428 (RFC 6585 §3), 422.
#[utoipa::path(put, path = "/api/admin/v1/{kind}/{key}", params(("If-Match" = Option<String>, Header)), request_body = openapi::DeclarationDocument, responses((status = 200, body = openapi::DeclarationDocument), (status = 409), (status = 412), (status = 428)))]
pub(super) async fn replace(
    State(app): State<App>,
    administrator: Administrator,
    KindAndKey(kind, key): KindAndKey,
    headers: HeaderMap,
    ApiJson(object): ApiJson<Document>,
) -> Result<Response, ApiError> {
    administrator.may_write(kind)?;
    let before = find(&app, kind, &key).await?;
    administrator.may_touch(&before)?;
    if view::condition(&headers, &before)? == Condition::Absent {
        let sentence = "Send the ETag of the record you replace in If-Match.";
        let status = StatusCode::PRECONDITION_REQUIRED;
        return Err(ApiError::new(status, "if_match_missing", sentence));
    }
    put(&app, &administrator, before, object).await
}

/// `PATCH /api/admin/v1/{kind}/{key}`: a merge patch (RFC 7396).
///
/// # Errors
/// 401, 403, 404, 409, 412, 422.
#[utoipa::path(patch, path = "/api/admin/v1/{kind}/{key}", params(("If-Match" = Option<String>, Header)), request_body(content = Value, content_type = "application/merge-patch+json"), responses((status = 200, body = openapi::DeclarationDocument), (status = 409), (status = 412), (status = 415), (status = 422)))]
pub(super) async fn change(
    State(app): State<App>,
    administrator: Administrator,
    KindAndKey(kind, key): KindAndKey,
    headers: HeaderMap,
    JsonPatch(patch): JsonPatch,
) -> Result<Response, ApiError> {
    administrator.may_write(kind)?;
    let before = find(&app, kind, &key).await?;
    administrator.may_touch(&before)?;
    view::condition(&headers, &before)?;
    let object = body::merged(registry::document(&before), patch);
    put(&app, &administrator, before, object).await
}

async fn put(
    app: &App,
    administrator: &Administrator,
    before: Declaration,
    object: Document,
) -> Result<Response, ApiError> {
    let now = administrator.context.now;
    let key = before.key().to_owned();
    let after = body::declaration(before.kind(), Some(&key), object, Some(&before), now)?;
    if let Declaration::Client(client) = &after
        && registry::needs_secret(client.auth_method)
        && client.secrets.is_empty()
    {
        let sentence =
            "The client has no secret. Make one first, at its path followed by /secrets.";
        return Err(ApiError::conflict("client_without_secret", sentence));
    }
    write(app, administrator, Some(before), Some(after.clone())).await?;
    Ok(view::answer(StatusCode::OK, &after))
}

/// `DELETE /api/admin/v1/{kind}/{key}`: takes a declaration away.
///
/// # Errors
/// 401, 403, 404, 409 when something still names it, 412.
#[utoipa::path(delete, path = "/api/admin/v1/{kind}/{key}", params(("If-Match" = Option<String>, Header)), responses((status = 204), (status = 409), (status = 412)))]
pub(super) async fn remove(
    State(app): State<App>,
    administrator: Administrator,
    KindAndKey(kind, key): KindAndKey,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    administrator.may_write(kind)?;
    let before = find(&app, kind, &key).await?;
    administrator.may_touch(&before)?;
    view::condition(&headers, &before)?;
    write(&app, &administrator, Some(before), None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The one way to write: rights over both states, then the store, which proves that nothing changed meanwhile.
pub(super) async fn write(
    app: &App,
    administrator: &Administrator,
    before: Option<Declaration>,
    after: Option<Declaration>,
) -> Result<(), ApiError> {
    for record in before.iter().chain(&after) {
        administrator.may_touch(record)?;
    }
    let Some(step) = Step::between(before, after) else {
        return Ok(());
    };
    let context = administrator
        .context
        .audit(Some(administrator.actor.clone()));
    let changed = registry::write(app.store(), app.config(), vec![step], context).await?;
    changed.map_err(refused)?;
    // This node answers by what it just wrote; the others follow the epoch.
    if let Err(error) = app.registry().reload(app.store()).await {
        tracing::error!(error = %error, "changed declarations cannot be used; the former ones stay");
    }
    Ok(())
}

fn refused(refusal: registry::WriteRefusal) -> ApiError {
    match refusal {
        registry::WriteRefusal::ChangedMeanwhile(_) => {
            let sentence = "The record was changed at the same moment. Read it again.";
            ApiError::conflict("changed_meanwhile", sentence)
        }
        registry::WriteRefusal::Contradicts(sentences) => {
            ApiError::conflict("registry_contradicts_itself", sentences.join(" "))
        }
    }
}
