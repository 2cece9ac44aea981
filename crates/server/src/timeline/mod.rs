//! The token timeline: every recorded event that touched a refresh token family, a session, a user or one token, and
//! one plain sentence about why it ended. It reads the audit log and changes nothing.
//!
//! One request may write several lines; a refusal that another line of the same request explains is left out.

mod read;
mod verdict;
mod words;

use serde::Serialize;
use serde_json::{Map, Value};
use tokensmith_store::{AuditRecord, FamilyId, SessionId, Timestamp, UserId};

pub use read::{of, resolve};

/// What a timeline is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Subject {
    /// A refresh token family.
    Family(FamilyId),
    /// A session, with its families.
    Session(SessionId),
    /// A user.
    User(UserId),
    /// One access token, by its `jti`.
    Token(String),
}

impl Subject {
    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Family(_) => "family",
            Self::Session(_) => "session",
            Self::User(_) => "user",
            Self::Token(_) => "token",
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Family(id) => id.as_str(),
            Self::Session(id) => id.as_str(),
            Self::User(id) => id.as_str(),
            Self::Token(jti) => jti,
        }
    }
}

/// Everything that is recorded about one subject, oldest first.
#[derive(Clone, Debug, Serialize)]
pub struct Timeline {
    /// What it is about.
    pub subject: Subject,
    /// The events.
    pub entries: Vec<Entry>,
    /// `false` when there are more events than were read: then the middle is missing, never the beginning or the end.
    pub is_whole: bool,
    /// Why it ended, or that it has not: one or two sentences.
    pub verdict: String,
}

/// One event.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its place in the audit log.
    pub id: i64,
    /// When.
    #[serde(skip)]
    pub at: Timestamp,
    /// What happened, in words.
    pub what: String,
    /// The audit line.
    #[serde(flatten)]
    pub line: Map<String, Value>,
}

impl Entry {
    fn new(record: &AuditRecord) -> Self {
        let line: Map<String, Value> = serde_json::from_str(&record.body).unwrap_or_default();
        let mut entry = Self {
            id: record.id(),
            at: record.at,
            what: String::new(),
            line,
        };
        entry.what = words::what(&entry);
        entry
    }

    /// A member of the audit line; empty when there is none.
    pub fn member(&self, name: &str) -> &str {
        self.line
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn event(&self) -> &str {
        self.member("event")
    }

    fn is_refusal(&self) -> bool {
        words::is_refusal(self.event())
    }
}
