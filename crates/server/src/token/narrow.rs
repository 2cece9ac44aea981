//! Scope and audience only ever narrow: what is asked for, within what the grant allows, within what the resource knows.

use tokensmith_oauth2::{ErrorCode, Form, ResourceIndicator, Scope};

use crate::{
    app::App,
    error::OAuthError,
    registry::{Declared, DeclaredResource, RegisteredClient},
};

/// Scope tokens that no resource declares, because they speak to this server (OpenID Connect Core §5.4, §11).
const OF_THE_SERVER: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// The one resource a request names (RFC 8707 §2). A token has one audience, so two are refused.
pub(super) fn requested_resource(form: &Form) -> Result<Option<ResourceIndicator>, OAuthError> {
    one_resource(form, "resource")
}

/// The one resource that this parameter names.
pub(super) fn one_resource(
    form: &Form,
    name: &str,
) -> Result<Option<ResourceIndicator>, OAuthError> {
    let mut named = form.many(name);
    let (first, second) = (named.next(), named.next());
    if second.is_some() {
        return Err(invalid_target(
            "two_resources",
            "Ask for one resource at a time: a token is for one audience.",
        ));
    }
    let malformed = |error| {
        invalid_target(
            "resource_malformed",
            "The resource must be an absolute URI without a fragment.",
        )
        .with_detail(error)
    };
    first
        .map(ResourceIndicator::parse)
        .transpose()
        .map_err(malformed)
}

/// The audience of the token, and the resource's declaration if there is one.
pub(super) fn audience<'d>(
    app: &App,
    declared: &'d Declared,
    client: &RegisteredClient,
    granted: &[String],
    requested: Option<&ResourceIndicator>,
) -> Result<(String, Option<&'d DeclaredResource>), OAuthError> {
    let default = app.config().audience();
    let allowed = &client.client.resources;
    let identifier = match requested {
        Some(resource) => resource.as_str(),
        None => granted
            .first()
            .or(allowed.first())
            .map_or(default, String::as_str),
    };
    let is_default = identifier == default;
    let may = if allowed.is_empty() {
        is_default
    } else {
        allowed.iter().any(|known| known == identifier)
    };
    let was_granted = granted.is_empty() || granted.iter().any(|known| known == identifier);
    let resource = declared.resource(identifier);
    if !may || !was_granted || (resource.is_none() && !is_default) {
        return Err(invalid_target(
            "resource_not_allowed",
            "This client may not ask for tokens for this resource.",
        ));
    }
    Ok((identifier.to_owned(), resource))
}

/// The scope of the token: what was asked for, or `default`, if `allowed` and the resource permit it.
pub(super) fn scope(
    declared: &Declared,
    requested: Option<Scope>,
    default: Option<&Scope>,
    allowed: &Scope,
    resource: Option<&DeclaredResource>,
) -> Result<Scope, OAuthError> {
    let known = known_scope(declared, resource);
    let Some(scope) = requested.or_else(|| known_part(default?, known.as_ref())) else {
        let sentence = format!("Name the scope you need. This client may ask for: {allowed}.");
        return Err(invalid_scope("scope_missing", sentence));
    };
    if let Some(beyond) = scope.iter().find(|token| !allowed.contains(token)) {
        return Err(invalid_scope(
            "scope_not_allowed",
            format!("This client may not ask for the scope {beyond}."),
        ));
    }
    let is_foreign = |token: &&str| !is_known(known.as_ref(), token);
    if let Some(foreign) = scope.iter().find(is_foreign) {
        return Err(invalid_scope(
            "scope_not_of_resource",
            format!("The resource has no scope {foreign}."),
        ));
    }
    Ok(scope)
}

/// What the resource knows, with everything that implies; `None`: every scope.
fn known_scope(declared: &Declared, resource: Option<&DeclaredResource>) -> Option<Scope> {
    let known = resource?.scope.as_ref()?;
    Some(declared.hierarchy.closure(known))
}

fn is_known(known: Option<&Scope>, token: &str) -> bool {
    known.is_none_or(|known| known.contains(token)) || OF_THE_SERVER.contains(&token)
}

/// A grant may hold scopes of several resources: where none is named, the token gets those that its resource knows.
fn known_part(default: &Scope, known: Option<&Scope>) -> Option<Scope> {
    let tokens: Vec<&str> = default
        .iter()
        .filter(|token| is_known(known, token))
        .collect();
    if tokens.is_empty() {
        return default.is_empty().then(Scope::empty);
    }
    Scope::parse(&tokens.join(" ")).ok()
}

fn invalid_target(refusal: &'static str, sentence: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidTarget, refusal, sentence)
}

fn invalid_scope(refusal: &'static str, sentence: String) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidScope, refusal, sentence)
}
