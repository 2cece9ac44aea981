//! The mails there are, one variant each. A message holds facts; what it says of them is written here once.
//! Links begin with the configured issuer and nothing else: no request can move them (OWASP ASVS 4.1.3).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokensmith_oauth2::Secret;
use tokensmith_store::Timestamp;

use super::{
    letter::{Button, Letter},
    security::SecurityNotice,
};
use crate::config::Issuer;

/// Links and codes end after this.
pub const PROOF_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// Invitations end after this.
pub const INVITATION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// A mail. Kept sealed until it is sent, because links and codes are secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Message {
    /// Proves that a new account's address is its owner's.
    VerifyEmail {
        /// To be typed.
        code: Shown,
        /// To be clicked.
        token: Shown,
    },
    /// Somebody registered an address that has an account.
    AddressHasAccount,
    /// Somebody is asked to join an organization.
    Invitation {
        /// Its name.
        organization: String,
        /// To be shown where the invitation is accepted.
        token: Shown,
    },
    /// Something happened to the account that its owner should know of.
    Security(SecurityNotice),
    /// Lets the owner of an address choose a new password.
    ResetPassword {
        /// To be typed.
        code: Shown,
        /// To be clicked.
        token: Shown,
    },
    /// The password was changed or reset.
    PasswordChanged,
    /// Proves that an account's new address is its owner's.
    ChangeEmail {
        /// To be clicked.
        token: Shown,
    },
    /// The account has another address; sent to the one it had.
    EmailChanged,
    /// The owner deactivated the account.
    AccountDeactivated,
    /// The owner deleted the account.
    AccountDeleted,
}

/// A secret that this mail shows to its reader.
#[derive(Clone, Debug)]
pub struct Shown(pub Secret);

impl Serialize for Shown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::from(text)))
    }
}

impl Shown {
    fn text(&self) -> String {
        self.0.expose().to_owned()
    }
}

impl Message {
    /// Its name, for operators and metrics.
    pub fn template(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "verify_email",
            Self::AddressHasAccount => "address_has_account",
            Self::Invitation { .. } => "invitation",
            Self::Security(notice) => notice.template(),
            Self::ResetPassword { .. } => "reset_password",
            Self::PasswordChanged => "password_changed",
            Self::ChangeEmail { .. } => "change_email",
            Self::EmailChanged => "email_changed",
            Self::AccountDeactivated => "account_deactivated",
            Self::AccountDeleted => "account_deleted",
        }
    }

    /// How long it is worth sending, where what it carries ends sooner than mail usually waits.
    pub fn lifetime(&self) -> Option<Duration> {
        match self {
            Self::VerifyEmail { .. } | Self::ResetPassword { .. } | Self::ChangeEmail { .. } => {
                Some(PROOF_LIFETIME)
            }
            Self::Invitation { .. } => Some(INVITATION_LIFETIME),
            _ => None,
        }
    }

    /// What it says. `at` is when the event happened.
    pub fn letter(&self, issuer: &Issuer, at: Timestamp) -> Letter {
        match self {
            Self::VerifyEmail { code, token } => verify_email(issuer, code, token),
            Self::AddressHasAccount => address_has_account(issuer),
            Self::Invitation {
                organization,
                token,
            } => invitation(issuer, organization, token),
            Self::Security(notice) => notice.letter(issuer, at),
            Self::ResetPassword { code, token } => reset_password(issuer, code, token),
            Self::PasswordChanged => password_changed(issuer, at),
            Self::ChangeEmail { token } => change_email(issuer, token),
            Self::EmailChanged => email_changed(at),
            Self::AccountDeactivated => account_deactivated(at),
            Self::AccountDeleted => account_deleted(at),
        }
    }
}

/// The page at this path with a token that the URL-safe alphabet holds.
fn link(issuer: &Issuer, path: &str, token: &Shown) -> String {
    issuer.endpoint(&format!("{path}?token={}", token.0.expose()))
}

fn verify_email(issuer: &Issuer, code: &Shown, token: &Shown) -> Letter {
    Letter {
        subject: "Confirm your e-mail address".into(),
        heading: "Confirm your e-mail address".into(),
        paragraphs: vec![
            "Enter this code, or use the link. Both work once, for 30 minutes.".into(),
        ],
        code: Some(code.text()),
        button: Some(Button {
            label: "Confirm this address",
            url: link(issuer, "/verify", token),
        }),
        note:
            "If you did not create an account, ignore this mail: without the code nothing happens."
                .into(),
    }
}

fn invitation(issuer: &Issuer, organization: &str, token: &Shown) -> Letter {
    Letter {
        subject: format!("You are invited to join {organization}"),
        heading: format!("Join {organization}"),
        paragraphs: vec![
            format!("You are asked to become a member of {organization}."),
            "Sign in with this address, or create an account with it, and accept with this code. It works once, for a week.".into(),
        ],
        code: Some(token.text()),
        button: Some(Button {
            label: "Sign in or create an account",
            url: issuer.endpoint("/register"),
        }),
        note: "If you do not know who sent this, ignore it: without the code nothing happens.".into(),
    }
}

fn address_has_account(issuer: &Issuer) -> Letter {
    Letter {
        subject: "You already have an account".into(),
        heading: "You already have an account".into(),
        paragraphs: vec![
            "Somebody, perhaps you, tried to create an account with this address. It has one already, and nothing was changed.".into(),
            "If you forgot your password, ask for a new one.".into(),
        ],
        code: None,
        button: Some(Button {
            label: "Choose a new password",
            url: issuer.endpoint("/forgot"),
        }),
        note: "If this was not you, there is nothing to do.".into(),
    }
}

fn reset_password(issuer: &Issuer, code: &Shown, token: &Shown) -> Letter {
    Letter {
        subject: "Choose a new password".into(),
        heading: "Choose a new password".into(),
        paragraphs: vec![
            "Use the link, or enter this code where you asked for it. Both work once, for 30 minutes.".into(),
        ],
        code: Some(code.text()),
        button: Some(Button {
            label: "Choose a new password",
            url: link(issuer, "/reset", token),
        }),
        note: "If you did not ask for this, ignore this mail: your password stays as it is. Give the code to nobody.".into(),
    }
}

fn password_changed(issuer: &Issuer, at: Timestamp) -> Letter {
    Letter {
        button: Some(Button {
            label: "Choose a new password",
            url: issuer.endpoint("/forgot"),
        }),
        note: "If this was not you, choose a new password at once.".into(),
        ..notice(
            "Your password was changed",
            at,
            "Every other session was signed out.",
        )
    }
}

fn change_email(issuer: &Issuer, token: &Shown) -> Letter {
    Letter {
        subject: "Confirm your new e-mail address".into(),
        heading: "Confirm your new e-mail address".into(),
        paragraphs: vec![
            "Use the link, and your account has this address from then on. It works once, for 30 minutes.".into(),
        ],
        code: None,
        button: Some(Button {
            label: "Use this address",
            url: link(issuer, "/verify", token),
        }),
        note: "If you did not ask for this, ignore this mail: nothing happens without the link.".into(),
    }
}

fn email_changed(at: Timestamp) -> Letter {
    let what = "Mail about your account goes to the new address from now on.";
    notice("Your e-mail address was changed", at, what)
}

fn account_deactivated(at: Timestamp) -> Letter {
    let what = "Nobody can sign in until an administrator enables the account again.";
    notice("Your account was deactivated", at, what)
}

fn account_deleted(at: Timestamp) -> Letter {
    let what = "What was kept with it is gone. This is the last mail about it.";
    notice("Your account was deleted", at, what)
}

/// Tells of something that happened.
fn notice(subject: &str, at: Timestamp, what: &str) -> Letter {
    Letter {
        subject: subject.into(),
        heading: subject.into(),
        paragraphs: vec![format!("This happened on {}.", shown_time(at)), what.into()],
        code: None,
        button: None,
        note: "If this was not you, tell whoever runs this service.".into(),
    }
}

/// To the minute: `2026-11-20 18:00 UTC`.
fn shown_time(at: Timestamp) -> String {
    let text = at.to_string().replace('T', " ");
    let minute = text.get(..16).unwrap_or(&text);
    format!("{minute} UTC")
}
