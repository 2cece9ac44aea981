//! Invitations by mail: owners and admins send them, the owner of the address accepts when signed in. Whether an address
//! has an account is told to nobody.

use axum::{Json, extract::State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokensmith_oauth2::Secret;
use tokensmith_store::{
    AcceptInvitation, Acceptance, AuditContext, Invitation, InvitationId, InviteMember, Inviting,
    OrganizationId, OrganizationRole, RevokeInvitation, Timestamp, UserId,
};

use super::{
    members::{not_allowed, require_manager},
    no_such_organization,
};
use crate::{
    account::rules,
    app::App,
    caller::Caller,
    context::RequestContext,
    error::{ApiError, ApiJson},
    extract::{Page, PathId, PathIds, next_after},
    mail::{self, INVITATION_LIFETIME, Message, Shown},
};

/// An invitation as managers see it. Its token is in the mail alone.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Invitation)]
pub struct InvitationView {
    id: InvitationId,
    email: String,
    role: OrganizationRole,
    created_at: Timestamp,
    created_by: Option<UserId>,
    expires_at: Timestamp,
}

impl From<Invitation> for InvitationView {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id,
            email: invitation.email,
            role: invitation.role,
            created_at: invitation.created_at,
            created_by: invitation.created_by,
            expires_at: invitation.expires_at,
        }
    }
}

/// One page of invitations.
#[derive(Serialize, utoipa::ToSchema)]
pub struct InvitationList {
    invitations: Vec<InvitationView>,
    /// What to send as `after` for the next page.
    next: Option<String>,
}

/// The body of an invitation.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    email: String,
    #[serde(default = "member")]
    role: OrganizationRole,
}

fn member() -> OrganizationRole {
    OrganizationRole::Member
}

/// The body of an acceptance.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InvitationToken)]
pub struct Token {
    #[schema(value_type = String)]
    token: Secret,
}

/// What an acceptance leads to.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Joined {
    org_id: OrganizationId,
    role: OrganizationRole,
}

/// `GET /api/auth/organizations/{org_id}/invitations`: open invitations, for owners and admins.
///
/// # Errors
/// 403 for a member who may not, 404 unless the caller is a member.
#[utoipa::path(get, path = "/api/auth/organizations/{org_id}/invitations", params(("limit" = Option<u32>, Query), ("after" = Option<String>, Query)), responses((status = 200, body = InvitationList)), operation_id = "list_invitations")]
pub async fn list(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(org): PathId<OrganizationId>,
    page: Page,
) -> Result<Json<InvitationList>, ApiError> {
    require_manager(&app, &org, &caller.user()?).await?;
    let store = app.store();
    let found = store
        .invitations(&org, context.now, &page.after, page.limit)
        .await?;
    let next = next_after(&found, page.limit, |invitation| invitation.id.to_string());
    let invitations = found.into_iter().map(InvitationView::from).collect();
    Ok(Json(InvitationList { invitations, next }))
}

/// `POST /api/auth/organizations/{org_id}/invitations`: invites an address by mail. An open invitation of the same address
/// ends.
///
/// # Errors
/// 403 for a member who may not, 404 unless the caller is a member, 409 for a member's address, 422, 429.
#[utoipa::path(post, path = "/api/auth/organizations/{org_id}/invitations", request_body = NewInvitation, responses((status = 201, body = InvitationView), (status = 409), (status = 429)), operation_id = "invite")]
pub async fn invite(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathId(org): PathId<OrganizationId>,
    ApiJson(new): ApiJson<NewInvitation>,
) -> Result<(StatusCode, Json<InvitationView>), ApiError> {
    let user = caller.user()?;
    require_manager(&app, &org, &user).await?;
    rules::check_email(&new.email)?;
    // Mail to strangers is limited like questions about unknown addresses.
    app.limits()
        .count_unknown_address(&user.user_id, context.now)
        .await
        .map_err(|limited| ApiError::rate_limited(limited.retry_after))?;
    let invitation = Invitation {
        id: InvitationId::from(app.entropy().uuid(context.now)),
        org_id: org,
        email: new.email,
        role: new.role,
        created_at: context.now,
        created_by: Some(user.user_id.clone()),
        expires_at: context.now + INVITATION_LIFETIME,
    };
    send(&app, invitation, context.audit(Some(user.actor()))).await
}

async fn send(
    app: &App,
    invitation: Invitation,
    context: AuditContext,
) -> Result<(StatusCode, Json<InvitationView>), ApiError> {
    let organization = app.store().organization(&invitation.org_id).await?;
    let organization = organization.ok_or_else(no_such_organization)?.name;
    let token = app.entropy().secret();
    let message = Message::Invitation {
        organization,
        token: Shown(token.clone()),
    };
    let mail = mail::compose(app, &message, &invitation.email, invitation.created_at);
    let invite = InviteMember {
        invitation: invitation.clone(),
        digest: digest(&token),
        mail: mail.map_err(ApiError::unavailable)?,
        context,
    };
    match app.store().write(invite).await? {
        Inviting::Invited => {
            app.mailer().wake();
            Ok((StatusCode::CREATED, Json(InvitationView::from(invitation))))
        }
        Inviting::AlreadyMember => {
            let sentence = "This user is a member already.";
            Err(ApiError::conflict("already_member", sentence))
        }
        Inviting::TooMany => {
            let sentence = "There are 500 open invitations. Take some back first.";
            Err(ApiError::conflict("too_many_invitations", sentence))
        }
        Inviting::NoSuchOrganization => Err(no_such_organization()),
        Inviting::NotAllowed => Err(not_allowed()),
    }
}

/// `DELETE /api/auth/organizations/{org_id}/invitations/{invitation_id}`: takes an invitation back.
///
/// # Errors
/// 403 for a member who may not, 404 for what is not open here.
#[utoipa::path(delete, path = "/api/auth/organizations/{org_id}/invitations/{invitation_id}", responses((status = 204)), operation_id = "revoke_invitation")]
pub async fn revoke(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    PathIds(org_id, id): PathIds<OrganizationId, InvitationId>,
) -> Result<StatusCode, ApiError> {
    let user = caller.user()?;
    require_manager(&app, &org_id, &user).await?;
    let revoke = RevokeInvitation {
        id,
        org_id,
        actor: Some(user.user_id.clone()),
        context: context.audit(Some(user.actor())),
    };
    match app.store().write(revoke).await? {
        Some(true) => Ok(StatusCode::NO_CONTENT),
        Some(false) => Err(ApiError::not_found("There is no such open invitation.")),
        None => Err(not_allowed()),
    }
}

/// `POST /api/auth/invitations/accept`: joins the organization. Good once, for who signs in with the address it was sent to.
///
/// # Errors
/// 401, 403 for a service, 404 for a token that this user cannot use, with one sentence, 409 for a member.
#[utoipa::path(post, path = "/api/auth/invitations/accept", request_body = Token, responses((status = 200, body = Joined), (status = 409)), operation_id = "accept_invitation")]
pub async fn accept(
    State(app): State<App>,
    context: RequestContext,
    caller: Caller,
    ApiJson(request): ApiJson<Token>,
) -> Result<Json<Joined>, ApiError> {
    let user = caller.user()?;
    let accept = AcceptInvitation {
        digest: digest(&request.token),
        context: context.audit(Some(user.actor())),
        user_id: user.user_id,
    };
    match app.store().write(accept).await? {
        Acceptance::Joined(org_id, role) => Ok(Json(Joined { org_id, role })),
        Acceptance::AlreadyMember(_) => {
            let sentence = "You are a member of this organization already.";
            Err(ApiError::conflict("already_member", sentence))
        }
        Acceptance::NotGood => {
            let sentence =
                "This invitation is used, over, taken back, or meant for another address.";
            Err(ApiError::not_found(sentence))
        }
    }
}

fn digest(token: &Secret) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.expose().as_bytes());
    digest.as_ref().to_vec()
}
