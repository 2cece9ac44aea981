//! What the issuer's feed has said so far, in memory, and how long ago it last spoke.
//! A line is kept until the last token it means has expired.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::principal::{AccessToken, Principal};

/// Most lines kept; past it nothing is current any more, so that no revocation is dropped in silence.
const MOST: usize = 1_000_000;
/// How much longer than it says a line is kept, in seconds, because clocks differ.
const MARGIN: u64 = 120;
/// The least seconds between two clearings of what has expired.
const CLEARING: u64 = 60;

/// One answer of the feed.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub(crate) revocations: Vec<Line>,
    /// What to ask after next.
    pub(crate) next: i64,
    /// Whether there is more at once.
    pub(crate) more: bool,
}

/// A kind that is not known here fails to read, so what it means is never ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Token,
    Grant,
    Session,
    User,
    Client,
    Organization,
    Authority,
    Role,
}

/// Times are seconds since 1970.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    kind: Kind,
    subject: String,
    revoked_at: u64,
    expires_at: u64,
}

#[derive(Clone, Copy, Debug)]
struct Until {
    revoked_at: u64,
    expires_at: u64,
}

/// Everything the feed has said that still matters.
#[derive(Debug, Default)]
pub(crate) struct Revoked {
    tokens: HashMap<String, Until>,
    grants: HashMap<String, Until>,
    sessions: HashMap<String, Until>,
    users: HashMap<String, Until>,
    clients: HashMap<String, Until>,
    organizations: HashMap<String, Until>,
    /// Users whose tokens say what is no longer so.
    authorities: HashMap<String, Until>,
    /// Roles that mean something else since.
    roles: HashMap<String, Until>,
    heard_at: Option<Instant>,
    cleared_at: u64,
}

impl Revoked {
    /// Takes in an answer that was asked for at `asked_at`.
    pub(crate) fn take(&mut self, page: Page, asked_at: Instant, now: u64) {
        for line in page.revocations {
            self.add(line);
        }
        if now >= self.cleared_at.saturating_add(CLEARING) {
            self.clear_expired(now);
        }
        if !page.more && self.len() <= MOST {
            self.heard_at = Some(asked_at);
        }
    }

    fn add(&mut self, line: Line) {
        let until = Until {
            revoked_at: line.revoked_at,
            expires_at: line.expires_at,
        };
        let known = self.of(line.kind).entry(line.subject).or_insert(until);
        known.revoked_at = known.revoked_at.max(until.revoked_at);
        known.expires_at = known.expires_at.max(until.expires_at);
    }

    fn of(&mut self, kind: Kind) -> &mut HashMap<String, Until> {
        match kind {
            Kind::Token => &mut self.tokens,
            Kind::Grant => &mut self.grants,
            Kind::Session => &mut self.sessions,
            Kind::User => &mut self.users,
            Kind::Client => &mut self.clients,
            Kind::Organization => &mut self.organizations,
            Kind::Authority => &mut self.authorities,
            Kind::Role => &mut self.roles,
        }
    }

    fn all(&mut self) -> [&mut HashMap<String, Until>; 8] {
        [
            &mut self.tokens,
            &mut self.grants,
            &mut self.sessions,
            &mut self.users,
            &mut self.clients,
            &mut self.organizations,
            &mut self.authorities,
            &mut self.roles,
        ]
    }

    fn len(&mut self) -> usize {
        self.all().into_iter().map(|kind| kind.len()).sum()
    }

    fn clear_expired(&mut self, now: u64) {
        self.cleared_at = now;
        for kind in self.all() {
            kind.retain(|_, until| until.expires_at.saturating_add(MARGIN) > now);
        }
    }

    /// Whether the feed has spoken, to its end, within `bound`.
    pub(crate) fn is_current(&self, bound: Duration) -> bool {
        self.heard_at
            .is_some_and(|heard_at| heard_at.elapsed() <= bound)
    }

    /// Whether the feed has named this token or what it rests on. Tokens of a user or a client are meant when they
    /// were issued up to the second of the revocation, or do not say when.
    pub(crate) fn names(&self, token: &AccessToken) -> bool {
        let has = |kind: &HashMap<String, Until>, subject: Option<&String>| {
            subject.is_some_and(|subject| kind.contains_key(subject))
        };
        let has_since = |kind: &HashMap<String, Until>, subject: Option<&str>| {
            subject
                .and_then(|subject| kind.get(subject))
                .is_some_and(|until| token.issued_at.is_none_or(|iat| iat <= until.revoked_at))
        };
        let (session, user) = match &token.principal {
            Principal::User(user) => (user.sid.as_ref(), Some(user.sub.as_str())),
            Principal::Service(_) => (None, None),
        };
        has(&self.tokens, token.jti.as_ref())
            || has(&self.grants, token.grant_id.as_ref())
            || has(&self.sessions, session)
            || has_since(&self.users, user)
            || has_since(&self.clients, token.principal.client_id())
            || has_since(&self.clients, token.client_id.as_deref())
            || token
                .actors()
                .any(|actor| has_since(&self.users, Some(&actor.sub)))
            || token.derived_from.iter().any(|ancestor| {
                has(&self.tokens, Some(&ancestor.jti))
                    || has(&self.grants, ancestor.grant_id.as_ref())
                    || has(&self.sessions, ancestor.sid.as_ref())
                    || has_since(&self.clients, Some(&ancestor.client_id))
            })
            || self.makes_stale(token)
    }

    /// Whether what the token says of its user is no longer so. What was made of a token says it anew.
    fn makes_stale(&self, token: &AccessToken) -> bool {
        let Principal::User(user) = &token.principal else {
            return false;
        };
        let since = |kind: &HashMap<String, Until>, subject: &str| {
            kind.get(subject)
                .is_some_and(|until| token.issued_at.is_none_or(|iat| iat <= until.revoked_at))
        };
        let says_something =
            user.org_id.is_some() || !user.roles.is_empty() || !user.permissions.is_empty();
        (says_something && since(&self.authorities, &user.sub))
            || user
                .org_id
                .iter()
                .any(|org| since(&self.organizations, org))
            || user.roles.iter().any(|role| since(&self.roles, role))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::principal::{ServicePrincipal, UserPrincipal};

    const USER: &str = "0197a5c2-7d31-7aa0-9c7e-0123456789ab";

    fn user_token(issued_at: u64) -> AccessToken {
        AccessToken {
            confirmation: None,
            principal: Principal::User(UserPrincipal {
                sub: USER.to_owned(),
                email: None,
                org_id: None,
                sid: Some("s1".to_owned()),
                client_id: Some("web".to_owned()),
                scope: Default::default(),
                roles: Vec::new(),
                permissions: Vec::new(),
            }),
            client_id: Some("web".to_owned()),
            actor: None,
            derived_from: Default::default(),
            jti: Some("t1".to_owned()),
            grant_id: Some("g1".to_owned()),
            acr: None,
            amr: Vec::new(),
            auth_time: None,
            issued_at: Some(issued_at),
            expires_at: issued_at + 900,
        }
    }

    fn page(kind: &str, subject: &str, more: bool) -> Page {
        let line = json!({"id": 1, "kind": kind, "subject": subject, "revoked_at": 100, "expires_at": 200});
        serde_json::from_value(json!({"revocations": [line], "next": 1, "more": more})).unwrap()
    }

    fn after(page: Page) -> Revoked {
        let mut revoked = Revoked::default();
        revoked.take(page, Instant::now(), 100);
        revoked
    }

    #[test]
    fn each_kind_names_its_own_tokens_and_no_others() {
        let kinds = [
            ("token", "t1"),
            ("grant", "g1"),
            ("session", "s1"),
            ("user", USER),
            ("client", "web"),
        ];
        for (kind, subject) in kinds {
            assert!(
                after(page(kind, subject, false)).names(&user_token(100)),
                "{kind}"
            );
            assert!(
                !after(page(kind, "other", false)).names(&user_token(100)),
                "{kind}"
            );
        }
        assert!(!after(page("session", "t1", false)).names(&user_token(100)));
    }

    #[test]
    fn tokens_issued_after_the_revocation_of_a_user_or_client_are_not_meant() {
        for (kind, subject) in [("user", USER), ("client", "web")] {
            let revoked = after(page(kind, subject, false));
            assert!(!revoked.names(&user_token(101)), "{kind}");
            let undated = AccessToken {
                issued_at: None,
                ..user_token(0)
            };
            assert!(revoked.names(&undated), "{kind}");
        }
        assert!(after(page("session", "s1", false)).names(&user_token(101)));
    }

    #[test]
    fn a_service_is_named_by_its_client_and_not_as_a_user() {
        let service = Principal::Service(ServicePrincipal {
            client_id: "svc".to_owned(),
            org_id: None,
            scope: Default::default(),
            roles: Vec::new(),
            permissions: Vec::new(),
        });
        let token = AccessToken {
            principal: service,
            ..user_token(100)
        };
        assert!(after(page("client", "svc", false)).names(&token));
        assert!(!after(page("user", "svc", false)).names(&token));
    }

    #[test]
    fn what_ends_a_token_or_an_actor_ends_what_was_made_of_it() {
        let ancestor = json!([{"jti": "t0", "client_id": "edge", "sid": "s0", "grant_id": "g0"}]);
        let actor = json!({"sub": "agent", "act": {"sub": "earlier"}});
        let token = AccessToken {
            client_id: Some("gateway".to_owned()),
            actor: serde_json::from_value(actor).unwrap(),
            derived_from: serde_json::from_value(ancestor).unwrap(),
            ..user_token(100)
        };
        for (kind, subject) in [
            ("token", "t0"),
            ("grant", "g0"),
            ("session", "s0"),
            ("client", "edge"),
            ("client", "gateway"),
            ("user", "agent"),
            ("user", "earlier"),
        ] {
            let revoked = after(page(kind, subject, false));
            assert!(revoked.names(&token), "{kind} {subject}");
            assert!(!revoked.names(&user_token(100)), "{kind} {subject}");
        }
    }

    #[test]
    fn an_unknown_kind_is_not_read() {
        let page = json!({"revocations": [{"id": 1, "kind": "planet", "subject": "x", "revoked_at": 1, "expires_at": 2}], "next": 1, "more": false});
        assert!(serde_json::from_value::<Page>(page).is_err());
    }

    #[test]
    fn what_was_read_to_the_end_is_current_for_the_bound_and_no_longer() {
        let bound = Duration::from_secs(15);
        assert!(!Revoked::default().is_current(bound));
        assert!(!after(page("token", "x", true)).is_current(bound));
        assert!(after(page("token", "x", false)).is_current(bound));
        assert!(!after(page("token", "x", false)).is_current(Duration::ZERO));
    }

    #[test]
    fn a_line_is_kept_until_what_it_means_has_expired_for_sure() {
        let mut revoked = after(page("token", "t1", false));
        revoked.take(page("token", "t2", false), Instant::now(), 319);
        assert!(revoked.names(&user_token(100)));
        revoked.take(page("token", "t2", false), Instant::now(), 379);
        assert!(!revoked.names(&user_token(100)));
    }
}
