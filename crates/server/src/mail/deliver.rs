//! One round of sending: claims what is due, tries each mail, says what became of it. Any node may run it; a mail is
//! in one node's hands at a time.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokensmith_store::{ClaimMail, ClaimedMail, Delivery, SettleMail, StoreError, Timestamp};

use super::{AT_ONCE, Message, Way, context, smtp::Failure};
use crate::app::App;

const BATCH: i64 = 32;
/// Before the second try; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
const LONGEST_ERROR: usize = 200;

/// How long to wait for new mail.
const INTERVAL: Duration = Duration::from_millis(500);

/// Waits for mail or for a while, and sends what is due.
pub(crate) async fn send_due(app: &App) -> Result<(), StoreError> {
    let _ = tokio::time::timeout(INTERVAL, app.mailer().wake.notified()).await;
    loop {
        let now = app.clock().now();
        let queue = app.store().mail_queue().await?;
        metrics::gauge!("tokensmith_mail_waiting").set(queue.waiting as f64);
        let is_due = queue.due_at.is_some_and(|due| due <= now);
        if app.mailer().is_off() || !is_due {
            return Ok(());
        }
        send_batch(app, now).await?;
    }
}

async fn send_batch(app: &App, now: Timestamp) -> Result<(), StoreError> {
    let claim = ClaimMail {
        now,
        span: claim_span(app.config().mail.smtp_timeout),
        limit: BATCH,
    };
    let claimed = app.store().write(claim).await?;
    let sent = stream::iter(claimed).map(|mail| send(app, mail));
    let mut sent = sent.buffer_unordered(AT_ONCE as usize);
    let mut result = Ok(());
    while let Some(settled) = sent.next().await {
        result = result.and(settled);
    }
    result
}

/// Longer than a whole batch can take: connect, greet, authenticate and send, each within the time limit.
fn claim_span(timeout: Duration) -> Duration {
    let rounds = u32::try_from(BATCH).unwrap_or(1) / AT_ONCE + 1;
    timeout * 8 * rounds
}

async fn send(app: &App, mail: ClaimedMail) -> Result<(), StoreError> {
    let tried = attempt(app, &mail).await;
    let now = app.clock().now();
    let (delivery, error) = match tried {
        Ok(()) => (Delivery::Sent, None),
        Err(failure) => (after(app, &mail, &failure, now), Some(failure.to_string())),
    };
    // An answer of a mail server may repeat the address, which is nobody's business here.
    let error = error.map(|error| error.replace(&mail.recipient, "(recipient)"));
    let error = error.map(|error| error.chars().take(LONGEST_ERROR).collect::<String>());
    tell(&mail, delivery, error.as_deref());
    let settle = SettleMail {
        id: mail.id,
        attempt: mail.attempt,
        delivery,
        error,
        now,
    };
    app.store().write(settle).await.map(drop)
}

async fn attempt(app: &App, mail: &ClaimedMail) -> Result<(), Failure> {
    let permanent = |reason: &str| Failure::Permanent(reason.to_owned());
    if mail.expires_at <= app.clock().now() {
        return Err(permanent("it expired before it could be sent"));
    }
    let aad = context(&mail.id, &mail.recipient);
    let opened = app.keys().sealing().open(&mail.sealed, &aad);
    let opened = opened.map_err(|error| Failure::Permanent(error.to_string()))?;
    let message: Message = serde_json::from_slice(&opened)
        .map_err(|_| permanent("this version does not know the message"))?;
    let config = app.config();
    let letter = message.letter(&config.issuer, mail.created_at);
    let rendered = letter.render(&config.mail.name, config.issuer.as_str());
    let rendered = rendered.map_err(|error| Failure::Permanent(error.to_string()))?;
    match &app.mailer().way {
        Way::Smtp(smtp) => smtp.send(mail, rendered).await,
        Way::Screen(screen) => {
            screen.show(&mail.recipient, &mail.template, rendered, app.clock().now());
            Ok(())
        }
        Way::Off => Err(Failure::Transient("mail is off".to_owned())),
    }
}

fn after(app: &App, mail: &ClaimedMail, failure: &Failure, now: Timestamp) -> Delivery {
    let is_last = mail.attempt >= i64::from(app.config().mail.attempts.get());
    match failure {
        Failure::Transient(_) if !is_last => {
            Delivery::Later(now + wait(mail.attempt, app.entropy().bytes()))
        }
        _ => Delivery::Dead,
    }
}

/// Twice as long after each try, and somewhere in the second half of that, so that nodes do not come back together.
fn wait(attempt: i64, random: [u8; 4]) -> Duration {
    let doublings = u32::try_from(attempt.clamp(1, 20) - 1).unwrap_or(0);
    let whole = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
    let part = f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX);
    whole.mul_f64(0.5 + part / 2.0)
}

fn tell(mail: &ClaimedMail, delivery: Delivery, error: Option<&str>) {
    let outcome = match delivery {
        Delivery::Sent => "sent",
        Delivery::Later(_) => "later",
        Delivery::Dead => "dead",
    };
    metrics::counter!("tokensmith_mail_total", "outcome" => outcome).increment(1);
    let (id, template, attempt) = (mail.id.as_str(), mail.template.as_str(), mail.attempt);
    match error {
        None => tracing::info!(id, template, attempt, "a mail was sent"),
        Some(error) => tracing::warn!(id, template, attempt, outcome, error, "a mail was not sent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_about_twice_as_long_up_to_an_hour() {
        let (least, most) = ([0; 4], [255; 4]);
        assert_eq!(wait(1, least), FIRST_WAIT / 2);
        assert_eq!(wait(1, most), FIRST_WAIT);
        assert_eq!(wait(3, most), FIRST_WAIT * 4);
        for attempt in [12, 20, 1000, i64::MAX] {
            assert_eq!(wait(attempt, most), LONGEST_WAIT);
        }
    }
}
