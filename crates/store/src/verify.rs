//! The store's own consistency check: what must always hold, whatever was written. Run after every HTTP test and
//! by `tokensmith audit verify`.

use crate::{Row, Store, StoreError, tx::FromRow};

/// Something that must hold and does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {detail}")]
pub struct BrokenInvariant {
    /// What must hold.
    pub invariant: &'static str,
    /// Where it does not.
    pub detail: String,
}

/// A sentence, and a query for what breaks it.
type Check = (&'static str, &'static str);

const CHECKS: &[Check] = &[
    (
        "mail that is done has an outcome and keeps neither address nor text",
        "SELECT id FROM outbox WHERE (done_at IS NULL) <> (outcome IS NULL)
            OR (done_at IS NOT NULL AND (recipient <> '' OR length(sealed) > 0)) LIMIT 20",
    ),
    (
        "every organization has an owner",
        "SELECT o.id FROM organizations AS o WHERE NOT EXISTS
            (SELECT 1 FROM memberships AS m WHERE m.org_id = o.id AND m.role = 'owner') LIMIT 20",
    ),
    (
        "a membership has its organization, its user and a known role",
        "SELECT m.org_id || ' ' || m.user_id FROM memberships AS m
            WHERE m.role NOT IN ('owner', 'admin', 'member')
            OR NOT EXISTS (SELECT 1 FROM organizations AS o WHERE o.id = m.org_id)
            OR NOT EXISTS (SELECT 1 FROM users AS u WHERE u.id = m.user_id) LIMIT 20",
    ),
    (
        "a group has its organization",
        "SELECT g.id FROM member_groups AS g WHERE NOT EXISTS
            (SELECT 1 FROM organizations AS o WHERE o.id = g.org_id) LIMIT 20",
    ),
    (
        "members of a group are members of its organization",
        "SELECT gm.group_id || ' ' || gm.user_id FROM group_members AS gm WHERE NOT EXISTS
            (SELECT 1 FROM member_groups AS g JOIN memberships AS m ON m.org_id = g.org_id
                WHERE g.id = gm.group_id AND m.user_id = gm.user_id) LIMIT 20",
    ),
    (
        "a session has its user and ends after it began",
        "SELECT s.id FROM sessions AS s WHERE s.expires_at < s.created_at OR s.ended_at < s.created_at
            OR (s.ended_at IS NULL) <> (s.ended_reason IS NULL)
            OR NOT EXISTS (SELECT 1 FROM users AS u WHERE u.id = s.user_id) LIMIT 20",
    ),
    (
        "no disabled user has a live session",
        "SELECT s.id FROM sessions AS s JOIN users AS u ON u.id = s.user_id
            WHERE s.ended_at IS NULL AND u.is_active = 0 LIMIT 20",
    ),
    (
        "a refresh family's generation and times are in order",
        "SELECT id FROM refresh_families WHERE generation < 0 OR rotated_at < created_at
            OR idle_expires_at > expires_at OR revoked_at < created_at
            OR (revoked_at IS NULL) <> (revoked_reason IS NULL) LIMIT 20",
    ),
    (
        "no ended session has a live refresh family",
        "SELECT f.id FROM refresh_families AS f JOIN sessions AS s ON s.id = f.session_id
            WHERE f.revoked_at IS NULL AND s.ended_at IS NOT NULL LIMIT 20",
    ),
    (
        "a refresh family belongs to the user of its session",
        "SELECT f.id FROM refresh_families AS f JOIN sessions AS s ON s.id = f.session_id
            WHERE f.user_id IS NULL OR f.user_id <> s.user_id LIMIT 20",
    ),
    (
        "a live refresh family has its client and its user",
        "SELECT f.id FROM refresh_families AS f WHERE f.revoked_at IS NULL AND (
            NOT EXISTS (SELECT 1 FROM clients AS c WHERE c.client_id = f.client_id)
            OR (f.user_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM users AS u WHERE u.id = f.user_id))) LIMIT 20",
    ),
    (
        "the feed of revocations is numbered by its counter",
        "SELECT kind || ' ' || subject FROM revocations WHERE id < 1
            OR id > (SELECT value FROM counters WHERE name = 'revocation') LIMIT 20",
    ),
    (
        "the configuration epoch and the counters are there",
        "SELECT 'missing' FROM (SELECT (SELECT count(*) FROM configuration_epoch WHERE id = 1)
            + (SELECT count(*) FROM counters WHERE name = 'revocation') AS found) AS rows WHERE found <> 2",
    ),
    (
        "a signing key that still signs has its private half",
        "SELECT kid FROM signing_keys WHERE signs_until IS NULL AND sealed_private IS NULL LIMIT 20",
    ),
    (
        "flags are 0 or 1",
        "SELECT id FROM users WHERE is_active NOT IN (0, 1)
            UNION ALL SELECT client_id FROM clients WHERE is_active NOT IN (0, 1)
            UNION ALL SELECT id FROM organizations WHERE is_active NOT IN (0, 1) LIMIT 20",
    ),
];

const SQLITE_CHECKS: &[Check] = &[
    (
        "the file's pages and indexes are whole",
        "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    ),
    (
        "every reference leads somewhere",
        "SELECT \"table\" || ' row ' || COALESCE(rowid, '?') || ' names no ' || parent FROM pragma_foreign_key_check LIMIT 20",
    ),
];

struct Text(String);

impl FromRow for Text {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.text(0).map(Self)
    }
}

impl Store {
    /// Everything that must hold and does not; empty for a sound store. Reads every row, so it takes its time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn verify(&self) -> Result<Vec<BrokenInvariant>, StoreError> {
        let own = if self.engine_name() == "sqlite" {
            SQLITE_CHECKS
        } else {
            &[]
        };
        let mut broken = Vec::new();
        for &(invariant, query) in own.iter().chain(CHECKS) {
            let found: Vec<Text> = self.all(query, &[]).await?;
            broken.extend(
                found
                    .into_iter()
                    .map(|Text(detail)| BrokenInvariant { invariant, detail }),
            );
        }
        let (_, faults) = self.verify_audit().await?;
        broken.extend(faults.into_iter().map(|fault| BrokenInvariant {
            invariant: "the audit log is whole",
            detail: fault.to_string(),
        }));
        Ok(broken)
    }
}
