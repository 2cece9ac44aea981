//! Who must have a second factor: a user, everybody in a role, or everybody who signs in to an organization. Data,
//! not code. What a client asks for stands in its registration (`required_acr`).

use std::str::FromStr;

use super::{FromRow, Operation, Row, Store, StoreError, Timestamp, Tx, values};
use crate::{AuditContext, AuditEvent};

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorRuleSubject {
    /// A user, by id.
    User,
    /// A role over the whole server or in the organization of the sign-in.
    Role,
    /// An organization, by id.
    Organization,
}

impl FactorRuleSubject {
    const ALL: [Self; 3] = [Self::User, Self::Role, Self::Organization];

    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
            Self::Organization => "organization",
        }
    }
}

impl FromStr for FactorRuleSubject {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.as_str() == word)
            .ok_or_else(|| format!("`{word}` is not user, role or organization"))
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorRule {
    /// What it is about.
    pub kind: FactorRuleSubject,
    /// Which one.
    pub subject: String,
    /// Since when.
    pub created_at: Timestamp,
}

impl FromRow for FactorRule {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            kind: row.word(0)?,
            subject: row.text(1)?,
            created_at: row.time(2)?,
        })
    }
}

impl Store {
    /// Every rule.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn factor_rules(&self, limit: i64) -> Result<Vec<FactorRule>, StoreError> {
        const ALL: &str =
            "SELECT kind, subject, created_at FROM factor_rules ORDER BY kind, subject LIMIT $1";
        self.all(ALL, values![limit]).await
    }
}

/// Makes or removes a rule.
#[derive(Debug)]
pub struct SetFactorRule {
    /// What it is about.
    pub kind: FactorRuleSubject,
    /// Which one.
    pub subject: String,
    /// Whether a second factor is required.
    pub is_required: bool,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for SetFactorRule {
    /// Whether this changed anything.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const PUT: &str = "INSERT INTO factor_rules (kind, subject, created_at) VALUES ($1, $2, $3)
            ON CONFLICT (kind, subject) DO NOTHING";
        const REMOVE: &str = "DELETE FROM factor_rules WHERE kind = $1 AND subject = $2";
        let (kind, subject) = (self.kind.as_str(), &self.subject);
        let (word, won) = if self.is_required {
            let row = values![kind, subject, self.context.at];
            ("mfa.required", tx.won(PUT, row).await?)
        } else {
            let removed = tx.won(REMOVE, values![kind, subject]).await?;
            ("mfa.not_required", removed)
        };
        if won {
            let event = AuditEvent::new(word).field("kind", kind);
            tx.audit(&self.context, event.field("subject", subject));
        }
        Ok(won)
    }
}
