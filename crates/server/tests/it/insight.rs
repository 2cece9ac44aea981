//! What administrators and users read of what happened: contract §4, `/stats` to `/health`.

use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_testkit::{Service, TestServer};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn administrator(server: &TestServer) -> Service {
    server.service("admin-tool", "tokensmith:admin").await
}

async fn fails(server: &TestServer, email: &str, times: u64) {
    for _ in 0..times {
        server
            .anonymous()
            .login(email, "a wrong password")
            .await
            .expect_problem(401);
        server.advance(Duration::from_secs(3));
    }
}

#[tokio::test]
async fn stats_count_users_tokens_logins_by_day_failures_by_reason_and_addresses() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    fails(&server, &alice.email, 2).await;
    fails(&server, "nobody@example.com", 3).await;
    server.advance(DAY);
    let bob = server.user("bob").await;
    bob.post("/api/auth/logout", json!({})).await.expect(200);
    let admin = administrator(&server).await;
    let found = admin.get("/api/oauth2/stats").await.expect(200);
    assert_eq!(found.header("cache-control"), Some("no-store"));
    let found = found.json();
    assert_eq!(found["users"], json!({"total": 2, "active": 2}));
    assert_eq!(found["sessions"], 1);
    assert_eq!(found["tokens"], json!({"active": 1, "revoked": 1}));
    assert_eq!(
        found["days"],
        json!([
            {"day": "2026-11-20T00:00:00.000Z", "logins": 1, "failures": 5, "rate_limited": 0},
            {"day": "2026-11-21T00:00:00.000Z", "logins": 1, "failures": 0, "rate_limited": 0},
        ])
    );
    assert_eq!(
        found["failures_by_reason"],
        json!({"unknown_user": 3, "wrong_password": 2})
    );
    assert_eq!(
        found["top_addresses"],
        json!([{"ip": "127.0.0.1", "failures": 5}])
    );
    // Kept for ten seconds, then counted anew.
    fails(&server, &alice.email, 1).await;
    assert_eq!(
        admin.get("/api/oauth2/stats").await.json()["days"],
        found["days"]
    );
    server.advance(Duration::from_secs(10));
    assert_eq!(
        admin.get("/api/oauth2/stats").await.json()["days"][1]["failures"],
        1
    );
    server.advance(DAY * 40);
    // An access token of the service lives for minutes: another one.
    let later = server.service("later-tool", "tokensmith:read").await;
    assert_eq!(
        later.get("/api/oauth2/stats").await.expect(200).json()["days"],
        json!([])
    );
}

#[tokio::test]
async fn only_administrators_read_stats_settings_and_analysis_and_only_full_ones_clean_up() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let service = server.service("other", "groups:read").await;
    let reader = server.service("reader", "tokensmith:read").await;
    for path in ["stats", "config", "security-analysis"] {
        let path = format!("/api/oauth2/{path}");
        alice.get(&path).await.expect_problem(403);
        service.get(&path).await.expect_problem(403);
        reader.get(&path).await.expect(200);
    }
    let path = "/api/oauth2/cleanup-tokens";
    for answer in [
        alice.post(path, json!({})).await,
        reader.post(path, json!({})).await,
    ] {
        answer.expect_problem(403);
    }
}

#[tokio::test]
async fn the_settings_tell_no_secret() {
    let server = TestServer::start_with(|config| {
        config.redis_url = Some("redis://:hunter2@127.0.0.1:1".to_owned().into());
    })
    .await;
    let admin = administrator(&server).await;
    let found = admin.get("/api/oauth2/config").await.expect(200);
    assert!(!found.body.contains("hunter2"), "{}", found.body);
    let found = found.json();
    assert_eq!(found["access_token_lifetime_seconds"], 900);
    assert_eq!(found["refresh_token_lifetime_seconds"], 30 * 86_400);
    assert_eq!(found["redis"], true);
    assert_eq!(found["providers"], json!([]));
}

#[tokio::test]
async fn providers_are_those_that_are_configured_which_is_none() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let request = anonymous.request(reqwest::Method::GET, "/api/oauth2/providers");
    assert_eq!(anonymous.send(request).await.expect(200).json(), json!([]));
}

#[tokio::test]
async fn health_is_at_its_older_path_too() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let request = anonymous.request(reqwest::Method::GET, "/api/oauth2/health");
    let found = anonymous.send(request).await.expect(200).json();
    for member in [
        "status",
        "database",
        "redis",
        "signing_key_age",
        "version",
        "uptime",
    ] {
        assert!(found.get(member).is_some(), "{member}: {found}");
    }
    assert_eq!(
        (&found["status"], &found["redis"]),
        (&json!("ok"), &json!("not_configured"))
    );
}

#[tokio::test]
async fn a_redis_that_does_not_answer_makes_health_degraded() {
    let server = TestServer::start_with(|config| {
        config.redis_url = Some("redis://127.0.0.1:1".to_owned().into());
    })
    .await;
    let anonymous = server.anonymous();
    let request = anonymous.request(reqwest::Method::GET, "/health");
    let found = anonymous.send(request).await.expect(200).json();
    assert_eq!(
        (&found["status"], &found["redis"]),
        (&json!("degraded"), &json!("unavailable"))
    );
}

#[tokio::test]
async fn cleaning_up_removes_what_is_over_and_nothing_else() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    alice.post("/api/auth/logout", json!({})).await.expect(200);
    server.advance(DAY * 8);
    let bob = server.user("bob").await;
    let admin = administrator(&server).await;
    let found = admin
        .post("/api/oauth2/cleanup-tokens", json!({}))
        .await
        .expect(200)
        .json();
    assert_eq!(found["removed"]["ended_refresh_families"], 1);
    assert_eq!(
        (&found["removed"]["refresh_families"], &found["more"]),
        (&json!(0), &json!(false))
    );
    bob.get("/api/auth/organizations").await.expect(200);
    assert!(server.audit_events().await.contains(&"cleanup".to_owned()));
}

fn events(answer: &Value) -> Vec<&str> {
    let events = answer["events"].as_array().unwrap().iter();
    events.map(|line| line["event"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_user_reads_their_own_lines_and_nobody_elses_and_an_administrator_reads_all() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    fails(&server, &bob.email, 2).await;
    let own = alice.get("/api/oauth2/audit-logs").await.expect(200).json();
    assert!(events(&own).contains(&"login_success"), "{own}");
    for line in own["events"].as_array().unwrap() {
        assert_eq!(line["user_id"], json!(alice.id.to_string()));
    }
    let of_bob = format!("/api/oauth2/audit-logs?user_id={}", bob.id);
    alice.get(&of_bob).await.expect_problem(403);
    let service = server.service("other", "groups:read").await;
    service
        .get("/api/oauth2/audit-logs")
        .await
        .expect_problem(403);
    let admin = administrator(&server).await;
    let found = admin
        .get(&format!("{of_bob}&event=login_failure"))
        .await
        .expect(200)
        .json();
    assert_eq!(events(&found), ["login_failure", "login_failure"]);
    // By page, newest first, without a gap.
    let all = admin
        .get("/api/oauth2/audit-logs?event=login_failure")
        .await
        .json();
    let first = admin
        .get("/api/oauth2/audit-logs?event=login_failure&limit=1")
        .await
        .json();
    let next = first["next"].as_str().unwrap();
    let path = format!("/api/oauth2/audit-logs?event=login_failure&limit=1&before={next}");
    let second = admin.get(&path).await.expect(200).json();
    assert_eq!(
        [&first["events"][0], &second["events"][0]],
        [&all["events"][0], &all["events"][1]]
    );
    let newest = admin
        .get("/api/oauth2/audit-logs?limit=3")
        .await
        .expect(200)
        .json();
    assert_eq!(events(&newest).len(), 3);
    for query in [
        "limit=0",
        "limit=201",
        "before=now",
        "user_id=x",
        "event=none",
        "event=a&event=b",
    ] {
        let path = format!("/api/oauth2/audit-logs?{query}");
        admin.get(&path).await.expect_problem(422);
    }
}

#[tokio::test]
async fn the_analysis_tells_guessing_from_stuffing_and_looks_back_no_further_than_asked() {
    let server = TestServer::start_with(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let alice = server.user("alice").await;
    let from = async |ip: String, email: &str| {
        let anonymous = server.anonymous();
        let request = anonymous
            .request(reqwest::Method::POST, "/api/auth/login")
            .header("x-forwarded-for", ip)
            .json(&json!({"email": email, "password": "a wrong password"}));
        anonymous.send(request).await.expect_problem(401);
        server.advance(Duration::from_secs(3));
    };
    for number in 0..21 {
        from("192.0.2.1".to_owned(), &alice.email).await;
        from(
            "192.0.2.2".to_owned(),
            &format!("nobody{}@example.com", number % 7),
        )
        .await;
    }
    for number in 0..5 {
        from(format!("198.51.100.{number}"), &alice.email).await;
    }
    let admin = administrator(&server).await;
    let found = admin
        .get("/api/oauth2/security-analysis?hours=1")
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&found["failures"], &found["is_whole"]),
        (&json!(47), &json!(true))
    );
    let patterns = found["patterns"].as_array().unwrap();
    let kind = |kind: &str| {
        patterns
            .iter()
            .find(|pattern| pattern["kind"] == kind)
            .unwrap()
    };
    assert_eq!(kind("guessing")["ip"], "192.0.2.1");
    assert_eq!(kind("credential_stuffing")["ip"], "192.0.2.2");
    assert_eq!(
        kind("distributed_guessing")["user_id"],
        json!(alice.id.to_string())
    );
    assert_eq!(kind("distributed_guessing")["among"], 6);
    server.advance(Duration::from_secs(2 * 3600));
    let admin = server.service("later-tool", "tokensmith:read").await;
    let found = admin
        .get("/api/oauth2/security-analysis?hours=1")
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&found["failures"], &found["patterns"]),
        (&json!(0), &json!([]))
    );
    for hours in ["0", "169", "x", "-1"] {
        let path = format!("/api/oauth2/security-analysis?hours={hours}");
        admin.get(&path).await.expect_problem(422);
    }
}
