//! What one audit line says: which event, who, from where, in which request, and why.

use std::borrow::Cow;

use serde::Deserialize;
use tokensmith_oauth2::stands_in_json;

use crate::Timestamp;

/// Who asked, from where and when. Made once per request and shared by every line it writes.
#[derive(Clone, Debug, Default)]
pub struct AuditContext {
    /// The instant of the request.
    pub at: Timestamp,
    /// Address of the caller, as the server trusts it.
    pub ip: Option<String>,
    /// The request's correlation id.
    pub correlation_id: Option<String>,
    /// Who acted: `user:<id>`, `client:<id>`, `operator` (command line) or `system`.
    pub actor: Option<String>,
}

impl AuditContext {
    /// The context of something the operator did at the command line.
    pub fn operator(at: Timestamp) -> Self {
        Self {
            at,
            actor: Some("operator".to_owned()),
            ..Self::default()
        }
    }

    /// The context of something the server did by itself.
    pub fn system(at: Timestamp) -> Self {
        Self {
            at,
            actor: Some("system".to_owned()),
            ..Self::default()
        }
    }
}

/// One event. Never holds a secret: tokens are named by `jti` or family, clients and users by id.
#[derive(Clone, Debug, Default)]
pub struct AuditEvent {
    /// The event's word, for instance `token_issued`.
    pub event: &'static str,
    /// `success` or the refusal's word.
    pub outcome: Option<Cow<'static, str>>,
    /// The user it is about.
    pub user_id: Option<String>,
    /// The client it is about.
    pub client_id: Option<String>,
    /// The organization it is about.
    pub org_id: Option<String>,
    /// The token family or session it belongs to: the key of the token timeline.
    pub grant_id: Option<String>,
    /// Further fields, in this order.
    pub fields: Vec<(&'static str, String)>,
}

impl AuditEvent {
    /// An event with nothing but its word.
    pub fn new(event: &'static str) -> Self {
        Self {
            event,
            ..Self::default()
        }
    }

    /// Says how it ended.
    #[must_use]
    pub fn outcome(mut self, outcome: impl Into<Cow<'static, str>>) -> Self {
        self.outcome = Some(outcome.into());
        self
    }

    /// Names the user it is about.
    #[must_use]
    pub fn user(mut self, id: impl ToString) -> Self {
        self.user_id = Some(id.to_string());
        self
    }

    /// Names the client it is about.
    #[must_use]
    pub fn client(mut self, id: impl ToString) -> Self {
        self.client_id = Some(id.to_string());
        self
    }

    /// Names the organization it is about.
    #[must_use]
    pub fn org(mut self, id: impl ToString) -> Self {
        self.org_id = Some(id.to_string());
        self
    }

    /// Names the token family or session it belongs to.
    #[must_use]
    pub fn grant(mut self, id: impl ToString) -> Self {
        self.grant_id = Some(id.to_string());
        self
    }

    /// Names whom and what a token speaks of. What is named already stays.
    #[must_use]
    pub fn names(mut self, names: &TokenNames) -> Self {
        self.user_id = self.user_id.or_else(|| names.user_id.clone());
        self.client_id = self.client_id.or_else(|| names.client_id.clone());
        self.grant_id = self.grant_id.or_else(|| names.grant_id.clone());
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: impl ToString) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }
}

/// Whom and what a token speaks of, for every line about it, so that the timeline of its grant is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenNames {
    /// The user it is about.
    pub user_id: Option<String>,
    /// The client it was issued to.
    pub client_id: Option<String>,
    /// The token family, or else the session, that it belongs to.
    pub grant_id: Option<String>,
}

/// An event as it is stored: the indexed columns and the text that is hashed.
#[derive(Clone, Debug)]
pub(crate) struct AuditLine {
    pub(crate) at: Timestamp,
    pub(crate) event: Cow<'static, str>,
    pub(crate) user_id: Option<String>,
    pub(crate) grant_id: Option<String>,
    pub(crate) body: String,
}

impl AuditLine {
    pub(crate) fn new(context: &AuditContext, event: &AuditEvent) -> Self {
        let body = body(context, event);
        Self {
            at: context.at,
            event: event.event.into(),
            user_id: event.user_id.clone(),
            grant_id: event.grant_id.clone(),
            body,
        }
    }

    /// The line that has this text, or `None` if it is not one of ours.
    pub(crate) fn from_body(at: Timestamp, body: String) -> Option<Self> {
        #[derive(Deserialize)]
        struct Columns {
            event: String,
            user_id: Option<String>,
            grant_id: Option<String>,
        }
        let columns: Columns = serde_json::from_str(&body).ok()?;
        Some(Self {
            at,
            event: columns.event.into(),
            user_id: columns.user_id,
            grant_id: columns.grant_id,
            body,
        })
    }
}

fn body(context: &AuditContext, event: &AuditEvent) -> String {
    let mut json = Members(String::with_capacity(320));
    json.add("event", event.event);
    json.add("at", &context.at.to_string());
    let optional = [
        ("outcome", event.outcome.as_deref()),
        ("actor", context.actor.as_deref()),
        ("user_id", event.user_id.as_deref()),
        ("client_id", event.client_id.as_deref()),
        ("org_id", event.org_id.as_deref()),
        ("grant_id", event.grant_id.as_deref()),
        ("ip", context.ip.as_deref()),
        ("correlation_id", context.correlation_id.as_deref()),
    ];
    for (name, value) in optional {
        value.into_iter().for_each(|value| json.add(name, value));
    }
    event
        .fields
        .iter()
        .for_each(|(name, value)| json.add(name, value));
    json.0.push('}');
    json.0
}

/// A JSON object of strings, written member by member. The text is what is hashed, so its form is fixed here.
struct Members(String);

impl Members {
    fn add(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.string(name);
        self.0.push(':');
        self.string(value);
    }

    fn string(&mut self, text: &str) {
        self.0.push('"');
        if stands_in_json(text) {
            self.0.push_str(text);
        } else {
            text.chars().for_each(|c| self.escaped(c));
        }
        self.0.push('"');
    }

    fn escaped(&mut self, c: char) {
        match c {
            '"' | '\\' => self.0.extend(['\\', c]),
            c if c.is_control() => self.0.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => self.0.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object_whatever_it_holds() {
        let context = AuditContext {
            ip: Some("x\r\n\"\u{1b}[31m\\".into()),
            ..AuditContext::default()
        };
        let line = AuditLine::new(&context, &AuditEvent::new("e").field("note", "ü\u{85}"));
        assert!(!line.body.contains(['\r', '\n', '\u{1b}']));
        let read: serde_json::Value = serde_json::from_str(&line.body).expect("valid JSON");
        assert_eq!(read["ip"], "x\r\n\"\u{1b}[31m\\");
        assert_eq!(read["note"], "ü\u{85}");
    }
}
