//! Leaving: `POST /api/auth/account/deactivate` and `/api/auth/account/delete`, each after the password was proved
//! again; and `GET /api/auth/account/export`, everything that is kept about the caller.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokensmith_oauth2::Secret;
use tokensmith_store::{AccountDeletion, DeleteAccount, Mailing, SetUserActive, User};

use super::{change::account, password, verify::Told};
use crate::{
    app::App,
    caller::Caller,
    context::RequestContext,
    error::{ApiError, ApiJson, no_store},
    mail::{self, Message},
    token::longest_user_token,
};

/// Most rows of a kind in an export.
const MOST: i64 = 10_000;

/// The body of what cannot be undone.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct Farewell {
    #[schema(value_type = String)]
    pub(crate) password: Secret,
}

/// `POST /api/auth/account/deactivate`: nobody can sign in until an administrator enables the account again.
///
/// # Errors
/// 401, 403 for a service and for a wrong password, 429, 503.
#[utoipa::path(post, path = "/api/auth/account/deactivate", request_body = Farewell, responses((status = 200, body = Told), (status = 429), (status = 503)), operation_id = "deactivate_account")]
pub async fn deactivate(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    ApiJson(request): ApiJson<Farewell>,
) -> Result<Told, ApiError> {
    let user = account(&app, &caller.user()?).await?;
    deactivated(&app, &user, &request.password, &context).await?;
    let message = "The account is deactivated, and you are signed out everywhere.";
    Ok(Told { message })
}

/// Deactivates an account.
///
/// # Errors
/// As the endpoint's.
pub(crate) async fn deactivated(
    app: &App,
    user: &User,
    password: &Secret,
    context: &RequestContext,
) -> Result<(), ApiError> {
    password::prove(app, user, password, context).await?;
    let mail = mail::compose(app, &Message::AccountDeactivated, &user.email, context.now)?;
    let operation = SetUserActive {
        user_id: user.id.clone(),
        is_active: false,
        revoked_until: context.now + longest_user_token(app),
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    let deactivation = Mailing {
        operation,
        mail,
        when: |&changed| changed,
        now: context.now,
    };
    app.store().write(deactivation).await?;
    app.mailer().wake();
    Ok(())
}

/// `POST /api/auth/account/delete`: the account and everything that is its own.
///
/// # Errors
/// 401, 403 for a service and for a wrong password, 409 for the last owner of an organization with others, 429, 503.
#[utoipa::path(post, path = "/api/auth/account/delete", request_body = Farewell, responses((status = 200, body = Told), (status = 409), (status = 429), (status = 503)), operation_id = "delete_account")]
pub async fn delete(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    ApiJson(request): ApiJson<Farewell>,
) -> Result<Told, ApiError> {
    let user = account(&app, &caller.user()?).await?;
    deleted(&app, &user, &request.password, &context).await?;
    let message = "The account is deleted.";
    Ok(Told { message })
}

/// Deletes an account.
///
/// # Errors
/// As the endpoint's.
pub(crate) async fn deleted(
    app: &App,
    user: &User,
    password: &Secret,
    context: &RequestContext,
) -> Result<(), ApiError> {
    password::prove(app, user, password, context).await?;
    let mail = mail::compose(app, &Message::AccountDeleted, &user.email, context.now)?;
    let deletion = DeleteAccount {
        user_id: user.id.clone(),
        revoked_until: context.now + longest_user_token(app),
        mail: Some(mail),
        context: context.audit(Some(format!("user:{}", user.id))),
    };
    match app.store().write(deletion).await? {
        AccountDeletion::Deleted | AccountDeletion::NoSuchUser => {
            app.mailer().wake();
            Ok(())
        }
        AccountDeletion::LastOwnerOf(names) => Err(last_owner(&names)),
    }
}

fn last_owner(names: &[String]) -> ApiError {
    let sentence = format!(
        "These organizations would have members and no owner: {}. Make somebody else an owner first.",
        names.join(", ")
    );
    ApiError::conflict("last_owner", sentence)
}

/// `GET /api/auth/account/export`: everything that is kept about the caller.
///
/// # Errors
/// 401, 403 for a service, 503.
#[utoipa::path(get, path = "/api/auth/account/export", responses((status = 200, body = Value)), operation_id = "export_account")]
pub async fn export(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
) -> Result<Response, ApiError> {
    let user = account(&app, &caller.user()?).await?;
    let mut response = Json(exported(&app, &user, &context).await?).into_response();
    let headers = response.headers_mut();
    no_store(headers);
    let attachment = HeaderValue::from_static("attachment; filename=\"account.json\"");
    headers.insert(header::CONTENT_DISPOSITION, attachment);
    Ok(response)
}

/// Everything kept about a user but secrets: of a password there is only whether there is one.
///
/// # Errors
/// 503.
pub(crate) async fn exported(
    app: &App,
    user: &User,
    context: &RequestContext,
) -> Result<Value, ApiError> {
    let store = app.store();
    let sessions = store.sessions_of(&user.id, context.now, MOST).await?;
    let sessions = sessions.into_iter().map(|session| {
        json!({
            "id": session.id, "device": session.device, "ip": session.ip, "user_agent": session.user_agent,
            "created_at": session.created_at, "last_used_at": session.last_used_at, "expires_at": session.expires_at,
        })
    });
    let sessions: Vec<Value> = sessions.collect();
    let lines = store.audit_of_user(user.id.as_str(), MOST).await?;
    let line = |body: &str| serde_json::from_str(body).unwrap_or(Value::Null);
    let activity: Vec<Value> = lines.iter().map(|record| line(&record.body)).collect();
    Ok(json!({
        "exported_at": context.now,
        "account": {
            "id": user.id, "email": user.email, "username": user.username, "roles": user.roles,
            "is_active": user.is_active, "has_password": user.password_hash.is_some(),
            "email_verified_at": user.email_verified_at, "password_changed_at": user.password_changed_at,
            "last_login_at": user.last_login_at, "created_at": user.created_at, "updated_at": user.updated_at,
        },
        "organizations": organizations(app, user).await?,
        "sessions": sessions,
        "activity": activity,
    }))
}

async fn organizations(app: &App, user: &User) -> Result<Vec<Value>, ApiError> {
    let store = app.store();
    let mut organizations = Vec::new();
    for of_user in store.organizations_of(&user.id, "", MOST).await? {
        let organization = of_user.organization;
        let groups = store
            .groups_of_member(&organization.id, &user.id, "", MOST)
            .await?;
        let names: Vec<String> = groups.into_iter().map(|group| group.name).collect();
        organizations.push(json!({
            "id": organization.id, "name": organization.name, "role": of_user.role.as_str(), "groups": names,
        }));
    }
    Ok(organizations)
}
