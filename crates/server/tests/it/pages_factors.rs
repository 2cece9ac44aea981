//! Second factors on the pages, as a browser without a screen meets them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_testkit::{
    Answer, AuthenticatorApp, Browser, Passkey, SESSION_COOKIE, SIGN_IN_PASSWORD, TestServer,
    Touch, User, form_token,
};

use crate::attack::second_factors::with_app;

const DEVICE_COOKIE: &str = "__Host-tokensmith-device";
const CODE_PAGE: &str = "/sign-in/code?next=/account";

/// A browser whose user has typed the right password, and where it was sent.
async fn half(server: &TestServer, user: &User) -> (Browser, String) {
    let browser = server.browser();
    let fields = [
        ("email", user.email.as_str()),
        ("password", SIGN_IN_PASSWORD),
    ];
    let answer = browser.submit("/sign-in", &fields).await.expect(303);
    let location = answer.header("location").unwrap().to_owned();
    (browser, location)
}

async fn opens(server: &TestServer, cookie: &str) -> u16 {
    let browser = server.browser();
    browser.set_cookie(SESSION_COOKIE, cookie);
    browser.open("/account").await.status
}

fn touch(server: &TestServer, count: u32) -> Touch {
    Touch {
        origin: server.app().config().issuer.origin(),
        verified: true,
        count,
    }
}

async fn with_passkey(server: &TestServer, user: &User) -> Passkey {
    let asked = user.post("/api/auth/passkeys/options", json!({})).await;
    let options = asked.expect(200);
    let (passkey, answer) = Passkey::create(&options.json()["publicKey"], &touch(server, 1));
    let body = json!({"ceremony_token": options.text("ceremony_token"), "name": "Phone", "passkey": answer});
    user.post("/api/auth/passkeys", body).await.expect(201);
    passkey
}

/// What a page asks a passkey to sign.
fn question(page: &Answer) -> Value {
    let (_, rest) = page.body.split_once("data-passkey=\"").unwrap();
    let json = rest.split('"').next().unwrap();
    serde_json::from_str(&json.replace("&#34;", "\"")).unwrap()
}

#[tokio::test]
async fn a_browser_is_asked_for_a_code_and_its_cookie_changes_with_it() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (app, _) = with_app(&server, &alice).await;
    let (browser, location) = half(&server, &alice).await;
    assert_eq!(location, CODE_PAGE);
    let half_cookie = browser.cookie(SESSION_COOKIE).unwrap();
    assert_eq!(opens(&server, &half_cookie).await, 303);
    for (code, status, text) in [
        ("000000", 401, "This code is wrong"),
        ("", 422, "Enter a code."),
    ] {
        let page = browser
            .submit(CODE_PAGE, &[("code", code)])
            .await
            .expect(status);
        let beside = format!("id=\"code-problem\">{text}");
        assert!(page.body.contains(&beside), "{}", page.body);
    }
    let code = app.code(server.now());
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    let done = browser
        .submit(CODE_PAGE, &[("code", &spaced)])
        .await
        .expect(303);
    assert_eq!(done.header("location"), Some("/account"));
    let cookie = browser.cookie(SESSION_COOKIE).unwrap();
    assert_ne!(cookie, half_cookie);
    assert_eq!(opens(&server, &cookie).await, 200);
    assert_eq!(opens(&server, &half_cookie).await, 303);
    let sessions = server
        .app()
        .store()
        .sessions_of(&alice.id, server.now(), 10);
    let session = sessions
        .await
        .unwrap()
        .into_iter()
        .find(|session| session.authentication.methods.len() > 1);
    assert_eq!(
        session.unwrap().authentication.methods,
        ["pwd", "otp", "mfa"]
    );
    let again = server.browser();
    again.set_cookie(SESSION_COOKIE, &half_cookie);
    let over = again.open("/sign-in/code").await.expect(303);
    assert_eq!(over.header("location"), Some("/sign-in?over=yes"));
    let page = again.open("/sign-in?over=yes").await.expect(200);
    assert!(page.body.contains("That took too long."));
}

#[tokio::test]
async fn a_recovery_code_ends_a_sign_in_and_wrong_codes_cost_time() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let (_, recovery) = with_app(&server, &alice).await;
    let (browser, _) = half(&server, &alice).await;
    browser
        .submit(CODE_PAGE, &[("code", &recovery[0])])
        .await
        .expect(303);
    browser.open("/account").await.expect(200);
    let (browser, _) = half(&server, &alice).await;
    let mut last = browser
        .submit(CODE_PAGE, &[("code", &recovery[0])])
        .await
        .expect(401);
    for _ in 0..8 {
        last = browser.submit(CODE_PAGE, &[("code", "000000")]).await;
    }
    let last = last.expect(429);
    assert!(last.header("retry-after").is_some());
    assert!(
        last.body.contains("role=\"alert\">Too many attempts."),
        "{}",
        last.body
    );
    browser.open("/account").await.expect(303);
}

#[tokio::test]
async fn a_remembered_browser_is_not_asked_again_and_only_for_its_user() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let (app, _) = with_app(&server, &alice).await;
    with_app(&server, &bob).await;
    let (browser, _) = half(&server, &alice).await;
    let code = app.code(server.now());
    browser
        .submit(CODE_PAGE, &[("code", &code), ("device", "yes")])
        .await
        .expect(303);
    let device = browser.cookie(DEVICE_COOKIE).unwrap();
    for (user, location) in [(&alice, "/account"), (&bob, CODE_PAGE)] {
        let browser = server.browser();
        browser.set_cookie(DEVICE_COOKIE, &device);
        let fields = [
            ("email", user.email.as_str()),
            ("password", SIGN_IN_PASSWORD),
        ];
        let answer = browser.submit("/sign-in", &fields).await.expect(303);
        assert_eq!(answer.header("location"), Some(location));
    }
}

#[tokio::test]
async fn who_must_have_a_second_factor_sets_one_up_in_the_sign_in() {
    let server =
        TestServer::start_with(|config| config.session.second_factor_required = true).await;
    server.registered("carol@example.com").await;
    let browser = server.browser();
    let fields = [
        ("email", "carol@example.com"),
        ("password", SIGN_IN_PASSWORD),
    ];
    let answer = browser.submit("/sign-in", &fields).await.expect(303);
    let location = answer.header("location").unwrap();
    assert_eq!(location, "/sign-in/enrol?next=/account");
    let page = browser.submit(location, &[]).await.expect(200);
    let secret = |page: &Answer| {
        let (_, rest) = page.body.split_once("name=\"secret\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let shown = secret(&page);
    assert!(
        page.body.contains("<svg ") && !page.body.contains("otpauth"),
        "{}",
        page.body
    );
    let token = form_token(&page.body);
    let send = async |code: &str| {
        let fields = [("secret", shown.as_str()), ("code", code)];
        browser.submit_with("/sign-in/enrol", &token, &fields).await
    };
    let wrong = send("000000").await.expect(401);
    assert_eq!(secret(&wrong), shown, "the same picture once more");
    assert!(wrong.body.contains("id=\"code-problem\""), "{}", wrong.body);
    let app = AuthenticatorApp::typed(&shown);
    let done = send(&app.code(server.now())).await.expect(200);
    assert_eq!(done.body.matches("<li><code>").count(), 10, "{}", done.body);
    assert_eq!(done.header("cache-control"), Some("no-store"));
    browser.open("/account").await.expect(200);
    send(&app.code(server.now())).await.expect(403);
}

#[tokio::test]
async fn a_passkey_is_a_second_factor_and_a_sign_in_of_its_own() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let passkey = with_passkey(&server, &alice).await;
    let (browser, location) = half(&server, &alice).await;
    let page = browser.open(&location).await.expect(200);
    let answer = passkey
        .sign(&question(&page), &touch(&server, 2))
        .to_string();
    browser
        .submit(&location, &[("passkey", "{}")])
        .await
        .expect(422);
    browser
        .submit(&location, &[("passkey", &answer)])
        .await
        .expect(303);
    browser.open("/account").await.expect(200);

    let browser = server.browser();
    let token = form_token(&browser.open("/sign-in").await.expect(200).body);
    let next = [("next", "/account/devices")];
    let begun = browser
        .submit_with("/sign-in/passkey", &token, &next)
        .await
        .expect(303);
    let half_cookie = browser.cookie(SESSION_COOKIE).unwrap();
    let page = browser
        .open(begun.header("location").unwrap())
        .await
        .expect(200);
    let answer = passkey
        .sign(&question(&page), &touch(&server, 3))
        .to_string();
    let token = form_token(&page.body);
    let fields = [("next", "/account/devices"), ("passkey", answer.as_str())];
    let done = browser
        .submit_with("/sign-in/passkey", &token, &fields)
        .await
        .expect(303);
    assert_eq!(done.header("location"), Some("/account/devices"));
    assert_ne!(browser.cookie(SESSION_COOKIE).unwrap(), half_cookie);
    browser.open("/account").await.expect(200);

    // The same answer once more, with the cookie it belonged to.
    let thief = server.browser();
    thief.set_cookie(SESSION_COOKIE, &half_cookie);
    let refused = thief
        .submit_with("/sign-in/passkey", &token, &fields)
        .await
        .expect(401);
    assert!(refused.body.contains("role=\"alert\""), "{}", refused.body);
    thief.open("/account").await.expect(303);
}

#[tokio::test]
async fn factors_are_changed_on_their_page_after_the_password_once_more() {
    const PAGE: &str = "/account/factors";
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let passkey_owner = server.user("bob").await;
    with_passkey(&server, &passkey_owner).await;
    let (browser, _) = half(&server, &alice).await;
    let send = async |fields: &[(&str, &str)]| browser.submit(PAGE, fields).await;
    server.advance(Duration::from_secs(3600));
    send(&[("action", "app")]).await.expect(403);
    let page = send(&[("action", "prove"), ("password", "wrong password")]).await;
    let page = page.expect(401);
    assert!(
        page.body.contains("id=\"password-problem\""),
        "{}",
        page.body
    );
    send(&[("action", "prove"), ("password", SIGN_IN_PASSWORD)])
        .await
        .expect(303);
    let page = send(&[("action", "app")]).await.expect(200);
    let (_, rest) = page.body.split_once("name=\"secret\" value=\"").unwrap();
    let secret = rest.split('"').next().unwrap();
    let confirm = async |code: &str| {
        let fields = [("action", "confirm"), ("secret", secret), ("code", code)];
        browser.submit(PAGE, &fields).await
    };
    let wrong = confirm("000000").await.expect(401);
    assert!(wrong.body.contains(secret) && wrong.body.contains("id=\"code-problem\""));
    let app = AuthenticatorApp::typed(secret);
    let codes = confirm(&app.code(server.now())).await.expect(200);
    assert_eq!(codes.body.matches("<li><code>").count(), 10);
    let anew = send(&[("action", "codes")]).await.expect(200);
    assert_ne!(anew.body, codes.body);

    // Another hour later both are asked for.
    server.advance(Duration::from_secs(3600));
    send(&[("action", "remove_app")]).await.expect(403);
    let page = send(&[("action", "prove"), ("password", SIGN_IN_PASSWORD)]).await;
    let page = page.expect(401);
    assert!(page.body.contains("id=\"code-problem\""), "{}", page.body);
    let code = app.code(server.now());
    send(&[
        ("action", "prove"),
        ("password", SIGN_IN_PASSWORD),
        ("code", &code),
    ])
    .await
    .expect(303);
    let theirs = server
        .app()
        .store()
        .passkeys(&passkey_owner.id)
        .await
        .unwrap();
    let theirs = theirs[0].id.to_string();
    for fields in [
        [("action", "remove_passkey"), ("passkey", theirs.as_str())],
        [("action", "remove_passkey"), ("passkey", "x")],
        [("action", "nothing"), ("passkey", "")],
    ] {
        send(&fields).await.expect(404);
    }
    let left = server
        .app()
        .store()
        .passkeys(&passkey_owner.id)
        .await
        .unwrap();
    assert_eq!(left.len(), 1);
    send(&[("action", "remove_app")]).await.expect(303);
    let page = browser.open(PAGE).await.expect(200);
    assert!(page.body.contains("Not set up") && page.body.contains("You have no passkey."));
}

#[tokio::test]
async fn a_passkey_is_removed_on_the_page_of_its_owner() {
    const PAGE: &str = "/account/factors";
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let passkey = with_passkey(&server, &alice).await;
    let (browser, location) = half(&server, &alice).await;
    let page = browser.open(&location).await.expect(200);
    let answer = passkey
        .sign(&question(&page), &touch(&server, 2))
        .to_string();
    browser
        .submit(&location, &[("passkey", &answer)])
        .await
        .expect(303);
    let page = browser.open(PAGE).await.expect(200);
    assert!(page.body.contains("<strong>Phone</strong>") && page.body.contains("10 left"));
    let mine = server.app().store().passkeys(&alice.id).await.unwrap();
    let mine = mine[0].id.to_string();
    let fields = [("action", "remove_passkey"), ("passkey", mine.as_str())];
    browser.submit(PAGE, &fields).await.expect(303);
    let page = browser.open("/account/factors?done=yes").await.expect(200);
    assert!(page.body.contains("You have no passkey.") && page.body.contains("It is done."));
}

#[tokio::test]
async fn the_script_is_a_file_of_its_own_and_small() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    with_passkey(&server, &alice).await;
    let (browser, location) = half(&server, &alice).await;
    let page = browser.open(&location).await.expect(200);
    let (_, rest) = page.body.split_once("<script src=\"").unwrap();
    let path = rest.split('"').next().unwrap();
    assert!(!page.body.contains("<script>") && !page.body.contains(" style="));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let request = browser.request(Method::GET, path);
    let script = browser.send(request).await.expect(200);
    assert_eq!(
        script.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    assert!(script.body.len() < 1024);
}
