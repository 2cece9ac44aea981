//! The outbox: mail is committed with the row that caused it and sent afterwards by a job. A claim hands a mail to one
//! node for a while; what that node says of it counts only while its claim is the newest.

use std::time::Duration;

use crate::{
    MailId, Operation, Row, Store, StoreError, Timestamp, Tx,
    tx::{FromRow, values},
};

/// What is counted of a long queue.
const MOST_COUNTED: i64 = 1000;

/// A mail to be sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Names the event the mail tells of: one event makes one mail, however often it is written.
    pub id: MailId,
    /// Which message it is, for operators and metrics.
    pub template: &'static str,
    /// The address.
    pub recipient: String,
    /// The message under the master key: links and codes in it are secrets.
    pub sealed: Vec<u8>,
    /// From this instant on it is worth nothing and is not sent.
    pub expires_at: Timestamp,
}

impl Tx<'_> {
    /// Puts a mail into the outbox. It is there if this transaction is, or not at all.
    pub(crate) async fn mail(&mut self, mail: &Mail, now: Timestamp) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO outbox (id, template, recipient, sealed, created_at, due_at, expires_at, attempts)
            VALUES ($1, $2, $3, $4, $5, $5, $6, 0) ON CONFLICT (id) DO NOTHING";
        let row = values![
            &mail.id,
            mail.template,
            &mail.recipient,
            &mail.sealed,
            now,
            mail.expires_at,
        ];
        self.execute(PUT, row).await.map(drop)
    }
}

/// Puts a mail into the outbox that no other record caused.
#[derive(Debug)]
pub struct PutMail {
    /// The mail.
    pub mail: Mail,
    /// Now.
    pub now: Timestamp,
}

impl Operation for PutMail {
    type Outcome = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.mail(&self.mail, self.now).await
    }
}

/// A mail that the caller may try to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedMail {
    /// Names the event.
    pub id: MailId,
    /// Which message it is.
    pub template: String,
    /// The address.
    pub recipient: String,
    /// The message under the master key.
    pub sealed: Vec<u8>,
    /// Which try this is, from 1. It also names the claim.
    pub attempt: i64,
    /// When the event happened.
    pub created_at: Timestamp,
    /// From this instant on it is not worth sending.
    pub expires_at: Timestamp,
}

impl FromRow for ClaimedMail {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.word(0)?,
            template: row.text(1)?,
            recipient: row.text(2)?,
            sealed: row.bytes(3)?,
            attempt: row.int(4)?,
            created_at: row.time(5)?,
            expires_at: row.time(6)?,
        })
    }
}

/// Claims mail that is due. Whoever dies with a claim loses it when it runs out.
#[derive(Debug)]
pub struct ClaimMail {
    /// Now.
    pub now: Timestamp,
    /// For how long the mail is the caller's.
    pub span: Duration,
    /// At most so many.
    pub limit: i64,
}

impl Operation for ClaimMail {
    type Outcome = Vec<ClaimedMail>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<ClaimedMail>, StoreError> {
        const RETURNING: &str =
            " RETURNING id, template, recipient, sealed, attempts, created_at, expires_at";
        const CLAIM: &str =
            "UPDATE outbox SET attempts = attempts + 1, due_at = $1 WHERE done_at IS NULL AND id IN
            (SELECT id FROM outbox WHERE done_at IS NULL AND due_at <= $2 ORDER BY due_at LIMIT $3";
        const SQLITE: &str = const_str::concat!(CLAIM, ")", RETURNING);
        // Nodes that claim at once take different mail instead of waiting for each other.
        const POSTGRES: &str = const_str::concat!(CLAIM, " FOR UPDATE SKIP LOCKED)", RETURNING);
        let sql = tx.by_engine(SQLITE, POSTGRES);
        tx.all(sql, values![self.now + self.span, self.now, self.limit])
            .await
    }
}

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The next server has it.
    Sent,
    /// It comes again at this instant.
    Later(Timestamp),
    /// It never goes out.
    Dead,
}

/// Says what became of a claimed mail.
#[derive(Debug)]
pub struct SettleMail {
    /// Which mail.
    pub id: MailId,
    /// The claim.
    pub attempt: i64,
    /// What became of it.
    pub delivery: Delivery,
    /// Why it was not sent.
    pub error: Option<String>,
    /// Now.
    pub now: Timestamp,
}

impl Operation for SettleMail {
    /// Whether the claim was still the newest.
    type Outcome = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        const LATER: &str = "UPDATE outbox SET due_at = $1, last_error = $2
            WHERE id = $3 AND attempts = $4 AND done_at IS NULL";
        const DONE: &str = "UPDATE outbox SET done_at = $1, outcome = $2, last_error = $3, recipient = '', sealed = $4
            WHERE id = $5 AND attempts = $6 AND done_at IS NULL";
        let error = self.error.as_ref();
        let outcome = match self.delivery {
            Delivery::Later(at) => {
                let row = values![at, error, &self.id, self.attempt];
                return tx.won(LATER, row).await;
            }
            Delivery::Sent => "sent",
            Delivery::Dead => "dead",
        };
        let nothing: &[u8] = &[];
        let row = values![self.now, outcome, error, nothing, &self.id, self.attempt];
        tx.won(DONE, row).await
    }
}

/// The mail that waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailQueue {
    /// How many, counted up to a thousand.
    pub waiting: i64,
    /// When the first of them is due.
    pub due_at: Option<Timestamp>,
}

impl FromRow for MailQueue {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            waiting: row.int(0)?,
            due_at: row.opt_time(1)?,
        })
    }
}

impl Store {
    /// The mail that waits.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn mail_queue(&self) -> Result<MailQueue, StoreError> {
        const QUEUE: &str = "SELECT count(*), min(due_at) FROM
            (SELECT due_at FROM outbox WHERE done_at IS NULL ORDER BY due_at LIMIT $1) AS waiting";
        let queue = self.first(QUEUE, values![MOST_COUNTED]).await?;
        Ok(queue.unwrap_or_default())
    }
}

/// An operation with the mail that it causes when it comes out so.
pub struct Mailing<O: Operation> {
    /// The operation.
    pub operation: O,
    /// The mail.
    pub mail: Mail,
    /// Whether this outcome causes it.
    pub when: fn(&O::Outcome) -> bool,
    /// Now.
    pub now: Timestamp,
}

impl<O: Operation> Operation for Mailing<O> {
    type Outcome = O::Outcome;

    fn durability(&self) -> crate::Durability {
        self.operation.durability()
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<O::Outcome, StoreError> {
        let outcome = self.operation.run(tx).await?;
        if (self.when)(&outcome) {
            tx.mail(&self.mail, self.now).await?;
        }
        Ok(outcome)
    }
}
