//! What people hear of their own account, so that somebody else's doing is noticed. These mails carry no link that does
//! anything: who did not do it is told where to look.

use serde::{Deserialize, Serialize};
use tokensmith_store::Timestamp;

use super::letter::{Button, Letter};
use crate::config::Issuer;

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityNotice {
    /// Somebody signed in on a device that was not seen before.
    NewDevice {
        /// What people call it.
        device: String,
        /// From where.
        ip: Option<String>,
    },
    /// A second factor was added.
    FactorAdded,
    /// A second factor was removed.
    FactorRemoved,
    /// There are new recovery codes.
    RecoveryCodesReplaced,
    /// A recovery code was used.
    RecoveryCodeUsed,
    /// Somebody who knows the password typed too many wrong codes.
    SecondFactorBlocked,
}

impl SecurityNotice {
    /// Its name, for operators and metrics.
    pub(super) fn template(&self) -> &'static str {
        match self {
            Self::NewDevice { .. } => "new_device",
            Self::FactorAdded => "factor_added",
            Self::FactorRemoved => "factor_removed",
            Self::RecoveryCodesReplaced => "recovery_codes_replaced",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::SecondFactorBlocked => "second_factor_blocked",
        }
    }

    /// What it says.
    pub(super) fn letter(&self, issuer: &Issuer, at: Timestamp) -> Letter {
        let (subject, sentence) = self.words();
        Letter {
            subject: subject.into(),
            heading: subject.into(),
            paragraphs: vec![sentence, format!("When: {at}.")],
            code: None,
            button: Some(Button {
                label: "Look at your account",
                url: issuer.endpoint("/account"),
            }),
            note: "If this was not you, change your password and end your other sessions at once."
                .into(),
        }
    }

    fn words(&self) -> (&'static str, String) {
        match self {
            Self::NewDevice { device, ip } => {
                let from = ip.as_ref().map(|ip| format!(", from {ip}"));
                let from = from.unwrap_or_default();
                let sentence = format!("Somebody signed in to your account: {device}{from}.");
                ("New sign-in to your account", sentence)
            }
            Self::FactorAdded => (
                "A second factor was added",
                "A second factor was added to your account.".into(),
            ),
            Self::FactorRemoved => (
                "A second factor was removed",
                "A second factor was removed from your account.".into(),
            ),
            Self::RecoveryCodesReplaced => (
                "You have new recovery codes",
                "New recovery codes were made for your account. The former ones are no longer good."
                    .into(),
            ),
            Self::RecoveryCodeUsed => (
                "A recovery code was used",
                "A recovery code was used to sign in to your account. It is not good again.".into(),
            ),
            Self::SecondFactorBlocked => (
                "Wrong codes for your account",
                "Somebody who knows your password typed too many wrong codes of your second factor. Codes are not taken for a while.".into(),
            ),
        }
    }
}
