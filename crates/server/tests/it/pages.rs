//! The pages, as a browser without a screen sees them. Keyboard, phone and looks: `tests/browser`.

use std::time::{Duration, Instant};

use reqwest::Method;
use tokensmith_store::{AuditContext, OrganizationBrand, OrganizationId, PutOrganizationBrand};
use tokensmith_testkit::{
    Answer, Browser, SESSION_COOKIE, SIGN_IN_PASSWORD, TestServer, form_token,
};

const ALICE: &str = "alice@example.com";
const NEW_PASSWORD: &str = "seven purple anvils under rain";

async fn signed_in(server: &TestServer) -> Browser {
    if server
        .app()
        .store()
        .user_by_login(ALICE)
        .await
        .unwrap()
        .is_none()
    {
        server.registered(ALICE).await;
    }
    let browser = server.browser();
    browser.signs_in(ALICE, SIGN_IN_PASSWORD).await;
    browser
}

/// Pages of somebody who is signed out, and of somebody who is signed in.
const ENTRY: [&str; 5] = ["/sign-in", "/register", "/forgot", "/reset", "/verify"];
const ACCOUNT: [&str; 5] = [
    "/account",
    "/account/password",
    "/account/factors",
    "/account/devices",
    "/account/activity",
];

#[tokio::test]
async fn the_start_leads_to_the_account_or_to_the_sign_in() {
    let server = TestServer::start().await;
    let visitor = server.browser();
    let answer = visitor.open("/").await.expect(303);
    assert_eq!(answer.header("location"), Some("/sign-in"));
    let browser = signed_in(&server).await;
    let answer = browser.open("/").await.expect(303);
    assert_eq!(answer.header("location"), Some("/account"));
    let answer = browser
        .open("/sign-in?next=/account/devices")
        .await
        .expect(303);
    assert_eq!(answer.header("location"), Some("/account/devices"));
}

#[tokio::test]
async fn a_signed_out_browser_is_sent_to_the_sign_in_and_then_to_the_page_it_wanted() {
    let server = TestServer::start().await;
    server.registered(ALICE).await;
    let browser = server.browser();
    let answer = browser.open("/account/devices").await.expect(303);
    assert_eq!(
        answer.header("location"),
        Some("/sign-in?next=/account/devices")
    );
    for (next, then) in [
        ("/account/devices", "/account/devices"),
        ("https://evil.test/", "/account"),
        ("//evil.test", "/account"),
    ] {
        let browser = server.browser();
        let fields = [
            ("email", ALICE),
            ("password", SIGN_IN_PASSWORD),
            ("next", next),
        ];
        let answer = browser.submit("/sign-in", &fields).await.expect(303);
        assert_eq!(answer.header("location"), Some(then), "{next}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_beside_its_field_in_the_language_of_the_page() {
    let server = TestServer::start().await;
    server.registered(ALICE).await;
    let browser = server.browser();
    let wrong = [("email", ALICE), ("password", "wrong password")];
    let page = browser.submit("/sign-in", &wrong).await.expect(401);
    assert!(
        page.body
            .contains(r#"role="alert">The e-mail address or the password is wrong."#)
    );
    assert!(
        page.body.contains(r#"value="alice@example.com""#) && !page.body.contains("wrong password")
    );
    let page = browser
        .submit("/sign-in", &[("email", ALICE)])
        .await
        .expect(422);
    assert!(
        page.body
            .contains(r#"id="password-problem">Enter your password."#),
        "{}",
        page.body
    );
    assert!(
        page.body
            .contains(r#"aria-invalid="true" aria-describedby="password-problem""#)
    );
    browser
        .open("/register?ui_locales=es%20de-AT")
        .await
        .expect(200);
    let fields = [("email", "nobody"), ("password", SIGN_IN_PASSWORD)];
    let page = browser.submit("/register", &fields).await.expect(422);
    assert!(page.body.contains("<html lang=\"de\">") && page.body.contains("Das sieht nicht nach"));
    let fields = [("email", "a@b.example"), ("password", "short")];
    let page = browser.submit("/register", &fields).await.expect(422);
    assert!(
        page.body
            .contains("aria-describedby=\"password-problem password-hint\""),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn an_account_is_made_on_a_page_and_a_known_address_is_told_the_same() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let fields = [
        ("email", ALICE),
        ("username", "alice"),
        ("password", SIGN_IN_PASSWORD),
    ];
    let first = browser.submit("/register", &fields).await.expect(201);
    let fields = [("email", ALICE), ("password", SIGN_IN_PASSWORD)];
    let again = browser.submit("/register", &fields).await.expect(201);
    assert_eq!(first.body, again.body);
    let fields = [
        ("email", "b@example.com"),
        ("username", "alice"),
        ("password", SIGN_IN_PASSWORD),
    ];
    let taken = browser.submit("/register", &fields).await.expect(409);
    assert!(
        taken
            .body
            .contains("id=\"username-problem\">Another user has this username.")
    );
    browser.signs_in("alice", SIGN_IN_PASSWORD).await;
}

#[tokio::test]
async fn languages_are_chosen_by_parameter_then_cookie_then_browser() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let accept = async |path: &str, languages: &str| {
        let request = browser
            .request(Method::GET, path)
            .header("accept-language", languages);
        let page = browser.send(request).await.expect(200).body;
        page.split("lang=\"").nth(1).unwrap()[..2].to_owned()
    };
    assert_eq!(accept("/sign-in", "es, fr;q=0.8, de;q=0.9").await, "de");
    assert_eq!(accept("/sign-in", "es").await, "en");
    assert_eq!(accept("/sign-in?ui_locales=fr", "de").await, "fr");
    assert_eq!(accept("/register", "de").await, "fr", "the choice is kept");
    assert_eq!(
        accept("/register?ui_locales=tlh", "de").await,
        "fr",
        "an unknown one is no choice"
    );
}

#[tokio::test]
async fn devices_are_listed_and_ended() {
    let server = TestServer::start().await;
    let (mine, other, third) = (
        signed_in(&server).await,
        signed_in(&server).await,
        signed_in(&server).await,
    );
    let page = mine.open("/account/devices").await.expect(200);
    assert_eq!(page.body.matches("This device").count(), 1);
    let buttons: Vec<_> = page
        .body
        .split("name=\"session\" value=\"")
        .skip(1)
        .collect();
    assert_eq!(buttons.len(), 3, "two other devices, and all others");
    let id = buttons[0].split('"').next().unwrap();
    let done = mine
        .submit("/account/devices", &[("session", id)])
        .await
        .expect(303);
    assert_eq!(done.header("location"), Some("/account/devices?done=one"));
    let signed_in = async |browser: &Browser| browser.open("/account").await.status == 200;
    let left = usize::from(signed_in(&other).await) + usize::from(signed_in(&third).await);
    assert_eq!(left, 1);
    mine.submit("/account/devices", &[("session", id)])
        .await
        .expect(404);
    mine.submit("/account/devices", &[("session", "x")])
        .await
        .expect(404);
    mine.submit("/account/devices", &[("session", "others")])
        .await
        .expect(303);
    assert!(!signed_in(&other).await && !signed_in(&third).await && signed_in(&mine).await);
    let page = mine.open("/account/devices?done=others").await.expect(200);
    assert!(page.body.contains("You are signed in nowhere else."));
    let events = server.audit_events().await;
    assert_eq!(
        events
            .iter()
            .filter(|event| *event == "session_ended")
            .count(),
        2
    );
}

#[tokio::test]
async fn nobody_ends_the_session_of_somebody_else() {
    let server = TestServer::start().await;
    let browser = signed_in(&server).await;
    let mallory = server.user("mallory").await;
    let sessions = server
        .app()
        .store()
        .sessions_of(&mallory.id, server.now(), 10)
        .await
        .unwrap();
    let id = sessions[0].id.to_string();
    browser
        .submit("/account/devices", &[("session", &id)])
        .await
        .expect(404);
    let sessions = server
        .app()
        .store()
        .sessions_of(&mallory.id, server.now(), 10)
        .await
        .unwrap();
    assert_eq!(sessions.len(), 1);
}

#[tokio::test]
async fn an_organization_gives_the_pages_its_name_colour_and_logo() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Acme").await;
    let browser = server.browser();
    let path = format!("/sign-in?org={org}");
    assert!(
        browser
            .open(&path)
            .await
            .expect(200)
            .body
            .contains("<span>Tokensmith</span>")
    );
    let org_id: OrganizationId = org.parse().unwrap();
    let put = PutOrganizationBrand {
        org_id,
        brand: OrganizationBrand {
            name: Some("Acme <b>".to_owned()),
            colour: Some("aa3300".to_owned()),
            logo_type: Some("image/png".to_owned()),
            logo: Some(vec![1, 2, 3]),
        },
        actor: None,
        context: AuditContext::operator(server.now()),
    };
    assert!(server.app().store().write(put).await.unwrap());
    let page = browser.open(&path).await.expect(200).body;
    assert!(
        page.contains("Acme &#60;b&#62;") && !page.contains("<b>"),
        "{page}"
    );
    for (asset, kind) in [
        (
            "/assets/colour-aa3300.css".to_owned(),
            "text/css; charset=utf-8",
        ),
        (format!("/logos/{org}"), "image/png"),
    ] {
        assert!(page.contains(&format!("\"{asset}\"")), "{page}");
        let answer = browser.open(&asset).await.expect(200);
        assert_eq!(answer.header("content-type"), Some(kind));
    }
    browser.signs_in(ALICE, SIGN_IN_PASSWORD).await;
    assert!(
        browser
            .open("/account")
            .await
            .expect(200)
            .body
            .contains("Acme")
    );
    browser.open("/assets/colour-AA3300.css").await.expect(404);
    browser.open("/logos/x").await.expect(404);
}

#[tokio::test]
async fn what_pages_load_is_kept_by_browsers_for_good() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let page = browser.open("/sign-in").await.expect(200).body;
    for asset in page.split("href=\"/assets/").skip(1) {
        let path = format!("/assets/{}", asset.split('"').next().unwrap());
        let answer = browser.open(&path).await.expect(200);
        let life = answer.header("cache-control").unwrap();
        assert_eq!(life, "public, max-age=31536000, immutable");
        assert!(answer.header("set-cookie").is_none());
    }
    let none = browser
        .open("/assets/style-000000000000.css")
        .await
        .expect(404);
    assert_eq!(none.header("cache-control"), Some("no-store"));
}

fn wire_size(answer: &Answer) -> usize {
    let fields = answer.headers.iter();
    let head: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    head + answer.body.len()
}

#[tokio::test]
async fn a_page_with_all_it_loads_has_less_than_60_kib_and_takes_less_than_5_ms() {
    let server = TestServer::start().await;
    let (visitor, browser) = (server.browser(), signed_in(&server).await);
    let pages = ENTRY.map(|page| (&visitor, page)).into_iter();
    for (browser, path) in pages.chain(ACCOUNT.map(|page| (&browser, page))) {
        let page = browser.open(path).await.expect(200);
        let mut size = wire_size(&page);
        for asset in page.body.split("href=\"/assets/").skip(1) {
            let asset = format!("/assets/{}", asset.split('"').next().unwrap());
            size += wire_size(&browser.open(&asset).await.expect(200));
        }
        let mut times = Vec::new();
        for _ in 0..30 {
            let began = Instant::now();
            browser.open(path).await.expect(200);
            times.push(began.elapsed());
        }
        times.sort();
        println!(
            "{path}: {size} bytes, {:?} at the median, the network included",
            times[15]
        );
        assert!(size < 60 * 1024, "{path}: {size}");
        // The best of many: the machine that runs all tests at once is not what is measured.
        assert!(times[0] < Duration::from_millis(5), "{path}: {times:?}");
    }
}

#[tokio::test]
async fn an_unreadable_form_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let browser = signed_in(&server).await;
    let token = form_token(&browser.open("/account").await.expect(200).body);
    let cookie = browser.cookie(SESSION_COOKIE);
    for (kind, body, status) in [
        (
            "application/json",
            format!("{{\"form_token\":\"{token}\"}}"),
            415,
        ),
        ("multipart/form-data", format!("form_token={token}"), 415),
        (
            "application/x-www-form-urlencoded",
            format!("form_token={token}&a=%zz"),
            400,
        ),
        (
            "application/x-www-form-urlencoded",
            format!("form_token={token}&form_token={token}"),
            403,
        ),
    ] {
        let request = browser.request(Method::POST, "/sign-out");
        let request = request.header("content-type", kind).body(body);
        let page = browser.send(request).await.expect(status);
        assert!(page.body.contains("</html>"), "{}", page.body);
    }
    assert_eq!(browser.cookie(SESSION_COOKIE), cookie);
    browser.open("/account").await.expect(200);
}

#[tokio::test]
async fn a_password_is_changed_on_its_page_and_what_is_wrong_stands_beside_its_field() {
    let server = TestServer::start().await;
    let (browser, other) = (signed_in(&server).await, signed_in(&server).await);
    let change = async |current: &str, new: &str| {
        let fields = [("current_password", current), ("new_password", new)];
        browser.submit("/account/password", &fields).await
    };
    let page = change("wrong password", NEW_PASSWORD).await.expect(403);
    assert!(
        page.body.contains("current_password-problem\">This is not"),
        "{}",
        page.body
    );
    let page = change(SIGN_IN_PASSWORD, "short").await.expect(422);
    assert!(
        page.body
            .contains("new_password-problem\">The password must"),
        "{}",
        page.body
    );
    let page = change(SIGN_IN_PASSWORD, "password1").await.expect(422);
    assert!(
        page.body.contains("id=\"new_password-problem\""),
        "{}",
        page.body
    );
    let done = change(SIGN_IN_PASSWORD, NEW_PASSWORD).await.expect(303);
    let page = browser
        .open(done.header("location").unwrap())
        .await
        .expect(200);
    assert!(
        page.body.contains("Your password is changed."),
        "{}",
        page.body
    );
    other.open("/account").await.expect(303);
    server.browser().signs_in(ALICE, NEW_PASSWORD).await;
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_the_link_and_an_address_confirmed() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let fields = [("email", ALICE), ("password", SIGN_IN_PASSWORD)];
    browser.submit("/register", &fields).await.expect(201);
    let link = super::accounts::link(&server, ALICE, 1).await;
    assert!(link.starts_with("/verify?token="), "{link}");
    let page = browser.open(&link).await.expect(200);
    let (_, token) = link.split_once('=').unwrap();
    let user = async || {
        server
            .app()
            .store()
            .user_by_login(ALICE)
            .await
            .unwrap()
            .unwrap()
    };
    assert!(
        user().await.email_verified_at.is_none(),
        "opening the link does nothing"
    );
    let form = form_token(&page.body);
    let confirm = [("token", token)];
    browser
        .submit_with("/verify", &form, &confirm)
        .await
        .expect(200);
    assert!(user().await.email_verified_at.is_some());
    let again = browser
        .submit_with("/verify", &form, &confirm)
        .await
        .expect(400);
    assert!(again.body.contains("was used before"), "{}", again.body);
    for address in [ALICE, "nobody@example.com"] {
        let sent = browser
            .submit("/forgot", &[("email", address)])
            .await
            .expect(202);
        assert!(sent.body.contains("If this address has an account"));
    }
    let link = super::accounts::link(&server, ALICE, 2).await;
    let (_, token) = link.split_once('=').unwrap();
    let page = browser.open(&link).await.expect(200);
    let form = form_token(&page.body);
    let weak = [("token", token), ("password", "short")];
    let page = browser
        .submit_with("/reset", &form, &weak)
        .await
        .expect(422);
    assert!(page.body.contains("id=\"password-problem\"") && page.body.contains(token));
    let good = [("token", token), ("password", NEW_PASSWORD)];
    browser
        .submit_with("/reset", &form, &good)
        .await
        .expect(200);
    browser
        .submit_with("/reset", &form, &good)
        .await
        .expect(400);
    browser.signs_in(ALICE, NEW_PASSWORD).await;
}
