//! What a new password must be besides its length (NIST SP 800-63B §5.1.1.2): not in everybody's list of guesses, not
//! in a breach, not made of what is known about its owner, and strong enough by zxcvbn. No rules of composition.

use std::{collections::HashSet, io, sync::LazyLock};

use tokensmith_oauth2::Secret;
use zxcvbn::{Score, zxcvbn};

use super::breached::Breached;
use crate::config::{PasswordSettings, PasswordStrength};

/// Begins of the passwords that everybody tries; what follows or goes before in digits and signs changes nothing.
const COMMON: &str = include_str!("common.txt");
/// Words of the owner that are shorter say nothing.
const SHORTEST_WORD: usize = 3;
const MOST_WORDS: usize = 20;
/// Characters besides the owner's words that make no password of them.
const MOST_LEFT: usize = 4;

/// The rules of this server.
pub struct PasswordRules {
    least: Option<Score>,
    refuses_common: bool,
    breached: Option<Breached>,
}

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefusal {
    /// It stands in the list of common ones.
    #[error("This password is one that everybody tries first; choose another.")]
    Common,
    /// It stands in the file of breached ones.
    #[error("This password was found in a data breach of some service; choose another.")]
    Breached,
    /// Without what is known about its owner it would do.
    #[error("The password must not be made of your name or address.")]
    AboutOwner,
    /// It is found by trying.
    #[error("This password is too easy to guess; make it longer, for instance of several words.")]
    Weak,
}

impl PasswordRefusal {
    /// The refusal's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Common => "password_common",
            Self::Breached => "password_breached",
            Self::AboutOwner => "password_about_owner",
            Self::Weak => "password_weak",
        }
    }
}

impl PasswordRules {
    /// The rules that the configuration names.
    ///
    /// # Errors
    /// When the file of breached passwords cannot be read.
    pub fn new(settings: &PasswordSettings) -> io::Result<Self> {
        let breached = settings.breached_file.as_deref().map(Breached::open);
        Ok(Self {
            least: least(settings.strength),
            refuses_common: settings.refuse_common,
            breached: breached.transpose()?,
        })
    }

    /// Whether a password may be chosen by somebody with these words about them.
    ///
    /// # Errors
    /// [`PasswordRefusal`].
    pub fn check(&self, password: &Secret, about: &[&str]) -> Result<(), PasswordRefusal> {
        let password = password.expose();
        if self.refuses_common && is_common(password) {
            return Err(PasswordRefusal::Common);
        }
        self.least
            .map_or(Ok(()), |least| check_strength(password, about, least))
    }

    /// Whether a password was breached. Reads a file: not for a thread that answers requests.
    ///
    /// # Errors
    /// [`PasswordRefusal::Breached`].
    pub fn check_breached(&self, password: &Secret) -> Result<(), PasswordRefusal> {
        let Some(breached) = &self.breached else {
            return Ok(());
        };
        match breached.contains(password.expose()) {
            Ok(true) => Err(PasswordRefusal::Breached),
            Ok(false) => Ok(()),
            Err(error) => {
                // People go on choosing passwords while an operator mends the disk.
                tracing::error!(error = %error, "the file of breached passwords cannot be read");
                Ok(())
            }
        }
    }

    /// Whether there is a file of breached passwords.
    pub fn has_breached(&self) -> bool {
        self.breached.is_some()
    }
}

fn least(strength: PasswordStrength) -> Option<Score> {
    match strength {
        PasswordStrength::Any => None,
        PasswordStrength::VeryGuessable => Some(Score::One),
        PasswordStrength::SomewhatGuessable => Some(Score::Two),
        PasswordStrength::SafelyUnguessable => Some(Score::Three),
        PasswordStrength::VeryUnguessable => Some(Score::Four),
    }
}

fn check_strength(password: &str, about: &[&str], least: Score) -> Result<(), PasswordRefusal> {
    let words = words(about);
    if is_made_of(&password.to_lowercase(), &words) {
        return Err(PasswordRefusal::AboutOwner);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if zxcvbn(password, &words).score() >= least {
        return Ok(());
    }
    if zxcvbn(password, &[]).score() >= least {
        return Err(PasswordRefusal::AboutOwner);
    }
    Err(PasswordRefusal::Weak)
}

/// Whether little is left without these words.
fn is_made_of(password: &str, words: &[String]) -> bool {
    let mut rest = password.to_owned();
    for word in words {
        rest = rest.replace(word.as_str(), "");
    }
    rest.len() < password.len() && rest.chars().count() <= MOST_LEFT
}

/// The texts and the words in them, the long ones first.
fn words(about: &[&str]) -> Vec<String> {
    let parts = about.iter().flat_map(|text| {
        let parts = text.split(|c: char| !c.is_alphanumeric());
        std::iter::once(*text).chain(parts)
    });
    let long = parts.filter(|word| word.chars().count() >= SHORTEST_WORD);
    let mut words: Vec<String> = long.take(MOST_WORDS).map(str::to_lowercase).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words
}

/// Whether it is a common password, with whatever digits and signs around it.
fn is_common(password: &str) -> bool {
    static LIST: LazyLock<HashSet<&'static str>> = LazyLock::new(|| COMMON.lines().collect());
    let lower = password.to_lowercase();
    let core = lower.trim_matches(|c: char| !c.is_alphabetic());
    LIST.contains(lower.as_str()) || LIST.contains(core) || has_few_characters(&lower)
}

/// `aaaaaaaa`, `12121212`.
fn has_few_characters(password: &str) -> bool {
    let distinct: HashSet<char> = password.chars().take(64).collect();
    distinct.len() < 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> PasswordRules {
        PasswordRules {
            least: Some(Score::Two),
            refuses_common: true,
            breached: None,
        }
    }

    fn check(password: &str) -> Result<(), PasswordRefusal> {
        let about = ["wilhelmina.brandt@example.com", "wbrandt"];
        rules().check(&Secret::from(password), &about)
    }

    #[test]
    fn common_passwords_are_refused_however_they_are_dressed() {
        for common in [
            "password",
            "Password1!",
            "12345678",
            "qwertyuiop",
            "QWERTY123",
            "letmein2026",
            "aaaaaaaaaa",
            "abababab",
            "iloveyou!!",
            "welcome123",
            "Passwort1",
        ] {
            assert_eq!(check(common), Err(PasswordRefusal::Common), "{common}");
        }
    }

    #[test]
    fn what_is_known_about_the_owner_makes_no_password() {
        for about in [
            "wilhelmina.brandt",
            "WilhelminaBrandt1",
            "wilhelmina.brandt@example.com",
        ] {
            assert_eq!(check(about), Err(PasswordRefusal::AboutOwner), "{about}");
        }
    }

    #[test]
    fn what_is_found_by_trying_is_weak() {
        for weak in ["zxcvfdsa", "19870523", "abcdefgh12"] {
            assert!(check(weak).is_err(), "{weak}");
        }
    }

    #[test]
    fn long_and_foreign_passwords_do_without_digits_and_signs() {
        for good in [
            "correct horse battery staple",
            "Donaudampfschiffahrt",
            "пароль на каждый день",
            "🦆🦊🐢🌵🍋🧭🛶🪁",
            "tr0ub4dor&3 and more",
            &"long enough to be anything ".repeat(4),
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }
}
