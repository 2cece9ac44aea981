//! Making and reading what a mail carries: a link's token with 256 random bits, and a code of eight digits to be
//! typed. Neither is kept: of the token there is its SHA-256, of the code an HMAC under the master key.

use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use serde::Deserialize;
use tokensmith_oauth2::Secret;
use tokensmith_store::{NewProof, ProofKind, ShownProof, Timestamp, UserId};

use crate::{
    app::App,
    error::ApiError,
    mail::{PROOF_LIFETIME, Shown},
};

/// How often a code may be typed. With a new code a minute at most, a year of guessing finds one in 40.
const TRIES: i64 = 5;
/// Between two mails of a kind to one user.
const SPACING: Duration = Duration::from_secs(60);
/// Between two notices that an address was registered again.
const NOTICE_SPACING: Duration = Duration::from_secs(10 * 60);
const CODE_LABEL: &str = "tokensmith code of an account";
const LONGEST_TOKEN: usize = 128;

/// A proof, and what its mail shows.
pub(super) struct Made {
    pub(super) proof: NewProof,
    pub(super) code: Shown,
    pub(super) token: Shown,
}

pub(super) fn make(app: &App, kind: ProofKind, user: &UserId, email: &str, now: Timestamp) -> Made {
    let token = app.entropy().secret();
    let code = eight_digits(app.entropy().bytes());
    let spacing = if kind == ProofKind::Notice {
        NOTICE_SPACING
    } else {
        SPACING
    };
    let proof = NewProof {
        kind,
        user_id: user.clone(),
        email: email.to_owned(),
        token_digest: token_digest(&token),
        code_digest: code_digest(app, kind, user, &code),
        tries: TRIES,
        expires_at: now + PROOF_LIFETIME,
        spacing,
    };
    Made {
        proof,
        code: Shown(Secret::from(format!("{} {}", &code[..4], &code[4..]))),
        token: Shown(token),
    }
}

/// Two to the power of 64 is so much larger than the number of codes that none is likelier than another.
fn eight_digits(random: [u8; 8]) -> String {
    format!("{:08}", u64::from_be_bytes(random) % 100_000_000)
}

fn token_digest(token: &Secret) -> Vec<u8> {
    let bytes = token.expose().as_bytes();
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

/// Eight digits are found by trying, so whoever reads the database must not be able to try.
fn code_digest(app: &App, kind: ProofKind, user: &UserId, code: &str) -> Vec<u8> {
    let key = app.config().master_key.as_ref();
    let key = key.map_or(&[][..], |key| key.expose().as_slice());
    let signed = format!("{CODE_LABEL}\0{}\0{user}\0{code}", kind.as_str());
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
}

/// What a request shows: a link's token, or an address with a code.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct Shows {
    #[schema(value_type = Option<String>)]
    pub(crate) token: Option<Secret>,
    pub(crate) email: Option<String>,
    #[schema(value_type = Option<String>)]
    pub(crate) code: Option<Secret>,
}

/// Whose proof is shown.
pub(super) struct Found {
    pub(super) user_id: UserId,
    pub(super) shown: ShownProof,
}

impl Shows {
    /// Whose it would be, if it is good. A code's user is found by address; whether it is right, only spending tells.
    pub(super) async fn find(
        &self,
        app: &App,
        kind: ProofKind,
        now: Timestamp,
    ) -> Result<Option<Found>, ApiError> {
        match (&self.token, &self.email, &self.code) {
            (Some(token), _, None) => by_token(app, kind, token, now).await,
            (None, Some(email), Some(code)) => by_code(app, kind, email, code).await,
            _ => {
                let sentence = "Send either token, or email and code.";
                Err(ApiError::unprocessable("proof_malformed", sentence))
            }
        }
    }
}

async fn by_token(
    app: &App,
    kind: ProofKind,
    token: &Secret,
    now: Timestamp,
) -> Result<Option<Found>, ApiError> {
    if token.expose().len() > LONGEST_TOKEN {
        return Ok(None);
    }
    let digest = token_digest(token);
    let found = app.store().account_proof(kind, &digest, now).await?;
    Ok(found.map(|proof| Found {
        user_id: proof.user_id,
        shown: ShownProof::Token(digest),
    }))
}

async fn by_code(
    app: &App,
    kind: ProofKind,
    email: &str,
    code: &Secret,
) -> Result<Option<Found>, ApiError> {
    let digits: String = code.expose().split_whitespace().collect();
    let is_address = email.contains('@') && !email.contains(char::is_control);
    if !is_address || digits.len() > LONGEST_TOKEN {
        return Ok(None);
    }
    let user = app.store().user_by_login(email).await?;
    Ok(user.map(|user| Found {
        shown: ShownProof::Code(code_digest(app, kind, &user.id, &digits)),
        user_id: user.id,
    }))
}

/// One answer for everything that is no good, so that it tells nothing.
pub(super) fn refused() -> ApiError {
    let sentence = "The code or link is wrong, was used before, or is too old. Ask for a new one.";
    ApiError::bad_request("proof_refused", sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_eight_digits() {
        assert_eq!(eight_digits([0; 8]), "00000000");
        assert_eq!(eight_digits(100_000_001u64.to_be_bytes()), "00000001");
        assert_eq!(eight_digits([255; 8]).len(), 8);
    }
}
