//! The pages in a real browser: every flow by keyboard alone, on a window of a phone's size, light and dark, and
//! without findings of axe-core that are serious. Pictures of every page land in `target/screenshots`.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it stands"
)]

mod webdriver;

use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_testkit::{AuthenticatorApp, SIGN_IN_PASSWORD, TestServer};

use webdriver::{END, Window};

const ALICE: &str = "alice@example.com";

/// A window on a server. `__Host-` cookies want a secure context, which `localhost` is and `127.0.0.1` with its other
/// name in the issuer is not.
async fn window(server: &TestServer) -> Window {
    Window::open(server.app().config().issuer.as_str()).await
}

async fn sign_in(window: &Window) {
    window.go("/sign-in").await;
    window.fill("E-mail address or username", ALICE).await;
    window.fill("Password", SIGN_IN_PASSWORD).await;
    window.choose("Sign in").await;
    assert_eq!(window.path().await, "/account");
}

#[tokio::test]
async fn an_account_is_made_used_and_left_by_keyboard_alone() {
    let server = TestServer::start().await;
    let window = window(&server).await;
    window.is_phone(true).await;
    window.go("/").await;
    assert_eq!(window.path().await, "/sign-in");
    window.choose("Create one").await;
    window.fill("E-mail address", "alice").await;
    window.fill("Password", "short").await;
    window.choose("Create account").await;
    let text = window.text().await;
    assert!(
        text.contains("This does not look like an e-mail address."),
        "{text}"
    );
    // What was wrong has the focus.
    window.press(&format!("{END}@example.com")).await;
    window.fill("Password", SIGN_IN_PASSWORD).await;
    window.choose("Create account").await;
    assert!(window.text().await.contains("Almost there"));
    window.choose("Sign in").await;
    window.fill("E-mail address or username", ALICE).await;
    window.fill("Password", "another password").await;
    window.choose("Sign in").await;
    assert!(
        window
            .text()
            .await
            .contains("The e-mail address or the password is wrong.")
    );
    window.fill("Password", SIGN_IN_PASSWORD).await;
    window.choose("Sign in").await;
    assert_eq!(window.path().await, "/account");
    window.choose("Devices").await;
    assert!(window.text().await.contains("This device"));
    window.choose("Password").await;
    window.fill("Current password", SIGN_IN_PASSWORD).await;
    window
        .fill("New password", "seven purple anvils under rain")
        .await;
    window.choose("Change password").await;
    assert!(window.text().await.contains("Your password is changed."));
    window.choose("Activity").await;
    assert!(window.text().await.contains("Password changed"));
    window.choose("Deutsch").await;
    assert!(window.text().await.contains("Anmeldung"));
    window.choose("Abmelden").await;
    assert_eq!(window.path().await, "/sign-in");
    window.go("/account").await;
    assert_eq!(window.path().await, "/sign-in", "signed out");
}

#[tokio::test]
async fn another_device_is_signed_out_by_keyboard_alone() {
    let server = TestServer::start().await;
    server.user("alice").await;
    let window = window(&server).await;
    sign_in(&window).await;
    window.go("/account/devices").await;
    window.choose("Sign out all other devices").await;
    let text = window.text().await;
    assert!(text.contains("All other devices are signed out."), "{text}");
    assert!(text.contains("You are signed in nowhere else."), "{text}");
}

/// Types name and password.
async fn give_password(window: &Window) {
    window.go("/sign-in").await;
    window.fill("E-mail address or username", ALICE).await;
    window.fill("Password", SIGN_IN_PASSWORD).await;
    window.choose("Sign in").await;
}

#[tokio::test]
async fn a_second_step_is_set_up_and_taken_by_keyboard_alone() {
    let server =
        TestServer::start_with(|config| config.session.second_factor_required = true).await;
    server.registered(ALICE).await;
    let window = window(&server).await;
    give_password(&window).await;
    assert_eq!(window.path().await, "/sign-in/enrol?next=/account&keep=yes");
    look(&window, "enrol").await;
    window.choose("Set up now").await;
    look(&window, "enrol-scan").await;
    let secret = window.run("return document.querySelector('[name=secret]').value");
    let app = AuthenticatorApp::typed(secret.await.as_str().unwrap());
    window.fill("Security code", "000000").await;
    window.choose("Confirm and sign in").await;
    assert!(window.text().await.contains("This code is wrong"));
    let code = app.code(server.now());
    // What was wrong has the focus.
    window.press(&code).await;
    window.choose("Confirm and sign in").await;
    look(&window, "recovery-codes").await;
    window.choose("I have kept them").await;
    assert_eq!(window.path().await, "/account");
    window.choose("Sign out").await;

    server.advance(Duration::from_secs(30));
    give_password(&window).await;
    assert_eq!(window.path().await, "/sign-in/code?next=/account&keep=yes");
    look(&window, "code").await;
    window.fill("Security code", "000000").await;
    window.choose("Sign in").await;
    look(&window, "code-refused").await;
    window.press(&app.code(server.now())).await;
    window.tab_to("Do not ask again on this device").await;
    window.press(" ").await;
    window.choose("Sign in").await;
    assert_eq!(window.path().await, "/account");
    window.choose("Sign out").await;
    give_password(&window).await;
    assert_eq!(window.path().await, "/account", "this device is remembered");

    // One factor opens the account; both change what protects it.
    window.choose("Two steps").await;
    look(&window, "factors-prove").await;
    server.advance(Duration::from_secs(30));
    window.fill("Current password", SIGN_IN_PASSWORD).await;
    window.fill("Security code", &app.code(server.now())).await;
    window.choose("Confirm password").await;
    look(&window, "factors").await;
    window.choose("Remove the app").await;
    assert!(window.text().await.contains("It is done."));
    window.choose("Set up an app").await;
    look(&window, "factors-setup").await;
}

#[tokio::test]
async fn a_passkey_is_a_second_step_and_signs_in_alone() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let window = window(&server).await;
    let authenticator = json!({"protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
        "hasUserVerification": true, "isUserConsenting": true, "isUserVerified": true});
    let authenticator = window.post("/webauthn/authenticator", authenticator).await;
    let begun = alice.post("/api/auth/passkeys/options", json!({})).await;
    let begun = begun.expect(200);
    window.go("/sign-in").await;
    let script = format!(
        "const done = arguments[arguments.length - 1];
        const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON({});
        navigator.credentials.create({{publicKey}}).then(made => done(JSON.parse(JSON.stringify(made))), error => done(String(error)))",
        begun.json()["publicKey"]
    );
    let passkey = window.run_until_done(&script).await;
    let body = json!({"ceremony_token": begun.text("ceremony_token"), "name": "Laptop", "passkey": passkey});
    alice.post("/api/auth/passkeys", body).await.expect(201);

    give_password(&window).await;
    look(&window, "code-passkey").await;
    window.choose("Use a passkey").await;
    assert_eq!(window.path().await, "/account");
    window.choose("Sign out").await;

    window.choose("Sign in with a passkey").await;
    look(&window, "passkey").await;
    window.choose("Use a passkey").await;
    assert_eq!(window.path().await, "/account");
    look_at(&window, "factors-passkey", "/account/factors").await;
    window.choose("Remove Laptop").await;
    assert!(window.text().await.contains("You have no passkey."));
    window.choose("Sign out").await;

    // Who cannot be verified is told, and may try another way.
    let path = format!(
        "/webauthn/authenticator/{}/uv",
        authenticator.as_str().unwrap()
    );
    window.post(&path, json!({"isUserVerified": false})).await;
    window.choose("Sign in with a passkey").await;
    window.press_on("Use a passkey").await;
    window.shows("No passkey answered.").await;
    look(&window, "passkey-failed").await;
    window.choose("Sign in with a password").await;
    assert_eq!(window.path().await, "/sign-in");
}

#[tokio::test]
async fn every_page_is_fit_to_read_on_phone_and_desk_in_light_and_dark() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    server.user("bob").await;
    alice
        .creates_organization("Acme Research and Development")
        .await;
    server.anonymous().login(ALICE, "a wrong password").await;
    let window = window(&server).await;
    look_at(&window, "sign-in", "/sign-in").await;
    look_at(&window, "register", "/register").await;
    look_at(&window, "forgot", "/forgot").await;
    look_at(&window, "reset", "/reset").await;
    look_at(&window, "verify", "/verify?token=AbCdEf").await;
    look_at(&window, "register-de", "/register?ui_locales=de").await;
    window.go("/register?ui_locales=en").await;
    window.fill("E-mail address", "alice").await;
    window.choose("Create account").await;
    look(&window, "register-refused").await;
    sign_in(&window).await;
    for (name, path) in [
        ("account", "/account"),
        ("password", "/account/password"),
        ("factors-none", "/account/factors"),
        ("devices", "/account/devices"),
        ("activity", "/account/activity"),
    ] {
        look_at(&window, name, path).await;
    }
}

async fn look_at(window: &Window, name: &str, path: &str) {
    window.go(path).await;
    look(window, name).await;
}

/// Takes the four pictures of a page, and judges each.
async fn look(window: &Window, name: &str) {
    for is_phone in [false, true] {
        window.is_phone(is_phone).await;
        for is_dark in [false, true] {
            window.is_dark(is_dark).await;
            let size = if is_phone { "phone" } else { "desk" };
            let light = if is_dark { "dark" } else { "light" };
            let shown = format!("{name}-{size}-{light}");
            window.picture(&shown).await;
            fits(window, &shown).await;
            is_accessible(window, &shown).await;
        }
    }
}

/// Nothing sticks out sideways, and what is pressed is large enough for a thumb (WCAG 2.2 §2.5.8: 24 pixels; links
/// within a sentence are exempt, and a box is pressed by its label).
async fn fits(window: &Window, shown: &str) {
    let script = "
        const wide = document.documentElement.scrollWidth > innerWidth;
        const boxes = [...document.querySelectorAll('a:not(.skip), button, input:not([type=hidden], [type=checkbox]), label.check')];
        const small = boxes.filter(it => !it.matches('p a, dd a') && it.getBoundingClientRect().height < 24).map(it => it.outerHTML);
        return {wide, small}";
    let found = window.run(script).await;
    assert!(found["wide"] == false, "{shown} is wider than its window");
    let small = found["small"].as_array().unwrap();
    assert!(small.is_empty(), "{shown}: {small:?}");
}

/// No finding of axe-core is serious or critical.
async fn is_accessible(window: &Window, shown: &str) {
    let script = format!(
        "{}; const done = arguments[arguments.length - 1];
        axe.run(document, {{resultTypes: ['violations']}}).then(found => done(found.violations.map(one =>
            ({{id: one.id, impact: one.impact, nodes: one.nodes.map(node => node.html)}}))),
            error => done([{{impact: 'critical', id: String(error)}}]))",
        include_str!("axe.min.js")
    );
    let found = window.run_until_done(&script).await;
    let is_grave = |finding: &&Value| {
        let impact = finding["impact"].as_str().unwrap_or_default();
        matches!(impact, "serious" | "critical")
    };
    let grave: Vec<_> = found.as_array().unwrap().iter().filter(is_grave).collect();
    assert!(grave.is_empty(), "{shown}: {grave:#?}");
    if let Some(finding) = found.as_array().unwrap().first() {
        println!("{shown}: {finding}");
    }
}
