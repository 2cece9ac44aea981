//! A client with what follows from its record, worked out once when it is read and not at every request.

use tokensmith_jose::{Algorithm, KeySet};
use tokensmith_oauth2::Scope;
use tokensmith_store::Client;

use crate::{
    assertion::{algorithm_for_assertions, key_set},
    mtls,
};

/// A client as requests use it.
#[derive(Debug)]
pub struct RegisteredClient {
    /// The record.
    pub client: Client,
    /// Its scope and everything that implies.
    pub allowed_scope: Scope,
    /// The public keys it registered by value; without usable ones, no assertion verifies.
    pub assertion_keys: KeySet,
    /// The one signature its assertions may have; `None`: that of the key.
    pub assertion_algorithm: Option<Algorithm>,
    /// What it registered of its certificate.
    pub certificate: Option<mtls::Registration>,
}

impl RegisteredClient {
    /// What follows from a record. `allowed_scope` is the closure of its scope.
    pub fn new(client: Client, allowed_scope: Scope) -> Self {
        let registered = client.metadata.token_endpoint_auth_signing_alg.as_deref();
        // An unusable record must not verify anything: its keys are left out, whatever the algorithm.
        let algorithm = registered.map(algorithm_for_assertions).transpose();
        let keys = match (&client.metadata.jwks, &algorithm) {
            (Some(jwks), Ok(algorithm)) => key_set(jwks, *algorithm).unwrap_or_else(|error| {
                tracing::warn!(client_id = %client.client_id, %error, "the keys of a client cannot be used");
                KeySet::default()
            }),
            _ => KeySet::default(),
        };
        let certificate = mtls::Registration::of(client.auth_method, &client.metadata).unwrap_or_else(|error| {
            tracing::warn!(client_id = %client.client_id, %error, "the certificate of a client cannot be used");
            None
        });
        Self {
            certificate,
            client,
            allowed_scope,
            assertion_keys: keys,
            assertion_algorithm: algorithm.ok().flatten(),
        }
    }
}
