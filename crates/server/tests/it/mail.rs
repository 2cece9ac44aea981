//! Mail: what arrives at a mail server, what is tried again, and what a developer sees instead.

use std::time::Duration;

use reqwest::Method;
use tokensmith_server::{
    config::{Config, MailDelivery, Sender, SmtpTls},
    mail::{self, Message, Shown},
};
use tokensmith_store::PutMail;
use tokensmith_testkit::{Answer, Arrived, MailServer, TestServer};

const TOKEN: &str = "tokentokentokentokentokentokentokentokentok";

fn verify() -> Message {
    Message::VerifyEmail {
        code: Shown("482915".into()),
        token: Shown(TOKEN.into()),
    }
}

pub(crate) async fn put(server: &TestServer, message: &Message, to: &str) {
    let now = server.now();
    let mail = mail::compose(server.app(), message, to, now).unwrap();
    server
        .app()
        .store()
        .write(PutMail { mail, now })
        .await
        .unwrap();
    server.app().mailer().wake();
}

pub(crate) fn sends_to(port: u16) -> impl FnOnce(&mut Config) {
    move |config| {
        config.mail.delivery = MailDelivery::Smtp;
        config.mail.smtp_host = Some("127.0.0.1".into());
        config.mail.smtp_port = port;
        config.mail.smtp_tls = SmtpTls::None;
        config.mail.from = Some(Sender::parse("Login <login@example.com>").unwrap());
        config.mail.attempts = std::num::NonZeroU32::new(3).unwrap();
    }
}

async fn with_smtp() -> (MailServer, TestServer) {
    let smtp = MailServer::start().await;
    let server = TestServer::start_with(sends_to(smtp.port())).await;
    (smtp, server)
}

fn header<'a>(mail: &'a Arrived, name: &str) -> Vec<&'a str> {
    let (head, _) = mail.message.split_once("\r\n\r\n").unwrap();
    let prefix = format!("{name}: ");
    head.lines()
        .filter_map(|line| line.strip_prefix(&prefix))
        .collect()
}

/// Quoted-printable (RFC 2045 §6.7) of what this server writes.
fn plain(mail: &Arrived) -> String {
    mail.message.replace("=\r\n", "").replace("=3D", "=")
}

#[tokio::test]
async fn a_mail_arrives_in_text_and_html_from_the_configured_sender() {
    let (smtp, server) = with_smtp().await;
    put(&server, &verify(), "alice@example.com").await;
    let arrived = smtp.arrived(1).await;
    let mail = &arrived[0];
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("login@example.com", &["alice@example.com".to_owned()][..])
    );
    assert_eq!(header(mail, "From"), ["Login <login@example.com>"]);
    assert_eq!(header(mail, "To"), ["alice@example.com"]);
    assert_eq!(header(mail, "Subject"), ["Confirm your e-mail address"]);
    assert_eq!(header(mail, "Auto-Submitted"), ["auto-generated"]);
    assert_eq!(header(mail, "Date"), ["Fri, 20 Nov 2026 18:00:00 +0000"]);
    assert_eq!(header(mail, "Message-ID").len(), 1);
    let body = plain(mail);
    let link = server
        .app()
        .config()
        .issuer
        .endpoint(&format!("/verify?token={TOKEN}"));
    assert!(body.contains("text/plain") && body.contains("text/html"));
    assert!(
        body.matches(&link).count() >= 2 && body.contains("482915"),
        "{body}"
    );
}

#[tokio::test]
async fn a_mail_that_was_put_off_comes_again_and_arrives_once() {
    let (smtp, server) = with_smtp().await;
    smtp.refuses_next("451 4.3.0 try again later");
    put(&server, &verify(), "alice@example.com").await;
    smtp.tried(1).await;
    assert_eq!(smtp.count(), 0);
    settled(&server, 1, Some(server.now())).await;
    server.advance(Duration::from_secs(11));
    let arrived = smtp.arrived(1).await;
    assert_eq!(header(&arrived[0], "Message-ID").len(), 1);
    settled(&server, 0, None).await;
    server.advance(Duration::from_secs(3600));
    put(&server, &verify(), "bob@example.com").await;
    assert_eq!(
        smtp.arrived(2).await.len(),
        2,
        "the first one does not come again"
    );
}

#[tokio::test]
async fn a_mail_is_tried_only_so_often() {
    let (smtp, server) = with_smtp().await;
    for _ in 0..4 {
        smtp.refuses_next("421 4.3.2 closing");
    }
    put(&server, &verify(), "alice@example.com").await;
    for tries in 1..=3 {
        smtp.tried(tries).await;
        let waiting = i64::from(tries < 3);
        settled(&server, waiting, Some(server.now())).await;
        server.advance(Duration::from_secs(120));
    }
    put(&server, &verify(), "bob@example.com").await;
    smtp.tried(4).await;
    assert_eq!(smtp.count(), 0, "the last refusal was for bob");
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_not_tried_again() {
    let (smtp, server) = with_smtp().await;
    smtp.refuses_next("550 5.1.1 no such mailbox");
    put(&server, &verify(), "nobody@example.com").await;
    smtp.tried(1).await;
    settled(&server, 0, None).await;
    server.advance(Duration::from_secs(3600));
    put(&server, &verify(), "bob@example.com").await;
    assert_eq!(smtp.arrived(1).await[0].to, ["bob@example.com"]);
}

#[tokio::test]
async fn an_address_that_would_begin_another_header_field_is_sent_nothing() {
    let (smtp, server) = with_smtp().await;
    for address in [
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com\nX: y",
        "a@example.com> RCPT TO:<b@example.com",
        "a@example.com,b@example.com",
        "A <a@example.com>",
        "",
    ] {
        put(&server, &verify(), address).await;
    }
    put(&server, &verify(), "last@example.com").await;
    settled(&server, 0, None).await;
    let arrived = smtp.arrived(1).await;
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].to, ["last@example.com"]);
}

#[tokio::test]
async fn a_mail_whose_code_has_expired_is_not_sent() {
    let smtp = MailServer::start().await;
    let port = smtp.port();
    let server = TestServer::start_with(sends_to(port)).await;
    smtp.refuses_next("451 later");
    put(&server, &verify(), "alice@example.com").await;
    smtp.tried(1).await;
    settled(&server, 1, Some(server.now())).await;
    server.advance(mail::PROOF_LIFETIME);
    settled(&server, 0, None).await;
    assert_eq!(smtp.count(), 0);
}

#[tokio::test]
async fn a_developer_sees_mail_at_dev_mail() {
    let server = TestServer::start().await;
    let empty = get(&server, "/dev/mail").await;
    assert_eq!(empty.status, 200);
    assert!(empty.body.contains("No mail yet"));
    put(&server, &verify(), "alice@example.com").await;
    let mail = &server.mail_to("alice@example.com", 1).await[0];
    assert_eq!(mail["subject"], "Confirm your e-mail address");
    assert!(mail["text"].as_str().unwrap().contains("482915"));
    let list = get(&server, "/dev/mail").await;
    assert!(list.body.contains("Confirm your e-mail address"));
    let shown = get(&server, &format!("/dev/mail/{}", mail["number"])).await;
    assert_eq!(
        (shown.status, shown.body.as_str()),
        (200, mail["html"].as_str().unwrap())
    );
    for answer in [&list, &shown] {
        assert!(
            answer
                .header("content-security-policy")
                .unwrap()
                .starts_with("default-src 'none'")
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
    for missing in ["/dev/mail/2", "/dev/mail/x", "/dev/mail/01"] {
        assert_eq!(get(&server, missing).await.status, 404, "{missing}");
    }
}

#[tokio::test]
async fn mail_is_shown_to_nobody_who_comes_under_another_name() {
    let server = TestServer::start().await;
    put(&server, &verify(), "alice@example.com").await;
    server.mail_to("alice@example.com", 1).await;
    let anonymous = server.anonymous();
    for path in ["/dev/mail", "/dev/mail.json", "/dev/mail/1"] {
        for host in ["evil.test", "localhost.evil.test", "127.0.0.1.evil.test"] {
            let answer = anonymous
                .send(anonymous.request(Method::GET, path).header("host", host))
                .await;
            assert_eq!(answer.status, 404, "{path} {host}");
        }
    }
}

#[tokio::test]
async fn a_server_that_sends_its_mail_shows_none() {
    let (_smtp, server) = with_smtp().await;
    for path in ["/dev/mail", "/dev/mail.json", "/dev/mail/1"] {
        assert_eq!(get(&server, path).await.status, 404, "{path}");
    }
}

async fn get(server: &TestServer, path: &str) -> Answer {
    let anonymous = server.anonymous();
    anonymous.send(anonymous.request(Method::GET, path)).await
}

/// Waits until so many mails wait, the first of them later than `after`.
async fn settled(server: &TestServer, waiting: i64, after: Option<tokensmith_store::Timestamp>) {
    for _ in 0..1500 {
        let queue = server.app().store().mail_queue().await.unwrap();
        let is_later = queue.due_at.zip(after).is_none_or(|(due, after)| {
            // A claim lasts minutes; a wait for another try does not.
            due > after && due < after + Duration::from_secs(60)
        });
        if queue.waiting == waiting && is_later {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", server.app().store().mail_queue().await);
}
