//! The people, clients and sessions that tests are about.

use std::time::Duration;

use tokensmith_oauth2::{ClientId, GrantType, Scope};
use tokensmith_store::*;

use crate::ground::{Ground, NOW};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// The context of a request at this instant.
pub(crate) fn at(at: Timestamp) -> AuditContext {
    AuditContext {
        at,
        ip: Some("192.0.2.1".into()),
        correlation_id: Some("c-1".into()),
        actor: Some("system".into()),
    }
}

pub(crate) fn client_id(text: &str) -> ClientId {
    ClientId::parse(text).expect("a client id")
}

impl Ground {
    pub(crate) fn registration(&self, name: &str) -> RegisterUser {
        RegisterUser {
            id: self.id(),
            email: format!("{name}@example.com"),
            username: Some(name.to_owned()),
            password_hash: Some(PasswordHash::new(format!("$argon2id${name}"))),
            roles: vec!["user".into()],
            context: at(NOW),
        }
    }

    pub(crate) async fn user(&self, name: &str) -> UserId {
        let registration = self.registration(name);
        let id = registration.id.clone();
        let done = self.store.write(registration).await.expect("an answer");
        assert_eq!(done, UserRegistration::Created);
        id
    }

    pub(crate) async fn organization(&self, name: &str, owner: &UserId) -> OrganizationId {
        let id: OrganizationId = self.id();
        let create = CreateOrganization {
            id: id.clone(),
            name: name.into(),
            owner: owner.clone(),
            context: at(NOW),
        };
        let done = self.store.write(create).await.expect("an answer");
        assert_eq!(done, OrganizationCreation::Created);
        id
    }

    pub(crate) async fn member(
        &self,
        org: &OrganizationId,
        name: &str,
        role: OrganizationRole,
    ) -> UserId {
        let user = self.user(name).await;
        let done = self.add_member(org, &user, role, None).await;
        assert_eq!(done, MembershipChange::Done);
        user
    }

    pub(crate) async fn add_member(
        &self,
        org: &OrganizationId,
        user: &UserId,
        role: OrganizationRole,
        actor: Option<&UserId>,
    ) -> MembershipChange {
        let add = AddMember {
            org_id: org.clone(),
            user_id: user.clone(),
            role,
            actor: actor.cloned(),
            context: at(NOW),
        };
        self.store.write(add).await.expect("an answer")
    }

    pub(crate) async fn change_role(
        &self,
        org: &OrganizationId,
        user: &UserId,
        role: OrganizationRole,
        actor: Option<&UserId>,
    ) -> MembershipChange {
        let change = ChangeMemberRole {
            org_id: org.clone(),
            user_id: user.clone(),
            role,
            actor: actor.cloned(),
            revoked_until: NOW + HOUR,
            context: at(NOW),
        };
        self.store.write(change).await.expect("an answer")
    }

    pub(crate) async fn remove_member(
        &self,
        org: &OrganizationId,
        user: &UserId,
        actor: Option<&UserId>,
    ) -> MembershipChange {
        let remove = RemoveMember {
            org_id: org.clone(),
            user_id: user.clone(),
            actor: actor.cloned(),
            revoked_until: NOW + HOUR,
            context: at(NOW),
        };
        self.store.write(remove).await.expect("an answer")
    }

    pub(crate) async fn group(&self, org: &OrganizationId, name: &str) -> GroupId {
        let id: GroupId = self.id();
        let done = self.create_group(&id, org, name, None).await;
        assert_eq!(done, GroupChange::Done);
        id
    }

    pub(crate) async fn create_group(
        &self,
        id: &GroupId,
        org: &OrganizationId,
        name: &str,
        actor: Option<&UserId>,
    ) -> GroupChange {
        let create = CreateGroup {
            id: id.clone(),
            org_id: org.clone(),
            name: name.into(),
            description: format!("about {name}"),
            actor: actor.cloned(),
            context: at(NOW),
        };
        self.store.write(create).await.expect("an answer")
    }

    pub(crate) async fn add_to_group(
        &self,
        group: &GroupId,
        user: &UserId,
        actor: Option<&UserId>,
    ) -> GroupChange {
        let add = AddGroupMember {
            group_id: group.clone(),
            user_id: user.clone(),
            actor: actor.cloned(),
            context: at(NOW),
        };
        self.store.write(add).await.expect("an answer")
    }

    pub(crate) async fn client(&self, id: &str) -> ClientId {
        let register = RegisterClient {
            client: client(id),
            context: at(NOW),
        };
        let done = self.store.write(register).await.expect("an answer");
        assert_eq!(done, Registered::Created);
        client_id(id)
    }

    /// A session of a day.
    pub(crate) async fn session(&self, user: &UserId) -> SessionId {
        let id: SessionId = self.id();
        assert!(self.open_session(&id, user, NOW).await, "the session opens");
        id
    }

    pub(crate) async fn open_session(&self, id: &SessionId, user: &UserId, now: Timestamp) -> bool {
        let id = id.clone();
        let open = OpenSession {
            id,
            ..new_session(user, now)
        };
        let opening = self.store.write(open).await.expect("an answer");
        opening != SessionOpening::Refused
    }

    pub(crate) async fn end_session(&self, id: &SessionId, now: Timestamp) -> SessionsEnded {
        let end = EndSession {
            id: id.clone(),
            user_id: None,
            reason: "logout",
            revoked_until: now + HOUR,
            context: at(now),
        };
        self.store.write(end).await.expect("an answer")
    }

    /// A family of a client, in a session of a user or the client's own: 30 days, and 7 when idle.
    pub(crate) async fn family(
        &self,
        client: &ClientId,
        session: Option<(&UserId, &SessionId)>,
    ) -> FamilyId {
        let family = self.new_family(client, session);
        let id = family.id.clone();
        assert!(self.open_family(family, NOW).await, "the family opens");
        id
    }

    pub(crate) async fn open_family(&self, family: RefreshFamily, now: Timestamp) -> bool {
        let context = at(now);
        let open = OpenFamily { family, context };
        self.store.write(open).await.expect("an answer")
    }

    pub(crate) fn new_family(
        &self,
        client: &ClientId,
        session: Option<(&UserId, &SessionId)>,
    ) -> RefreshFamily {
        RefreshFamily {
            id: self.id(),
            root_key: "k1".into(),
            client_id: client.clone(),
            user_id: session.map(|(user, _)| user.clone()),
            session_id: session.map(|(_, session)| session.clone()),
            org_id: None,
            scope: Scope::parse("read write").expect("a scope"),
            resources: vec!["https://api.example.com".into()],
            confirmation: None,
            generation: 1,
            rotated_at: NOW,
            successor_used_at: None,
            current_jti: Some("jti-1".into()),
            created_at: NOW,
            expires_at: NOW + DAY * 30,
            idle_expires_at: NOW + DAY * 7,
            revoked_at: None,
            revoked_reason: None,
        }
    }

    /// Presents generation `presented` with a grace of ten seconds.
    pub(crate) async fn rotate(
        &self,
        family: &FamilyId,
        presented: i64,
        now: Timestamp,
    ) -> Rotation {
        let rotation = rotation(family, presented, now);
        self.store.write(rotation).await.expect("an answer")
    }

    /// How many audit lines of this event there are.
    pub(crate) async fn audited(&self, event: &str) -> usize {
        let lines = self.store.audit_newest(1000).await.expect("an answer");
        lines.iter().filter(|line| line.event == event).count()
    }
}

/// Presents a token of the client `web`.
pub(crate) fn rotation(family: &FamilyId, presented: i64, now: Timestamp) -> RotateRefreshToken {
    RotateRefreshToken {
        family: family.clone(),
        presented,
        client_id: client_id("web"),
        confirmation: None,
        jti: format!("jti-{}", presented + 1),
        idle: DAY * 7,
        grace: Duration::from_secs(10),
        revoked_until: now + HOUR,
        context: at(now),
    }
}

/// A word for each outcome, to compare with.
pub(crate) fn word(rotation: &Rotation) -> &'static str {
    match rotation {
        Rotation::Rotated(_) => "rotated",
        Rotation::SameSuccessor(_) => "same successor",
        Rotation::Replayed(_) => "replayed",
        Rotation::Revoked => "revoked",
        Rotation::Expired => "expired",
        Rotation::Unknown => "unknown",
        Rotation::WrongClient => "wrong client",
        Rotation::WrongKey(_) => "wrong key",
    }
}

pub(crate) fn client(id: &str) -> Client {
    Client {
        client_id: client_id(id),
        name: format!("The client {id}"),
        auth_method: AuthMethod::ClientSecretBasic,
        secrets: vec![ClientSecret {
            id: "s1".into(),
            hash: SecretHash::Sha256("hash".into()),
            created_at: NOW.as_millis(),
            expires_at: None,
        }],
        grant_types: vec![GrantType::ClientCredentials, GrantType::RefreshToken],
        scope: Scope::parse("read write").expect("a scope"),
        resources: vec!["https://api.example.com".into()],
        redirect_uris: vec!["https://web.example.com/cb".into()],
        role: None,
        access_token_seconds: Some(900),
        rotates_refresh_tokens: true,
        metadata: tokensmith_store::ClientMetadata::default(),
        is_active: true,
        created_at: NOW,
        updated_at: NOW,
    }
}

pub(crate) fn signing_key(kid: &str, signs_from: Timestamp) -> SigningKeyRecord {
    SigningKeyRecord {
        kid: kid.into(),
        algorithm: "ES256".into(),
        public_jwk: "{}".into(),
        sealed_private: Some(vec![1, 2, 3]),
        created_at: NOW,
        signs_from,
        signs_until: None,
        published_until: None,
    }
}

/// A session of a day that was never used, by password. Its id is to be replaced.
pub(crate) fn new_session(user: &UserId, now: Timestamp) -> OpenSession {
    OpenSession {
        id: session_of_nobody(),
        user_id: user.clone(),
        org_id: None,
        user_agent: Some("curl".into()),
        device: "curl".into(),
        authentication: Authentication::password(now),
        expires_at: now + DAY,
        idle: None,
        mail_of_new_device: None,
        context: at(now),
    }
}

fn session_of_nobody() -> SessionId {
    let id = "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f".parse();
    id.expect("a canonical UUID")
}
