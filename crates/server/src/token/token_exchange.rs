//! Token exchange (RFC 8693): a client that was shown a token of ours gets one of its own for the same subject, for
//! another resource, with less scope and no longer life. The answer says who acts, unless a rule allows impersonation.
//!
//! Refuses everything that no rule of the client's registration allows, every token but our own access tokens, bound
//! tokens without proof of their key, and a subject other than that of the subject token.

use std::sync::Arc;

use tokensmith_oauth2::{
    Actor, Ancestor, ClientId, Confirmation, ErrorCode, Lineage, ResourceIndicator, Scope,
};
use tokensmith_store::{AuthMethod, ExchangeMode, ExchangeRule, Timestamp};

use super::{
    Call, Exchange, Grant, Subject, UserSubject,
    issue::ACCESS_TOKEN,
    narrow,
    shown::{self, ShownClaims},
};
use crate::error::OAuthError;

/// RFC 8693 §3: our access tokens are JWTs, so both words name them.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

pub(super) async fn grant(call: Call<'_>) -> Result<Grant, OAuthError> {
    if call.client.client.auth_method == AuthMethod::None {
        let sentence = "Only a client that authenticates may use this grant.";
        return Err(unauthorized("public_client", sentence));
    }
    requested_token_type(call)?;
    let subject = token(call, "subject_token")?;
    let subject = subject.ok_or_else(|| missing("subject_token_missing", "subject_token"))?;
    let actor = token(call, "actor_token")?;
    let wanted = named_target(call)?;
    // What the client may do comes first: nobody learns here whether a token that is not for them is alive.
    let rule = rule(call, &subject, wanted.as_ref())?;
    let target = wanted.map_or_else(|| default_target(rule, &subject), Ok)?;
    require_live(call, "subject_token", &subject).await?;
    if let Some(actor) = &actor {
        check_actor(&call.client.client.client_id, actor)?;
        require_live(call, "actor_token", actor).await?;
    }
    let exchange = Exchange {
        subject_client: subject.client_id.clone(),
        family: subject.grant_id.as_deref().and_then(|id| id.parse().ok()),
        expires_at: expires_at(&subject, actor.as_deref()),
        act: acting(call, rule, &subject, actor.as_deref())?,
        derived_from: lineage(&subject, actor.as_deref())?,
    };
    let allowed = allowed_scope(call, rule, &subject)?;
    let default_scope = subject.scope.union(&rule.scope).intersection(&allowed);
    Ok(Grant {
        default_scope: Some(default_scope),
        granted_resources: vec![target.as_str().to_owned()],
        requested_resource: Some(target),
        bound_to: bound_to(&subject, actor.as_deref())?,
        exchange: Some(Box::new(exchange)),
        ..Grant::new("token_exchange", subject_of(call, &subject)?, allowed)
    })
}

/// RFC 8693 §2.1: an access token is all there is to ask for.
fn requested_token_type(call: Call<'_>) -> Result<(), OAuthError> {
    match call.form.one("requested_token_type")? {
        None | Some(ACCESS_TOKEN) => Ok(()),
        Some(_) => {
            let sentence = format!("The requested_token_type can only be {ACCESS_TOKEN}.");
            Err(OAuthError::invalid_request(
                "requested_token_type",
                sentence,
            ))
        }
    }
}

/// An access token of ours from this parameter, over or not.
fn token(call: Call<'_>, name: &'static str) -> Result<Option<Arc<ShownClaims>>, OAuthError> {
    let type_name = format!("{name}_type");
    let kind = call.form.one(&type_name)?;
    let Some(text) = call.form.one(name)? else {
        // RFC 8693 §2.1: the type goes with the token, and with nothing else.
        return match kind {
            Some(_) => Err(missing("token_missing", name)),
            None => Ok(None),
        };
    };
    match kind {
        Some(ACCESS_TOKEN | JWT) => {}
        Some(_) => {
            let sentence = format!("The {type_name} must be {ACCESS_TOKEN} or {JWT}.");
            return Err(OAuthError::invalid_request("token_type", sentence));
        }
        None => return Err(missing("token_type_missing", &type_name)),
    }
    let claims = shown::signed(call.app, text).ok_or_else(|| {
        let sentence = format!("The {name} is not an access token of this server.");
        OAuthError::invalid_request("token_not_ours", sentence)
    })?;
    Ok(Some(claims))
}

/// Times, revocations, user, session, clients and family.
async fn require_live(call: Call<'_>, name: &str, claims: &ShownClaims) -> Result<(), OAuthError> {
    let now = call.context.now;
    if !claims.hold(now) || !shown::may_act(call.app, claims, now).await? {
        let sentence =
            format!("The {name} is expired or revoked, or its user or client may not act.");
        return Err(OAuthError::new(
            ErrorCode::InvalidGrant,
            "token_over",
            sentence,
        ));
    }
    Ok(())
}

/// The first rule of the client that speaks of this subject token, and of what is asked for.
fn rule<'a>(
    call: Call<'a>,
    subject: &ShownClaims,
    wanted: Option<&ResourceIndicator>,
) -> Result<&'a ExchangeRule, OAuthError> {
    let rules = call.client.client.metadata.token_exchange.iter();
    let mut of_token = rules
        .filter(|rule| rule.subject_clients.contains(&subject.client_id))
        .filter(|rule| shared(&rule.subject_audiences, subject).is_some())
        .peekable();
    if of_token.peek().is_none() {
        let sentence = "This client may not exchange this token.";
        return Err(unauthorized("exchange_not_allowed", sentence));
    }
    let reaches = |rule: &&ExchangeRule| match wanted {
        None => true,
        Some(wanted) if rule.resources.is_empty() => {
            subject.aud.all().iter().any(|own| own == wanted.as_str())
        }
        Some(wanted) => rule.resources.iter().any(|known| known == wanted.as_str()),
    };
    of_token.find(reaches).ok_or_else(|| {
        let sentence = "This client may not exchange this token for one for that resource.";
        OAuthError::new(ErrorCode::InvalidTarget, "exchange_target", sentence)
    })
}

fn shared<'a>(audiences: &[String], subject: &'a ShownClaims) -> Option<&'a String> {
    let mut own = subject.aud.all().iter();
    own.find(|audience| audiences.contains(audience))
}

/// What `resource` or `audience` names. Both words mean a declared resource here, and one token is for one.
fn named_target(call: Call<'_>) -> Result<Option<ResourceIndicator>, OAuthError> {
    let resource = narrow::requested_resource(call.form)?;
    let audience = narrow::one_resource(call.form, "audience")?;
    match (resource, audience) {
        (Some(resource), Some(audience)) if resource != audience => {
            let sentence = "The parameters resource and audience name two: a token is for one.";
            Err(OAuthError::new(
                ErrorCode::InvalidTarget,
                "two_resources",
                sentence,
            ))
        }
        (resource, audience) => Ok(resource.or(audience)),
    }
}

/// Where nothing is named: the first resource of the rule, or what the subject token is for.
fn default_target(
    rule: &ExchangeRule,
    subject: &ShownClaims,
) -> Result<ResourceIndicator, OAuthError> {
    let default = rule.resources.first();
    let default = default.or(shared(&rule.subject_audiences, subject));
    let default = default.and_then(|default| ResourceIndicator::parse(default).ok());
    default.ok_or_else(|| missing("resource_missing", "resource"))
}

/// What the subject token, the rule and the client's registration all allow.
fn allowed_scope(
    call: Call<'_>,
    rule: &ExchangeRule,
    subject: &ShownClaims,
) -> Result<Scope, OAuthError> {
    let declared = call.app.registry().declared();
    let closure = |scope: &Scope| declared.hierarchy.closure(scope);
    let of_token = closure(&subject.scope).intersection(&closure(&rule.scope));
    let allowed = of_token.intersection(&call.client.allowed_scope);
    if allowed.is_empty() && !rule.scope.is_empty() {
        let sentence = "Nothing of the subject_token's scope is left for this client.";
        return Err(OAuthError::new(
            ErrorCode::InvalidScope,
            "nothing_left_of_scope",
            sentence,
        ));
    }
    Ok(allowed)
}

/// A user stays a user and a service a service, whoever asks.
fn subject_of(call: Call<'_>, subject: &ShownClaims) -> Result<Subject, OAuthError> {
    let unusable = || {
        let sentence = "The subject_token belongs to no session.";
        OAuthError::new(ErrorCode::InvalidGrant, "subject_without_session", sentence)
    };
    if let Ok(user_id) = subject.sub.parse() {
        let org = subject.org_id.as_deref().map(str::parse).transpose();
        let session = subject.sid.as_deref().ok_or_else(unusable)?;
        return Ok(Subject::User(UserSubject {
            user_id,
            org_id: org.map_err(|_| unusable())?,
            session_id: session.parse().map_err(|_| unusable())?,
        }));
    }
    if subject.sub == call.client.client.client_id.as_str() {
        return Ok(Subject::Client);
    }
    let service = ClientId::parse(&subject.sub).map_err(|_| unusable())?;
    Ok(Subject::Service(service))
}

/// Who acts from now on: the party of the actor token, else the client. Whoever acted before stays named, so nobody
/// can step out of a chain by impersonation.
fn acting(
    call: Call<'_>,
    rule: &ExchangeRule,
    subject: &ShownClaims,
    actor: Option<&ShownClaims>,
) -> Result<Option<Actor>, OAuthError> {
    let client = &call.client.client.client_id;
    let party = actor.map_or(client.as_str(), |actor| actor.sub.as_str());
    check_may_act(call, subject, party)?;
    let before = subject.act.clone();
    let is_user = matches!(subject_of(call, subject)?, Subject::User(_));
    let impersonates = rule.mode == ExchangeMode::Impersonation && is_user && actor.is_none();
    if party == subject.sub || (impersonates && before.is_none()) {
        return Ok(before);
    }
    let chain = Actor::new(party, before).map_err(|error| {
        OAuthError::invalid_request(
            "too_many_actors",
            format!("The token cannot be made: {error}."),
        )
    })?;
    Ok(Some(chain))
}

/// An actor token is the client's own: its service token, or one of a user who works through it.
fn check_actor(client: &ClientId, actor: &ShownClaims) -> Result<(), OAuthError> {
    if actor.client_id != *client {
        let sentence = "The actor_token was issued to another client.";
        return Err(OAuthError::new(
            ErrorCode::InvalidGrant,
            "actor_of_another_client",
            sentence,
        ));
    }
    if actor.act.is_some() || !actor.derived_from.is_empty() {
        let sentence = "The actor_token was itself got by token exchange.";
        return Err(OAuthError::new(
            ErrorCode::InvalidGrant,
            "actor_exchanged",
            sentence,
        ));
    }
    Ok(())
}

/// RFC 8693 §4.4: a subject token that names who may act for it means nobody else, whatever the rules allow.
fn check_may_act(call: Call<'_>, subject: &ShownClaims, party: &str) -> Result<(), OAuthError> {
    let Some(named) = &subject.may_act else {
        return Ok(());
    };
    let issuer = call.app.config().issuer.as_str();
    let is_here = named.iss.as_deref().is_none_or(|iss| iss == issuer);
    if is_here && (named.sub == party || subject.sub == party) {
        return Ok(());
    }
    let sentence = "The subject_token names another party that may act for its subject.";
    Err(unauthorized("may_act_names_another", sentence))
}

/// The earlier end of the two: an exchange never makes anything live longer.
fn expires_at(subject: &ShownClaims, actor: Option<&ShownClaims>) -> Timestamp {
    let actor = actor.map_or(i64::MAX, |actor| actor.exp);
    Timestamp::from_seconds(subject.exp.min(actor))
}

/// The key that the request must prove: a token bound to one is worth nothing without it (RFC 9449 §5), so whoever was
/// merely shown the token cannot exchange it.
fn bound_to(
    subject: &ShownClaims,
    actor: Option<&ShownClaims>,
) -> Result<Option<Confirmation>, OAuthError> {
    match (subject.cnf, actor.and_then(|actor| actor.cnf)) {
        (Some(subject), Some(actor)) if subject != actor => {
            let sentence = "The subject_token and the actor_token are bound to different keys.";
            Err(OAuthError::new(
                ErrorCode::InvalidGrant,
                "bound_to_two_keys",
                sentence,
            ))
        }
        (subject, actor) => Ok(subject.or(actor)),
    }
}

/// The two tokens and everything they were made of.
fn lineage(subject: &ShownClaims, actor: Option<&ShownClaims>) -> Result<Lineage, OAuthError> {
    let mut ancestors = vec![Ancestor {
        jti: subject.jti.clone(),
        client_id: subject.client_id.to_string(),
        sub: None,
        sid: None,
        grant_id: None,
    }];
    ancestors.extend(actor.map(|actor| Ancestor {
        jti: actor.jti.clone(),
        client_id: actor.client_id.to_string(),
        sub: Some(actor.sub.clone()),
        sid: actor.sid.clone(),
        grant_id: actor.grant_id.clone(),
    }));
    ancestors.extend(subject.derived_from.iter().cloned());
    Lineage::try_from(ancestors).map_err(|error| {
        OAuthError::invalid_request(
            "too_many_ancestors",
            format!("The token cannot be made: {error}."),
        )
    })
}

fn missing(refusal: &'static str, name: &str) -> OAuthError {
    OAuthError::invalid_request(refusal, format!("The parameter {name} is missing."))
}

fn unauthorized(refusal: &'static str, sentence: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::UnauthorizedClient, refusal, sentence)
}
