//! What a grant or a sign-in supplies to the gate: who the token is about, the most it may hold, and what is used up
//! for it. A grant decides nothing that the gate decides.

use tokensmith_oauth2::{Actor, ClientId, Confirmation, Lineage, ResourceIndicator, Scope};
use tokensmith_store::{
    FamilyId, OrganizationId, SessionId, Timestamp, TokenNames, UseJti, UserId,
};

use super::{PresentedToken, Source};

/// What a token is asked for by.
#[derive(Debug)]
pub struct Grant {
    /// The grant's word in the audit log.
    pub kind: &'static str,
    /// Who the token is about.
    pub subject: Subject,
    /// The most the token may hold.
    pub allowed_scope: Scope,
    /// What the token holds when the request names no scope; `None`: the request must name one.
    pub default_scope: Option<Scope>,
    /// What the request asks for.
    pub requested_scope: Option<Scope>,
    /// The resources that were granted, the first being the default; empty: those of the client.
    pub granted_resources: Vec<String>,
    /// The resource the request names.
    pub requested_resource: Option<ResourceIndicator>,
    /// The key the client showed: the access token is bound to it, and so is a public client's refresh token.
    pub confirmation: Option<Confirmation>,
    /// The key that what is used up is bound to; the client must show it.
    pub bound_to: Option<Confirmation>,
    /// Whose word outside the grant rests on.
    pub source: Option<Source>,
    /// What is used up, or opened, once everything else was checked.
    pub redemption: Redemption,
    /// What the token is made of, when it is exchanged for another.
    pub exchange: Option<Box<Exchange>>,
}

impl Grant {
    /// A grant from which nothing was asked yet.
    pub fn new(kind: &'static str, subject: Subject, allowed_scope: Scope) -> Self {
        Self {
            kind,
            subject,
            allowed_scope,
            default_scope: None,
            requested_scope: None,
            granted_resources: Vec::new(),
            requested_resource: None,
            confirmation: None,
            bound_to: None,
            source: None,
            redemption: Redemption::Nothing,
            exchange: None,
        }
    }

    /// What a refusal of it is recorded under: the presented family, or else the session.
    pub(super) fn names(&self) -> TokenNames {
        let Subject::User(user) = &self.subject else {
            return self.redemption.names();
        };
        let names = self.redemption.names();
        TokenNames {
            user_id: Some(user.user_id.to_string()),
            grant_id: names.grant_id.or(Some(user.session_id.to_string())),
            ..names
        }
    }
}

/// Who a token is about. Services and users have disjoint ids: a client id may never look like a UUID.
#[derive(Clone, Debug)]
pub enum Subject {
    /// The client itself.
    Client,
    /// Another service, for which the client acts.
    Service(ClientId),
    /// A user.
    User(UserSubject),
}

/// A user by ids alone: everything else is read when the token is made, so that it is true then.
#[derive(Clone, Debug)]
pub struct UserSubject {
    /// The user.
    pub user_id: UserId,
    /// The organization the user acts in.
    pub org_id: Option<OrganizationId>,
    /// The session.
    pub session_id: SessionId,
}

/// What is used up for a token, as the last step before it is made.
#[derive(Clone, Debug)]
pub enum Redemption {
    /// Nothing, and there is no refresh token.
    Nothing,
    /// Nothing; a family of refresh tokens begins.
    NewFamily,
    /// An assertion that is good once; there is no refresh token.
    Assertion(UseJti),
    /// A refresh token; its successor is handed out.
    RefreshToken(PresentedToken),
}

/// What ties a token to those it is made of (RFC 8693).
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The client that held the subject token.
    pub subject_client: ClientId,
    /// The refresh token family of the subject token.
    pub family: Option<FamilyId>,
    /// The new token lives no longer than this.
    pub expires_at: Timestamp,
    /// Who acts for the subject.
    pub act: Option<Actor>,
    /// The tokens it is made of.
    pub derived_from: Lineage,
}

impl Redemption {
    fn names(&self) -> TokenNames {
        let grant_id = match self {
            Self::RefreshToken(presented) => Some(presented.family.to_string()),
            Self::Nothing | Self::NewFamily | Self::Assertion(_) => None,
        };
        TokenNames {
            grant_id,
            ..TokenNames::default()
        }
    }
}
