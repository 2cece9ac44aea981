//! Sign-in by password and the tokens it issues.

use std::time::Duration;

use serde_json::json;
use tokensmith_server::config::{ByteSize, PasswordStrength};
use tokensmith_store::{AuditContext, PasswordHash, RegisterUser, SetUserActive};
use tokensmith_testkit::{SIGN_IN_PASSWORD, TestServer, User};

use crate::claims_of;

async fn disable(server: &TestServer, user: &User) {
    let change = SetUserActive {
        user_id: user.id.clone(),
        is_active: false,
        revoked_until: server.now() + Duration::from_secs(3600),
        context: AuditContext::operator(server.now()),
    };
    assert!(server.app().store().write(change).await.unwrap());
}

#[tokio::test]
async fn a_sign_in_answers_with_the_members_the_contract_promises() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    for path in ["/auth/login", "/api/auth/login"] {
        let body = json!({"email": alice.email, "password": SIGN_IN_PASSWORD, "remember_me": true});
        let answer = server.anonymous().post(path, body).await.expect(200);
        let json = answer.json();
        let members: Vec<&String> = json.as_object().unwrap().keys().collect();
        let promised = [
            "access_token",
            "expires_in",
            "org_id",
            "refresh_token",
            "token_type",
            "user_id",
        ];
        assert_eq!(members, promised);
        assert_eq!(
            (&json["token_type"], &json["expires_in"]),
            (&json!("bearer"), &json!(900))
        );
        assert_eq!(
            (&json["user_id"], &json["org_id"]),
            (&json!(alice.id), &json!(org))
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.text("refresh_token").starts_with("tkr_"));
    }
}

#[tokio::test]
async fn the_access_token_says_who_in_which_organization_and_as_what() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    assert_eq!(claims_of(&alice.access_token)["roles"], json!([]));
    let org = alice.creates_organization("Activity").await;
    let claims = claims_of(&alice.signed_in_again(&server).await.access_token);
    assert_eq!(claims["sub"], json!(alice.id));
    assert_eq!(claims["email"], json!(alice.email));
    assert_eq!(claims["org_id"], json!(org));
    assert_eq!(claims["roles"], json!(["owner"]));
    assert_eq!(claims["type"], "access");
    assert_eq!(claims["scope"], "email openid profile");
    assert_eq!(claims["aud"], json!(["https://api.activity.com"]));
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        900
    );
    assert!(claims["sid"].is_string() && claims["jti"].is_string());
}

#[tokio::test]
async fn roles_over_the_whole_server_stand_beside_the_role_in_the_organization() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let root = RegisterUser {
        id: server.app().entropy().uuid(server.now()).into(),
        email: "root@example.com".to_owned(),
        username: None,
        password_hash: Some(PasswordHash::new(weak_hash())),
        roles: vec!["admin".to_owned(), "auditor".to_owned()],
        context: AuditContext::operator(server.now()),
    };
    server.app().store().write(root).await.unwrap();
    let roles = async || {
        let answer = server
            .anonymous()
            .login("root@example.com", SIGN_IN_PASSWORD)
            .await;
        claims_of(&answer.expect(200).text("access_token"))["roles"].clone()
    };
    assert_eq!(roles().await, json!(["admin", "auditor"]));
    let org = alice.creates_organization("Activity").await;
    let members = format!("/api/auth/organizations/{org}/members");
    let body = json!({"email": "root@example.com", "role": "admin"});
    alice.post(&members, body).await.expect(201);
    assert_eq!(roles().await, json!(["admin", "auditor"]));
}

#[tokio::test]
async fn unknown_user_wrong_password_and_disabled_user_get_one_answer() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let bob = server.user("bob").await;
    disable(&server, &bob).await;
    let anonymous = server.anonymous();
    let wrong = anonymous
        .login(&alice.email, "wrong password")
        .await
        .expect_problem(401);
    let unknown = anonymous
        .login("nobody@example.com", SIGN_IN_PASSWORD)
        .await
        .expect(401);
    let disabled = anonymous
        .login(&bob.email, SIGN_IN_PASSWORD)
        .await
        .expect(401);
    assert_eq!(unknown.body, wrong.body);
    assert_eq!(disabled.body, wrong.body);
    let names = |answer: &tokensmith_testkit::Answer| {
        let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(names(&unknown), names(&wrong));
    let outcomes: Vec<String> = server
        .audit()
        .await
        .into_iter()
        .filter(|record| record.event == "login_failure")
        .map(|record| {
            serde_json::from_str::<serde_json::Value>(&record.body).unwrap()["outcome"].to_string()
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            "\"wrong_password\"",
            "\"unknown_user\"",
            "\"user_disabled\""
        ]
    );
}

#[tokio::test]
async fn an_unknown_user_costs_as_much_hashing_as_a_known_one() {
    let server =
        TestServer::start_with(|config| config.hashing.memory = ByteSize::new(32 << 20)).await;
    let alice = server.user("alice").await;
    let anonymous = server.anonymous();
    let logins = [alice.email.as_str(), "nobody@example.com"];
    let mut shortest = [Duration::MAX; 2];
    for _ in 0..9 {
        for (login, shortest) in logins.iter().zip(&mut shortest) {
            let started = std::time::Instant::now();
            anonymous.login(login, "wrong password").await.expect(401);
            *shortest = started.elapsed().min(*shortest);
        }
        server.advance(Duration::from_secs(60));
    }
    // The shortest times, taken in turn, are those a busy machine disturbs least. Without hashing, an unknown user
    // would be answered at least ten times faster; a third tells the two apart on the busiest machine.
    assert!(shortest[1] * 3 > shortest[0], "{shortest:?}");
}

#[tokio::test]
async fn row_296_passwords_are_taken_exactly_as_they_are() {
    let server = TestServer::start_with(|config| {
        config.passwords.strength = PasswordStrength::Any;
        config.passwords.refuse_common = false;
    })
    .await;
    let anonymous = server.anonymous();
    let long = "x".repeat(72);
    let passwords = [
        "p".repeat(128),
        "пароль 密码 🔑".to_owned(),
        " leading and trailing ".to_owned(),
        "nul\0inside".to_owned(),
        format!("{long}1"),
    ];
    for (number, password) in passwords.iter().enumerate() {
        let email = format!("user{number}@example.com");
        let body = json!({"email": email, "password": password});
        anonymous.post("/api/auth/register", body).await.expect(201);
        anonymous.login(&email, password).await.expect(200);
        let others = [
            password.trim().to_owned(),
            format!("{long}2"),
            password.replace('\0', ""),
            "nul".to_owned(),
        ];
        for other in others.iter().filter(|other| *other != password) {
            anonymous.login(&email, other).await.expect(401);
        }
    }
}

#[tokio::test]
async fn row_292_row_296_an_overlong_password_or_name_is_refused_before_anything_is_hashed() {
    let server =
        TestServer::start_with(|config| config.hashing.memory = ByteSize::new(64 << 20)).await;
    server.user("alice").await;
    let anonymous = server.anonymous();
    let started = std::time::Instant::now();
    for (email, password) in [
        ("a@example.com".to_owned(), "p".repeat(1025)),
        ("a@example.com".to_owned(), "p".repeat(200_000)),
        (
            format!("{}@example.com", "a".repeat(254)),
            "password".to_owned(),
        ),
        ("a\0@example.com".to_owned(), "password".to_owned()),
        (String::new(), "password".to_owned()),
        ("a@example.com".to_owned(), String::new()),
    ] {
        anonymous.login(&email, &password).await.expect_problem(422);
    }
    anonymous
        .login("a@example.com", &"p".repeat(1_000_000))
        .await
        .expect(413);
    let refused = started.elapsed();
    let started = std::time::Instant::now();
    anonymous
        .login("a@example.com", "password")
        .await
        .expect(401);
    assert!(
        refused < started.elapsed() * 5,
        "seven refusals took {refused:?}"
    );
    let audited = server.audit_events().await;
    assert_eq!(
        audited
            .iter()
            .filter(|event| *event == "login_failure")
            .count(),
        1
    );
}

#[tokio::test]
async fn members_of_the_wrong_type_are_refused_and_unknown_ones_ignored() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let anonymous = server.anonymous();
    let good = json!({"email": alice.email, "password": SIGN_IN_PASSWORD, "is_admin": true, "role": ["owner"]});
    anonymous.post("/auth/login", good).await.expect(200);
    for bad in [
        json!({"email": 1, "password": SIGN_IN_PASSWORD}),
        json!({"email": alice.email, "password": ["x"]}),
        json!({"email": alice.email}),
        json!({"password": SIGN_IN_PASSWORD}),
        json!({"email": alice.email, "password": SIGN_IN_PASSWORD, "org_id": 7}),
        json!({"email": alice.email, "password": SIGN_IN_PASSWORD, "org_id": "not-a-uuid"}),
        json!([alice.email, SIGN_IN_PASSWORD]),
        json!(null),
    ] {
        anonymous.post("/auth/login", bad).await.expect_problem(422);
    }
}

#[tokio::test]
async fn the_organization_is_the_oldest_membership_unless_another_one_is_asked_for() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let first = alice.creates_organization("First").await;
    server.advance(Duration::from_secs(1));
    let second = alice.creates_organization("Second").await;
    let bobs = bob.creates_organization("Bobs").await;
    let anonymous = server.anonymous();
    let in_org =
        |org: &str| json!({"email": alice.email, "password": SIGN_IN_PASSWORD, "org_id": org});
    let answer = anonymous
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
    assert_eq!(answer.text("org_id"), first);
    let answer = anonymous
        .post("/auth/login", in_org(&second))
        .await
        .expect(200);
    assert_eq!(answer.text("org_id"), second);
    assert_eq!(
        claims_of(&answer.text("access_token"))["org_id"],
        json!(second)
    );
    let missing = "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f";
    let foreign = anonymous
        .post("/auth/login", in_org(&bobs))
        .await
        .expect_problem(403);
    let unknown = anonymous
        .post("/auth/login", in_org(missing))
        .await
        .expect(403);
    assert_eq!(foreign.body, unknown.body);
}

#[tokio::test]
async fn too_many_failures_are_answered_429_even_for_the_right_password() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let anonymous = server.anonymous();
    for _ in 0..10 {
        anonymous
            .login(&alice.email, "wrong password")
            .await
            .expect(401);
    }
    let limited = anonymous
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect_problem(429);
    assert_eq!(limited.header("retry-after"), Some("2"));
    anonymous
        .login("ALICE@example.com", SIGN_IN_PASSWORD)
        .await
        .expect(429);
    anonymous
        .login(&bob.email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
    server.advance(Duration::from_secs(2));
    anonymous
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
    assert!(
        server
            .audit_events()
            .await
            .contains(&"rate_limit_exceeded".to_owned())
    );
}

#[tokio::test]
async fn guesses_sent_all_at_once_are_limited_like_guesses_sent_one_by_one() {
    let server = TestServer::start_with(|config| {
        config.hashing.memory = ByteSize::new(32 << 20);
        config.hashing.threads = std::num::NonZeroUsize::MIN;
    })
    .await;
    let alice = server.user("alice").await;
    // The last of them is right. It is let in with the others, and judged when too many have failed.
    let guesses = (0..30).map(|number| {
        let (anonymous, email) = (server.anonymous(), alice.email.clone());
        let guess = match number {
            29 => SIGN_IN_PASSWORD.to_owned(),
            _ => format!("guess {number}"),
        };
        tokio::spawn(async move { anonymous.login(&email, &guess).await.status })
    });
    let mut answers = Vec::new();
    for guess in guesses.collect::<Vec<_>>() {
        answers.push(guess.await.unwrap());
    }
    let judged = answers.iter().filter(|status| **status == 401).count();
    assert_eq!(judged, 10, "{answers:?}");
    assert!(
        answers.iter().all(|status| [401, 429].contains(status)),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_weak_hash_is_replaced_at_sign_in() {
    let server =
        TestServer::start_with(|config| config.hashing.memory = ByteSize::new(128 << 10)).await;
    // "correct horse battery staple" under argon2id with 8 KiB and one pass.
    let weak = weak_hash();
    let user = RegisterUser {
        id: server.app().entropy().uuid(server.now()).into(),
        email: "old@example.com".to_owned(),
        username: Some("old.timer".to_owned()),
        password_hash: Some(PasswordHash::new(weak.clone())),
        roles: Vec::new(),
        context: AuditContext::operator(server.now()),
    };
    server.app().store().write(user).await.unwrap();
    let anonymous = server.anonymous();
    for login in ["old@example.com", "old.timer", "OLD.TIMER"] {
        anonymous.login(login, SIGN_IN_PASSWORD).await.expect(200);
    }
    let user = server
        .app()
        .store()
        .user_by_login("old.timer")
        .await
        .unwrap()
        .unwrap();
    assert!(user.password_hash.unwrap().as_str().contains("m=128,"));
    let events = server.audit_events().await;
    assert_eq!(
        events
            .iter()
            .filter(|event| *event == "password_hash_upgraded")
            .count(),
        1
    );
}

fn weak_hash() -> String {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version, password_hash::phc};
    let argon2 = Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(8, 1, 1, None).unwrap(),
    );
    let hash = argon2.hash_password_with_salt(SIGN_IN_PASSWORD.as_bytes(), b"saltsaltsaltsalt");
    let hash: phc::PasswordHash = hash.unwrap();
    hash.to_string()
}
