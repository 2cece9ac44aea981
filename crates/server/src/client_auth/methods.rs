//! The methods that are on, as metadata lists them (RFC 8414 §2).

use tokensmith_jose::Algorithm;
use tokensmith_store::AuthMethod;

use crate::app::App;

/// The methods by which a client may authenticate, `none` left out.
pub fn methods(app: &App) -> Vec<AuthMethod> {
    let mut methods = vec![
        AuthMethod::PrivateKeyJwt,
        AuthMethod::ClientSecretBasic,
        AuthMethod::ClientSecretPost,
    ];
    if app.config().client_auth.client_secret_jwt {
        methods.push(AuthMethod::ClientSecretJwt);
    }
    if app.config().takes_client_certificates() {
        let with_authorities = app.certificates().client_ca();
        methods.extend(with_authorities.map(|_| AuthMethod::TlsClientAuth));
        methods.push(AuthMethod::SelfSignedTlsClientAuth);
    }
    methods
}

/// The signatures that assertions of clients may have.
pub fn signing_algorithms(app: &App) -> Vec<Algorithm> {
    let mut algorithms = vec![
        Algorithm::Es256,
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::EdDsa,
    ];
    if app.config().client_auth.client_secret_jwt {
        algorithms.push(Algorithm::Hs256);
    }
    algorithms
}
