//! Collecting the lines: a family's own and its session's, a session's own and its families', a user's newest.

use std::collections::BTreeMap;

use tokensmith_store::{AuditRecord, FamilyId, SessionId, Store, StoreError, Timestamp};

use super::{Entry, Subject, Timeline, verdict};

/// Lines read from each end of a grant's history.
const MOST_LINES: i64 = 5000;
/// Families of a session that are looked at.
const MOST_FAMILIES: i64 = 200;

/// Lines by their place in time.
#[derive(Default)]
pub(super) struct Lines {
    entries: BTreeMap<(Timestamp, i64), Entry>,
    is_cut: bool,
}

impl Lines {
    fn add(&mut self, records: &[AuditRecord]) {
        for record in records {
            let entry = Entry::new(record);
            self.entries.insert((entry.at, entry.id), entry);
        }
    }

    async fn add_grant(&mut self, store: &Store, grant: &str) -> Result<(), StoreError> {
        let oldest = store.audit_of_grant(grant, MOST_LINES).await?;
        if oldest.len() as i64 >= MOST_LINES {
            self.is_cut = true;
            self.add(&store.newest_audit_of_grant(grant, MOST_LINES).await?);
        }
        self.add(&oldest);
        Ok(())
    }

    /// Oldest first, without refusals that another line of the same request explains.
    fn into_entries(self) -> Vec<Entry> {
        let entries: Vec<Entry> = self.entries.into_values().collect();
        let explains = |line: &Entry, refused: &Entry| {
            matches!(
                line.event(),
                "refresh_token_invalid" | "refresh_token_reuse"
            ) && line.at == refused.at
                && line.member("correlation_id") == refused.member("correlation_id")
        };
        let is_explained = |entry: &Entry| {
            entry.event() == "token_refused" && entries.iter().any(|line| explains(line, entry))
        };
        let kept = entries.iter().filter(|entry| !is_explained(entry));
        kept.cloned().collect()
    }
}

/// What a text names: a refresh token or its family, a session, a user, or else a token by its `jti`.
///
/// # Errors
/// When the database does not answer.
pub async fn resolve(store: &Store, text: &str) -> Result<Option<Subject>, StoreError> {
    if let Ok(id) = text.parse::<FamilyId>()
        && store.refresh_family(&id).await?.is_some()
    {
        return Ok(Some(Subject::Family(id)));
    }
    if let Ok(id) = text.parse::<SessionId>()
        && store.session(&id).await?.is_some()
    {
        return Ok(Some(Subject::Session(id)));
    }
    if let Ok(id) = text.parse() {
        if store.user(&id).await?.is_some() {
            return Ok(Some(Subject::User(id)));
        }
        return swept(store, text).await;
    }
    Ok(Some(Subject::Token(text.to_owned())))
}

/// Records are swept; what the log says of this id tells what it was.
async fn swept(store: &Store, text: &str) -> Result<Option<Subject>, StoreError> {
    let first = store.audit_of_grant(text, 1).await?;
    let Some(first) = first.first() else {
        return Ok(None);
    };
    let is_session = ["login_success", "session_ended"].contains(&first.event.as_str());
    Ok(if is_session {
        text.parse().ok().map(Subject::Session)
    } else {
        text.parse().ok().map(Subject::Family)
    })
}

/// The timeline of a subject; `None` when nothing is recorded of it.
///
/// # Errors
/// When the database does not answer.
pub async fn of(
    store: &Store,
    subject: Subject,
    now: Timestamp,
) -> Result<Option<Timeline>, StoreError> {
    let mut lines = Lines::default();
    match &subject {
        Subject::Family(family) => of_family(store, family, &mut lines).await?,
        Subject::Session(session) => of_session(store, session, &mut lines).await?,
        Subject::User(user) => {
            let newest = store.audit_of_user(user.as_str(), MOST_LINES).await?;
            lines.is_cut = newest.len() as i64 >= MOST_LINES;
            lines.add(&newest);
        }
        Subject::Token(jti) => lines.add(&store.audit_of_jti(jti, MOST_LINES).await?),
    }
    if lines.entries.is_empty() {
        return Ok(None);
    }
    let is_whole = !lines.is_cut;
    let entries = lines.into_entries();
    let verdict = verdict::of(store, &subject, &entries, now).await?;
    Ok(Some(Timeline {
        subject,
        entries,
        is_whole,
        verdict,
    }))
}

async fn of_family(store: &Store, family: &FamilyId, lines: &mut Lines) -> Result<(), StoreError> {
    lines.add_grant(store, family.as_str()).await?;
    let row = store.refresh_family(family).await?;
    let of_row = row.and_then(|row| row.session_id);
    let mut opened = lines.entries.values();
    let of_line = opened.find_map(|entry| entry.member("session_id").parse().ok());
    if let Some(session) = of_row.or(of_line) {
        let session: SessionId = session;
        lines.add_grant(store, session.as_str()).await?;
    }
    Ok(())
}

async fn of_session(
    store: &Store,
    session: &SessionId,
    lines: &mut Lines,
) -> Result<(), StoreError> {
    lines.add_grant(store, session.as_str()).await?;
    let user = lines.entries.values().map(|entry| entry.member("user_id"));
    let user = user.max().unwrap_or_default().to_owned();
    let families = store.families_in_session(session, &user, MOST_FAMILIES);
    for family in families.await? {
        lines.add_grant(store, family.as_str()).await?;
    }
    Ok(())
}
