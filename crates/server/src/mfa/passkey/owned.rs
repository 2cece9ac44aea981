//! A user's own passkeys: `/api/auth/passkeys` adds, lists, names and removes them. Adding and removing need a sign-in
//! of just now.

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokensmith_oauth2::Secret;
use tokensmith_store::{
    AddPasskey, Passkey, PasskeyAddition, PasskeyId, PendingPurpose, PendingSignIn, RemovePasskey,
    RenamePasskey, Timestamp, User,
};

use super::{
    PasskeyAnswer, ceremony::descriptors, encoded, expected, public_key::ALGORITHMS, refuse,
    refused, signed::Registered,
};
use crate::{
    app::App,
    caller::{Caller, UserCaller},
    context::RequestContext,
    error::{ApiError, ApiJson},
    extract::{PathId, check_name},
    mail::SecurityNotice,
    mfa::{codes::unstored, notice::notice, recovery::RecoveryCodes, totp_setup::account},
    session::{self, pending},
};

/// Most passkeys of one user.
const MOST: i64 = 20;

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PasskeyOptions)]
struct Options {
    #[serde(serialize_with = "Secret::serialize_exposed")]
    #[schema(value_type = String)]
    ceremony_token: Secret,
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    public_key: Value,
}

/// `POST /api/auth/passkeys/options`: what a browser needs to make a passkey.
///
/// # Errors
/// 401, 403 without a recent sign-in.
#[utoipa::path(post, path = "/api/auth/passkeys/options", responses((status = 200, body = Options)), operation_id = "passkey_options")]
pub async fn add_options(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
) -> Result<Response, ApiError> {
    let caller = caller.user()?;
    let session = session::recent(&app, &caller, &context).await?;
    let user = account(&app, &caller.user_id).await?;
    let known = app.store().passkeys(&user.id).await?;
    let waiting = PendingSignIn {
        user_id: Some(user.id.clone()),
        session_id: Some(session.id),
        ..pending::new(&app, PendingPurpose::Registration, &context)
    };
    let public_key = creation(&app, &user, &waiting.challenge, &known);
    let ceremony_token = pending::wait(&app, waiting, &context).await?;
    Ok(unstored(Options {
        ceremony_token,
        public_key,
    }))
}

/// `PublicKeyCredentialCreationOptionsJSON` (WebAuthn level 3 §5.4).
fn creation(app: &App, user: &User, challenge: &[u8; 32], known: &[Passkey]) -> Value {
    let host = app.config().issuer.host();
    let name = user.username.as_deref().unwrap_or(&user.email);
    let kinds = ALGORITHMS.map(|algorithm| json!({"type": "public-key", "alg": algorithm}));
    json!({
        "rp": {"id": host, "name": host},
        "user": {"id": encoded(user.id.as_str().as_bytes()), "name": user.email, "displayName": name},
        "challenge": encoded(challenge),
        "pubKeyCredParams": kinds,
        "timeout": 300_000,
        "excludeCredentials": descriptors(known),
        "authenticatorSelection": {"residentKey": "preferred", "userVerification": "preferred"},
        "attestation": "none",
    })
}

/// The body of a new passkey.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = NewPasskey)]
pub struct AddRequest {
    #[schema(value_type = String)]
    ceremony_token: Secret,
    name: String,
    passkey: PasskeyAnswer,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AddedPasskey)]
struct Added {
    #[serde(flatten)]
    passkey: Listed,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recovery_codes: Vec<String>,
}

/// `POST /api/auth/passkeys`: with recovery codes when it is the first factor.
///
/// # Errors
/// 401, 403 without a recent sign-in, 409 for a passkey that is known or one too many, 422.
#[utoipa::path(post, path = "/api/auth/passkeys", request_body = AddRequest, responses((status = 201, body = Added), (status = 409)), operation_id = "add_passkey")]
pub async fn add(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    ApiJson(request): ApiJson<AddRequest>,
) -> Result<(StatusCode, Response), ApiError> {
    let caller = caller.user()?;
    session::recent(&app, &caller, &context).await?;
    check_name(&request.name)?;
    let user = account(&app, &caller.user_id).await?;
    let registered = registered(&app, &caller, &request, &context).await?;
    let passkey = Passkey {
        id: app.entropy().uuid(context.now).into(),
        credential_id: registered.credential_id,
        user_id: user.id.clone(),
        name: request.name,
        public_key: registered.public_key,
        sign_count: i64::from(registered.sign_count),
        is_backed_up: registered.is_backed_up,
        created_at: context.now,
        last_used_at: None,
    };
    let codes = RecoveryCodes::new(app.entropy(), &user.id);
    let add = AddPasskey {
        passkey: passkey.clone(),
        most: MOST,
        recovery_codes: codes.kept,
        mail: notice(&app, &user, SecurityNotice::FactorAdded, &context)?,
        context: context.audit(Some(caller.actor())),
    };
    let recovery_codes = match app.store().write(add).await? {
        PasskeyAddition::Added {
            with_recovery_codes: true,
        } => codes.shown,
        PasskeyAddition::Added { .. } => Vec::new(),
        PasskeyAddition::Refused => {
            let sentence = "This passkey is known already, or you have as many as there may be.";
            return Err(ApiError::conflict("passkey_not_added", sentence));
        }
    };
    let passkey = Listed::from(passkey);
    let added = unstored(Added {
        passkey,
        recovery_codes,
    });
    Ok((StatusCode::CREATED, added))
}

/// The ceremony must have begun in this very session.
async fn registered(
    app: &App,
    caller: &UserCaller,
    request: &AddRequest,
    context: &RequestContext,
) -> Result<Registered, ApiError> {
    let (token, purpose) = (&request.ceremony_token, PendingPurpose::Registration);
    let waiting = pending::redeem(app, token, purpose, context).await?;
    if waiting.session_id != caller.session_id || waiting.user_id.as_ref() != Some(&caller.user_id)
    {
        return Err(pending::over());
    }
    let expected = expected(app, &waiting.challenge);
    match request.passkey.registration(&expected) {
        Ok(registered) => Ok(registered),
        Err(refusal) => {
            refuse(app, Some(&caller.user_id), refusal.as_str(), context).await?;
            Err(refused())
        }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PasskeyView)]
struct Listed {
    id: PasskeyId,
    name: String,
    is_backed_up: bool,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

impl From<Passkey> for Listed {
    fn from(passkey: Passkey) -> Self {
        Self {
            id: passkey.id,
            name: passkey.name,
            is_backed_up: passkey.is_backed_up,
            created_at: passkey.created_at,
            last_used_at: passkey.last_used_at,
        }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PasskeyList)]
struct List {
    passkeys: Vec<Listed>,
}

/// `GET /api/auth/passkeys`: the caller's passkeys.
///
/// # Errors
/// 401, 403 for a service.
#[utoipa::path(get, path = "/api/auth/passkeys", responses((status = 200, body = List)), operation_id = "list_passkeys")]
pub async fn list(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let user = caller.user()?;
    let passkeys = app.store().passkeys(&user.user_id).await?;
    let passkeys = passkeys.into_iter().map(Listed::from).collect();
    Ok(unstored(List { passkeys }))
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RenamedPasskey)]
struct Renamed {
    id: PasskeyId,
    name: String,
}

/// The body of a new name.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = ChangedPasskey)]
pub struct RenameRequest {
    name: String,
}

/// `PATCH /api/auth/passkeys/{passkey_id}`: gives a passkey another name.
///
/// # Errors
/// 401, 404 for a passkey that is not the user's, 422.
#[utoipa::path(patch, path = "/api/auth/passkeys/{passkey_id}", request_body = RenameRequest, responses((status = 200, body = Renamed)), operation_id = "rename_passkey")]
pub async fn rename(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(id): PathId<PasskeyId>,
    ApiJson(request): ApiJson<RenameRequest>,
) -> Result<Response, ApiError> {
    let user = caller.user()?;
    check_name(&request.name)?;
    let rename = RenamePasskey {
        id: id.clone(),
        name: request.name.clone(),
        context: context.audit(Some(user.actor())),
        user_id: user.user_id,
    };
    if !app.store().write(rename).await? {
        return Err(unknown());
    }
    Ok(unstored(Renamed {
        id,
        name: request.name,
    }))
}

/// `DELETE /api/auth/passkeys/{passkey_id}`: removes a passkey.
///
/// # Errors
/// 401, 403 without a recent sign-in, 404 for a passkey that is not the user's.
#[utoipa::path(delete, path = "/api/auth/passkeys/{passkey_id}", responses((status = 204)), operation_id = "remove_passkey")]
pub async fn remove(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(id): PathId<PasskeyId>,
) -> Result<StatusCode, ApiError> {
    let caller = caller.user()?;
    session::recent(&app, &caller, &context).await?;
    let user = account(&app, &caller.user_id).await?;
    remove_from(&app, &user, id, &context).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a passkey of this user.
///
/// # Errors
/// 404 for one that is not the user's, 503.
pub(crate) async fn remove_from(
    app: &App,
    user: &User,
    id: PasskeyId,
    context: &RequestContext,
) -> Result<(), ApiError> {
    let remove = RemovePasskey {
        id,
        mail: notice(app, user, SecurityNotice::FactorRemoved, context)?,
        context: context.audit(Some(format!("user:{}", user.id))),
        user_id: user.id.clone(),
    };
    if !app.store().write(remove).await? {
        return Err(unknown());
    }
    Ok(())
}

fn unknown() -> ApiError {
    ApiError::not_found("There is no such passkey.")
}
