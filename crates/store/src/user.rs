//! Users: who may sign in. Passwords are kept as PHC strings, never as themselves.
//!
//! E-mail addresses and usernames are compared by their exact characters, except that A-Z equal a-z. No Unicode
//! folding or normalisation: a look-alike address is another address, never somebody's account.

use crate::{
    AuditContext, AuditEvent, Operation, ProofKind, Row, SessionId, Store, StoreError, Timestamp,
    Tx, UserId, account_proof,
    client::json,
    pending_sign_in, remembered_device,
    session::{self, SessionsEnded},
    tx::{FromRow, values},
};

/// A password's hash (a PHC string). Printed only by who asks for it.
#[derive(Clone, PartialEq, Eq, zeroize::ZeroizeOnDrop)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a PHC string; what is in it is not looked at.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

impl<'a> From<&'a PasswordHash> for crate::Value<'a> {
    fn from(hash: &'a PasswordHash) -> Self {
        Self::Text(&hash.0)
    }
}

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// A UUIDv7.
    pub id: UserId,
    /// The address as it was given.
    pub email: String,
    /// The name for signing in, if there is one.
    pub username: Option<String>,
    /// `None` for a user without a password.
    pub password_hash: Option<PasswordHash>,
    /// Roles over the whole server, not of an organization.
    pub roles: Vec<String>,
    /// A disabled user is refused everywhere.
    pub is_active: bool,
    /// When the address was proved.
    pub email_verified_at: Option<Timestamp>,
    /// When the password was last changed by its owner.
    pub password_changed_at: Option<Timestamp>,
    /// When a session was last opened.
    pub last_login_at: Option<Timestamp>,
    /// When the user was registered.
    pub created_at: Timestamp,
    /// When the record was last changed.
    pub updated_at: Timestamp,
}

impl User {
    /// The one role over the whole server that older clients read: the first, or `user`.
    pub fn role(&self) -> &str {
        self.roles.first().map_or("user", String::as_str)
    }
}

const COLUMNS: &str =
    "SELECT id, email, username, password_hash, roles, is_active, email_verified_at,
    password_changed_at, last_login_at, created_at, updated_at FROM users";

impl FromRow for User {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.word(0)?,
            email: row.text(1)?,
            username: row.opt_text(2)?,
            password_hash: row.opt_text(3)?.map(PasswordHash),
            roles: row.json(4)?,
            is_active: row.flag(5)?,
            email_verified_at: row.opt_time(6)?,
            password_changed_at: row.opt_time(7)?,
            last_login_at: row.opt_time(8)?,
            created_at: row.time(9)?,
            updated_at: row.time(10)?,
        })
    }
}

impl Store {
    /// The user with this id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        const BY_ID: &str = const_str::concat!(COLUMNS, " WHERE id = $1");
        self.first(BY_ID, values![id]).await
    }

    /// The user who signs in with this e-mail address or username. A text with `@` is only ever an address and any
    /// other only ever a username, so nobody can take a username that reads as somebody's address.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn user_by_login(&self, login: &str) -> Result<Option<User>, StoreError> {
        const BY_EMAIL: &str = const_str::concat!(COLUMNS, " WHERE email_key = $1");
        const BY_USERNAME: &str = const_str::concat!(COLUMNS, " WHERE username_key = $1");
        let sql = if login.contains('@') {
            BY_EMAIL
        } else {
            BY_USERNAME
        };
        self.first(sql, values![&key(login)]).await
    }

    /// Users in the order of their ids, after `after` (empty: from the first).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn users(&self, after: &str, limit: i64) -> Result<Vec<User>, StoreError> {
        const PAGE: &str = const_str::concat!(COLUMNS, " WHERE id > $1 ORDER BY id LIMIT $2");
        self.all(PAGE, values![after, limit]).await
    }
}

/// What addresses and usernames are compared by.
pub(crate) fn key(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// Registers a user.
#[derive(Debug)]
pub struct RegisterUser {
    /// A fresh UUIDv7.
    pub id: UserId,
    /// The address as it was given.
    pub email: String,
    /// A username without `@`, if there is one.
    pub username: Option<String>,
    /// `None` for a user who cannot sign in by password.
    pub password_hash: Option<PasswordHash>,
    /// Roles over the whole server.
    pub roles: Vec<String>,
    /// Who asked, and when.
    pub context: AuditContext,
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRegistration {
    /// The user is new.
    Created,
    /// The address belongs to somebody; nothing was changed.
    EmailTaken,
    /// The username belongs to somebody; nothing was changed.
    UsernameTaken,
}

impl Operation for RegisterUser {
    type Outcome = UserRegistration;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<UserRegistration, StoreError> {
        const REGISTER: &str = "INSERT INTO users (id, email, email_key, username, username_key, password_hash, roles,
            is_active, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $8) ON CONFLICT DO NOTHING";
        let (email_key, username_key) = (key(&self.email), self.username.as_deref().map(key));
        let roles = json(&self.roles)?;
        let row = values![
            &self.id,
            &self.email,
            &email_key,
            self.username.as_ref(),
            username_key.as_ref(),
            self.password_hash.as_ref(),
            &roles,
            self.context.at,
        ];
        if !tx.won(REGISTER, row).await? {
            return taken(tx, &email_key, username_key.as_deref()).await;
        }
        let event = AuditEvent::new("user_registered").user(&self.id);
        tx.audit(&self.context, event);
        Ok(UserRegistration::Created)
    }
}

async fn taken(
    tx: &mut Tx<'_>,
    email_key: &str,
    username_key: Option<&str>,
) -> Result<UserRegistration, StoreError> {
    const EMAIL: &str = "SELECT id FROM users WHERE email_key = $1";
    const USERNAME: &str = "SELECT id FROM users WHERE username_key = $1";
    let by_email: Option<String> = tx.first(EMAIL, values![email_key]).await?;
    if by_email.is_some() {
        return Ok(UserRegistration::EmailTaken);
    }
    let by_username: Option<String> = tx.first(USERNAME, values![username_key]).await?;
    match by_username {
        Some(_) => Ok(UserRegistration::UsernameTaken),
        None => Err(StoreError::corrupt("a new user has the id of another one")),
    }
}

/// A user changes their password. Every other session ends in the same transaction.
#[derive(Debug)]
pub struct ChangePassword {
    /// Whose.
    pub user_id: UserId,
    /// The hash the present password was checked against. If it is another by now, nothing happens.
    pub old_hash: Option<PasswordHash>,
    /// The hash from now on.
    pub new_hash: PasswordHash,
    /// The session that asks, and goes on.
    pub except: Option<SessionId>,
    /// When the last access token of the ended sessions has expired.
    pub revoked_until: Timestamp,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for ChangePassword {
    /// What else ended; `None` if the hash was another one.
    type Outcome = Option<SessionsEnded>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<SessionsEnded>, StoreError> {
        const CHANGE: &str =
            "UPDATE users SET password_hash = $1, password_changed_at = $2, updated_at = $2
            WHERE id = $3 AND is_active = 1 AND COALESCE(password_hash, '') = $4";
        let old = self.old_hash.as_ref().map_or("", PasswordHash::as_str);
        let row = values![&self.new_hash, self.context.at, &self.user_id, old];
        if !tx.won(CHANGE, row).await? {
            return Ok(None);
        }
        let ending = session::Ending {
            reason: "password_changed",
            revoked_until: self.revoked_until,
            context: &self.context,
        };
        let ended = session::end_of_user(tx, &self.user_id, self.except.as_ref(), &ending).await?;
        remembered_device::forget_all(tx, &self.user_id).await?;
        pending_sign_in::forget_all(tx, &self.user_id).await?;
        account_proof::forget(tx, &self.user_id, ProofKind::ResetPassword).await?;
        let event = AuditEvent::new("password_changed")
            .user(&self.user_id)
            .field("sessions_ended", ended.sessions);
        tx.audit(&self.context, event);
        Ok(Some(ended))
    }
}

/// Replaces a hash by a stronger one of the same password, right after the password was checked against it.
#[derive(Debug)]
pub struct UpgradePasswordHash {
    /// Whose.
    pub user_id: UserId,
    /// The hash the password was checked against.
    pub old_hash: PasswordHash,
    /// The stronger one.
    pub new_hash: PasswordHash,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for UpgradePasswordHash {
    /// Whether the old hash was still there.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const UPGRADE: &str = "UPDATE users SET password_hash = $1, updated_at = $2 WHERE id = $3 AND password_hash = $4";
        let row = values![
            &self.new_hash,
            self.context.at,
            &self.user_id,
            &self.old_hash
        ];
        let won = tx.won(UPGRADE, row).await?;
        if won {
            let event = AuditEvent::new("password_hash_upgraded").user(&self.user_id);
            tx.audit(&self.context, event);
        }
        Ok(won)
    }
}

/// Allows or disables a user. Disabling ends every session and refresh token, and refuses every access token.
#[derive(Debug)]
pub struct SetUserActive {
    /// Whom.
    pub user_id: UserId,
    /// Whether the user may do anything.
    pub is_active: bool,
    /// When the last access token issued so far has expired.
    pub revoked_until: Timestamp,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for SetUserActive {
    /// Whether this changed anything: `false` for an unknown user and for one who is so already.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const SET: &str =
            "UPDATE users SET is_active = $1, updated_at = $2 WHERE id = $3 AND is_active <> $1";
        let row = values![self.is_active, self.context.at, &self.user_id];
        if !tx.won(SET, row).await? {
            return Ok(false);
        }
        if !self.is_active {
            let ending = session::Ending {
                reason: "user_disabled",
                revoked_until: self.revoked_until,
                context: &self.context,
            };
            session::end_everything_of_user(tx, &self.user_id, &ending).await?;
        }
        let event = if self.is_active {
            "user_enabled"
        } else {
            "user_disabled"
        };
        tx.audit(&self.context, AuditEvent::new(event).user(&self.user_id));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn addresses_are_compared_without_unicode_folding() {
        assert_eq!(key("Mike@C1.test"), "mike@c1.test");
        for look_alike in [
            "m\u{131}ke@c1.test",
            "mi\u{212a}e@c1.test",
            "mike\u{ff20}c1.test",
        ] {
            assert_ne!(key(look_alike), "mike@c1.test");
        }
    }
}
