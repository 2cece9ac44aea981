//! Several declarations change together, or none does. Every such change begins with the lock of the configuration
//! epoch's row, which every writer of declarations takes before it commits; so what is read here is what is changed.

use super::{Declaration, references, rows};
use crate::{
    AuditContext, AuditEvent, Operation, RevocationKind, StoreError, Timestamp, Tx, epoch,
    revocation,
};

/// One record as the caller saw it, and as it should be.
#[derive(Clone, Debug)]
pub struct DeclarationChange {
    /// `None`: it must not be there yet.
    pub before: Option<Declaration>,
    /// `None`: it goes away.
    pub after: Option<Declaration>,
    /// The names of the members that change, for the audit line. Never their values.
    pub members: Vec<String>,
}

impl DeclarationChange {
    fn either(&self) -> Option<&Declaration> {
        self.after.as_ref().or(self.before.as_ref())
    }
}

/// Changes declarations in one transaction.
#[derive(Debug)]
pub struct ChangeDeclarations {
    /// The changes; each record at most once.
    pub changes: Vec<DeclarationChange>,
    /// Names that may be referred to although nobody declared them: scopes and permissions of the server itself, and its
    /// default audience.
    pub built_in: Vec<String>,
    /// When the last access token of a removed client has expired.
    pub revoked_until: Timestamp,
    /// Who asked.
    pub context: AuditContext,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// All of it is done.
    Done,
    /// These records are not as the caller saw them. Nothing was changed.
    ChangedMeanwhile(Vec<String>),
    /// The registry would contradict itself: one sentence for each reason. Nothing was changed.
    Refused(Vec<String>),
}

impl Operation for ChangeDeclarations {
    type Outcome = Declared;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Declared, StoreError> {
        epoch::lock(tx).await?;
        let mut others = Vec::new();
        for change in &self.changes {
            let Some(record) = change.either() else {
                continue;
            };
            let current = rows::current(tx, record.kind(), record.key()).await?;
            if current != change.before {
                others.push(format!("{} {}", record.kind().word(), record.key()));
            }
        }
        if !others.is_empty() {
            return Ok(Declared::ChangedMeanwhile(others));
        }
        let problems = references::problems(tx, &self.changes, &self.built_in).await?;
        if !problems.is_empty() {
            return Ok(Declared::Refused(problems));
        }
        for change in &self.changes {
            self.write(tx, change).await?;
        }
        epoch::advance(tx).await?;
        Ok(Declared::Done)
    }
}

impl ChangeDeclarations {
    async fn write(&self, tx: &mut Tx<'_>, change: &DeclarationChange) -> Result<(), StoreError> {
        match (&change.before, &change.after) {
            (_, Some(after)) => rows::put(tx, after, self.context.at).await?,
            (Some(before), None) => rows::remove(tx, before).await?,
            (None, None) => return Ok(()),
        }
        if let Some((kind, subject)) = revoked(change) {
            let feed = revocation::Feed {
                kind,
                revoked_at: self.context.at,
                expires_at: self.revoked_until,
            };
            revocation::publish(tx, &feed, &[subject]).await?;
        }
        if let Some(event) = event(change) {
            tx.audit(&self.context, event);
        }
        Ok(())
    }
}

/// What the feed must say of a change: tokens of a client that is gone, and tokens that say a role which means something
/// else now. A token says every role it holds, the included ones too.
fn revoked(change: &DeclarationChange) -> Option<(RevocationKind, String)> {
    match (change.before.as_ref()?, &change.after) {
        (Declaration::Client(client), None) => {
            Some((RevocationKind::Client, client.client_id.to_string()))
        }
        (Declaration::Role(before), after) => {
            let is_same = matches!(after, Some(Declaration::Role(after))
                if (&after.permissions, &after.includes) == (&before.permissions, &before.includes));
            (!is_same).then(|| (RevocationKind::Role, before.name.clone()))
        }
        _ => None,
    }
}

fn event(change: &DeclarationChange) -> Option<AuditEvent> {
    let record = change.either()?;
    let (before, after) = (change.before.is_some(), change.after.is_some());
    let word = match record {
        Declaration::Scope(_) if after => "scope_declared",
        Declaration::Scope(_) => "scope_removed",
        Declaration::Resource(_) if after => "resource_declared",
        Declaration::Resource(_) => "resource_removed",
        Declaration::Permission(_) if after => "permission_declared",
        Declaration::Permission(_) => "permission_removed",
        Declaration::Role(_) if after => "role_declared",
        Declaration::Role(_) => "role_removed",
        Declaration::Client(_) if !before => "client_registered",
        Declaration::Client(_) if after => "client_changed",
        Declaration::Client(_) => "client_removed",
        Declaration::Issuer(_) if after => "trusted_issuer_changed",
        Declaration::Issuer(_) => "trusted_issuer_removed",
    };
    let event = AuditEvent::new(word);
    let event = match record {
        Declaration::Client(client) => event.client(&client.client_id),
        other => event.field(other.kind().word(), other.key()),
    };
    Some(match change.members.as_slice() {
        [] => event,
        members => event.field("members", members.join(" ")),
    })
}
