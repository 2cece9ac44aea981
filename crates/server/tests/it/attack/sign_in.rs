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
    let suspicious = audited(&server, "suspicious_activity").await;
    assert_eq!(suspicious.len(), 1, "{suspicious:?}");
    assert_eq!(suspicious[0]["ip"], "192.0.2.1");
    assert_alive(&server).await;
}

/// The middle of the times that failed sign-ins of either kind take, tried in turns.
async fn middle_times(server: &TestServer, emails: [&str; 2]) -> [f64; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..500 {
        for (email, times) in emails.iter().zip(&mut times) {
            let begin = std::time::Instant::now();
            let answer = server.anonymous().login(email, "a wrong password").await;
            times.push(begin.elapsed().as_secs_f64());
            answer.expect_problem(401);
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

#[tokio::test]
async fn row_219_an_unknown_name_cannot_be_told_from_a_wrong_password() {
    let server = TestServer::start_with(|config| {
        let limits = &mut config.rate_limit;
        for limit in [
            &mut limits.sign_in_failures,
            &mut limits.sign_in_failures_long,
            &mut limits.sign_in_names_per_address,
            &mut limits.sign_in_failures_per_address,
        ] {
            limit.0 = None;
        }
    })
    .await;
    let alice = server.user("alice").await;
    let emails = [alice.email.as_str(), "nobody@example.com"];
    let mut bodies = Vec::new();
    for email in emails {
        let answer = server.anonymous().login(email, "a wrong password").await;
        let names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        bodies.push((answer.status, answer.body.clone(), names));
    }
    assert_eq!(bodies[0], bodies[1]);
    // On a busy machine a round may be disturbed; a difference of the program itself shows in every one.
    let mut seen = Vec::new();
    for _ in 0..3 {
        let [known, unknown] = middle_times(&server, emails).await;
        seen.push((known, unknown));
        if (known / unknown - 1.0).abs() < 0.05 {
            return;
        }
    }
    unreachable!("the middle times differ by 5 % or more: {seen:?}");
}

#[tokio::test]
async fn who_goes_on_guessing_waits_longer_and_one_address_alone_does() {
    let server = behind_a_proxy().await;
    let alice = server.user("alice").await;
    let mut longest = 0;
    for _ in 0..80 {
        let answer = from(&server, "192.0.2.1", &alice.email, "a guess").await;
        if let Some(wait) = answer.header("retry-after") {
            longest = longest.max(wait.parse::<u64>().unwrap());
        }
        server.advance(Duration::from_secs(3));
    }
    assert!((31..=120).contains(&longest), "{longest}");
    from(&server, ELSEWHERE, &alice.email, SIGN_IN_PASSWORD)
        .await
        .expect(200);
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
