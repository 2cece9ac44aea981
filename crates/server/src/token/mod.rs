//! The token endpoint (RFC 6749 §3.2). What every grant shares happens here, so no grant can forget it: client
//! authentication, whether the client may use the grant, scope and audience, minting, the audit line, the answer.

mod access_token;
mod client_credentials;
mod confirmation;
mod family;
mod grant;
mod imported;
mod issue;
mod jwt_bearer;
mod narrow;
mod refresh_secret;
mod refresh_token;
mod shown;
mod standing;
mod token_exchange;
mod user_tokens;
mod verified;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use tokensmith_oauth2::{ErrorCode, Form, GrantType, Scope, TokenResponse, stands_in_json};

use crate::{
    app::App,
    client_auth::{AuthenticatedForm, StrictForm},
    context::RequestContext,
    error::{OAuthError, insert_dpop_nonce, no_store},
    openapi,
    registry::RegisteredClient,
};

use jwt_bearer::Workload;

pub use access_token::{AccessToken, AccessTokenClaims};
pub use grant::{Exchange, Grant, Redemption, Subject, UserSubject};
pub use imported::{digest_of_jti, digest_of_token};
pub use issue::{Issued, issue, longest_user_token};
pub use jwt_bearer::Source;
pub use refresh_secret::{PresentedToken, RefreshRoot};
pub use refresh_token::present;
pub(crate) use shown::{Audience, ShownClaims, access_token, may_act, refresh_family};
pub(crate) use standing::in_organization;
pub use user_tokens::{UserTokens, account_client, issue_to_user};
pub use verified::VerifiedTokens;

/// What it adds to the document of the API.
#[derive(utoipa::OpenApi)]
#[openapi(paths(token))]
pub(crate) struct Api;

/// Grants of this server, as metadata lists them.
pub const GRANT_TYPES: &[GrantType] = &[
    GrantType::ClientCredentials,
    GrantType::RefreshToken,
    GrantType::TokenExchange,
    GrantType::JwtBearer,
];

/// One authenticated call of the token endpoint.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) app: &'a App,
    pub(crate) client: &'a RegisteredClient,
    pub(crate) form: &'a Form,
    pub(crate) context: &'a RequestContext,
    /// The workload that was recognised instead of a client's authentication.
    workload: Option<&'a Workload>,
}

/// `POST /oauth/token`: access tokens, by every grant there is.
#[utoipa::path(post, path = "/oauth/token", request_body(content = openapi::TokenRequest, content_type = "application/x-www-form-urlencoded"), responses((status = 200, body = openapi::TokenForm), (status = 400), (status = 401), (status = 429), (status = 503)), security(("client" = [])))]
pub async fn token(State(app): State<App>, request: Request) -> Result<Response, OAuthError> {
    let (request, workload) = sender(&app, request).await?;
    let AuthenticatedForm {
        form,
        client,
        headers,
        context,
    } = request;
    let call = Call {
        app: &app,
        client: &client,
        form: &form,
        context: &context,
        workload: workload.as_deref(),
    };
    match answer(call, &headers).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let event = error
                .event("token_refused")
                .client(&client.client.client_id);
            app.audit(context.audit(Some(actor(&client))), event)
                .await?;
            Err(error)
        }
    }
}

/// Who sent the request: the client that authenticates, or the one that a trusted issuer's assertion stands for.
async fn sender(
    app: &App,
    request: Request,
) -> Result<(AuthenticatedForm, Option<Box<Workload>>), OAuthError> {
    let request = StrictForm::read(request, app).await?;
    if jwt_bearer::stands_alone(&request)? {
        let (request, workload) = Box::pin(jwt_bearer::identify(app, request)).await?;
        return Ok((request, Some(Box::new(workload))));
    }
    Ok((request.authenticate(app).await?, None))
}

async fn answer(call: Call<'_>, headers: &HeaderMap) -> Result<Response, OAuthError> {
    let grant_type = grant_type(call)?;
    // Before the grant: a proof that has to be made again must not cost an assertion or a code.
    let shown = confirmation::shown(call, headers).await?;
    let grant = match grant_type {
        GrantType::ClientCredentials => client_credentials::grant(call)?,
        // Boxed: the commonest grant, above, then carries nothing of theirs along.
        GrantType::RefreshToken => Box::pin(refresh_token::grant(call)).await?,
        GrantType::TokenExchange => Box::pin(token_exchange::grant(call)).await?,
        GrantType::JwtBearer => Box::pin(jwt_bearer::grant(call)).await?,
        _ => return Err(unsupported()),
    };
    let grant = Grant {
        requested_scope: requested_scope(call.form)?,
        requested_resource: narrow::requested_resource(call.form)?.or(grant.requested_resource),
        confirmation: shown.confirmation,
        ..grant
    };
    let issued = issue(call.app, call.client, grant, call.context).await?;
    let mut response = json(issued.response)?;
    no_store(response.headers_mut());
    if let Some(nonce) = shown.next_nonce {
        insert_dpop_nonce(response.headers_mut(), &nonce);
    }
    Ok(response)
}

/// The answer. An access token made here needs no escaping, so its many characters are not looked at for any.
fn json(mut answer: TokenResponse) -> Result<Response, OAuthError> {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    const BEGIN: &[u8] = br#"{"access_token":""#;
    let token = std::mem::take(&mut answer.access_token);
    let others = serde_json::to_vec(&answer).map_err(OAuthError::unavailable)?;
    let (Some(others), true) = (others.strip_prefix(BEGIN), stands_in_json(token.expose())) else {
        return Err(OAuthError::unavailable(
            "the token cannot be written as it stands",
        ));
    };
    let mut body = Vec::with_capacity(BEGIN.len() + token.expose().len() + others.len());
    body.extend_from_slice(BEGIN);
    body.extend_from_slice(token.expose().as_bytes());
    body.extend_from_slice(others);
    Ok(([(header::CONTENT_TYPE, JSON)], body).into_response())
}

/// Which grant is asked for, if this server has it and the client may use it.
fn grant_type(call: Call<'_>) -> Result<GrantType, OAuthError> {
    let missing = || {
        OAuthError::invalid_request("grant_type_missing", "The parameter grant_type is missing.")
    };
    let name = call.form.one("grant_type")?.ok_or_else(missing)?;
    let grant_type: GrantType = name.parse().map_err(|_| unsupported())?;
    if !GRANT_TYPES.contains(&grant_type) {
        return Err(unsupported());
    }
    may_use(call.client, grant_type)?;
    Ok(grant_type)
}

/// Whether the client is registered for a grant.
///
/// # Errors
/// `unauthorized_client`.
pub fn may_use(client: &RegisteredClient, grant_type: GrantType) -> Result<(), OAuthError> {
    if client.client.grant_types.contains(&grant_type) {
        return Ok(());
    }
    let sentence = format!("This client is not registered for the grant {grant_type}.");
    Err(OAuthError::new(
        ErrorCode::UnauthorizedClient,
        "grant_not_registered",
        sentence,
    ))
}

fn unsupported() -> OAuthError {
    let known: Vec<&str> = GRANT_TYPES.iter().map(|grant| grant.as_str()).collect();
    let sentence = format!(
        "This grant type is not supported. Supported: {}.",
        known.join(", ")
    );
    OAuthError::new(
        ErrorCode::UnsupportedGrantType,
        "grant_type_unsupported",
        sentence,
    )
}

pub(crate) fn requested_scope(form: &Form) -> Result<Option<Scope>, OAuthError> {
    let malformed = |error| {
        OAuthError::new(
            ErrorCode::InvalidScope,
            "scope_malformed",
            format!("The scope is malformed: {error}."),
        )
    };
    form.one("scope")?
        .map(Scope::parse)
        .transpose()
        .map_err(malformed)
}

fn actor(client: &RegisteredClient) -> String {
    format!("client:{}", client.client.client_id)
}
