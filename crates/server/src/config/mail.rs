//! Settings of mail. Refuses a server that would send passwords in clear over a network, and mail on a screen anywhere
//! but on this machine.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use figment::value::Value;
use lettre::message::Mailbox;
use tokensmith_oauth2::Secret;

use super::place::Issuer;
use super::section::{Reader, section, words};
use super::value::{self, Setting, must_be, quoted, text};

section! {
    /// Mail to users (docs/guide/accounts-and-mail.md).
    pub struct MailSettings at "mail." {
        /// `smtp` sends; `screen` keeps mail in memory and shows it at `/dev/mail`, only where the issuer is loopback;
        /// `off` sends nothing.
        delivery: MailDelivery = "off",
        /// The name of this service as people read it in mail.
        name: String = "Tokensmith",
        /// Who the mail is from, such as `Example <login@example.com>`.
        from: Option<Sender>,
        /// The mail server.
        smtp_host: Option<String>,
        /// Its port: 587 with `starttls`, 465 with `implicit`.
        smtp_port: u16 = "587",
        /// `starttls` (required, never just tried), `implicit`, or `none` for a mail server on this machine.
        smtp_tls: SmtpTls = "starttls",
        /// Certificates in PEM of an authority that certifies the mail server, besides the system's.
        smtp_ca_file: Option<PathBuf>,
        /// Name at the mail server. Left out, the server does not authenticate.
        smtp_username: Option<String>,
        /// Password at the mail server.
        smtp_password: Option<Secret>,
        /// Longest wait for the mail server at each step.
        smtp_timeout: Duration = "20s",
        /// Most tries for one mail. The wait doubles after each, up to an hour.
        attempts: NonZeroU32 = "10",
    }
}

words! {
    /// Where mail goes.
    pub enum MailDelivery {
        /// Nowhere.
        Off = "off",
        /// To a mail server.
        Smtp = "smtp",
        /// To the screen of a developer.
        Screen = "screen",
    }
    form "\"off\", \"smtp\" or \"screen\""
}

words! {
    /// How the connection to the mail server is protected.
    pub enum SmtpTls {
        /// STARTTLS (RFC 3207), required.
        Starttls = "starttls",
        /// TLS from the first byte (RFC 8314).
        Implicit = "implicit",
        /// Not at all.
        None = "none",
    }
    form "\"starttls\", \"implicit\" or \"none\""
}

/// The From field.
#[derive(Debug, Clone)]
pub struct Sender(Mailbox);

impl Sender {
    /// Reads an address with or without a name before it.
    pub fn parse(text: &str) -> Option<Self> {
        let has_control = text.contains(char::is_control);
        let mailbox = text.trim().parse().ok();
        mailbox.filter(|_| !has_control).map(Self)
    }

    /// As a mail names it.
    pub fn mailbox(&self) -> &Mailbox {
        &self.0
    }
}

impl Setting for Sender {
    const FORM: &'static str = "a sender such as \"Example <login@example.com>\"";

    fn read(value: &Value) -> Result<Self, String> {
        let sender = text(value).and_then(|text| Self::parse(&text));
        sender.ok_or_else(|| must_be(Self::FORM))
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// Rules that no single value breaks by itself.
pub(super) fn refuse_contradictions(reader: &mut Reader) {
    let text = |key: &str| {
        let given = reader.given.get(key)?;
        value::text(&given.value).filter(|text| !text.is_empty())
    };
    let delivery = text("mail.delivery");
    let sends = delivery.as_deref() == Some("smtp");
    let mut broken = Vec::new();
    if sends && (text("mail.smtp_host").is_none() || text("mail.from").is_none()) {
        broken.push("`mail.delivery = \"smtp\"` needs `mail.smtp_host` and `mail.from`.");
    }
    if text("mail.smtp_username").is_some() != text("mail.smtp_password").is_some() {
        broken.push(
            "`mail.smtp_username` and `mail.smtp_password` belong together: set both or neither.",
        );
    }
    let is_plain = text("mail.smtp_tls").as_deref() == Some("none");
    if is_plain && text("mail.smtp_password").is_some() {
        broken.push(
            "`mail.smtp_tls` must not be \"none\" with a password: it would be sent in clear.",
        );
    }
    let issuer = text("issuer").and_then(|issuer| Issuer::parse(&issuer).ok());
    if delivery.as_deref() == Some("screen") && issuer.is_some_and(|issuer| !issuer.is_loopback()) {
        broken.push("`mail.delivery = \"screen\"` shows codes and links to everybody on this machine: it needs an issuer on loopback.");
    }
    for sentence in broken {
        reader.note(sentence.to_owned());
    }
}
