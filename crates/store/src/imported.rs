//! What comes from the older machine-to-machine service: refresh tokens that it wrote, kept as hashes, each the
//! generation 0 of a new family or one spent before; and lines of its audit log. Every operation may be repeated.

use crate::{
    AuditContext, AuditEvent, Durability, FamilyId, Operation, RefreshFamily, Row, Store,
    StoreError, Tx,
    client::json,
    refresh_family::about,
    tx::{FromRow, values},
};

/// The generation of imported tokens that were spent before: never the direct predecessor of a live one.
pub const SPENT_BEFORE_IMPORT: i64 = -2;

/// What an imported refresh token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedRefreshToken {
    /// Its family.
    pub family: FamilyId,
    /// 0, or [`SPENT_BEFORE_IMPORT`].
    pub generation: i64,
}

impl FromRow for ImportedRefreshToken {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            family: row.word(0)?,
            generation: row.int(1)?,
        })
    }
}

const FIND: &str = "SELECT family_id, generation FROM imported_refresh_tokens WHERE digest = $1";
const ADD_TOKEN: &str = "INSERT INTO imported_refresh_tokens (digest, family_id, generation)
    VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING";

impl Store {
    /// What the imported refresh token with this SHA-256 stands for.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn imported_refresh_token(
        &self,
        digest: &[u8],
    ) -> Result<Option<ImportedRefreshToken>, StoreError> {
        self.first(FIND, values![digest]).await
    }
}

/// Brings over a family with its one token that may be presented, or, without a token, an ended one for spent tokens.
#[derive(Debug)]
pub struct ImportRefreshFamily {
    /// The family of a client itself; its generation is 0, whatever it says.
    pub family: RefreshFamily,
    /// SHA-256 of the token.
    pub digest: Option<[u8; 32]>,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for ImportRefreshFamily {
    /// Whether it is new: nothing is done about a token that is known.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const ADD: &str =
            "INSERT INTO refresh_families (id, root_key, client_id, scope, resources, generation,
            rotated_at, created_at, expires_at, idle_expires_at, revoked_at, revoked_reason)
            VALUES ($1, $2, $3, $4, $5, 0, $6, $6, $7, $8, $9, $10)";
        let family = &self.family;
        if let Some(digest) = &self.digest {
            let known: Option<ImportedRefreshToken> = tx.first(FIND, values![&digest[..]]).await?;
            if known.is_some() {
                return Ok(false);
            }
        }
        let (scope, resources) = (family.scope.to_string(), json(&family.resources)?);
        let row = values![
            &family.id,
            &family.root_key,
            family.client_id.as_str(),
            &scope,
            &resources,
            self.context.at,
            family.expires_at,
            family.idle_expires_at.min(family.expires_at),
            family.revoked_at,
            family.revoked_reason.as_ref(),
        ];
        tx.execute(ADD, row).await?;
        if let Some(digest) = &self.digest {
            tx.execute(ADD_TOKEN, values![&digest[..], &family.id, 0])
                .await?;
        }
        tx.audit(&self.context, about(family, "refresh_family_imported"));
        Ok(true)
    }
}

/// Brings over a refresh token that was spent: shown again, it ends its family.
#[derive(Debug)]
pub struct ImportSpentRefreshToken {
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// Its family.
    pub family: FamilyId,
}

impl Operation for ImportSpentRefreshToken {
    /// Whether it is new.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let row = values![&self.digest[..], &self.family, SPENT_BEFORE_IMPORT];
        tx.won(ADD_TOKEN, row).await
    }
}

/// Whether a family has an imported token of this generation.
pub(crate) async fn has_generation(
    tx: &mut Tx<'_>,
    family: &FamilyId,
    generation: i64,
) -> Result<bool, StoreError> {
    const ANY: &str = "SELECT generation FROM imported_refresh_tokens
        WHERE family_id = $1 AND generation = $2 LIMIT 1";
    let found: Option<i64> = tx.first(ANY, values![family, generation]).await?;
    Ok(found.is_some())
}

/// Brings over a line of an older audit log, as a line of ours that tells of it.
#[derive(Debug)]
pub struct ImportAuditLine {
    /// SHA-256 of the document.
    pub digest: [u8; 32],
    /// What it says.
    pub event: AuditEvent,
    /// Who asked, and when.
    pub context: AuditContext,
}

impl Operation for ImportAuditLine {
    /// Whether it is new.
    type Outcome = bool;

    fn durability(&self) -> Durability {
        Durability::CrashSafe
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const ADD: &str =
            "INSERT INTO imported_audit_lines (digest) VALUES ($1) ON CONFLICT (digest) DO NOTHING";
        let is_new = tx.won(ADD, values![&self.digest[..]]).await?;
        if is_new {
            tx.audit(&self.context, self.event.clone());
        }
        Ok(is_new)
    }
}
