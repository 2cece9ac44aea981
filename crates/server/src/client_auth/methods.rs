//! The methods that are on, as metadata lists them (RFC 8414 §2).

use tokensmith_jose::Algorithm;
use tokensmith_store::AuthMethod;

/// The methods by which a client may authenticate, `none` left out.
pub fn methods() -> Vec<AuthMethod> {
    vec![
        AuthMethod::PrivateKeyJwt,
        AuthMethod::ClientSecretBasic,
        AuthMethod::ClientSecretPost,
    ]
}

/// The signatures that assertions of clients may have.
pub fn signing_algorithms() -> Vec<Algorithm> {
    vec![
        Algorithm::Es256,
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::EdDsa,
    ]
}
