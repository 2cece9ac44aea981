//! Refresh tokens: the generation of their family moves on by compare-and-set (RFC 9700 §4.14.2).
//!
//! A token is `family.generation.secret`, and its secret an HMAC under a root key, so no secret is stored and the
//! same successor can be handed out twice. Honest races are not theft: while neither the successor nor its access
//! token has been used, the direct predecessor gets the same successor again, for a bounded time. Any older token,
//! and the predecessor after that, ends the family. Never are there two branches.
//!
//! Of a family that is bound to a key, whoever does not show that key gets nothing and ends nothing: a thief without
//! the key must not be able to sign the owner out (RFC 9449 §5).

use std::time::Duration;

use tokensmith_oauth2::{ClientId, Confirmation};

use crate::{
    AuditContext, AuditEvent, Durability, FamilyId, Operation, RefreshFamily, StoreError,
    Timestamp, Tx, imported,
    refresh_family::{BY_ID, COLUMNS, about, publish_end},
    tx::{ChangeOne, values},
};

/// Presents the token of one generation of a family and asks for its successor.
///
/// Presenting it also proves that it was received, so the tokens before it are of no honest use any more.
#[derive(Debug)]
pub struct RotateRefreshToken {
    /// The family named by the token.
    pub family: FamilyId,
    /// The generation named by the token.
    pub presented: i64,
    /// The client that presents it.
    pub client_id: ClientId,
    /// The key the client showed, if it showed one.
    pub confirmation: Option<Confirmation>,
    /// `jti` for the access token that is made with a new successor.
    pub jti: String,
    /// How long the successor may lie unused.
    pub idle: Duration,
    /// How long after a rotation the direct predecessor may get the same successor again. Zero: never.
    pub grace: Duration,
    /// When the last access token of the family has expired, for the feed if the family has to end.
    pub revoked_until: Timestamp,
    /// Who asked, and when.
    pub context: AuditContext,
}

/// What became of a presented refresh token.
#[derive(Clone, Debug)]
pub enum Rotation {
    /// It is spent; this is the family with the successor's generation. Hand out that and an access token.
    Rotated(Box<RefreshFamily>),
    /// It was spent a moment ago and nothing was heard of the successor: hand out the very same successor. The
    /// access token is made again under the family's `current_jti`.
    SameSuccessor(Box<RefreshFamily>),
    /// It was spent before. Two hold it, so the family has ended now.
    Replayed(Box<RefreshFamily>),
    /// The family had been ended, or its user is disabled.
    Revoked,
    /// The family is over: too old, or too long unused.
    Expired,
    /// There is no such family, or it never had such a generation.
    Unknown,
    /// It was granted to another client.
    WrongClient,
    /// The family is bound to this key, which was not shown. Nothing changed.
    WrongKey(Confirmation),
}

impl Operation for RotateRefreshToken {
    type Outcome = Rotation;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Rotation, StoreError> {
        const SPEND: &str = "UPDATE refresh_families
            SET generation = generation + 1, rotated_at = $1, successor_used_at = NULL, current_jti = $2,
                idle_expires_at = CASE WHEN $3 < expires_at THEN $3 ELSE expires_at END
            WHERE id = $4 AND generation = $5 AND client_id = $6 AND (cnf IS NULL OR cnf = $7)
                AND revoked_at IS NULL AND expires_at > $1 AND idle_expires_at > $1
                AND (user_id IS NULL OR EXISTS
                    (SELECT 1 FROM users WHERE users.id = refresh_families.user_id AND is_active = 1))";
        const SPEND_AND_READ: ChangeOne = ChangeOne {
            change: SPEND,
            change_returning: const_str::concat!(SPEND, " RETURNING ", COLUMNS),
            read: BY_ID,
        };
        let now = self.context.at;
        let client = self.client_id.as_str();
        let shown = self.confirmation.map(|cnf| cnf.to_string());
        let row = values![
            now,
            &self.jti,
            now + self.idle,
            &self.family,
            self.presented,
            client,
            shown.as_ref(),
        ];
        let key = values![&self.family];
        if let Some(family) = tx
            .change_one::<RefreshFamily>(&SPEND_AND_READ, row, key)
            .await?
        {
            let event =
                about(&family, "refresh_token_rotated").field("generation", family.generation);
            tx.audit(&self.context, event.field("jti", &self.jti));
            return Ok(Rotation::Rotated(Box::new(family)));
        }
        match tx.first(BY_ID, values![&self.family]).await? {
            Some(family) => self.explain(tx, family).await,
            None => Ok(self.refuse(tx, None, Rotation::Unknown, "unknown")),
        }
    }
}

impl RotateRefreshToken {
    /// Why the token could not be spent, and what follows from it.
    async fn explain(
        &self,
        tx: &mut Tx<'_>,
        family: RefreshFamily,
    ) -> Result<Rotation, StoreError> {
        let known = Some(&family);
        if family.client_id != self.client_id {
            return Ok(self.refuse(tx, known, Rotation::WrongClient, "wrong_client"));
        }
        if let Some(bound) = family
            .confirmation
            .filter(|_| family.confirmation != self.confirmation)
        {
            return Ok(self.refuse(tx, known, Rotation::WrongKey(bound), "wrong_key"));
        }
        if family.revoked_at.is_some() {
            return Ok(self.refuse(tx, known, Rotation::Revoked, "revoked"));
        }
        if !family.is_live(self.context.at) {
            let is_idle = self.context.at < family.expires_at;
            let reason = if is_idle { "idle_expired" } else { "expired" };
            return Ok(self.refuse(tx, known, Rotation::Expired, reason));
        }
        let was_there = self.presented >= 1
            || imported::has_generation(tx, &self.family, self.presented).await?;
        if self.presented > family.generation || !was_there {
            return Ok(self.refuse(tx, known, Rotation::Unknown, "unknown_generation"));
        }
        if self.presented == family.generation {
            return self.user_disabled(tx, &family).await;
        }
        if self.presented + 1 == family.generation && self.may_have_it_again(tx, &family).await? {
            let event = about(&family, "refresh_token_repeated")
                .field("generation", family.generation)
                .field("jti", family.current_jti.as_deref().unwrap_or_default());
            tx.audit(&self.context, event);
            return Ok(Rotation::SameSuccessor(Box::new(family)));
        }
        self.end_replayed(tx, family).await
    }

    /// The newest token could not be spent though its family lives: its user is disabled, unless something changed
    /// between the two statements, which a second run will see.
    async fn user_disabled(
        &self,
        tx: &mut Tx<'_>,
        family: &RefreshFamily,
    ) -> Result<Rotation, StoreError> {
        const ACTIVE: &str = "SELECT is_active FROM users WHERE id = $1";
        let active: Option<i64> = tx.first(ACTIVE, values![family.user_id.as_ref()]).await?;
        if family.user_id.is_none() || active == Some(1) {
            return Err(StoreError::Contended(
                "a refresh token changed while it was presented".into(),
            ));
        }
        Ok(self.refuse(tx, Some(family), Rotation::Revoked, "user_disabled"))
    }

    /// Proves that nothing was heard of the successor, and that the family still lives, on the locked row.
    async fn may_have_it_again(
        &self,
        tx: &mut Tx<'_>,
        family: &RefreshFamily,
    ) -> Result<bool, StoreError> {
        const AGAIN: &str = "UPDATE refresh_families SET rotated_at = rotated_at
            WHERE id = $1 AND generation = $2 AND successor_used_at IS NULL AND revoked_at IS NULL
                AND rotated_at > $3 AND expires_at > $4 AND idle_expires_at > $4
                AND (user_id IS NULL OR EXISTS
                    (SELECT 1 FROM users WHERE users.id = refresh_families.user_id AND is_active = 1))";
        let now = self.context.at;
        let row = values![&self.family, family.generation, now - self.grace, now];
        tx.won(AGAIN, row).await
    }

    async fn end_replayed(
        &self,
        tx: &mut Tx<'_>,
        family: RefreshFamily,
    ) -> Result<Rotation, StoreError> {
        const END: &str = const_str::concat!(
            "UPDATE refresh_families SET revoked_at = $1, revoked_reason = 'reuse'
            WHERE id = $2 AND generation > $3 AND revoked_at IS NULL RETURNING ",
            COLUMNS
        );
        let row = values![self.context.at, &self.family, self.presented];
        let Some(ended) = tx.first::<RefreshFamily>(END, row).await? else {
            return Ok(self.refuse(tx, Some(&family), Rotation::Revoked, "revoked"));
        };
        publish_end(
            tx,
            std::slice::from_ref(&ended),
            self.context.at,
            self.revoked_until,
        )
        .await?;
        // Why it was no honest repetition: how long ago it was spent, and whether its successor was used.
        let mut event = about(&ended, "refresh_token_reuse")
            .outcome("family_ended")
            .field("presented", self.presented)
            .field("generation", ended.generation)
            .field("rotated_at", ended.rotated_at);
        if let Some(used) = ended.successor_used_at {
            event = event.field("successor_used_at", used);
        }
        tx.audit(&self.context, event);
        Ok(Rotation::Replayed(Box::new(ended)))
    }

    fn refuse(
        &self,
        tx: &mut Tx<'_>,
        family: Option<&RefreshFamily>,
        rotation: Rotation,
        reason: &'static str,
    ) -> Rotation {
        let mut event = AuditEvent::new("refresh_token_invalid")
            .outcome(reason)
            .client(&self.client_id)
            .grant(&self.family)
            .field("presented", self.presented);
        event.user_id = family.and_then(|family| family.user_id.as_ref().map(ToString::to_string));
        tx.audit(&self.context, event);
        rotation
    }
}

/// The access token made with a family's newest refresh token was seen in use: its predecessor is of no honest use
/// any more.
#[derive(Debug)]
pub struct MarkSuccessorUsed {
    /// The family.
    pub family: FamilyId,
    /// The `jti` of the access token.
    pub jti: String,
    /// Now.
    pub now: Timestamp,
}

impl Operation for MarkSuccessorUsed {
    /// Whether this was the first use of the newest one.
    type Outcome = bool;

    /// Losing the mark in a power cut leaves the predecessor its bounded time, no more.
    fn durability(&self) -> Durability {
        Durability::CrashSafe
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const MARK: &str = "UPDATE refresh_families SET successor_used_at = $1
            WHERE id = $2 AND current_jti = $3 AND successor_used_at IS NULL";
        tx.won(MARK, values![self.now, &self.family, &self.jti])
            .await
    }
}
