//! Sending by SMTP (RFC 5321). TLS is checked against the system's roots or the configured authority; without TLS
//! nothing that authenticates is sent. Says of a failure whether another try makes sense.

use std::{
    io,
    time::{Duration, UNIX_EPOCH},
};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        PoolConfig,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        extension::ClientId,
    },
};
use tokensmith_store::ClaimedMail;

use super::letter::Rendered;
use crate::config::{Config, SmtpTls};

/// The way to the mail server.
pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    domain: String,
}

/// Why a mail did not go out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Another try may do better.
    #[error("{0}")]
    Transient(String),
    /// It never will.
    #[error("{0}")]
    Permanent(String),
}

impl Smtp {
    pub(super) fn new(config: &Config) -> io::Result<Self> {
        let mail = &config.mail;
        let missing = || unusable("`mail.smtp_host` and `mail.from` must be set");
        let host = mail.smtp_host.as_deref().ok_or_else(missing)?;
        let from = mail.from.as_ref().ok_or_else(missing)?.mailbox().clone();
        let domain = config.issuer.host();
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(mail.smtp_port)
            .hello_name(ClientId::Domain(domain.clone()))
            .tls(tls(config, host)?)
            .timeout(Some(mail.smtp_timeout))
            .pool_config(PoolConfig::new().max_size(super::AT_ONCE));
        let credentials = mail.smtp_username.as_ref().zip(mail.smtp_password.as_ref());
        let builder = match credentials {
            Some((name, password)) => {
                builder.credentials(Credentials::new(name.clone(), password.expose().to_owned()))
            }
            None => builder,
        };
        Ok(Self {
            transport: builder.build(),
            from,
            domain,
        })
    }

    pub(super) async fn send(&self, mail: &ClaimedMail, rendered: Rendered) -> Result<(), Failure> {
        let message = self.message(mail, rendered)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(judged(&error)),
        }
    }

    /// The same id at every try, so that a server that has seen it can tell.
    fn message(&self, mail: &ClaimedMail, rendered: Rendered) -> Result<Message, Failure> {
        let permanent = |error: &dyn std::fmt::Display| Failure::Permanent(error.to_string());
        let to: Address = mail.recipient.parse().map_err(|error| permanent(&error))?;
        let millis = u64::try_from(mail.created_at.as_millis()).unwrap_or(0);
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(rendered.subject)
            .date(UNIX_EPOCH + Duration::from_millis(millis))
            .message_id(Some(format!("<{}@{}>", mail.id, self.domain)))
            .raw_header(automatic())
            .multipart(MultiPart::alternative_plain_html(
                rendered.text,
                rendered.html,
            ))
            .map_err(|error| permanent(&error))
    }
}

/// RFC 3834 §5: nobody's holiday notice should answer.
fn automatic() -> HeaderValue {
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    HeaderValue::new(name, "auto-generated".to_owned())
}

/// Refused credentials (RFC 4954 §6) are the operator's to mend, and the mail is not to blame.
fn judged(error: &lettre::transport::smtp::Error) -> Failure {
    let status = error.status().map(u16::from);
    let about_credentials = matches!(status, Some(530 | 534 | 535 | 538));
    if error.is_permanent() && !about_credentials {
        Failure::Permanent(error.to_string())
    } else {
        Failure::Transient(error.to_string())
    }
}

fn tls(config: &Config, host: &str) -> io::Result<Tls> {
    let mode = config.mail.smtp_tls;
    if mode == SmtpTls::None {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(path) = &config.mail.smtp_ca_file {
        let pem = std::fs::read(path)
            .map_err(|error| unusable(format!("{}: {error}", path.display())))?;
        let authority = Certificate::from_pem(&pem).map_err(unusable)?;
        parameters = parameters.add_root_certificate(authority);
    }
    let parameters = parameters.build_rustls().map_err(unusable)?;
    Ok(match mode {
        SmtpTls::Implicit => Tls::Wrapper(parameters),
        _ => Tls::Required(parameters),
    })
}

fn unusable(reason: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("mail: {reason}"))
}
