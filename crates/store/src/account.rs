//! What people do with their own account: register, prove or change its address, choose a new password, leave.
//! Each is one transaction with the mail that tells of it.

use crate::{
    AuditContext, AuditEvent, Mail, NewProof, Operation, PasswordHash, ProofKind, RegisterUser,
    SessionsEnded, ShownProof, StoreError, Timestamp, Tx, UserId, UserRegistration, account_proof,
    organization::lock,
    pending_sign_in, remembered_device,
    session::{self, Ending},
    tx::values,
    user::key,
};

/// Registers a user who asked for it themselves. A new one is sent a proof of the address; an address that has an
/// account is told so by mail, and by nothing else.
#[derive(Debug)]
pub struct RegisterAccount {
    /// The user.
    pub user: RegisterUser,
    /// For a new user.
    pub proof: NewProof,
    /// Carries it.
    pub proof_mail: Mail,
    /// For whoever has the address. Its user is found by the address.
    pub notice: NewProof,
    /// Carries it.
    pub notice_mail: Mail,
}

impl Operation for RegisterAccount {
    type Outcome = UserRegistration;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<UserRegistration, StoreError> {
        let context = &self.user.context;
        let registration = self.user.run(tx).await?;
        match registration {
            UserRegistration::Created => {
                if self.proof.keep(tx, context.at).await? {
                    tx.mail(&self.proof_mail, context.at).await?;
                }
            }
            UserRegistration::EmailTaken => {
                self.notify(tx).await?;
                let event = AuditEvent::new("registration_refused").outcome("address_known");
                tx.audit(context, event);
            }
            UserRegistration::UsernameTaken => {}
        }
        Ok(registration)
    }
}

impl RegisterAccount {
    async fn notify(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        const OWNER: &str = "SELECT id FROM users WHERE email_key = $1";
        let email_key = key(&self.user.email);
        let owner: Option<String> = tx.first(OWNER, values![&email_key]).await?;
        let Some(owner) = owner else {
            return Ok(());
        };
        let notice = NewProof {
            user_id: owner.parse().map_err(StoreError::corrupt)?,
            ..self.notice.clone()
        };
        if notice.keep(tx, self.user.context.at).await? {
            tx.mail(&self.notice_mail, self.user.context.at).await?;
        }
        Ok(())
    }
}

/// Calls an address proved.
#[derive(Debug)]
pub struct VerifyEmail {
    /// Whose.
    pub user_id: UserId,
    /// What was shown.
    pub shown: ShownProof,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for VerifyEmail {
    /// Whether the proof was good, for the address that the account has now.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const VERIFY: &str =
            "UPDATE users SET email_verified_at = COALESCE(email_verified_at, $1), updated_at = $1
            WHERE id = $2 AND email_key = $3 AND is_active = 1";
        let kind = (ProofKind::VerifyEmail, &self.user_id);
        let spent = account_proof::spend(tx, kind, &self.shown, self.context.at).await?;
        let verified = match spent {
            Some(email) => {
                let email_key = key(&email);
                let row = values![self.context.at, &self.user_id, &email_key];
                tx.won(VERIFY, row).await?
            }
            None => false,
        };
        let event = AuditEvent::new("email_verified").user(&self.user_id);
        let event = event.outcome(if verified { "done" } else { "refused" });
        tx.audit(&self.context, event);
        Ok(verified)
    }
}

/// Chooses a new password for a proof from a mail. Every session ends; second factors stay as they are.
#[derive(Debug)]
pub struct ResetPassword {
    /// Whose.
    pub user_id: UserId,
    /// What was shown.
    pub shown: ShownProof,
    /// The hash from now on.
    pub new_hash: PasswordHash,
    /// When the last access token of the ended sessions has expired.
    pub revoked_until: Timestamp,
    /// Tells the user.
    pub mail: Mail,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for ResetPassword {
    /// What ended; `None` if the proof was not good.
    type Outcome = Option<SessionsEnded>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<SessionsEnded>, StoreError> {
        const RESET: &str = "UPDATE users SET password_hash = $1, password_changed_at = $2, updated_at = $2,
            email_verified_at = COALESCE(email_verified_at, $2) WHERE id = $3 AND email_key = $4 AND is_active = 1";
        let (now, user) = (self.context.at, &self.user_id);
        let kind = (ProofKind::ResetPassword, user);
        let spent = account_proof::spend(tx, kind, &self.shown, now).await?;
        let reset = match spent {
            Some(email) => {
                let email_key = key(&email);
                let row = values![&self.new_hash, now, user, &email_key];
                tx.won(RESET, row).await?
            }
            None => false,
        };
        if !reset {
            let event = AuditEvent::new("password_reset").user(user);
            tx.audit(&self.context, event.outcome("refused"));
            return Ok(None);
        }
        let ending = Ending {
            reason: "password_reset",
            revoked_until: self.revoked_until,
            context: &self.context,
        };
        let ended = session::end_of_user(tx, user, None, &ending).await?;
        account_proof::forget(tx, user, ProofKind::ChangeEmail).await?;
        remembered_device::forget_all(tx, user).await?;
        pending_sign_in::forget_all(tx, user).await?;
        tx.mail(&self.mail, now).await?;
        let event = AuditEvent::new("password_reset")
            .user(user)
            .outcome("done")
            .field("sessions_ended", ended.sessions);
        tx.audit(&self.context, event);
        Ok(Some(ended))
    }
}

/// What became of a change of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailChange {
    /// The account has the new address, proved.
    Done,
    /// The proof is not good.
    Refused,
    /// Somebody else has the address by now. The proof is spent.
    Taken,
}

/// Gives an account the address that a proof was sent to.
#[derive(Debug)]
pub struct ChangeEmail {
    /// Whose.
    pub user_id: UserId,
    /// What was shown.
    pub shown: ShownProof,
    /// Tells the address the account had.
    pub mail: Mail,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for ChangeEmail {
    type Outcome = EmailChange;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<EmailChange, StoreError> {
        const CHANGE: &str = "UPDATE users SET email = $1, email_key = $2, email_verified_at = $3, updated_at = $3
            WHERE id = $4 AND is_active = 1
            AND NOT EXISTS (SELECT 1 FROM users AS other WHERE other.email_key = $2 AND other.id <> $4)";
        let (now, user) = (self.context.at, &self.user_id);
        let kind = (ProofKind::ChangeEmail, user);
        let Some(email) = account_proof::spend(tx, kind, &self.shown, now).await? else {
            return Ok(EmailChange::Refused);
        };
        if !tx
            .won(CHANGE, values![&email, &key(&email), now, user])
            .await?
        {
            return Ok(EmailChange::Taken);
        }
        // What was sent to the former address permits nothing any more.
        for kind in [ProofKind::VerifyEmail, ProofKind::ResetPassword] {
            account_proof::forget(tx, user, kind).await?;
        }
        tx.mail(&self.mail, now).await?;
        tx.audit(&self.context, AuditEvent::new("email_changed").user(user));
        Ok(EmailChange::Done)
    }
}

/// What became of a wish to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountDeletion {
    /// The user is gone.
    Deleted,
    /// There is no such user.
    NoSuchUser,
    /// These organizations have other members and no other owner: their names.
    LastOwnerOf(Vec<String>),
}

/// Deletes a user with everything that is theirs, and organizations in which they are alone. Audit lines stay: they
/// hold the user's id and neither name nor address.
#[derive(Debug)]
pub struct DeleteAccount {
    /// Whom.
    pub user_id: UserId,
    /// When the last access token issued so far has expired.
    pub revoked_until: Timestamp,
    /// Tells the user.
    pub mail: Option<Mail>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for DeleteAccount {
    type Outcome = AccountDeletion;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<AccountDeletion, StoreError> {
        const DELETE: &str = "DELETE FROM users WHERE id = $1";
        const FAMILIES: &str = "DELETE FROM refresh_families WHERE user_id = $1";
        let user = &self.user_id;
        let alone = match self.organizations(tx).await? {
            Ok(alone) => alone,
            Err(names) => return Ok(AccountDeletion::LastOwnerOf(names)),
        };
        let ending = Ending {
            reason: "user_deleted",
            revoked_until: self.revoked_until,
            context: &self.context,
        };
        session::end_everything_of_user(tx, user, &ending).await?;
        for org in &alone {
            tx.execute("DELETE FROM organizations WHERE id = $1", values![org])
                .await?;
            let event = AuditEvent::new("organization_deleted").user(user);
            tx.audit(&self.context, event.org(org));
        }
        tx.execute(FAMILIES, values![user]).await?;
        if !tx.won(DELETE, values![user]).await? {
            return Ok(AccountDeletion::NoSuchUser);
        }
        if let Some(mail) = &self.mail {
            tx.mail(mail, self.context.at).await?;
        }
        tx.audit(&self.context, AuditEvent::new("user_deleted").user(user));
        Ok(AccountDeletion::Deleted)
    }
}

impl DeleteAccount {
    /// The organizations in which the user is alone; or the names of those that would have members and no owner.
    /// Every one of them is locked first, so that nobody joins or leaves meanwhile.
    async fn organizations(
        &self,
        tx: &mut Tx<'_>,
    ) -> Result<Result<Vec<String>, Vec<String>>, StoreError> {
        const OF_USER: &str = "SELECT org_id FROM memberships WHERE user_id = $1 ORDER BY org_id";
        const OTHERS: &str = "SELECT count(*) FROM memberships WHERE org_id = $1 AND user_id <> $2";
        const WITHOUT_OWNER: &str = "SELECT o.name FROM organizations AS o
            JOIN memberships AS m ON m.org_id = o.id AND m.user_id = $1 AND m.role = 'owner'
            WHERE o.id = $2 AND NOT EXISTS (SELECT 1 FROM memberships AS other
                WHERE other.org_id = o.id AND other.user_id <> $1 AND other.role = 'owner')";
        let user = &self.user_id;
        let (mut alone, mut stuck) = (Vec::new(), Vec::new());
        let orgs: Vec<String> = tx.all(OF_USER, values![user]).await?;
        for org in orgs {
            lock(tx, &org.parse().map_err(StoreError::corrupt)?).await?;
            let others: Option<i64> = tx.first(OTHERS, values![&org, user]).await?;
            if others == Some(0) {
                alone.push(org);
                continue;
            }
            let name: Option<String> = tx.first(WITHOUT_OWNER, values![user, &org]).await?;
            stuck.extend(name);
        }
        Ok(if stuck.is_empty() {
            Ok(alone)
        } else {
            Err(stuck)
        })
    }
}
