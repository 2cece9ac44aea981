//! Wrong codes: every try is counted before it is looked at, so that tries sent all at once are no more than tries sent
//! one by one. From the fifth wrong one on each doubles the wait. Kept with the user: a new sign-in changes nothing.

use std::time::Duration;

use super::{FromRow, Operation, Row, StoreError, Timestamp, Tx, UserId, values};
use crate::{AuditContext, AuditEvent, Mail};

/// Wrong codes without a wait.
const FREE: i64 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Asks whether a code of this user may be tried now, and counts the try as wrong until it proves right.
#[derive(Debug)]
pub struct TakeFactorAttempt {
    /// Whose code.
    pub user_id: UserId,
    /// Sent to the user when wrong codes begin to cost time.
    pub mail: Option<Mail>,
    /// Who asked, and when.
    pub context: AuditContext,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorAttempt {
    /// It may be tried.
    Allowed,
    /// Not before this instant.
    Blocked(Timestamp),
}

struct Failures {
    count: i64,
    blocked_until: Timestamp,
}

impl FromRow for Failures {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            count: row.int(0)?,
            blocked_until: row.time(1)?,
        })
    }
}

impl Operation for TakeFactorAttempt {
    type Outcome = FactorAttempt;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<FactorAttempt, StoreError> {
        const BEGIN: &str =
            "INSERT INTO factor_failures (user_id, failures, blocked_until) VALUES ($1, 0, 0)
            ON CONFLICT (user_id) DO NOTHING";
        // Counting locks the row on PostgreSQL, so that what is read next is what this try is.
        const COUNT: &str = "UPDATE factor_failures SET failures = failures + 1
            WHERE user_id = $1 AND blocked_until <= $2 RETURNING failures, blocked_until";
        const READ: &str = "SELECT failures, blocked_until FROM factor_failures WHERE user_id = $1";
        const BLOCK: &str = "UPDATE factor_failures SET blocked_until = $1 WHERE user_id = $2";
        let now = self.context.at;
        tx.execute(BEGIN, values![&self.user_id]).await?;
        let counted: Option<Failures> = tx.first(COUNT, values![&self.user_id, now]).await?;
        let Some(counted) = counted else {
            let failures: Option<Failures> = tx.first(READ, values![&self.user_id]).await?;
            let until = failures.map_or(now, |failures| failures.blocked_until);
            return Ok(FactorAttempt::Blocked(until));
        };
        if let Some(wait) = wait_after(counted.count) {
            tx.execute(BLOCK, values![now + wait, &self.user_id])
                .await?;
        }
        if counted.count == FREE {
            if let Some(mail) = &self.mail {
                tx.mail(mail, now).await?;
            }
            let event = AuditEvent::new("mfa.blocked").user(&self.user_id);
            tx.audit(&self.context, event.field("failures", counted.count));
        }
        Ok(FactorAttempt::Allowed)
    }
}

/// How long nothing is tried after so many wrong codes.
fn wait_after(failures: i64) -> Option<Duration> {
    let over = u32::try_from(failures - FREE).ok()?;
    let wait = FIRST_WAIT.saturating_mul(1_u32.checked_shl(over.min(20)).unwrap_or(u32::MAX));
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_code_from_the_fifth_on_doubles_the_wait_up_to_an_hour() {
        let seconds = |failures| wait_after(failures).map(|wait| wait.as_secs());
        assert_eq!(seconds(4), None);
        let waits: Vec<_> = (5..14)
            .map(seconds)
            .map(Option::unwrap_or_default)
            .collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(seconds(i64::from(u32::MAX)), Some(3600));
    }
}
