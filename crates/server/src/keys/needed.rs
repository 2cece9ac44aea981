//! Which algorithms need a key: the server's own, and those that declared resources ask for.

use tokensmith_jose::Algorithm;
use tokensmith_store::{Resource, Store};

use crate::{app::StartError, config::Config};

/// Whether this server can sign for a resource as it is declared.
///
/// # Errors
/// One sentence: an unknown algorithm, HS256 without a shared secret, or HS256 for the audience of the server's own
/// APIs, which never take such tokens.
pub fn check_declared(config: &Config, resource: &Resource) -> Result<(), String> {
    let Some(name) = &resource.signing_algorithm else {
        return Ok(());
    };
    let identifier = &resource.identifier;
    match Algorithm::from_name(name) {
        None => Err(format!(
            "resource {identifier} names the unknown algorithm {name}: use ES256, RS256, PS256, EdDSA or HS256"
        )),
        Some(Algorithm::Hs256) if config.tokens.legacy_shared_secret.is_none() => Err(format!(
            "resource {identifier} asks for HS256, and there is no shared secret: set `tokens.legacy_shared_secret` (JWT_SECRET_KEY)"
        )),
        Some(Algorithm::Hs256) if identifier == config.audience() => Err(format!(
            "resource {identifier} is the audience of this server's own APIs, and cannot have HS256: whoever shares the secret could forge tokens for them"
        )),
        Some(Algorithm::Hs256) => {
            tracing::warn!(
                resource = identifier,
                "tokens for this resource are signed with a shared secret (HS256): every holder of the secret can forge them"
            );
            Ok(())
        }
        Some(_) => Ok(()),
    }
}

/// The algorithms that need a key of their own. A shared secret is no such key.
pub(super) async fn needed_algorithms(
    config: &Config,
    store: &Store,
) -> Result<Vec<Algorithm>, StartError> {
    let mut needed = vec![config.tokens.signing_algorithm];
    for resource in store.resources().await? {
        let name = resource.signing_algorithm.as_deref();
        let algorithm = name.and_then(Algorithm::from_name);
        needed.extend(
            algorithm
                .filter(|algorithm| *algorithm != Algorithm::Hs256 && !needed.contains(algorithm)),
        );
    }
    Ok(needed)
}
