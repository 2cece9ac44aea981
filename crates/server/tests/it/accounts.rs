//! People and their own accounts: proving an address, new passwords, leaving.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_testkit::{Answer, MailServer, SIGN_IN_PASSWORD, TestServer, User};

const NEW_PASSWORD: &str = "three blue herons at dusk";
const REGISTER: &str = "/api/auth/register";
const VERIFY: &str = "/api/auth/verify-code";
const REQUEST: &str = "/api/auth/request-password-reset";
const RESET: &str = "/api/auth/reset-password";
const CHANGE: &str = "/api/oauth2/change-password";
const MINUTE: Duration = Duration::from_secs(60);

/// The code and the token of a mail.
fn code_and_token(mail: &Value) -> (String, String) {
    let text = mail["text"].as_str().unwrap();
    let is_code =
        |line: &&str| line.len() == 9 && line.bytes().all(|b| b.is_ascii_digit() || b == b' ');
    let code = text
        .lines()
        .map(str::trim)
        .find(is_code)
        .unwrap_or_default();
    let token = text
        .split("?token=")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    (code.to_owned(), token.to_owned())
}

async fn last_mail(server: &TestServer, address: &str, count: usize) -> Value {
    server.mail_to(address, count).await.pop().unwrap()
}

/// The path of the link in the newest of so many mails to an address.
pub(crate) async fn link(server: &TestServer, address: &str, count: usize) -> String {
    let mail = last_mail(server, address, count).await;
    let text = mail.to_string();
    let issuer = server.app().config().issuer.as_str();
    let link = text
        .split(issuer)
        .find(|rest| rest.contains("?token="))
        .unwrap();
    let end = |c: char| !(c.is_ascii_alphanumeric() || "/?=-_".contains(c));
    link.split(end).next().unwrap().to_owned()
}

async fn user(server: &TestServer, email: &str) -> tokensmith_store::User {
    server
        .app()
        .store()
        .user_by_login(email)
        .await
        .unwrap()
        .unwrap()
}

async fn post(server: &TestServer, path: &str, body: Value) -> Answer {
    server.anonymous().post(path, body).await
}

/// Asks for a new password and returns the mail's token.
async fn reset_token(server: &TestServer, email: &str, count: usize) -> String {
    post(server, REQUEST, json!({"email": email}))
        .await
        .expect(202);
    code_and_token(&last_mail(server, email, count).await).1
}

async fn reset(server: &TestServer, token: &str, password: &str) -> Answer {
    post(
        server,
        RESET,
        json!({"token": token, "new_password": password}),
    )
    .await
}

#[tokio::test]
async fn a_registration_is_confirmed_by_code_or_by_link() {
    let server = TestServer::start().await;
    for (number, by_code) in [true, false].into_iter().enumerate() {
        let email = format!("new{number}@example.com");
        post(
            &server,
            REGISTER,
            json!({"email": email, "password": NEW_PASSWORD}),
        )
        .await
        .expect(201);
        let mail = last_mail(&server, &email, 1).await;
        assert_eq!(mail["template"], "verify_email");
        let (code, token) = code_and_token(&mail);
        assert!(user(&server, &email).await.email_verified_at.is_none());
        let body = if by_code {
            json!({"email": email, "code": code})
        } else {
            json!({"token": token})
        };
        post(&server, VERIFY, body.clone()).await.expect(200);
        assert_eq!(
            user(&server, &email).await.email_verified_at,
            Some(server.now())
        );
        post(&server, VERIFY, body).await.expect_problem(400);
    }
}

#[tokio::test]
async fn a_known_address_gets_a_notice_and_the_same_answer() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    for email in ["new@example.com", alice.email.as_str()] {
        post(
            &server,
            REGISTER,
            json!({"email": email, "password": NEW_PASSWORD}),
        )
        .await
        .expect(201);
    }
    assert_eq!(
        last_mail(&server, &alice.email, 1).await["template"],
        "address_has_account"
    );
    post(
        &server,
        REGISTER,
        json!({"email": alice.email, "password": NEW_PASSWORD}),
    )
    .await
    .expect(201);
    post(&server, REQUEST, json!({"email": alice.email}))
        .await
        .expect(202);
    let templates: Vec<Value> = server
        .mail_to(&alice.email, 2)
        .await
        .iter()
        .map(|mail| mail["template"].clone())
        .collect();
    assert_eq!(
        templates,
        ["address_has_account", "reset_password"],
        "a second notice comes not so soon"
    );
}

#[tokio::test]
async fn a_code_is_guessed_only_so_often_and_can_be_sent_again() {
    let server = TestServer::start().await;
    let email = "new@example.com";
    post(
        &server,
        REGISTER,
        json!({"email": email, "password": NEW_PASSWORD}),
    )
    .await
    .expect(201);
    let (code, _) = code_and_token(&last_mail(&server, email, 1).await);
    let wrong = if code == "0000 0000" {
        "1111 1111"
    } else {
        "0000 0000"
    };
    for _ in 0..5 {
        post(&server, VERIFY, json!({"email": email, "code": wrong}))
            .await
            .expect_problem(400);
    }
    post(&server, VERIFY, json!({"email": email, "code": code}))
        .await
        .expect_problem(400);
    server.advance(MINUTE);
    post(&server, "/api/auth/resend-code", json!({"email": email}))
        .await
        .expect(202);
    let (code, _) = code_and_token(&last_mail(&server, email, 2).await);
    let digits: String = code.split(' ').collect();
    post(&server, VERIFY, json!({"email": email, "code": digits}))
        .await
        .expect(200);
}

#[tokio::test]
async fn what_is_asked_of_an_address_is_answered_alike_for_all() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let bob = server.user("bob").await;
    bob.post(
        "/api/auth/account/deactivate",
        json!({"password": SIGN_IN_PASSWORD}),
    )
    .await
    .expect(200);
    let addresses = [
        alice.email.as_str(),
        bob.email.as_str(),
        "nobody@example.com",
    ];
    for (path, status) in [(REQUEST, 202), ("/api/auth/resend-code", 202)] {
        let mut bodies = Vec::new();
        for email in addresses {
            bodies.push(
                post(&server, path, json!({"email": email}))
                    .await
                    .expect(status)
                    .body,
            );
        }
        assert!(
            bodies.iter().all(|body| *body == bodies[0]),
            "{path}: {bodies:?}"
        );
    }
    for (path, more) in [
        (VERIFY, json!({})),
        (RESET, json!({"new_password": NEW_PASSWORD})),
    ] {
        let mut bodies = Vec::new();
        for email in addresses {
            let mut body = json!({"email": email, "code": "0000 0000"});
            body.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            bodies.push(post(&server, path, body).await.expect_problem(400).body);
        }
        assert!(
            bodies.iter().all(|body| *body == bodies[0]),
            "{path}: {bodies:?}"
        );
    }
}

#[tokio::test]
async fn row_232_a_link_leads_to_the_configured_issuer_whatever_a_request_says_of_hosts() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let issuer = server.app().config().issuer.as_str().to_owned();
    let anonymous = server.anonymous();
    let mut count = 0;
    for (name, value) in [
        ("host", "evil.test"),
        ("x-forwarded-host", "evil.test"),
        ("forwarded", "host=evil.test"),
        ("x-original-host", "evil.test"),
        ("x-forwarded-proto", "evil"),
    ] {
        let request = anonymous.request(Method::POST, REQUEST).header(name, value);
        let answer = anonymous
            .send(request.json(&json!({"email": alice.email})))
            .await;
        if answer.status != 202 {
            continue;
        }
        count += 1;
        let mail = last_mail(&server, &alice.email, count).await;
        for form in ["text", "html"] {
            let form = mail[form].as_str().unwrap();
            assert!(!form.contains("evil"), "{name}: {form}");
            assert!(
                form.contains(&format!("{issuer}/reset?token=")),
                "{name}: {form}"
            );
        }
        server.advance(MINUTE);
    }
    assert!(count >= 4, "{count}");
}

#[tokio::test]
async fn row_234_a_link_works_once_for_half_an_hour_until_something_newer_happened() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let mut mails = 0;
    let token = async |mails: &mut usize| {
        server.advance(MINUTE);
        *mails += 1;
        reset_token(&server, &alice.email, *mails).await
    };
    let old = token(&mut mails).await;
    server.advance(MINUTE * 31);
    reset(&server, &old, NEW_PASSWORD).await.expect_problem(400);

    let former = token(&mut mails).await;
    let newer = token(&mut mails).await;
    reset(&server, &former, NEW_PASSWORD)
        .await
        .expect_problem(400);
    reset(&server, &newer, NEW_PASSWORD).await.expect(200);
    mails += 1; // tells of the change
    reset(&server, &newer, "another one of mine")
        .await
        .expect_problem(400);

    let before_change = token(&mut mails).await;
    let alice_again = User::sign_in(&server, alice.email.clone(), NEW_PASSWORD).await;
    let change =
        json!({"current_password": NEW_PASSWORD, "new_password": "a quiet lake in autumn"});
    alice_again.post(CHANGE, change).await.expect(200);
    mails += 1;
    reset(&server, &before_change, NEW_PASSWORD)
        .await
        .expect_problem(400);

    let before_email = token(&mut mails).await;
    let body = json!({"email": "elsewhere@example.com", "password": "a quiet lake in autumn"});
    alice_again
        .post("/api/auth/account/email", body)
        .await
        .expect(202);
    let (_, confirm) = code_and_token(&last_mail(&server, "elsewhere@example.com", 1).await);
    post(&server, VERIFY, json!({"token": confirm}))
        .await
        .expect(200);
    reset(&server, &before_email, NEW_PASSWORD)
        .await
        .expect_problem(400);
    server
        .anonymous()
        .login("elsewhere@example.com", "a quiet lake in autumn")
        .await
        .expect(200);
    server
        .anonymous()
        .login(&alice.email, "a quiet lake in autumn")
        .await
        .expect(401);
}

#[tokio::test]
async fn row_236_a_look_alike_address_is_sent_nothing() {
    let server = TestServer::start().await;
    server.registered("mike@c1.test").await;
    for look_alike in [
        "m\u{131}ke@c1.test",
        "mi\u{212a}e@c1.test",
        "mike\u{ff20}c1.test",
        "mike@c1.test\u{200b}",
    ] {
        let answer = post(&server, REQUEST, json!({"email": look_alike})).await;
        assert!(
            [202, 422].contains(&answer.status),
            "{look_alike}: {}",
            answer.body
        );
    }
    post(&server, REQUEST, json!({"email": "MIKE@c1.test"}))
        .await
        .expect(202);
    server.mail_to("mike@c1.test", 1).await;
    let shown = server.mail_shown().await;
    assert_eq!(
        shown.len(),
        1,
        "as the account has it, not as it was typed: {shown:?}"
    );
}

#[tokio::test]
async fn row_239_a_reset_opens_no_session_and_ends_all() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let tokens = server
        .anonymous()
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
    let token = reset_token(&server, &alice.email, 1).await;
    let answer = reset(&server, &token, NEW_PASSWORD).await.expect(200);
    assert!(
        !answer.body.contains("token") && answer.header("set-cookie").is_none(),
        "{}",
        answer.body
    );
    alice.get("/api/auth/organizations").await.expect(401);
    server
        .anonymous()
        .renew(&tokens.text("refresh_token"), &[])
        .await
        .expect_oauth_error(400, "invalid_grant");
    assert_eq!(
        last_mail(&server, &alice.email, 2).await["template"],
        "password_changed"
    );
    server
        .anonymous()
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(401);
    server
        .anonymous()
        .login(&alice.email, NEW_PASSWORD)
        .await
        .expect(200);
    assert!(
        user(&server, &alice.email)
            .await
            .email_verified_at
            .is_some()
    );
}

#[tokio::test]
async fn row_242_an_address_changes_only_after_the_password_and_the_new_mailbox_agreed() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    server.user("bob").await;
    let path = "/api/auth/account/email";
    for body in [
        json!({"email": "new@example.com"}),
        json!({"email": "new@example.com", "email_verified": true}),
    ] {
        alice.post(path, body).await.expect_problem(422);
    }
    let body = json!({"email": "new@example.com", "password": "not it"});
    alice.post(path, body).await.expect_problem(403);
    for email in ["new@example.com", "bob@example.com"] {
        let body = json!({"email": email, "password": SIGN_IN_PASSWORD, "email_verified": true});
        alice.post(path, body).await.expect(202);
    }
    let (_, token) = code_and_token(&last_mail(&server, "new@example.com", 1).await);
    assert!(
        user(&server, &alice.email)
            .await
            .email_verified_at
            .is_none()
    );
    post(&server, VERIFY, json!({"token": token}))
        .await
        .expect(200);
    assert_eq!(user(&server, "new@example.com").await.id, alice.id);
    assert_eq!(
        last_mail(&server, &alice.email, 1).await["template"],
        "email_changed"
    );
    let shown = server.mail_shown().await;
    assert!(
        shown.iter().all(|mail| mail["to"] != "bob@example.com"),
        "{shown:?}"
    );
}

#[tokio::test]
async fn row_244_tokens_of_mail_are_long_and_kept_as_hashes() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let token = reset_token(&server, &alice.email, 1).await;
    assert!(token.len() >= 43, "256 bits");
    let mail = last_mail(&server, &alice.email, 1).await;
    let (code, _) = code_and_token(&mail);
    let directory = std::fs::read_dir(server.directory()).unwrap();
    for file in directory
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
    {
        let bytes = std::fs::read(&file).unwrap();
        for secret in [token.as_bytes(), code.as_bytes()] {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} holds a secret of a mail", file.display());
        }
    }
    let answer = reset(&server, &token, NEW_PASSWORD).await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!answer.body.contains(&token));
}

#[tokio::test]
async fn a_changed_password_ends_every_other_session() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let other = User::sign_in(&server, alice.email.clone(), SIGN_IN_PASSWORD).await;
    let change =
        |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    alice
        .post(CHANGE, change("wrong", NEW_PASSWORD))
        .await
        .expect_problem(403);
    for weak in ["short", "password123", "alice@example.com"] {
        alice
            .post(CHANGE, change(SIGN_IN_PASSWORD, weak))
            .await
            .expect_problem(422);
    }
    other.get("/api/auth/organizations").await.expect(200);
    let answer = alice
        .post(CHANGE, change(SIGN_IN_PASSWORD, NEW_PASSWORD))
        .await
        .expect(200);
    assert_eq!(answer.json()["ended_sessions"], 1);
    alice.get("/api/auth/organizations").await.expect(200);
    other.get("/api/auth/organizations").await.expect(401);
    assert_eq!(
        last_mail(&server, &alice.email, 1).await["template"],
        "password_changed"
    );
    server
        .anonymous()
        .post(CHANGE, change(NEW_PASSWORD, SIGN_IN_PASSWORD))
        .await
        .expect_problem(401);
}

#[tokio::test]
async fn guesses_of_the_present_password_are_limited() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let mut limited = 0;
    for number in 0..15 {
        let change =
            json!({"current_password": format!("guess {number}"), "new_password": NEW_PASSWORD});
        limited += usize::from(alice.post(CHANGE, change).await.status == 429);
    }
    assert!(limited >= 4, "{limited}");
}

#[tokio::test]
async fn whoever_leaves_takes_their_data_along_and_leaves_nothing() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Alone").await;
    let export = alice.get("/api/auth/account/export").await.expect(200);
    let data = export.json();
    assert_eq!(data["account"]["email"], alice.email);
    assert_eq!(data["organizations"][0]["name"], "Alone");
    assert_eq!(data["sessions"].as_array().unwrap().len(), 1);
    assert!(
        data["activity"]
            .as_array()
            .unwrap()
            .iter()
            .any(|line| line["event"] == "login_success")
    );
    assert!(!export.body.contains("argon2"), "{}", export.body);
    let delete = |password: &str| json!({"password": password});
    alice
        .post("/api/auth/account/delete", delete("wrong"))
        .await
        .expect_problem(403);
    alice
        .post("/api/auth/account/delete", delete(SIGN_IN_PASSWORD))
        .await
        .expect(200);
    alice.get("/api/auth/account/export").await.expect(401);
    server
        .anonymous()
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(401);
    assert_eq!(
        last_mail(&server, &alice.email, 1).await["template"],
        "account_deleted"
    );
    let org = server
        .app()
        .store()
        .organization(&org.parse().unwrap())
        .await
        .unwrap();
    assert!(org.is_none());
}

#[tokio::test]
async fn a_deactivated_account_lets_nobody_in() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let tokens = server
        .anonymous()
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
    let path = "/api/auth/account/deactivate";
    alice
        .post(path, json!({"password": "wrong"}))
        .await
        .expect_problem(403);
    alice
        .post(path, json!({"password": SIGN_IN_PASSWORD}))
        .await
        .expect(200);
    alice.get("/api/auth/organizations").await.expect(401);
    server
        .anonymous()
        .renew(&tokens.text("refresh_token"), &[])
        .await
        .expect(400);
    server
        .anonymous()
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(401);
    assert_eq!(
        last_mail(&server, &alice.email, 1).await["template"],
        "account_deactivated"
    );
}

#[tokio::test]
async fn a_weak_password_is_refused_with_one_sentence_that_says_why() {
    let server = TestServer::start().await;
    for (password, word) in [
        ("1234567", "password_length"),
        ("password123", "password_common"),
        ("newcomer.example", "password_about_owner"),
        ("abcdefgh12", "password_common"),
    ] {
        let body = json!({"email": "newcomer@example.com", "password": password});
        let answer = post(&server, REGISTER, body).await.expect_problem(422);
        assert_eq!(
            answer.json()["type"],
            format!("urn:tokensmith:problem:{word}"),
            "{password}"
        );
    }
    assert!(server.app().store().users("", 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_hash_of_another_system_is_replaced_at_the_first_sign_in() {
    let server = TestServer::start().await;
    let hashes = include_str!("../../src/password/foreign_hashes.txt");
    for (number, hash) in hashes.lines().enumerate() {
        let email = format!("user{number}@example.com");
        let id = server.registered(&email).await;
        let before = user(&server, &email).await.password_hash.unwrap();
        let context = tokensmith_store::AuditContext::operator(server.now());
        let set = tokensmith_store::UpgradePasswordHash {
            user_id: id,
            old_hash: before,
            new_hash: tokensmith_store::PasswordHash::new(hash.to_owned()),
            context,
        };
        server.app().store().write(set).await.unwrap();
        server
            .anonymous()
            .login(&email, "pässword ☕ 2")
            .await
            .expect(401);
        assert_eq!(
            user(&server, &email).await.password_hash.unwrap().as_str(),
            hash
        );
        server
            .anonymous()
            .login(&email, "pässword ☕ 1")
            .await
            .expect(200);
        let after = user(&server, &email).await.password_hash.unwrap();
        assert!(after.as_str().starts_with("$argon2id$"), "{hash}");
        server
            .anonymous()
            .login(&email, "pässword ☕ 1")
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn a_mail_is_sent_once_for_each_event_while_the_mail_server_fails_now_and_then() {
    let smtp = MailServer::start().await;
    let server = TestServer::start_with(crate::mail::sends_to(smtp.port())).await;
    for number in 0..10 {
        if number % 2 == 0 {
            smtp.refuses_next("451 later");
        }
        let email = format!("new{number}@example.com");
        post(
            &server,
            REGISTER,
            json!({"email": email, "password": NEW_PASSWORD}),
        )
        .await
        .expect(201);
    }
    smtp.tried(10).await;
    for _ in 0..3 {
        server.advance(MINUTE);
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    let arrived = smtp.arrived(10).await;
    let mut to: Vec<String> = arrived.iter().flat_map(|mail| mail.to.clone()).collect();
    to.sort();
    to.dedup();
    assert_eq!((arrived.len(), to.len()), (10, 10));
}
