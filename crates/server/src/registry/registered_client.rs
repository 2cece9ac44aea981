//! A client with what follows from its record, worked out once when it is read and not at every request.

use tokensmith_jose::Algorithm;
use tokensmith_oauth2::Scope;
use tokensmith_store::{AuthMethod, Client, ClientMetadata};

use crate::{
    assertion::{Keys, UnusableKeys, algorithm_for_assertions},
    mtls,
};

/// A client as requests use it.
#[derive(Debug)]
pub struct RegisteredClient {
    /// The record.
    pub client: Client,
    /// Its scope and everything that implies.
    pub allowed_scope: Scope,
    /// The public keys it registered.
    pub assertion_keys: Keys,
    /// The one signature its assertions may have; `None`: that of the key.
    pub assertion_algorithm: Option<Algorithm>,
    /// What it registered of its certificate.
    pub certificate: Option<mtls::Registration>,
}

impl RegisteredClient {
    /// What follows from a record. `allowed_scope` is the closure of its scope.
    pub fn new(client: Client, allowed_scope: Scope) -> Self {
        // An unusable record proves nothing.
        let (assertion_keys, assertion_algorithm) = assertion_keys(client.auth_method, &client.metadata)
            .unwrap_or_else(|error| {
                tracing::warn!(client_id = %client.client_id, %error, "the keys of a client cannot be used");
                (Keys::Absent, None)
            });
        let certificate = mtls::Registration::of(client.auth_method, &client.metadata).unwrap_or_else(|error| {
            tracing::warn!(client_id = %client.client_id, %error, "the certificate of a client cannot be used");
            None
        });
        Self {
            certificate,
            client,
            allowed_scope,
            assertion_keys,
            assertion_algorithm,
        }
    }
}

/// The keys and the one algorithm of a client's assertions.
///
/// # Errors
/// [`UnusableKeys`].
pub fn assertion_keys(
    method: AuthMethod,
    metadata: &ClientMetadata,
) -> Result<(Keys, Option<Algorithm>), UnusableKeys> {
    // The keys of the other methods are those of certificates, or there are none.
    if method != AuthMethod::PrivateKeyJwt {
        return Ok((Keys::Absent, None));
    }
    let algorithm = metadata.token_endpoint_auth_signing_alg.as_deref();
    let algorithm = algorithm.map(algorithm_for_assertions).transpose()?;
    let jwks_uri = metadata.jwks_uri.as_deref();
    let keys = Keys::of(metadata.jwks.as_ref(), jwks_uri, algorithm)?;
    Ok((keys, algorithm))
}
