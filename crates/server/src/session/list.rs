//! A user's own sessions: `GET /api/auth/sessions` lists the live ones, `DELETE` ends one, or all but the present one.
//! Each ends with its refresh token families and reaches the feed of revocations. Sessions of others are not found.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokensmith_store::{EndSession, EndSessionsOf, Session, SessionId, Timestamp};

use crate::{
    app::App,
    caller::Caller,
    context::RequestContext,
    error::{ApiError, no_store},
    extract::PathId,
    token::longest_user_token,
};

/// Sessions of one list at most, the newest.
const MOST: i64 = 200;

/// A live session, as its user sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Session)]
struct Listed {
    id: SessionId,
    /// The name of the session for `DELETE`, under which older clients look for it.
    token_hash: SessionId,
    device: String,
    ip: Option<String>,
    user_agent: Option<String>,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    /// Whether this request was sent in it.
    current: bool,
    acr: &'static str,
    amr: Vec<String>,
    authenticated_at: Timestamp,
}

/// `GET /api/auth/sessions`: the live sessions of the caller.
///
/// # Errors
/// 401, 403 for a service.
#[utoipa::path(get, path = "/api/auth/sessions", responses((status = 200, body = [Listed])), operation_id = "list_sessions")]
pub async fn list(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
) -> Result<Response, ApiError> {
    let user = caller.user()?;
    let live = app.store().sessions_of(&user.user_id, context.now, MOST);
    let current = user.session_id.as_ref();
    let listed: Vec<Listed> = live
        .await?
        .into_iter()
        .map(|session| Listed::of(session, current))
        .collect();
    let mut response = Json(listed).into_response();
    no_store(response.headers_mut());
    Ok(response)
}

impl Listed {
    fn of(session: Session, current: Option<&SessionId>) -> Self {
        Self {
            current: current == Some(&session.id),
            token_hash: session.id.clone(),
            id: session.id,
            device: session.device,
            ip: session.ip,
            user_agent: session.user_agent,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            acr: session.authentication.level.as_str(),
            amr: session.authentication.methods,
            authenticated_at: session.authentication.at,
        }
    }
}

/// What ended.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = EndedSessions)]
pub struct Ended {
    message: &'static str,
    ended_sessions: u64,
    revoked_tokens: u64,
}

/// `DELETE /api/auth/sessions/{session_id}`: ends a session of the caller.
///
/// # Errors
/// 401, 403 for a service, 404 for a session that is not the user's or not live.
#[utoipa::path(delete, path = "/api/auth/sessions/{session_id}", responses((status = 200, body = Ended)), operation_id = "end_session")]
pub async fn end_one(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(id): PathId<SessionId>,
) -> Result<Json<Ended>, ApiError> {
    let user = caller.user()?;
    let end = EndSession {
        id,
        reason: "ended_by_user",
        revoked_until: context.now + longest_user_token(&app),
        context: context.audit(Some(user.actor())),
        user_id: Some(user.user_id),
    };
    let ended = app.store().write(end).await?;
    if ended.sessions == 0 {
        return Err(ApiError::not_found("There is no such session."));
    }
    Ok(Json(Ended {
        message: "The session is ended.",
        ended_sessions: ended.sessions,
        revoked_tokens: ended.families,
    }))
}

/// `DELETE /api/auth/sessions`: ends every session of the user but the one that asks.
///
/// # Errors
/// 401, 403 for a service.
#[utoipa::path(delete, path = "/api/auth/sessions", responses((status = 200, body = Ended)), operation_id = "end_other_sessions")]
pub async fn end_others(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
) -> Result<Json<Ended>, ApiError> {
    let user = caller.user()?;
    let end = EndSessionsOf {
        reason: "ended_by_user",
        revoked_until: context.now + longest_user_token(&app),
        context: context.audit(Some(user.actor())),
        except: user.session_id,
        user_id: user.user_id,
    };
    let ended = app.store().write(end).await?;
    Ok(Json(Ended {
        message: "Every other session is ended.",
        ended_sessions: ended.sessions,
        revoked_tokens: ended.families,
    }))
}
