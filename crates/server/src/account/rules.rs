//! What an e-mail address, a username and a new password must look like. Nothing is trimmed or folded: what is not
//! acceptable is refused, what is acceptable is kept as it is.

use tokensmith_oauth2::Secret;

use crate::error::ApiError;

/// RFC 5321 §4.5.3.1.
const LONGEST_EMAIL: usize = 254;
const LONGEST_LOCAL_PART: usize = 64;
const LONGEST_LABEL: usize = 63;
const LONGEST_USERNAME: usize = 64;
const SHORTEST_PASSWORD: usize = 8;
const LONGEST_PASSWORD: usize = 128;

/// Whether mail could be sent to this address.
///
/// # Errors
/// 422 with a sentence that says what is acceptable.
pub fn check_email(email: &str) -> Result<(), ApiError> {
    if is_plausible_email(email) {
        return Ok(());
    }
    let sentence = "The e-mail address is not one that mail could be sent to.";
    Err(ApiError::unprocessable("email_malformed", sentence))
}

/// One `@`, a local part without spaces, and a domain of labels; whether mail arrives, only mail can tell.
fn is_plausible_email(email: &str) -> bool {
    let Some((local, domain)) = email.split_once('@') else {
        return false;
    };
    let is_visible = |c: char| !c.is_whitespace() && !c.is_control() && !is_invisible(c);
    let is_local = (1..=LONGEST_LOCAL_PART).contains(&local.len()) && local.chars().all(is_visible);
    email.len() <= LONGEST_EMAIL
        && is_local
        && !local.contains(['<', '>', '"', ','])
        && is_domain(domain)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.split('.').all(is_label) && (domain.contains('.') || domain == "localhost")
}

/// Characters that are there but cannot be seen, and so make two addresses look like one.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether this is a username.
///
/// # Errors
/// 422 with a sentence that says what is acceptable.
pub fn check_username(username: &str) -> Result<(), ApiError> {
    let length = username.chars().count();
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=LONGEST_USERNAME).contains(&length) && username.chars().all(is_allowed) {
        return Ok(());
    }
    let sentence = "A username has 1 to 64 letters, digits, dots, hyphens and underscores.";
    Err(ApiError::unprocessable("username_malformed", sentence))
}

/// Length alone, in characters of any alphabet.
/// Whether this may become a password.
///
/// # Errors
/// 422 with a sentence that says what is acceptable.
pub fn check_password(password: &Secret) -> Result<(), ApiError> {
    let length = password.expose().chars().count();
    if (SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&length) {
        return Ok(());
    }
    let sentence = "The password must have 8 to 128 characters.";
    Err(ApiError::unprocessable("password_length", sentence))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_that_mail_could_be_sent_to_are_plausible() {
        for good in [
            "a@b.example",
            "o'brien+x@mail.example.co",
            "jörg@müller.example",
            "x@localhost",
        ] {
            assert!(is_plausible_email(good), "{good}");
        }
        let long_local = format!("{}@b.example", "a".repeat(65));
        let long = format!("a@{}", "b.".repeat(130) + "example");
        for bad in [
            "",
            "a",
            "@",
            "a@",
            "@b.example",
            "a@b",
            "a@b..example",
            "a@.example",
            "a@b.example.",
            "a b@c.example",
            "a@b@c.example",
            "a@b.example\n",
            "a\0@b.example",
            "a@b_c.example",
            "a\u{200b}@b.example",
            "<a@b.example>",
            &long_local,
            &long,
        ] {
            assert!(!is_plausible_email(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_password_is_measured_in_characters_and_a_username_never_reads_as_an_address() {
        for (password, good) in [
            ("äöüßäöü", false),
            ("äöüßäöüß", true),
            (&*"x".repeat(128), true),
            (&*"x".repeat(129), false),
        ] {
            assert_eq!(
                check_password(&Secret::from(password)).is_ok(),
                good,
                "{password}"
            );
        }
        for (name, good) in [
            ("alice", true),
            ("müller_1", true),
            ("a@b", false),
            ("a b", false),
            ("", false),
        ] {
            assert_eq!(check_username(name).is_ok(), good, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_plausible_address_has_one_at_sign_and_nothing_invisible(text in "[a-z@. \u{200b}\u{0}<]{0,20}") {
            if is_plausible_email(&text) {
                prop_assert_eq!(text.matches('@').count(), 1);
                let is_hidden = text.contains([' ', '\0', '\u{200b}', '<']);
                prop_assert!(!is_hidden);
            }
        }
    }
}
