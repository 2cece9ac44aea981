//! Theme 13 at the sign-in endpoint: guessing is slowed down where it comes from, and nobody else is locked out.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokensmith_testkit::{Answer, SIGN_IN_PASSWORD, TestServer};

use super::{ELSEWHERE, assert_alive, audited, behind_a_proxy};

async fn from(server: &TestServer, ip: &str, email: &str, password: &str) -> Answer {
    let anonymous = server.anonymous();
    let request = anonymous
        .request(Method::POST, "/api/auth/login")
        .header("x-forwarded-for", ip);
    anonymous
        .send(request.json(&json!({"email": email, "password": password})))
        .await
}

#[tokio::test]
async fn row_221_guessing_from_one_address_locks_nobody_out_elsewhere() {
    let server = behind_a_proxy().await;
    let alice = server.user("alice").await;
    let mut limited = Vec::new();
    for number in 0..20 {
        let answer = from(
            &server,
            "192.0.2.1",
            &alice.email,
            &format!("guess {number}"),
        )
        .await;
        assert!([401, 429].contains(&answer.status), "{}", answer.body);
        limited.extend((answer.status == 429).then_some(answer));
    }
    assert!(limited.len() >= 5, "{}", limited.len());
    for answer in limited {
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
    // From there not even the right password is looked at; from elsewhere it works at once.
    from(&server, "192.0.2.1", &alice.email, SIGN_IN_PASSWORD)
        .await
        .expect_problem(429);
    from(&server, ELSEWHERE, &alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
    alice.get("/api/auth/organizations").await.expect(200);
    assert!(!audited(&server, "rate_limit_exceeded").await.is_empty());
    server.advance(Duration::from_secs(60));
    from(&server, "192.0.2.1", &alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_223_one_password_for_many_names_is_slowed_down_too() {
    let server = behind_a_proxy().await;
    let alice = server.user("alice").await;
    let mut limited = 0;
    for number in 0..500 {
        let answer = from(
            &server,
            "192.0.2.1",
            &format!("user{number}@example.com"),
            "Summer2026!",
        )
        .await;
        assert!([401, 429].contains(&answer.status), "{}", answer.body);
        limited += usize::from(answer.status == 429);
    }
    assert!(limited >= 350, "{limited}");
    from(&server, ELSEWHERE, &alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
    let bursts = audited(&server, "rate_limit_exceeded").await;
    assert!(
        bursts.iter().any(|line| line["ip"] == "192.0.2.1"),
        "{bursts:?}"
    );
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_226_a_made_up_address_lifts_no_limit_and_is_not_recorded() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    from(&server, "9.9.9.0", &alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
    let mut limited = 0;
    for number in 1..40 {
        let ip = format!("9.9.9.{number}");
        let answer = from(&server, &ip, &alice.email, "a guess").await;
        assert!([401, 429].contains(&answer.status), "{}", answer.body);
        limited += usize::from(answer.status == 429);
    }
    assert!(limited >= 10, "{limited}");
    let failures = audited(&server, "login_failure").await;
    assert_eq!(failures.len(), 39 - limited);
    assert!(
        failures.iter().all(|line| line["ip"] == "127.0.0.1"),
        "{failures:?}"
    );
    server.advance(Duration::from_secs(60));
    assert_alive(&server).await;
}
