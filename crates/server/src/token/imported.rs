//! Refresh tokens that the older machine-to-machine service wrote. They are known here by their SHA-256; one that was
//! recorded by its `jti` alone only when its signature under the older shared secret (HS256) holds.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use tokensmith_jose::{Expect, HmacKey, KeySet, VerifyingKey};
use tokensmith_oauth2::Secret;
use tokensmith_store::{ImportedRefreshToken, StoreError};

use super::PresentedToken;
use crate::app::App;

/// The older service wrote JWTs of a few hundred bytes.
const LONGEST: usize = 4096;
const TYPES: Expect<'static> = Expect::typ(&["JWT"]).or_absent();

/// The digest under which a token's text is kept.
pub fn digest_of_token(text: &str) -> [u8; 32] {
    sha256(text.as_bytes())
}

/// The digest under which a token is kept of which only the `jti` is known.
pub fn digest_of_jti(jti: &str) -> [u8; 32] {
    // No text begins with this byte, so no token can be written whose text has the digest of a `jti`.
    sha256(&[b"\xffjti:", jti.as_bytes()].concat())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    array.copy_from_slice(digest(&SHA256, bytes).as_ref());
    array
}

/// What a token names, written here or brought over.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn presented(
    app: &App,
    token: &Secret,
) -> Result<Option<PresentedToken>, StoreError> {
    if let Some(ours) = app.refresh_root().read(token) {
        return Ok(Some(ours));
    }
    let text = token.expose();
    if text.is_empty() || text.len() > LONGEST || text.starts_with(super::refresh_secret::PREFIX) {
        return Ok(None);
    }
    let store = app.store();
    let by_text = store.imported_refresh_token(&digest_of_token(text)).await?;
    let found = match (by_text, jti(app, text)) {
        (None, Some(jti)) => store.imported_refresh_token(&digest_of_jti(&jti)).await?,
        (by_text, _) => by_text,
    };
    Ok(found.map(PresentedToken::from))
}

impl From<ImportedRefreshToken> for PresentedToken {
    fn from(imported: ImportedRefreshToken) -> Self {
        Self {
            family: imported.family,
            generation: imported.generation,
        }
    }
}

#[derive(Deserialize)]
struct Named {
    jti: String,
    r#type: Option<String>,
    token_type: Option<String>,
}

fn jti(app: &App, text: &str) -> Option<String> {
    let secret = app.config().tokens.legacy_shared_secret.as_ref()?;
    let key = HmacKey::new(secret.secret().expose().as_bytes()).ok()?;
    let keys = KeySet::new([VerifyingKey::from_hmac(&key)]).ok()?;
    let named: Named = keys.verify(text, TYPES).ok()?.claims().ok()?;
    let kinds = [named.r#type, named.token_type];
    let is_access = kinds.iter().flatten().any(|kind| kind == "access");
    (!is_access).then_some(named.jti)
}
