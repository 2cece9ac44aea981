//! `private_key_jwt` (RFC 7523 §2.2): the client signs a short statement about itself for each request, for the issuer
//! alone and good once. It refuses settings that do not name the issuer, because nobody else may be the audience.

use std::sync::Arc;

use aws_lc_rs::rand;
use serde::Serialize;
use tokensmith_jose::{Signer, SigningKey};

use crate::{
    ClientAuthentication, ServiceClient, SettingsError, TokenEndpoint, dpop::unix_seconds,
};

/// `client_assertion_type` (RFC 7523 §2.2).
pub(crate) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Long enough for a slow request between two clocks that differ a little.
const LIFE_SECONDS: i64 = 60;

/// Signs for one client and one issuer.
pub(crate) struct Asserter {
    signer: Signer,
    client_id: String,
    issuer: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: i64,
    exp: i64,
}

impl Asserter {
    /// What this client signs with; `None` when it authenticates in another way.
    pub(crate) fn of(client: &ServiceClient) -> Result<Option<Self>, SettingsError> {
        if client.key.authentication != ClientAuthentication::PrivateKeyJwt {
            return Ok(None);
        }
        let TokenEndpoint::Issuer(issuer) = &client.key.endpoint else {
            let reason = "name the issuer instead of the token endpoint: it is the audience";
            return Err(SettingsError::ClientKey(reason.to_owned()));
        };
        let unusable = |error: &dyn std::fmt::Display| SettingsError::ClientKey(error.to_string());
        let pem = client.secret.expose().as_bytes();
        let key = SigningKey::from_pem(pem, None).map_err(|error| unusable(&error))?;
        let signer = Signer::new(Arc::new(key), "client-authentication+jwt");
        Ok(Some(Self {
            signer: signer.map_err(|error| unusable(&error))?,
            client_id: client.key.id.as_str().to_owned(),
            issuer: issuer.clone(),
        }))
    }

    /// A new assertion; `None` should the cryptographic library fail.
    pub(crate) fn assertion(&self) -> Option<String> {
        let mut random = [0; 16];
        rand::fill(&mut random).ok()?;
        let now = unix_seconds();
        let claims = Claims {
            iss: &self.client_id,
            sub: &self.client_id,
            aud: &self.issuer,
            jti: format!("{:032x}", u128::from_be_bytes(random)),
            iat: now,
            exp: now.saturating_add(LIFE_SECONDS),
        };
        self.signer.sign(&claims).ok()
    }
}
