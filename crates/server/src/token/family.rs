//! The last step before a token is made: a refresh token family is opened or moved on. The store proves single use;
//! an honest repetition gets the very same successor (RFC 9700 §4.14.2), reuse ends the family. A client's own family is
//! strict, as the older machine-to-machine service was: a spent token shown again is reuse at once.

use std::time::Duration;

use tokensmith_oauth2::{Confirmation, ErrorCode, Secret};
use tokensmith_store::{
    AuthMethod, EndSession, FamilyId, JtiUse, OpenFamily, RefreshFamily, RotateRefreshToken,
    Rotation, UseJti,
};

use super::{
    PresentedToken, Redemption, Subject, confirmation,
    issue::{Minting, actor},
    jwt_bearer, longest_user_token,
};
use crate::{
    assertion::AssertionError, context::RequestContext, error::OAuthError, registry::ACCOUNT_CLIENT,
};

/// How long after a rotation the direct predecessor gets the same successor again, while nothing was heard of it.
const GRACE: Duration = Duration::from_secs(60);

/// What ties a token to its family.
pub(super) struct Link {
    /// The `jti` of the access token.
    pub(super) jti: String,
    pub(super) family: Option<FamilyId>,
    pub(super) refresh_token: Option<Secret>,
}

impl Link {
    /// A token without a family.
    fn alone(jti: String) -> Self {
        Self {
            jti,
            family: None,
            refresh_token: None,
        }
    }
}

/// Uses up what the token is made for.
///
/// # Errors
/// `invalid_grant` when it was used before or is over, 503 when the store does not answer.
pub(super) async fn redeem(
    of: &Minting<'_>,
    redemption: Redemption,
    context: &RequestContext,
) -> Result<Link, OAuthError> {
    let jti = of.app.entropy().identifier();
    match redemption {
        Redemption::Nothing => Ok(Link::alone(jti)),
        Redemption::Assertion(used) => Box::pin(use_up(of, used, jti)).await,
        // Boxed, so that a grant which redeems nothing does not carry them along.
        Redemption::NewFamily => Box::pin(open(of, jti, context)).await,
        Redemption::RefreshToken(presented) if rotates(of) => {
            Box::pin(rotate(of, presented, jti, context)).await
        }
        Redemption::RefreshToken(presented) => Box::pin(keep(of, presented, jti, context)).await,
    }
}

async fn use_up(of: &Minting<'_>, used: UseJti, jti: String) -> Result<Link, OAuthError> {
    match of.app.store().write(used).await? {
        JtiUse::First => Ok(Link::alone(jti)),
        JtiUse::Replayed => Err(jwt_bearer::unacceptable(AssertionError::Replayed)),
    }
}

/// Both the server's setting and the client's registration must want it.
fn rotates(of: &Minting<'_>) -> bool {
    of.app.config().tokens.refresh_token_rotation && of.client.client.rotates_refresh_tokens
}

async fn open(of: &Minting<'_>, jti: String, context: &RequestContext) -> Result<Link, OAuthError> {
    let family = new_family(of, jti, context);
    let link = Link {
        jti: family.current_jti.clone().unwrap_or_default(),
        refresh_token: Some(of.app.refresh_root().token(&family.id, 1)),
        family: Some(family.id.clone()),
    };
    let context = context.audit(Some(actor(of)));
    let opened = of.app.store().write(OpenFamily { family, context }).await?;
    opened
        .then_some(link)
        .ok_or_else(|| refused("session_over"))
}

fn new_family(of: &Minting<'_>, jti: String, context: &RequestContext) -> RefreshFamily {
    let user = match of.subject {
        Subject::Client | Subject::Service(_) => None,
        Subject::User(user) => Some(user),
    };
    let expires_at = context.now + of.app.config().tokens.refresh_token_lifetime;
    RefreshFamily {
        id: of.app.entropy().uuid(context.now).into(),
        root_key: of.app.refresh_root().id().to_owned(),
        client_id: of.client.client.client_id.clone(),
        user_id: user.map(|user| user.user_id.clone()),
        session_id: user.map(|user| user.session_id.clone()),
        org_id: user.and_then(|user| user.org_id.clone()),
        scope: of.scope.clone(),
        resources: vec![of.audience.to_owned()],
        confirmation: binding(of),
        generation: 1,
        rotated_at: context.now,
        successor_used_at: None,
        current_jti: Some(jti),
        created_at: context.now,
        expires_at,
        idle_expires_at: context.now + idle(of),
        revoked_at: None,
        revoked_reason: None,
    }
}

/// How long a token of the client may lie unused. The store sees to it that the family ends no later than it would.
fn idle(of: &Minting<'_>) -> Duration {
    let own = of.client.client.metadata.refresh_token_idle_seconds;
    let own = own.map(|seconds| Duration::from_secs(seconds.into()));
    own.unwrap_or(of.app.config().tokens.refresh_token_idle_lifetime)
}

/// The key a new family is bound to. Only a public client's: another client proves itself at every rotation, and may
/// change its key (RFC 9449 §5, RFC 8705 §7.1).
fn binding(of: &Minting<'_>) -> Option<Confirmation> {
    of.confirmation
        .filter(|_| of.client.client.auth_method == AuthMethod::None)
}

async fn rotate(
    of: &Minting<'_>,
    presented: PresentedToken,
    jti: String,
    context: &RequestContext,
) -> Result<Link, OAuthError> {
    let rotation = RotateRefreshToken {
        family: presented.family,
        presented: presented.generation,
        client_id: of.client.client.client_id.clone(),
        confirmation: of.confirmation,
        jti,
        idle: idle(of),
        grace: match of.subject {
            Subject::Client | Subject::Service(_) => Duration::ZERO,
            Subject::User(_) => GRACE,
        },
        revoked_until: context.now + longest_user_token(of.app),
        context: context.audit(Some(format!("client:{}", of.client.client.client_id))),
    };
    match of.app.store().write(rotation).await? {
        Rotation::Rotated(family) | Rotation::SameSuccessor(family) => {
            let successor = of.app.refresh_root().token(&family.id, family.generation);
            Ok(link(*family, successor))
        }
        Rotation::Replayed(family) => {
            end_sign_in(of, *family, context).await?;
            Err(refused("refresh_token_reuse"))
        }
        Rotation::Revoked => Err(refused("refresh_token_revoked")),
        Rotation::Expired => Err(refused("refresh_token_expired")),
        Rotation::Unknown => Err(refused("refresh_token_unknown")),
        Rotation::WrongClient => Err(refused("refresh_token_of_another_client")),
        Rotation::WrongKey(bound) => Err(confirmation::not_shown(bound)),
    }
}

/// Two hold a refresh token of a sign-in. Its access tokens name their session and not the family, so the session ends
/// too. Of a grant to another client only that grant ends: nothing else of the session has leaked.
async fn end_sign_in(
    of: &Minting<'_>,
    family: RefreshFamily,
    context: &RequestContext,
) -> Result<(), OAuthError> {
    let Some(session) = family.session_id else {
        return Ok(());
    };
    if family.client_id.as_str() == ACCOUNT_CLIENT {
        let end = EndSession {
            id: session,
            user_id: family.user_id,
            reason: "refresh_token_reuse",
            revoked_until: context.now + longest_user_token(of.app),
            context: context.audit(Some("system".to_owned())),
        };
        of.app.store().write(end).await?;
    }
    Ok(())
}

/// Without rotation the newest token stays good; an older one never is.
async fn keep(
    of: &Minting<'_>,
    presented: PresentedToken,
    jti: String,
    context: &RequestContext,
) -> Result<Link, OAuthError> {
    let family = of.app.store().refresh_family(&presented.family).await?;
    let family = family.ok_or_else(|| refused("refresh_token_unknown"))?;
    if !family.is_live(context.now) {
        return Err(refused("refresh_token_over"));
    }
    if family.generation != presented.generation || family.client_id != of.client.client.client_id {
        return Err(refused("refresh_token_unknown"));
    }
    if let Some(bound) = family
        .confirmation
        .filter(|_| family.confirmation != of.confirmation)
    {
        return Err(confirmation::not_shown(bound));
    }
    let same = of.app.refresh_root().token(&family.id, family.generation);
    Ok(Link {
        jti,
        ..link(family, same)
    })
}

fn link(family: RefreshFamily, refresh_token: Secret) -> Link {
    Link {
        jti: family.current_jti.unwrap_or_default(),
        family: Some(family.id),
        refresh_token: Some(refresh_token),
    }
}

/// One sentence for every way of not being good.
pub(super) fn refused(refusal: &'static str) -> OAuthError {
    let sentence = "The refresh token is unknown, spent, expired or revoked. Sign in again.";
    OAuthError::new(ErrorCode::InvalidGrant, refusal, sentence)
}
