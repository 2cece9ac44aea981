//! Mail: composed with the row that causes it, kept sealed in the outbox, sent by a job, tried again when it fails.
//! A mail is composed once for an event; what a request says of itself never gets into a link.

mod deliver;
mod letter;
mod message;
mod screen;
mod security;
mod smtp;

use std::{io, time::Duration};

use tokensmith_jose::seal::SealError;
use tokensmith_store::{Mail, MailId, Timestamp};
use tokio::sync::Notify;

pub(crate) use deliver::send_due;
pub use letter::{Button, Letter, Rendered};
pub use message::{INVITATION_LIFETIME, Message, PROOF_LIFETIME, Shown};
pub(crate) use screen::routes;
pub use screen::{Screen, ShownMail};
pub use security::SecurityNotice;

use self::smtp::Smtp;
use crate::{
    app::App,
    config::{Config, MailDelivery},
};

/// Most mail under way at once, and so most connections to the mail server.
const AT_ONCE: u32 = 4;
/// A mail whose message says no other end is not sent after this.
const WORTH_SENDING: Duration = Duration::from_secs(3 * 24 * 3600);

/// Where mail goes.
pub struct Mailer {
    way: Way,
    wake: Notify,
}

enum Way {
    /// Mail waits in the outbox until it is worth nothing.
    Off,
    Smtp(Box<Smtp>),
    Screen(Screen),
}

impl Mailer {
    /// The way that the configuration names.
    ///
    /// # Errors
    /// When its parameters of TLS cannot be used.
    pub fn new(config: &Config) -> io::Result<Self> {
        let way = match config.mail.delivery {
            MailDelivery::Off => Way::Off,
            MailDelivery::Smtp => Way::Smtp(Box::new(Smtp::new(config)?)),
            MailDelivery::Screen => Way::Screen(Screen::default()),
        };
        let wake = Notify::new();
        Ok(Self { way, wake })
    }

    /// The mail that was shown instead of sent.
    pub fn screen(&self) -> Option<&Screen> {
        match &self.way {
            Way::Screen(screen) => Some(screen),
            _ => None,
        }
    }

    /// Says that there is new mail. It would be found anyway, a little later.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    fn is_off(&self) -> bool {
        matches!(self.way, Way::Off)
    }
}

/// Composes a mail for the operation that causes it.
///
/// # Errors
/// When it cannot be sealed.
pub fn compose(app: &App, message: &Message, to: &str, now: Timestamp) -> Result<Mail, SealError> {
    let id = MailId::from(app.entropy().uuid(now));
    let content = serde_json::to_vec(message).map_err(|_| SealError::Malformed)?;
    let sealed = app.keys().sealing().seal(&content, &context(&id, to))?;
    Ok(Mail {
        id,
        template: message.template(),
        recipient: to.to_owned(),
        sealed,
        expires_at: now + message.lifetime().unwrap_or(WORTH_SENDING),
    })
}

/// What a sealed message belongs to: nobody can send it to another address.
fn context(id: &MailId, to: &str) -> Vec<u8> {
    format!("mail\0{id}\0{to}").into_bytes()
}
