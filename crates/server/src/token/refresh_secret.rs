//! The text of refresh tokens: `tkr_<family>.<generation>.<secret>`, where the secret is HMAC-SHA256 over family and
//! generation under a root key that follows from the master key.
//!
//! So no token secret is stored, a stolen database forges nothing, and the same token can be written again. A text
//! that was not written here is refused before the store is asked anything.

use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tokensmith_oauth2::Secret;
use tokensmith_store::FamilyId;

use crate::config::MasterKey;

/// Begins every refresh token, so that scanners recognise one that leaked.
pub(super) const PREFIX: &str = "tkr_";
const ROOT_LABEL: &[u8] = b"tokensmith refresh token root key";
const SECRET_LABEL: &[u8] = b"tokensmith refresh token secret";

/// The root key of refresh token secrets.
pub struct RefreshRoot {
    id: String,
    key: hmac::Key,
}

/// A family and generation that a token written here names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedToken {
    /// The family.
    pub family: FamilyId,
    /// Its generation, from 1.
    pub generation: i64,
}

impl RefreshRoot {
    /// The root key that follows from a master key.
    pub fn new(master: &MasterKey) -> Self {
        let root = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, master.expose()),
            ROOT_LABEL,
        );
        let id = digest::digest(&digest::SHA256, root.as_ref());
        let id = id.as_ref()[..8].iter();
        Self {
            id: id.map(|byte| format!("{byte:02x}")).collect(),
            key: hmac::Key::new(hmac::HMAC_SHA256, root.as_ref()),
        }
    }

    /// Names the key in the records; not secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The token of a generation of a family.
    pub fn token(&self, family: &FamilyId, generation: i64) -> Secret {
        let secret = hmac::sign(&self.key, &signed(family, generation));
        let secret = URL_SAFE_NO_PAD.encode(secret.as_ref());
        Secret::from(format!("{PREFIX}{family}.{generation}.{secret}"))
    }

    /// What a token names, if it was written here. The secret is compared in constant time.
    pub fn read(&self, token: &Secret) -> Option<PresentedToken> {
        let mut parts = token.expose().strip_prefix(PREFIX)?.split('.');
        let (family, generation, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let family: FamilyId = family.parse().ok()?;
        let generation = generation_number(generation)?;
        let secret = URL_SAFE_NO_PAD.decode(secret).ok()?;
        let is_ours = hmac::verify(&self.key, &signed(&family, generation), &secret).is_ok();
        (is_ours && parts.next().is_none()).then_some(PresentedToken { family, generation })
    }
}

fn signed(family: &FamilyId, generation: i64) -> Vec<u8> {
    [
        SECRET_LABEL,
        family.as_str().as_bytes(),
        &generation.to_be_bytes(),
    ]
    .concat()
}

/// A number in its one spelling: digits without leading zeros.
fn generation_number(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number >= 1 && number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAMILY: &str = "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f";

    fn root(seed: u8) -> RefreshRoot {
        RefreshRoot::new(&MasterKey::new(std::array::from_fn(|i| i as u8 ^ seed)))
    }

    fn family() -> FamilyId {
        FAMILY.parse().unwrap()
    }

    #[test]
    fn a_token_is_read_back_and_is_the_same_each_time() {
        let token = root(1).token(&family(), 7);
        assert_eq!(token.expose(), root(1).token(&family(), 7).expose());
        let read = root(1).read(&token).unwrap();
        assert_eq!((read.family, read.generation), (family(), 7));
    }

    #[test]
    fn another_root_key_another_generation_and_another_family_have_another_secret() {
        let token = root(1).token(&family(), 7);
        assert_ne!(root(1).id(), root(2).id());
        assert_eq!(root(2).read(&token), None);
        let text = token.expose();
        for forged in [
            text.replace(".7.", ".8."),
            text.replace(".7.", ".07."),
            text.replace(".7.", ".+7."),
            text.replace(FAMILY, "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e60"),
            text.replace(FAMILY, &FAMILY.to_uppercase()),
            format!("{text}="),
            format!("{text}."),
            format!("{text}.x"),
            text.trim_start_matches(PREFIX).to_owned(),
            text[..text.len() - 1].to_owned(),
        ] {
            assert_eq!(
                root(1).read(&Secret::from(forged.clone())),
                None,
                "{forged}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_but_a_written_token_is_read(text in any::<String>()) {
            prop_assert_eq!(root(1).read(&Secret::from(text.clone())), None);
            prop_assert_eq!(root(1).read(&Secret::from(format!("tkr_{FAMILY}.1.{text}"))), None);
        }

        #[test]
        fn turning_any_byte_makes_it_unread(at in 0usize..87, with in "[A-Za-z0-9_.-]") {
            let token = root(1).token(&family(), 1);
            let mut text = token.expose().to_owned();
            let at = at.min(text.len() - 1);
            text.replace_range(at..=at, &with);
            // The last character of the secret carries four bits only, but its spelling is checked, too.
            prop_assert_eq!(root(1).read(&Secret::from(text.clone())).is_some(), text == token.expose());
        }
    }
}
