//! Rate limits over HTTP, counted in memory: per client, account, scope and endpoint, and what the answers say.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokensmith_server::{
    config::{Config, NamedQuota, Quota, Rate},
    demo,
};
use tokensmith_testkit::{Answer, Service, TestServer};

pub(crate) fn quota(count: u32, seconds: u64) -> Quota {
    Quota::new(count.try_into().unwrap(), Duration::from_secs(seconds)).unwrap()
}

pub(crate) fn named(name: &str, quota: Quota) -> Vec<NamedQuota> {
    let name = name.to_owned();
    vec![NamedQuota { name, quota }]
}

async fn limited(change: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::start_with(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        change(config);
    })
    .await
}

/// A request for the groups of an organization, which the scope `groups:read` permits.
async fn groups(service: &Service, org: &str) -> Answer {
    service
        .get(&format!("/api/auth/organizations/{org}/groups"))
        .await
}

async fn sign_in(server: &TestServer, from: &str) -> Answer {
    let anonymous = server.anonymous();
    let form = [("username", "test_client"), ("password", "test_secret")];
    let request = anonymous.request(Method::POST, "/token").form(&form);
    anonymous
        .send(request.header("x-forwarded-for", from))
        .await
}

#[track_caller]
fn assert_limited(answer: &Answer, limit: &str) {
    assert_eq!(answer.status, 429, "{}", answer.body);
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1);
    let field = answer.header("ratelimit").unwrap();
    assert!(field.contains(&format!("\"{limit}\";r=0;t=")), "{field}");
}

#[tokio::test]
async fn row_228_a_limit_per_scope_refuses_that_scope_of_that_caller_alone() {
    let scopes = named("groups:read", quota(3, 60));
    let server = limited(|config| config.rate_limit.scopes = scopes).await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Acme").await;
    let group = alice.creates_group(&org, "Group").await;
    let service = server.service("S1", "groups:read members:read").await;
    let other = server.service("S2", "groups:read").await;
    for left in [2, 1, 0] {
        let answer = groups(&service, &org).await.expect(200);
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"scope:groups:read\";q=3;w=60")
        );
        let field = answer.header("ratelimit").unwrap();
        let start = format!("\"scope:groups:read\";r={left};t=");
        assert!(field.starts_with(&start), "{field}");
    }
    let refused = groups(&service, &org).await.expect_problem(429);
    assert_limited(&refused, "scope:groups:read");
    assert_eq!(refused.header("retry-after"), Some("20"));
    // Members need another scope, the other client has its own count, and a person in person needs no scope.
    service
        .get(&format!("/api/auth/groups/{group}/members"))
        .await
        .expect(200);
    groups(&other, &org).await.expect(200);
    alice
        .get(&format!("/api/auth/groups/{group}"))
        .await
        .expect(200);
    let metrics = server.anonymous();
    let metrics = metrics.send(metrics.request(Method::GET, "/metrics")).await;
    let line =
        "tokensmith_rate_limit_decisions_total{limit=\"scope:groups:read\",outcome=\"refused\"}";
    assert!(metrics.body.contains(line), "{}", metrics.body);
    let lines = server.audit().await;
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| line.event == "rate_limit_exceeded")
        .collect();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].body.contains("S1") && lines[0].body.contains("scope:groups:read"));
    server.advance(Duration::from_secs(20));
    groups(&service, &org).await.expect(200);
}

#[tokio::test]
async fn a_limit_per_client_counts_its_tokens_and_its_calls_and_not_those_of_another_address() {
    let server = limited(|config| config.rate_limit.client = Rate(Some(quota(4, 60)))).await;
    let service = server.service("S1", "groups:read").await;
    let token = async |from: &str| {
        let anonymous = server.anonymous();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "S1"),
            ("client_secret", &service.secret),
            ("scope", "groups:read"),
        ];
        let request = anonymous.request(Method::POST, "/oauth/token").form(&form);
        anonymous
            .send(request.header("x-forwarded-for", from))
            .await
    };
    for _ in 0..4 {
        token("192.0.2.1").await.expect(200);
    }
    let refused = token("192.0.2.1").await;
    assert_limited(&refused, "client");
    assert_eq!(refused.json()["error"], "temporarily_unavailable");
    token("192.0.2.2").await.expect(200);
    let path = "/api/auth/groups/01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f";
    let call = async |from: &str| {
        let request = service.request(Method::GET, path);
        service.send(request.header("x-forwarded-for", from)).await
    };
    assert_limited(&call("192.0.2.1").await, "client");
    call("192.0.2.2").await.expect_problem(404);
}

#[tokio::test]
async fn a_limit_per_account_counts_a_user_wherever_they_are() {
    let server = limited(|config| config.rate_limit.account = Rate(Some(quota(3, 60)))).await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let list = async |user: &tokensmith_testkit::User, from: &str| {
        let request = user.request(Method::GET, "/api/auth/organizations");
        user.send(request.header("x-forwarded-for", from)).await
    };
    for from in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        list(&alice, from).await.expect(200);
    }
    assert_limited(&list(&alice, "192.0.2.4").await, "account");
    list(&bob, "192.0.2.1").await.expect(200);
}

#[tokio::test]
async fn a_limit_per_endpoint_counts_an_address_before_anything_is_looked_at() {
    let endpoints = named("/oauth/token", quota(2, 60));
    let server = limited(|config| config.rate_limit.endpoints = endpoints).await;
    let ask = async |from: &str| {
        let anonymous = server.anonymous();
        let request = anonymous.request(Method::POST, "/oauth/token");
        anonymous
            .send(request.header("x-forwarded-for", from))
            .await
    };
    ask("192.0.2.1").await.expect(400);
    let answer = ask("192.0.2.1").await.expect(400);
    assert_eq!(
        answer.header("ratelimit"),
        Some("\"endpoint:/oauth/token\";r=0;t=60")
    );
    let refused = ask("192.0.2.1").await;
    assert_limited(&refused, "endpoint:/oauth/token");
    assert_eq!(refused.json()["error"], "temporarily_unavailable");
    ask("192.0.2.2").await.expect(400);
    let anonymous = server.anonymous();
    let health = anonymous.request(Method::GET, "/health");
    assert_eq!(anonymous.send(health).await.header("ratelimit"), None);
}

#[tokio::test]
async fn without_such_limits_answers_carry_no_fields() {
    let server = TestServer::start().await;
    let service = server.service("S1", "groups:read").await;
    let answer = service
        .get("/api/auth/groups/01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f")
        .await;
    assert_eq!(answer.header("ratelimit-policy"), None);
}

#[tokio::test]
async fn the_machine_paths_say_what_is_left_and_count_an_ipv6_network_as_one() {
    let per_minute = 2.try_into().unwrap();
    let server = limited(|config| config.rate_limit.requests_per_minute = per_minute).await;
    demo::seed(server.app()).await.unwrap();
    let first = sign_in(&server, "2001:db8:1:2::1").await.expect(200);
    assert_eq!(
        first.header("ratelimit-policy"),
        Some("\"requests_per_minute\";q=2;w=60")
    );
    assert_eq!(
        first.header("ratelimit"),
        Some("\"requests_per_minute\";r=1;t=30")
    );
    sign_in(&server, "2001:db8:1:2:ffff::9").await.expect(200);
    let refused = sign_in(&server, "2001:db8:1:2::7").await;
    assert_limited(&refused, "requests_per_minute");
    assert_eq!(refused.header("retry-after"), Some("30"));
    sign_in(&server, "2001:db8:1:3::1").await.expect(200);
}

#[tokio::test]
async fn row_226_a_peer_that_is_no_proxy_chooses_no_address() {
    let server = TestServer::start_with(|config| {
        config.rate_limit.requests_per_minute = 5.try_into().unwrap();
    })
    .await;
    demo::seed(server.app()).await.unwrap();
    let mut limited = 0;
    for number in 0..10 {
        let answer = sign_in(&server, &format!("198.51.100.{number}")).await;
        limited += u32::from(answer.status == 429);
    }
    assert_eq!(limited, 5);
    let lines = server.audit().await;
    let lines = lines.iter().filter(|line| line.event == "login_success");
    assert!(
        lines
            .into_iter()
            .all(|line| line.body.contains("127.0.0.1"))
    );
}

#[tokio::test]
async fn row_231_a_throttled_address_costs_no_password_hash() {
    let server = limited(|config| {
        config.hashing.memory = tokensmith_server::config::ByteSize::new(64 << 20);
    })
    .await;
    let alice = server.user("alice").await;
    let guess = async |from: &str| {
        let anonymous = server.anonymous();
        let request = anonymous.request(Method::POST, "/api/auth/login");
        let request = request.json(&json!({"email": alice.email, "password": "wrong"}));
        anonymous
            .send(request.header("x-forwarded-for", from))
            .await
    };
    let started = std::time::Instant::now();
    for _ in 0..10 {
        guess("192.0.2.1").await.expect(401);
    }
    let of_ten_hashes = started.elapsed();
    let started = std::time::Instant::now();
    for _ in 0..100 {
        guess("192.0.2.1").await.expect_problem(429);
    }
    let of_a_hundred_refusals = started.elapsed();
    assert!(
        of_a_hundred_refusals < of_ten_hashes * 5,
        "{of_a_hundred_refusals:?} beside {of_ten_hashes:?} for ten hashes"
    );
    guess("192.0.2.2").await.expect(401);
    alice.get("/api/auth/organizations").await.expect(200);
}
