//! What a request shows of its client (RFC 6749 §2.3, RFC 7521 §4.2), by one method and never by two.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};
use tokensmith_jose::unverified_claims;
use tokensmith_oauth2::{ClientId, Form, Secret, basic};
use tokensmith_store::AuthMethod;

use super::{invalid_client, unknown_or_wrong};
use crate::{assertion::Named, error::OAuthError};

/// The one type of assertion there is (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who a request says it is from, and how it would prove that.
pub(super) struct Credentials {
    pub(super) client_id: ClientId,
    pub(super) presented: Presented,
}

/// The proof.
pub(super) enum Presented {
    /// None: the name alone.
    Nothing,
    /// A secret in the Authorization header.
    BasicSecret(Secret),
    /// A secret in the body.
    PostedSecret(Secret),
    /// A signed assertion.
    Assertion(Secret),
}

impl Presented {
    /// Whether a client of this method proves itself so.
    pub(super) fn is_for(&self, method: AuthMethod) -> bool {
        match method {
            // A certificate is shown in the TLS handshake, not in the request.
            AuthMethod::None | AuthMethod::TlsClientAuth | AuthMethod::SelfSignedTlsClientAuth => {
                matches!(self, Self::Nothing)
            }
            AuthMethod::ClientSecretBasic => matches!(self, Self::BasicSecret(_)),
            AuthMethod::ClientSecretPost => matches!(self, Self::PostedSecret(_)),
            AuthMethod::ClientSecretBasicOrPost => {
                matches!(self, Self::BasicSecret(_) | Self::PostedSecret(_))
            }
            AuthMethod::PrivateKeyJwt | AuthMethod::ClientSecretJwt => {
                matches!(self, Self::Assertion(_))
            }
        }
    }
}

/// Reads the credentials of a request.
pub(super) fn credentials(headers: &HeaderMap, form: &Form) -> Result<Credentials, OAuthError> {
    let authorization = one_authorization(headers)?;
    let sends_secret = form.has("client_secret");
    let sends_assertion = form.has("client_assertion") || form.has("client_assertion_type");
    let methods = [authorization.is_some(), sends_secret, sends_assertion];
    if methods.into_iter().filter(|sent| *sent).count() > 1 {
        let sentence = "Authenticate the client in one way: by the Authorization header, a secret or an assertion.";
        return Err(OAuthError::invalid_request("two_auth_methods", sentence));
    }
    let credentials = match authorization {
        Some(authorization) => by_basic(authorization)?,
        None if sends_assertion => by_assertion(form)?,
        None => return by_name(form),
    };
    match form.one("client_id")? {
        Some(named) if named != credentials.client_id.as_str() => {
            let sentence = "The client_id is not the client that the request authenticates.";
            Err(OAuthError::invalid_request("two_clients", sentence))
        }
        _ => Ok(credentials),
    }
}

/// By `client_id`, with the secret in the body or with nothing.
fn by_name(form: &Form) -> Result<Credentials, OAuthError> {
    let id = form.one("client_id")?;
    let secret = form.one("client_secret")?;
    let id = id.ok_or_else(|| invalid_client("client_missing", "The request names no client."))?;
    let client_id = client_id(id)?;
    // An empty secret is a wrong one, not none.
    let presented = if form.has("client_secret") {
        Presented::PostedSecret(Secret::from(secret.unwrap_or_default()))
    } else {
        Presented::Nothing
    };
    Ok(Credentials {
        client_id,
        presented,
    })
}

fn by_assertion(form: &Form) -> Result<Credentials, OAuthError> {
    let of = form.one("client_assertion_type")?;
    let assertion = form.one("client_assertion")?;
    let (Some(of), Some(assertion)) = (of, assertion) else {
        let sentence = "client_assertion and client_assertion_type go together.";
        return Err(invalid_client("assertion_incomplete", sentence));
    };
    if of != JWT_BEARER {
        let sentence = "The client_assertion_type is not supported.";
        return Err(invalid_client("assertion_type_unknown", sentence));
    }
    // Only to find out whose keys must verify it (RFC 7521 §4.2: client_id need not be sent).
    let named: Named = unverified_claims(assertion)
        .map_err(|error| unknown_or_wrong("assertion_malformed").with_detail(error))?;
    Ok(Credentials {
        client_id: client_id(&named.sub)?,
        presented: Presented::Assertion(Secret::from(assertion)),
    })
}

fn one_authorization(headers: &HeaderMap) -> Result<Option<&HeaderValue>, OAuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(OAuthError::invalid_request(
            "two_authorizations",
            "Send one Authorization header, not several.",
        )),
        (value, None) => Ok(value),
    }
}

fn by_basic(authorization: &HeaderValue) -> Result<Credentials, OAuthError> {
    let malformed = |detail: Cow<'static, str>| {
        let sentence =
            "The Authorization header is not HTTP Basic with a form-encoded client id and secret.";
        invalid_client("malformed_basic", sentence)
            .challenge_basic()
            .with_detail(detail)
    };
    let text = authorization
        .to_str()
        .map_err(|_| malformed("not ASCII".into()))?;
    let (client_id, secret) =
        basic::parse(text).map_err(|error| malformed(error.to_string().into()))?;
    Ok(Credentials {
        client_id,
        presented: Presented::BasicSecret(secret),
    })
}

pub(super) fn client_id(text: &str) -> Result<ClientId, OAuthError> {
    ClientId::parse(text)
        .map_err(|error| unknown_or_wrong("client_id_malformed").with_detail(error))
}
