//! Sign-ins and ceremonies that wait for their second half: a code after a password, or the signature of a passkey over
//! a challenge. Each is named by a secret of which only SHA-256 is kept, lives for minutes and is redeemed once.

use crate::{
    AuditContext, AuditEvent, Authentication, Operation, OrganizationId, Row, SessionId, Store,
    StoreError, Timestamp, Tx, UserId,
    client::json,
    tx::{FromRow, values},
};

/// SHA-256 of the secret that names a pending sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingDigest(pub [u8; 32]);

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingPurpose {
    /// A sign-in by password that needs a second factor.
    SecondFactor,
    /// A sign-in by a passkey alone.
    Passkey,
    /// A passkey that is to be added.
    Registration,
    /// A session in which its user proves again who they are.
    Reauthentication,
}

impl PendingPurpose {
    const ALL: [Self; 4] = [
        Self::SecondFactor,
        Self::Passkey,
        Self::Registration,
        Self::Reauthentication,
    ];

    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecondFactor => "second_factor",
            Self::Passkey => "passkey",
            Self::Registration => "registration",
            Self::Reauthentication => "reauthentication",
        }
    }
}

impl std::str::FromStr for PendingPurpose {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|purpose| purpose.as_str() == word)
            .ok_or_else(|| format!("`{word}` is not the purpose of a pending sign-in"))
    }
}

/// A sign-in or a ceremony that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingSignIn {
    /// What it waits for.
    pub purpose: PendingPurpose,
    /// Who; `None` until a passkey says it.
    pub user_id: Option<UserId>,
    /// The organization that was asked for.
    pub org_id: Option<OrganizationId>,
    /// The session it belongs to.
    pub session_id: Option<SessionId>,
    /// What was proved already.
    pub authentication: Option<Authentication>,
    /// What a passkey must sign.
    pub challenge: [u8; 32],
    /// When it began.
    pub created_at: Timestamp,
    /// From this instant on it is over.
    pub expires_at: Timestamp,
}

const COLUMNS: &str =
    "purpose, user_id, org_id, session_id, level, methods, authenticated_at, challenge, created_at,
    expires_at";

impl FromRow for PendingSignIn {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let level = row.opt_text(4)?;
        let authentication = level.map(|_| Authentication::read(row, 4)).transpose()?;
        let challenge = row.bytes(7)?.try_into();
        Ok(Self {
            purpose: row.word(0)?,
            user_id: row.opt_word(1)?,
            org_id: row.opt_word(2)?,
            session_id: row.opt_word(3)?,
            authentication,
            challenge: challenge.map_err(|_| StoreError::corrupt("a challenge has 32 bytes"))?,
            created_at: row.time(8)?,
            expires_at: row.time(9)?,
        })
    }
}

impl Store {
    /// The pending sign-in with this secret, if it is not over. Reading uses nothing up.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pending_sign_in(
        &self,
        digest: PendingDigest,
        now: Timestamp,
    ) -> Result<Option<PendingSignIn>, StoreError> {
        const READ: &str = const_str::concat!(
            "SELECT ",
            COLUMNS,
            " FROM pending_sign_ins WHERE digest = $1 AND expires_at > $2"
        );
        self.first(READ, values![digest.0.as_slice(), now]).await
    }
}

/// Begins one.
#[derive(Debug)]
pub struct BeginSignIn {
    /// Its secret's digest.
    pub digest: PendingDigest,
    /// What waits.
    pub pending: PendingSignIn,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for BeginSignIn {
    type Outcome = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        const BEGIN: &str = const_str::concat!(
            "INSERT INTO pending_sign_ins (",
            COLUMNS,
            ", digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        );
        let pending = &self.pending;
        let proved = pending.authentication.as_ref();
        let methods = proved.map(|proved| json(&proved.methods)).transpose()?;
        let row = values![
            pending.purpose.as_str(),
            pending.user_id.as_ref(),
            pending.org_id.as_ref(),
            pending.session_id.as_ref(),
            proved.map(|proved| proved.level.as_str()),
            methods.as_ref(),
            proved.map(|proved| proved.at),
            pending.challenge.as_slice(),
            pending.created_at,
            pending.expires_at,
            self.digest.0.as_slice(),
        ];
        tx.execute(BEGIN, row).await?;
        if let (PendingPurpose::SecondFactor, Some(user)) = (pending.purpose, &pending.user_id) {
            let event = AuditEvent::new("mfa.asked").user(user);
            tx.audit(&self.context, event);
        }
        Ok(())
    }
}

/// Redeems one: of several who do, one wins. What it led to has its own audit line.
#[derive(Debug)]
pub struct RedeemSignIn {
    /// Its secret's digest.
    pub digest: PendingDigest,
    /// What it must wait for.
    pub purpose: PendingPurpose,
    /// The instant.
    pub now: Timestamp,
}

impl Operation for RedeemSignIn {
    /// What waited; `None` if it is over, redeemed, or of another purpose.
    type Outcome = Option<PendingSignIn>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<PendingSignIn>, StoreError> {
        const REDEEM: &str = const_str::concat!(
            "DELETE FROM pending_sign_ins WHERE digest = $1 AND purpose = $2 AND expires_at > $3 RETURNING ",
            COLUMNS
        );
        let row = values![self.digest.0.as_slice(), self.purpose.as_str(), self.now];
        tx.first(REDEEM, row).await
    }
}

/// Ends what waits of a user: what was proved before is worth nothing any more.
pub(crate) async fn forget_all(tx: &mut Tx<'_>, user: &UserId) -> Result<u64, StoreError> {
    const FORGET: &str = "DELETE FROM pending_sign_ins WHERE user_id = $1";
    tx.execute(FORGET, values![user]).await
}
