//! Second factors as their users meet them. Attacks on them are in attack/second_factors.rs.

use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_store::{AssuranceLevel, AuditContext, FactorRuleSubject, SetFactorRule};
use tokensmith_testkit::{
    Answer, AuthenticatorApp, Passkey, SIGN_IN_PASSWORD, TestServer, Touch, User,
};

use crate::{
    attack::{
        audited,
        second_factors::{half_signed_in, second_half, with_app},
    },
    claims_of,
};

fn touch(server: &TestServer) -> Touch {
    Touch {
        origin: server.app().config().issuer.origin(),
        verified: true,
        count: 1,
    }
}

async fn with_passkey(server: &TestServer, user: &User) -> (Passkey, Answer) {
    let options = user
        .post("/api/auth/passkeys/options", json!({}))
        .await
        .expect(200);
    let (passkey, answer) = Passkey::create(&options.json()["publicKey"], &touch(server));
    let body = json!({"ceremony_token": options.text("ceremony_token"), "name": "My phone", "passkey": answer});
    let added = user.post("/api/auth/passkeys", body).await.expect(201);
    (passkey, added)
}

async fn sign_in_by(server: &TestServer, passkey: &Passkey, touch: &Touch) -> Answer {
    let anonymous = server.anonymous();
    let options = anonymous
        .post("/api/auth/passkeys/sign-in/options", json!({}))
        .await
        .expect(200);
    let answer = passkey.sign(&options.json()["publicKey"], touch);
    let body = json!({"pre_auth_token": options.text("pre_auth_token"), "passkey": answer});
    anonymous.post("/api/auth/passkeys/sign-in", body).await
}

#[tokio::test]
async fn an_app_is_set_up_by_qr_code_and_confirmed_by_its_first_code() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    assert_eq!(
        alice.get("/api/auth/2fa").await.expect(200).json()["enabled"],
        false
    );
    let setup = alice
        .post("/api/auth/2fa/setup", json!({}))
        .await
        .expect(200);
    assert!(
        setup
            .text("otpauth_uri")
            .starts_with("otpauth://totp/localhost:alice%40example%2Ecom?secret=")
    );
    assert!(setup.text("qr_svg").starts_with("<svg "));
    assert_eq!(setup.header("cache-control"), Some("no-store"));
    // Nothing is asked for before it is confirmed.
    server
        .anonymous()
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200)
        .text("access_token");
    let wrong = alice
        .post("/api/auth/2fa/verify", json!({"code": "000000"}))
        .await;
    wrong.expect_problem(401);
    let app = AuthenticatorApp::typed(&setup.text("secret"));
    let body = json!({"code": app.code(server.now())});
    let verified = alice
        .post("/api/auth/2fa/verify", body.clone())
        .await
        .expect(200);
    assert_eq!(
        verified.json()["recovery_codes"].as_array().unwrap().len(),
        10
    );
    alice
        .post("/api/auth/2fa/verify", body)
        .await
        .expect_problem(409);
    alice
        .post("/api/auth/2fa/setup", json!({}))
        .await
        .expect_problem(409);
    let status = alice.get("/api/auth/2fa").await.expect(200).json();
    assert_eq!(
        (&status["totp"], &status["recovery_codes_remaining"]),
        (&json!(true), &json!(10))
    );
    let sealed = server
        .app()
        .store()
        .totp(&alice.id)
        .await
        .unwrap()
        .unwrap()
        .sealed_secret;
    let secret = setup.text("secret");
    assert!(!String::from_utf8_lossy(&sealed).contains(&secret));
}

#[tokio::test]
async fn a_sign_in_by_two_factors_is_told_in_its_tokens() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (app, _) = with_app(&server, &alice).await;
    let half = half_signed_in(&server, &alice.email).await;
    let whole = second_half(&server, &half, &app.code(server.now()))
        .await
        .expect(200);
    let claims = claims_of(&whole.text("access_token"));
    assert_eq!(
        (&claims["acr"], &claims["amr"]),
        (&json!("aal2"), &json!(["pwd", "otp", "mfa"]))
    );
    assert_eq!(claims["auth_time"], json!(server.now().as_seconds()));
    let members: Vec<String> = whole.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        members,
        [
            "access_token",
            "expires_in",
            "org_id",
            "refresh_token",
            "token_type",
            "user_id"
        ]
    );
    second_half(&server, &half, &app.code(server.now()))
        .await
        .expect_problem(401);
}

#[tokio::test]
async fn half_a_sign_in_waits_for_minutes_and_ends_with_the_password() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (app, _) = with_app(&server, &alice).await;
    let half = half_signed_in(&server, &alice.email).await;
    server.advance(Duration::from_secs(300));
    second_half(&server, &half, &app.code(server.now()))
        .await
        .expect_problem(401);
    let nothing = json!({"pre_auth_token": "x"});
    server
        .anonymous()
        .post("/api/auth/login/2fa", nothing)
        .await
        .expect_problem(401);
}

#[tokio::test]
async fn a_remembered_device_is_not_asked_until_the_last_factor_goes_and_is_one_factor_still() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let (app, _) = with_app(&server, &alice).await;
    with_app(&server, &bob).await;
    let half = half_signed_in(&server, &alice.email).await;
    let body =
        json!({"pre_auth_token": half, "code": app.code(server.now()), "remember_device": true});
    let whole = server
        .anonymous()
        .post("/api/auth/login/2fa", body)
        .await
        .expect(200);
    let device = whole.text("device_token");
    let login = async |email: &str| {
        let body = json!({"email": email, "password": SIGN_IN_PASSWORD, "device_token": device});
        server
            .anonymous()
            .post("/api/auth/login", body)
            .await
            .expect(200)
            .json()
    };
    let remembered = login(&alice.email).await;
    assert_eq!(
        claims_of(remembered["access_token"].as_str().unwrap())["acr"],
        "aal1"
    );
    assert_eq!(
        login(&bob.email).await["requires_code"],
        true,
        "for its user alone"
    );
    server.advance(Duration::from_secs(31 * 24 * 3600));
    assert_eq!(
        login(&alice.email).await["requires_code"],
        true,
        "not for ever"
    );
}

#[tokio::test]
async fn a_rule_makes_who_has_no_factor_set_one_up_within_the_sign_in() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    let admin = server.user_with_roles("root", &["admin"]).await;
    let bob = server.user("bob").await;
    for (kind, subject, user) in [
        (FactorRuleSubject::User, bob.id.to_string(), &bob),
        (FactorRuleSubject::Role, "admin".to_owned(), &admin),
        (FactorRuleSubject::Role, "owner".to_owned(), &alice),
        (FactorRuleSubject::Organization, org, &alice),
    ] {
        let rule = |is_required| SetFactorRule {
            kind,
            subject: subject.clone(),
            is_required,
            context: AuditContext::operator(server.now()),
        };
        let asked = async || {
            let answer = server
                .anonymous()
                .login(&user.email, SIGN_IN_PASSWORD)
                .await
                .expect(200);
            answer.json()["requires_enrolment"] == true
        };
        assert!(!asked().await, "{subject}");
        assert!(server.app().store().write(rule(true)).await.unwrap());
        assert!(asked().await, "{subject}");
        assert!(server.app().store().write(rule(false)).await.unwrap());
        assert!(!asked().await, "{subject}");
    }
}

#[tokio::test]
async fn a_factor_that_a_sign_in_asks_for_is_set_up_in_it() {
    let server =
        TestServer::start_with(|config| config.session.second_factor_required = true).await;
    let email = "alice@example.com";
    server.registered(email).await;
    let half = half_signed_in(&server, email).await;
    second_half(&server, &half, "123456")
        .await
        .expect_problem(404);
    let body = json!({"pre_auth_token": half});
    let setup = server
        .anonymous()
        .post("/api/auth/login/2fa/setup", body)
        .await
        .expect(200);
    let app = AuthenticatorApp::typed(&setup.text("secret"));
    let whole = second_half(&server, &half, &app.code(server.now()))
        .await
        .expect(200);
    assert_eq!(whole.json()["recovery_codes"].as_array().unwrap().len(), 10);
    assert_eq!(claims_of(&whole.text("access_token"))["acr"], "aal2");
    server.advance(Duration::from_secs(30));
    let half = half_signed_in(&server, email).await;
    second_half(&server, &half, &app.code(server.now()))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_passkey_signs_in_alone_and_counts_for_two_factors() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (passkey, added) = with_passkey(&server, &alice).await;
    assert_eq!(
        (
            added.text("name"),
            added.json()["recovery_codes"].as_array().unwrap().len()
        ),
        ("My phone".to_owned(), 10)
    );
    let mut touch = touch(&server);
    touch.count = 2;
    let whole = sign_in_by(&server, &passkey, &touch).await.expect(200);
    let claims = claims_of(&whole.text("access_token"));
    assert_eq!(
        (&claims["sub"], &claims["acr"]),
        (&json!(alice.id), &json!("aal2"))
    );
    assert_eq!(claims["amr"], json!(["pop", "user", "mfa"]));
    // A count that does not rise shows that the key was copied.
    sign_in_by(&server, &passkey, &touch)
        .await
        .expect_problem(401);
    assert_eq!(audited(&server, "mfa.replay").await.len(), 1);
    touch.count = 3;
    touch.verified = false;
    sign_in_by(&server, &passkey, &touch)
        .await
        .expect_problem(401);
}

#[tokio::test]
async fn a_passkey_is_a_second_factor_too() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (passkey, _) = with_passkey(&server, &alice).await;
    let half = half_signed_in(&server, &alice.email).await;
    let body = json!({"pre_auth_token": half});
    let options = server
        .anonymous()
        .post("/api/auth/login/2fa/options", body)
        .await
        .expect(200)
        .json();
    assert_eq!(
        options["publicKey"]["allowCredentials"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let touch = Touch {
        count: 2,
        verified: false,
        ..touch(&server)
    };
    let answer = passkey.sign(&options["publicKey"], &touch);
    let body = json!({"pre_auth_token": half, "passkey": answer});
    let whole = server
        .anonymous()
        .post("/api/auth/login/2fa", body.clone())
        .await
        .expect(200);
    let claims = claims_of(&whole.text("access_token"));
    assert_eq!(
        (&claims["acr"], &claims["amr"]),
        (&json!("aal2"), &json!(["pwd", "pop", "mfa"]))
    );
    server
        .anonymous()
        .post("/api/auth/login/2fa", body)
        .await
        .expect_problem(401);
}

#[tokio::test]
async fn a_passkey_of_another_page_challenge_user_or_key_is_refused() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let (of_alice, _) = with_passkey(&server, &alice).await;
    let (of_bob, _) = with_passkey(&server, &bob).await;
    let good = Touch {
        count: 9,
        ..touch(&server)
    };
    let elsewhere = Touch {
        origin: "https://evil.test".into(),
        ..good.clone()
    };
    sign_in_by(&server, &of_alice, &elsewhere)
        .await
        .expect_problem(401);
    // A signature over one sign-in's challenge ends no other.
    let anonymous = server.anonymous();
    let options = async || {
        anonymous
            .post("/api/auth/passkeys/sign-in/options", json!({}))
            .await
            .expect(200)
    };
    let (one, other) = (options().await, options().await);
    let answer = of_alice.sign(&one.json()["publicKey"], &good);
    let finish = async |token: String, answer: &Value| {
        let body = json!({"pre_auth_token": token, "passkey": answer});
        anonymous.post("/api/auth/passkeys/sign-in", body).await
    };
    finish(other.text("pre_auth_token"), &answer)
        .await
        .expect_problem(401);
    // Bob's passkey ends no sign-in of alice.
    let half = half_signed_in(&server, &alice.email).await;
    let body = json!({"pre_auth_token": half});
    let asked = anonymous
        .post("/api/auth/login/2fa/options", body)
        .await
        .expect(200)
        .json();
    let body = json!({"pre_auth_token": half, "passkey": of_bob.sign(&asked["publicKey"], &good)});
    anonymous
        .post("/api/auth/login/2fa", body)
        .await
        .expect_problem(401);
    // The handle says whose it is, and another one does not.
    let mut renamed = of_bob.sign(&one.json()["publicKey"], &good);
    renamed["response"]["userHandle"] = answer["response"]["userHandle"].clone();
    let third = options().await;
    finish(third.text("pre_auth_token"), &renamed)
        .await
        .expect_problem(401);
    let refusals = audited(&server, "mfa.failure").await;
    let words: Vec<&str> = refusals
        .iter()
        .map(|line| line["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(
        words,
        [
            "passkey_other_origin",
            "passkey_other_challenge",
            "passkey_unknown",
            "passkey_unknown"
        ]
    );
    // Used up with the refusal: the right answer comes too late.
    finish(one.text("pre_auth_token"), &answer)
        .await
        .expect(200);
    finish(one.text("pre_auth_token"), &answer)
        .await
        .expect_problem(401);
}

#[tokio::test]
async fn passkeys_are_listed_named_and_removed_by_their_user_alone() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let (_, added) = with_passkey(&server, &alice).await;
    let other = server.user("carol").await;
    let options = other
        .post("/api/auth/passkeys/options", json!({}))
        .await
        .expect(200);
    // The ceremony of one session ends in no other.
    let (_, answer) = Passkey::create(&options.json()["publicKey"], &touch(&server));
    let body =
        json!({"ceremony_token": options.text("ceremony_token"), "name": "x", "passkey": answer});
    bob.post("/api/auth/passkeys", body)
        .await
        .expect_problem(401);
    let path = format!("/api/auth/passkeys/{}", added.text("id"));
    bob.patch(&path, json!({"name": "mine"}))
        .await
        .expect_problem(404);
    bob.delete(&path).await.expect_problem(404);
    // Alice has a factor by now, so she must show it first.
    alice.delete(&path).await.expect_problem(403);
    alice
        .patch(&path, json!({"name": "Old phone"}))
        .await
        .expect(200);
    let listed = alice.get("/api/auth/passkeys").await.expect(200).json();
    assert_eq!(listed["passkeys"][0]["name"], "Old phone");
    assert_eq!(
        bob.get("/api/auth/passkeys").await.expect(200).json()["passkeys"],
        json!([])
    );
}

#[tokio::test]
async fn a_client_may_want_two_factors_of_every_user() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let store = server.app().store();
    let id = tokensmith_oauth2::ClientId::parse("tokensmith-account").unwrap();
    let mut client = store.client(&id).await.unwrap().unwrap();
    client.metadata.required_acr = Some(AssuranceLevel::Two);
    let context = AuditContext::operator(server.now());
    store
        .write(tokensmith_store::PutClient { client, context })
        .await
        .unwrap();
    server.reload().await;
    let renewed = server.anonymous().renew(&alice.refresh_token, &[]).await;
    renewed.expect_oauth_error(400, "invalid_grant");
    let half = server
        .anonymous()
        .login(&alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
    assert_eq!(half.json()["requires_enrolment"], true);
}
