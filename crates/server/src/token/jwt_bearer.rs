//! The JWT bearer grant (RFC 7523 §2.1): the token of a trusted issuer, such as that of a build job or of a cluster's
//! service account, stands for one of our clients. What it stands for is declared; nothing in it is taken over.
//!
//! The client needs no secret: the assertion identifies it. One that authenticates besides must be the same.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokensmith_jose::{Expect, unverified_claims};
use tokensmith_oauth2::{ClientId, ErrorCode, GrantType, Scope};
use tokensmith_store::{AuditEvent, JtiKind, UseJti, WorkloadRule};

use super::{Call, Grant, Redemption, Subject};
use crate::{
    app::App,
    assertion::{AssertionError, Claims, Expected, Named},
    client_auth::{AuthenticatedForm, StrictForm},
    error::OAuthError,
    registry::{RegisteredClient, RegisteredIssuer},
};

/// Of its own type (RFC 7523bis), or of that of any JWT: never an access token, a proof or a logout token.
const TYPE: Expect<'static> = Expect::typ(&["authorization-grant+jwt", "JWT"]).or_absent();

/// A workload that was recognised: the client it stands for, and what it may have.
pub(super) struct Workload {
    client: Arc<RegisteredClient>,
    rule: WorkloadRule,
    source: Source,
    once: Option<UseJti>,
}

/// Whose word a token rests on, for its audit line.
#[derive(Clone, Debug)]
pub struct Source {
    /// The trusted issuer.
    pub issuer: String,
    /// Whom the issuer spoke of.
    pub subject: String,
}

/// Whether a request names its client by the assertion alone.
pub(super) fn stands_alone(request: &StrictForm) -> Result<bool, OAuthError> {
    let form = &request.form;
    let authenticates = request.headers.contains_key(http::header::AUTHORIZATION)
        || ["client_secret", "client_assertion", "client_assertion_type"]
            .iter()
            .any(|name| form.has(name));
    Ok(!authenticates && form.one("grant_type")? == Some(GrantType::JwtBearer.as_str()))
}

/// Recognises the workload that sent this request.
///
/// # Errors
/// `invalid_grant` or `invalid_request`, after an audit line of it was written.
pub(super) async fn identify(
    app: &App,
    request: StrictForm,
) -> Result<(AuthenticatedForm, Workload), OAuthError> {
    let StrictForm {
        form,
        headers,
        context,
    } = request;
    let presented = Presented {
        app,
        assertion: form.one("assertion")?,
        client_id: form.one("client_id")?,
        now: context.now,
    };
    app.limits()
        .check_workload(context.ip, context.now)
        .map_err(|limited| OAuthError::rate_limited(limited.retry_after))?;
    match presented.workload().await {
        Ok(workload) => {
            let client = workload.client.clone();
            let request = AuthenticatedForm {
                form,
                client,
                headers,
                context,
            };
            Ok((request, workload))
        }
        Err(error) => {
            if error.code() == ErrorCode::InvalidGrant {
                // Whether it was the last that is allowed shows in the next answer.
                let counted = app.limits().count_failed_workload(context.ip, context.now);
                let _is_last = counted.await;
            }
            let event = AuditEvent::new("token_refused")
                .field("grant_type", "jwt_bearer")
                .outcome(error.refusal());
            app.audit(context.audit(None), event).await?;
            Err(error)
        }
    }
}

/// What the gate is asked for.
pub(super) async fn grant(call: Call<'_>) -> Result<Grant, OAuthError> {
    let recognised;
    let workload = match call.workload {
        Some(workload) => workload,
        None => {
            let presented = Presented {
                app: call.app,
                assertion: call.form.one("assertion")?,
                client_id: Some(call.client.client.client_id.as_str()),
                now: call.context.now,
            };
            recognised = presented.workload().await?;
            &recognised
        }
    };
    Ok(workload.grant(call.app, call.client))
}

impl Workload {
    fn grant(&self, app: &App, client: &RegisteredClient) -> Grant {
        let hierarchy = &app.registry().declared().hierarchy;
        let narrowed = |scope: &Scope| scope.intersection(&client.allowed_scope);
        let scope = self.rule.scope.as_ref();
        let allowed = match scope {
            Some(scope) => narrowed(&hierarchy.closure(scope)),
            None => client.allowed_scope.clone(),
        };
        let redemption = self.once.clone().map(Redemption::Assertion);
        Grant {
            default_scope: scope.map(narrowed).filter(|scope| !scope.is_empty()),
            granted_resources: self.rule.resources.clone(),
            redemption: redemption.unwrap_or(Redemption::Nothing),
            source: Some(self.source.clone()),
            ..Grant::new("jwt_bearer", Subject::Client, allowed)
        }
    }
}

/// An assertion, and the client it is shown for if the request names one.
struct Presented<'a> {
    app: &'a App,
    assertion: Option<&'a str>,
    client_id: Option<&'a str>,
    now: tokensmith_store::Timestamp,
}

impl Presented<'_> {
    async fn workload(&self) -> Result<Workload, OAuthError> {
        let missing = || {
            let sentence = "The parameter assertion is missing.";
            OAuthError::invalid_request("assertion_missing", sentence)
        };
        let assertion = self.assertion.ok_or_else(missing)?;
        let issuer = self.issuer(assertion)?;
        let keys = &issuer.keys;
        let verified = keys.verify(self.app.key_sets(), assertion, TYPE).await;
        let verified = verified.map_err(unacceptable)?;
        let malformed = |_| unacceptable(AssertionError::Claims);
        let claims: Claims = verified.claims().map_err(malformed)?;
        let all: Map<String, Value> = verified.claims().map_err(malformed)?;
        let once = self.judge(&issuer, &claims).map_err(unacceptable)?;
        let rule = self.rule(&issuer, &all)?.clone();
        Ok(Workload {
            client: self.client(&rule.client_id).await?,
            rule,
            source: Source {
                issuer: claims.iss,
                subject: claims.sub,
            },
            once,
        })
    }

    /// The trusted issuer that the assertion names, before anything of it is verified.
    fn issuer(&self, assertion: &str) -> Result<Arc<RegisteredIssuer>, OAuthError> {
        let named: Named = unverified_claims(assertion)
            .map_err(|error| unacceptable(AssertionError::Unverified(error)))?;
        let declared = self.app.registry().declared();
        let issuer = declared.issuer(&named.iss);
        issuer
            .filter(|issuer| issuer.record.is_active)
            .cloned()
            .ok_or_else(|| unknown("issuer_not_trusted"))
    }

    fn judge(
        &self,
        issuer: &RegisteredIssuer,
        claims: &Claims,
    ) -> Result<Option<UseJti>, AssertionError> {
        let seconds = u64::try_from(issuer.record.assertion_seconds).unwrap_or_default();
        claims.check(&Expected {
            audience: self.app.config().issuer.as_str(),
            longest: std::time::Duration::from_secs(seconds),
            now: self.now,
        })?;
        if !issuer.record.once {
            return Ok(None);
        }
        Ok(Some(UseJti {
            kind: JtiKind::AuthorizationGrant,
            owner: issuer.record.issuer.clone(),
            jti: claims.jti()?.to_owned(),
            expires_at: claims.over_at(),
        }))
    }

    /// The first rule that is met, for the client named; without a name, all that are met must be for one client.
    fn rule<'i>(
        &self,
        issuer: &'i RegisteredIssuer,
        claims: &'i Map<String, Value>,
    ) -> Result<&'i WorkloadRule, OAuthError> {
        let is_named = |rule: &&WorkloadRule| {
            self.client_id
                .is_none_or(|client_id| client_id == rule.client_id.as_str())
        };
        let mut met = issuer.rules_for(claims).filter(is_named);
        let first = met.next().ok_or_else(|| {
            let sentence =
                "The assertion is good, but no rule of its issuer lets it stand for this client.";
            refused("assertion_without_rule", sentence)
        })?;
        if met.any(|rule| rule.client_id != first.client_id) {
            let sentence = "The assertion may stand for several clients: name one by client_id.";
            return Err(OAuthError::invalid_request("assertion_ambiguous", sentence));
        }
        Ok(first)
    }

    async fn client(&self, id: &ClientId) -> Result<Arc<RegisteredClient>, OAuthError> {
        let client = self.app.registry().client(self.app.store(), id).await?;
        client
            .filter(|client| client.client.is_active)
            .ok_or_else(|| {
                let sentence = "The client that the assertion stands for is not there or disabled.";
                refused("workload_client_disabled", sentence)
            })
    }
}

/// Who can sign for the issuer is told what is wrong; anybody else gets one sentence.
pub(super) fn unacceptable(error: AssertionError) -> OAuthError {
    match error {
        AssertionError::Unverified(why) => unknown(error.refusal()).with_detail(why),
        AssertionError::NoKeys => unknown(error.refusal()),
        _ => refused(error.refusal(), error.to_string()),
    }
}

fn unknown(refusal: &'static str) -> OAuthError {
    let sentence = "The assertion is not signed by an issuer that this server trusts.";
    refused(refusal, sentence)
}

fn refused(
    refusal: &'static str,
    sentence: impl Into<std::borrow::Cow<'static, str>>,
) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, refusal, sentence)
}
