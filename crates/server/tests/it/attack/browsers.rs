//! Theme 12: sessions of browsers, forged forms, header fields of pages.

use reqwest::Method;
use tokensmith_testkit::{
    Answer, Browser, SESSION_COOKIE, SIGN_IN_PASSWORD, TestServer, form_token,
};

use super::{assert_alive, second_factors::with_app};

const ALICE: &str = "alice@example.com";
const NEW_PASSWORD: &str = "seven purple anvils under rain";

async fn signed_in(server: &TestServer) -> Browser {
    let browser = server.browser();
    browser.signs_in(ALICE, SIGN_IN_PASSWORD).await;
    browser
}

async fn alice(server: &TestServer) -> Browser {
    server.registered(ALICE).await;
    signed_in(server).await
}

#[tokio::test]
async fn row_049_row_053_a_sign_in_leads_to_a_page_of_ours_with_303_whatever_next_says() {
    let server = TestServer::start().await;
    server.registered(ALICE).await;
    let signs_in = async |next: &str| {
        let fields = [
            ("email", ALICE),
            ("password", SIGN_IN_PASSWORD),
            ("next", next),
        ];
        let answer = server.browser().submit("/sign-in", &fields).await;
        let answer = answer.expect(303);
        answer.header("location").unwrap_or_default().to_owned()
    };
    assert_eq!(signs_in("/account/devices").await, "/account/devices");
    for next in [
        "//evil.test",
        "/\\evil.test",
        "https:evil.test",
        "%2f%2fevil.test",
        "/%09/evil.test",
        "https://evil.test/account",
        "/account/../../evil.test",
        "javascript:alert(1)",
    ] {
        assert_eq!(signs_in(next).await, "/account", "{next:?}");
        let path = format!("/sign-in?next={}", urlencoded(next));
        let page = server.browser().open(&path).await.expect(200);
        assert!(!page.body.contains("evil.test"), "{}", page.body);
    }
    let fields = [
        ("email", ALICE),
        ("password", SIGN_IN_PASSWORD),
        ("next", "/\t/evil.test"),
    ];
    server
        .browser()
        .submit("/sign-in", &fields)
        .await
        .expect(400);
    assert_alive(&server).await;
}

fn urlencoded(text: &str) -> String {
    tokensmith_oauth2::form::encode_one(text)
}

#[tokio::test]
async fn row_198_a_forged_form_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let browser = alice(&server).await;
    let other = signed_in(&server).await;
    let visitor = server.browser();
    let foreign = form_token(&other.open("/account").await.expect(200).body);
    let own = form_token(&browser.open("/account").await.expect(200).body);
    let before = browser.cookie(SESSION_COOKIE);
    for path in ["/sign-out", "/account/devices", "/sign-in", "/register"] {
        for (token, header) in [
            (None, None),
            (Some(""), None),
            (Some(foreign.as_str()), None),
            (Some(&own[1..]), None),
            (Some(own.as_str()), Some(("origin", "https://evil.test"))),
            (Some(own.as_str()), Some(("origin", "null"))),
            (Some(own.as_str()), Some(("sec-fetch-site", "cross-site"))),
            (Some(own.as_str()), Some(("sec-fetch-site", "same-site"))),
        ] {
            let fields = [
                ("session", "others"),
                ("email", ALICE),
                ("password", SIGN_IN_PASSWORD),
            ];
            let token = token.map(|token| ("form_token", token));
            let form: Vec<_> = token.into_iter().chain(fields).collect();
            let mut request = browser.request(Method::POST, path).form(&form);
            if let Some((name, value)) = header {
                request = request.header(name, value);
            }
            let page = browser.send(request).await.expect(403);
            assert!(
                page.body.contains("This form is out of date"),
                "{}",
                page.body
            );
        }
    }
    // A visitor's form as well: nobody signs somebody else's browser in.
    let fields = [("email", ALICE), ("password", SIGN_IN_PASSWORD)];
    visitor
        .submit_with("/sign-in", &foreign, &fields)
        .await
        .expect(403);
    assert_eq!(browser.cookie(SESSION_COOKIE), before);
    other.open("/account").await.expect(200);
    let refused = server.audit_events().await;
    let refused = refused
        .iter()
        .filter(|event| *event == "authorization_refused");
    assert_eq!(refused.count(), 4 * 8 + 1);
    // The same form from our own page is taken.
    let own_page = [("origin", "null"), ("sec-fetch-site", "same-origin")];
    let form = [("form_token", own.as_str()), ("session", "others")];
    let mut request = browser
        .request(Method::POST, "/account/devices")
        .form(&form);
    for (name, value) in own_page {
        request = request.header(name, value);
    }
    browser.send(request).await.expect(303);
    other.open("/account").await.expect(303);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_200_the_cookie_changes_with_sign_in_and_password_and_the_old_one_opens_nothing() {
    let server = TestServer::start().await;
    server.registered(ALICE).await;
    let browser = server.browser();
    browser.open("/sign-in").await.expect(200);
    let before = browser.cookie(SESSION_COOKIE).unwrap();
    browser.signs_in(ALICE, SIGN_IN_PASSWORD).await;
    let after = browser.cookie(SESSION_COOKIE).unwrap();
    assert_ne!(before, after);
    for (cookie, status) in [(&before, 303), (&after, 200)] {
        let thief = server.browser();
        thief.set_cookie(SESSION_COOKIE, cookie);
        thief.open("/account").await.expect(status);
    }
    let fields = [
        ("current_password", SIGN_IN_PASSWORD),
        ("new_password", NEW_PASSWORD),
    ];
    browser
        .submit("/account/password", &fields)
        .await
        .expect(303);
    let newest = browser.cookie(SESSION_COOKIE).unwrap();
    for (cookie, status) in [(&after, 303), (&newest, 200)] {
        let thief = server.browser();
        thief.set_cookie(SESSION_COOKIE, cookie);
        thief.open("/account").await.expect(status);
    }
    // Between the two factors the cookie opens nothing, and it changes with the second one.
    let carol = server.user("carol").await;
    let (app, _) = with_app(&server, &carol).await;
    let browser = server.browser();
    let fields = [
        ("email", carol.email.as_str()),
        ("password", SIGN_IN_PASSWORD),
    ];
    browser.submit("/sign-in", &fields).await.expect(303);
    let half = browser.cookie(SESSION_COOKIE).unwrap();
    browser.open("/account").await.expect(303);
    let code = app.code(server.now());
    browser
        .submit("/sign-in/code", &[("code", &code)])
        .await
        .expect(303);
    let whole = browser.cookie(SESSION_COOKIE).unwrap();
    for (cookie, status) in [(&half, 303), (&whole, 200)] {
        let thief = server.browser();
        thief.set_cookie(SESSION_COOKIE, cookie);
        thief.open("/account").await.expect(status);
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_202_every_cookie_is_bound_to_this_host_and_hidden_from_scripts() {
    let server = TestServer::start().await;
    server.registered(ALICE).await;
    let browser = server.browser();
    let mut seen = Vec::new();
    let mut look = |answer: &Answer| {
        let fields = answer.headers.get_all("set-cookie").iter();
        seen.extend(fields.map(|field| field.to_str().unwrap().to_owned()));
    };
    let page = browser.open("/sign-in?ui_locales=de").await.expect(200);
    look(&page);
    let fields = [
        ("email", ALICE),
        ("password", SIGN_IN_PASSWORD),
        ("remember", "yes"),
    ];
    look(&browser.submit("/sign-in", &fields).await.expect(303));
    let token = form_token(&browser.open("/account").await.expect(200).body);
    look(
        &browser
            .submit_with("/sign-out", &token, &[])
            .await
            .expect(303),
    );
    assert_eq!(seen.len(), 4, "{seen:?}");
    for cookie in &seen {
        let parts: Vec<_> = cookie.split("; ").collect();
        assert!(parts[0].starts_with("__Host-"), "{cookie}");
        for part in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(parts.contains(&part), "{cookie}");
        }
        assert!(
            !cookie.to_ascii_lowercase().contains("domain") && cookie.len() < 4096,
            "{cookie}"
        );
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_204_the_cookie_of_an_ended_session_opens_nothing() {
    let server = TestServer::start().await;
    let (first, second) = (alice(&server).await, signed_in(&server).await);
    let stolen = first.cookie(SESSION_COOKIE).unwrap();
    let token = form_token(&first.open("/account").await.expect(200).body);
    first
        .submit_with("/sign-out", &token, &[])
        .await
        .expect(303);
    let of_second = second.cookie(SESSION_COOKIE).unwrap();
    let third = signed_in(&server).await;
    third
        .submit("/account/devices", &[("session", "others")])
        .await
        .expect(303);
    for cookie in [stolen, of_second] {
        let thief = server.browser();
        thief.set_cookie(SESSION_COOKIE, &cookie);
        let answer = thief.open("/account").await.expect(303);
        assert_eq!(answer.header("location"), Some("/sign-in"));
        let answer = thief.open("/account/activity").await.expect(303);
        assert_eq!(
            answer.header("location"),
            Some("/sign-in?next=/account/activity")
        );
    }
    let ended = server.audit_events().await;
    let ended = ended.iter().filter(|event| *event == "session_ended");
    assert_eq!(ended.count(), 2);
    third.open("/account").await.expect(200);
    assert_alive(&server).await;
}

async fn every_page(server: &TestServer) -> Vec<Answer> {
    let (visitor, browser) = (server.browser(), alice(server).await);
    let mut pages = Vec::new();
    for path in [
        "/sign-in",
        "/register",
        "/forgot",
        "/reset",
        "/verify",
        "/account",
    ] {
        pages.push(visitor.open(path).await);
    }
    for path in [
        "/account",
        "/account/password",
        "/account/factors",
        "/account/devices",
        "/account/activity",
        "/sign-in",
    ] {
        pages.push(browser.open(path).await);
    }
    let wrong = [("email", ALICE), ("password", "wrong password")];
    pages.push(visitor.submit("/sign-in", &wrong).await.expect(401));
    pages.push(
        visitor
            .submit_with("/sign-in", "", &wrong)
            .await
            .expect(403),
    );
    pages
}

#[tokio::test]
async fn row_205_no_page_can_be_framed() {
    let server = TestServer::start().await;
    for page in every_page(&server).await {
        assert_eq!(
            page.header("x-frame-options"),
            Some("DENY"),
            "{}",
            page.request
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_206_pages_keep_other_sites_and_inline_code_out() {
    let server = TestServer::start().await;
    for page in every_page(&server).await {
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(
            !policy.contains("http") && !policy.contains('*'),
            "{policy}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(page.header(name), Some(value), "{}", page.request);
        }
        for inline in [
            "<style",
            " style=",
            "<script>",
            " onclick",
            "javascript:",
            "http://",
            "//",
        ] {
            let body = page.body.replace("http://www.w3.org/2000/svg", "");
            assert!(!body.contains(inline), "{}: {inline}", page.request);
        }
        assert!(
            page.header("strict-transport-security").is_none(),
            "not without TLS"
        );
        assert!(page.header("access-control-allow-origin").is_none());
    }
    let server = TestServer::start_with(|config| {
        config.issuer = tokensmith_server::config::Issuer::parse("https://auth.example").unwrap();
        config.mail.delivery = tokensmith_server::config::MailDelivery::Off;
    })
    .await;
    let page = server.browser().open("/sign-in").await.expect(200);
    assert!(
        page.header("strict-transport-security")
            .unwrap()
            .starts_with("max-age=")
    );
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_244_a_links_token_stays_in_its_form() {
    let server = TestServer::start().await;
    let token = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE";
    for path in ["/reset", "/verify"] {
        let page = server
            .browser()
            .open(&format!("{path}?token={token}"))
            .await
            .expect(200);
        let field = format!("<input type=\"hidden\" name=\"token\" value=\"{token}\">");
        assert!(page.body.contains(&field), "{}", page.body);
        assert_eq!(page.body.matches(token).count(), 1, "{}", page.body);
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        for (_, value) in &page.headers {
            assert!(!value.to_str().unwrap().contains(token));
        }
    }
    assert_alive(&server).await;
}
