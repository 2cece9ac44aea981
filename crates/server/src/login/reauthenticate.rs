//! `POST /api/auth/reauthenticate`: a user proves in their session, once more, who they are. A second factor is asked of
//! whoever has one. The next renewal of the tokens tells of it (`acr`, `auth_time`), which ends a step-up (RFC 9470).

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use tokensmith_oauth2::Secret;
use tokensmith_store::{Authentication, RenewAuthentication, Session, Timestamp, User};

use crate::{
    app::App,
    caller::Caller,
    context::RequestContext,
    error::{ApiError, ApiJson},
    mfa::{self, Proof},
    session,
};

/// The body.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct Reauthentication {
    #[schema(value_type = String)]
    pub(crate) password: Secret,
    #[schema(value_type = Option<String>)]
    pub(crate) code: Option<Secret>,
}

/// What is true of the session now.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Reauthenticated {
    acr: &'static str,
    amr: Vec<String>,
    authenticated_at: Timestamp,
}

/// `POST /api/auth/reauthenticate`: proves again who the caller is.
///
/// # Errors
/// 401 for a wrong password or code, and without the code of a user who has a second factor; 429.
#[utoipa::path(post, path = "/api/auth/reauthenticate", request_body = Reauthentication, responses((status = 200, body = Reauthenticated), (status = 429)), operation_id = "reauthenticate")]
pub async fn reauthenticate(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    ApiJson(request): ApiJson<Reauthentication>,
) -> Result<Json<Reauthenticated>, ApiError> {
    let caller = caller.user()?;
    let session = session::current(&app, &caller).await?;
    let user = app.store().user(&caller.user_id).await?.ok_or_else(gone)?;
    let proved = proved_again(&app, (&user, &session), &request, &context).await?;
    Ok(Json(Reauthenticated {
        acr: proved.level.as_str(),
        amr: proved.methods,
        authenticated_at: proved.at,
    }))
}

/// The session of a user who proves once more who they are.
///
/// # Errors
/// As [`reauthenticate`].
pub(crate) async fn proved_again(
    app: &App,
    (user, session): (&User, &Session),
    request: &Reauthentication,
    context: &RequestContext,
) -> Result<Authentication, ApiError> {
    let user = super::by_password(app, &user.email, &request.password, context).await?;
    let factors = app.store().second_factors(&user.id, None).await?;
    let mut proved = Authentication::password(context.now);
    match &request.code {
        Some(code) if factors.exist() => {
            let method = mfa::prove(app, &user, Proof::Code(code), context).await?;
            proved = proved.and(method, context.now);
        }
        None if factors.exist() => {
            let sentence = "Send the code of your second factor, too.";
            return Err(ApiError::unauthorized("second_factor_missing", sentence));
        }
        _ => {}
    }
    let renew = RenewAuthentication {
        id: session.id.clone(),
        authentication: proved.clone(),
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    if !app.store().write(renew).await? {
        return Err(gone());
    }
    Ok(proved)
}

fn gone() -> ApiError {
    ApiError::unauthorized("user_gone", "The account is no longer there.")
}
