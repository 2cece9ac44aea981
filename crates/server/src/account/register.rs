//! `POST /api/auth/register`. The answer is the same whether or not the address has an account, and takes the same
//! work: it is hashed and recorded either way. See docs/decisions/0010-registration-tells-nothing.md.

use axum::{Json, extract::State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokensmith_oauth2::Secret;
use tokensmith_store::{
    AppendAudit, AuditContext, AuditEvent, CreateOrganization, Durability, OrganizationId,
    PasswordHash, ProofKind, RegisterAccount, RegisterUser, UserId, UserRegistration,
};

use super::{password, proof, rules};
use crate::{
    app::App,
    context::RequestContext,
    error::{ApiError, ApiJson},
    extract::check_name,
    mail::{self, Message},
};
use tokensmith_jose::seal::SealError;

/// The body of a registration. Other members are ignored: nobody gives themselves a role or an id.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct RegisterRequest {
    pub(crate) email: String,
    #[schema(value_type = String)]
    pub(crate) password: Secret,
    pub(crate) username: Option<String>,
    pub(crate) org_name: Option<String>,
}

/// What everybody is told who asks for an account.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Registered {
    message: &'static str,
}

/// `POST /api/auth/register`: asks for an account. The answer is the same for an address that has one.
///
/// # Errors
/// 409 for a username or organization name that is taken, 422, 429, 503.
#[utoipa::path(post, path = "/api/auth/register", request_body = RegisterRequest, responses((status = 201, body = Registered), (status = 409), (status = 429), (status = 503)), security(()))]
pub async fn register(
    State(app): State<App>,
    context: RequestContext,
    ApiJson(request): ApiJson<RegisterRequest>,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    registered(&app, request, &context).await?;
    let message = "If this address is new here, the account is ready. Sign in with it.";
    Ok((StatusCode::CREATED, Json(Registered { message })))
}

/// Registers a user. Whether the address has an account cannot be told from it.
///
/// # Errors
/// As the endpoint's.
pub(crate) async fn registered(
    app: &App,
    request: RegisterRequest,
    context: &RequestContext,
) -> Result<(), ApiError> {
    request.check()?;
    let username = request.username.as_deref().unwrap_or_default();
    password::check(app, &request.password, &[&request.email, username]).await?;
    app.limits()
        .count_registration(context.ip, context.now)
        .await
        .map_err(|limited| ApiError::rate_limited(limited.retry_after))?;
    refuse_taken_names(app, &request).await?;
    let hash = PasswordHash::new(password::hashed(app, &request.password).await?);
    create(app, request, hash, context.audit(None)).await
}

impl RegisterRequest {
    fn check(&self) -> Result<(), ApiError> {
        rules::check_email(&self.email)?;
        self.username
            .as_deref()
            .map_or(Ok(()), rules::check_username)?;
        self.org_name.as_deref().map_or(Ok(()), check_name)
    }
}

/// Names are public. They are looked at first, so that what they answer does not depend on the address.
async fn refuse_taken_names(app: &App, request: &RegisterRequest) -> Result<(), ApiError> {
    if let Some(username) = &request.username
        && app.store().user_by_login(username).await?.is_some()
    {
        return Err(username_taken());
    }
    if let Some(name) = &request.org_name
        && app.store().organization_name_is_taken(name).await?
    {
        let sentence = "Another organization has this name.";
        return Err(ApiError::conflict("organization_name_taken", sentence));
    }
    Ok(())
}

fn username_taken() -> ApiError {
    ApiError::conflict("username_taken", "Another user has this username.")
}

async fn create(
    app: &App,
    request: RegisterRequest,
    password_hash: PasswordHash,
    context: AuditContext,
) -> Result<(), ApiError> {
    let id = UserId::from(app.entropy().uuid(context.at));
    let user = RegisterUser {
        id: id.clone(),
        email: request.email,
        username: request.username,
        password_hash: Some(password_hash),
        roles: Vec::new(),
        context: context.clone(),
    };
    let registration = app.store().write(with_mail(app, user)?).await?;
    if registration == UserRegistration::UsernameTaken {
        return Err(username_taken());
    }
    app.mailer().wake();
    let Some(name) = request.org_name else {
        return Ok(());
    };
    if registration != UserRegistration::Created {
        return record_only(app, context).await;
    }
    let organization = CreateOrganization {
        id: OrganizationId::from(app.entropy().uuid(context.at)),
        name,
        owner: id,
        context,
    };
    app.store().write(organization).await?;
    Ok(())
}

/// Both mails are made, so that the time tells nothing.
fn with_mail(app: &App, user: RegisterUser) -> Result<RegisterAccount, SealError> {
    let (to, now) = (user.email.as_str(), user.context.at);
    let made = proof::make(app, ProofKind::VerifyEmail, &user.id, to, now);
    let notice = proof::make(app, ProofKind::Notice, &user.id, to, now);
    let message = Message::VerifyEmail {
        code: made.code,
        token: made.token,
    };
    Ok(RegisterAccount {
        proof: made.proof,
        proof_mail: mail::compose(app, &message, to, now)?,
        notice: notice.proof,
        notice_mail: mail::compose(app, &Message::AddressHasAccount, to, now)?,
        user,
    })
}

/// One durable write, as for a new organization.
async fn record_only(app: &App, context: AuditContext) -> Result<(), ApiError> {
    let event = AuditEvent::new("registration_refused").outcome("address_known");
    let durability = Durability::PowerSafe;
    let line = AppendAudit {
        context,
        event,
        durability,
    };
    Ok(app.store().write(line).await?)
}
