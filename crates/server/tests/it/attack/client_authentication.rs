//! Theme 06: client authentication at the token endpoint.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::json;
use tokensmith_oauth2::{ClientId, Secret, basic};
use tokensmith_store::AuthMethod;
use tokensmith_testkit::{Answer, TestServer};

use super::{ELSEWHERE, assert_alive, assert_refuses, audited, behind_a_proxy, client, wire};

const GRANT: [(&str, &str); 2] = [
    ("grant_type", "client_credentials"),
    ("scope", "groups:read"),
];
const SECRET: &str = "a secret of the test, long enough";

/// Asks for a token with these header fields and, beside the grant, these parameters.
async fn ask(server: &TestServer, headers: &[(&str, &str)], more: &[(&str, &str)]) -> Answer {
    let anonymous = server.anonymous();
    let mut request = anonymous.request(Method::POST, "/oauth/token");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let form = [&GRANT, more].concat();
    anonymous.send(request.form(&form)).await
}

/// The Authorization header of these bytes, without any encoding of id and secret.
fn raw_basic(joined: &str) -> String {
    format!("Basic {}", STANDARD.encode(joined))
}

fn encoded_basic(id: &str, secret: &str) -> String {
    let header = basic::header(&ClientId::parse(id).unwrap(), &Secret::from(secret));
    header.expose().to_owned()
}

async fn by_basic(server: &TestServer, id: &str, secret: &str) -> Answer {
    ask(
        server,
        &[("authorization", &encoded_basic(id, secret))],
        &[],
    )
    .await
}

async fn by_post(server: &TestServer, id: &str, secret: &str) -> Answer {
    ask(server, &[], &[("client_id", id), ("client_secret", secret)]).await
}

/// How many tokens were issued so far.
async fn issued(server: &TestServer) -> usize {
    audited(server, "token_issued").await.len()
}

#[tokio::test]
async fn row_096_a_wrong_secret_is_challenged_and_recorded() {
    let server = TestServer::start().await;
    client(
        &server,
        "C1",
        AuthMethod::ClientSecretBasicOrPost,
        Some(SECRET),
    )
    .await;
    by_basic(&server, "C1", SECRET).await.expect(200);
    let wrong = by_basic(&server, "C1", "wrong")
        .await
        .expect_oauth_error(401, "invalid_client");
    assert!(
        wrong
            .header("www-authenticate")
            .unwrap()
            .starts_with("Basic ")
    );
    assert_eq!(wrong.header("cache-control"), Some("no-store"));
    let unknown = by_basic(&server, "C9", "wrong")
        .await
        .expect_oauth_error(401, "invalid_client");
    assert_eq!(unknown.body, wrong.body);
    let posted = by_post(&server, "C1", "wrong")
        .await
        .expect_oauth_error(401, "invalid_client");
    assert_eq!(posted.header("www-authenticate"), None);
    let lines = audited(&server, "client_auth_failed").await;
    let of_c1: Vec<_> = lines
        .iter()
        .filter(|line| line["client_id"] == "C1")
        .collect();
    assert_eq!((lines.len(), of_c1.len()), (3, 2));
    for line in of_c1 {
        assert_eq!(
            (&line["outcome"], &line["ip"]),
            (&json!("secret_wrong"), &json!("127.0.0.1"))
        );
    }
    assert_eq!(
        lines[0]["correlation_id"].as_str(),
        wrong.header("x-correlation-id")
    );
    assert_eq!(issued(&server).await, 1);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_097_two_ways_of_authenticating_at_once_are_refused() {
    let server = TestServer::start().await;
    client(
        &server,
        "C1",
        AuthMethod::ClientSecretBasicOrPost,
        Some(SECRET),
    )
    .await;
    let header = encoded_basic("C1", SECRET);
    let basic = ("authorization", header.as_str());
    ask(&server, &[basic], &[]).await.expect(200);
    ask(&server, &[basic], &[("client_id", "C1")])
        .await
        .expect(200);
    let both: [&[(&str, &str)]; 4] = [
        &[("client_id", "C1"), ("client_secret", SECRET)],
        &[("client_secret", SECRET)],
        &[("client_secret", "")],
        &[("client_id", "C2")],
    ];
    for more in both {
        ask(&server, &[basic], more)
            .await
            .expect_oauth_error(400, "invalid_request");
    }
    ask(&server, &[basic, basic], &[])
        .await
        .expect_oauth_error(400, "invalid_request");
    let with_assertion = [("client_assertion", "a.b.c")];
    ask(&server, &[basic], &with_assertion)
        .await
        .expect_oauth_error(400, "invalid_request");
    assert_eq!(issued(&server).await, 2);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_099_a_client_authenticates_the_way_it_is_registered_for() {
    let server = TestServer::start().await;
    client(
        &server,
        "basic",
        AuthMethod::ClientSecretBasic,
        Some(SECRET),
    )
    .await;
    client(&server, "post", AuthMethod::ClientSecretPost, Some(SECRET)).await;
    client(&server, "public", AuthMethod::None, None).await;
    by_basic(&server, "basic", SECRET).await.expect(200);
    by_post(&server, "post", SECRET).await.expect(200);
    by_post(&server, "basic", SECRET)
        .await
        .expect_oauth_error(401, "invalid_client");
    by_basic(&server, "post", SECRET)
        .await
        .expect_oauth_error(401, "invalid_client");
    by_post(&server, "public", SECRET)
        .await
        .expect_oauth_error(401, "invalid_client");
    by_basic(&server, "public", SECRET)
        .await
        .expect_oauth_error(401, "invalid_client");
    // A public client proves nothing, so it gets no token of its own.
    let public = ask(&server, &[], &[("client_id", "public")]).await;
    public.expect_oauth_error(400, "unauthorized_client");
    assert_eq!(issued(&server).await, 2);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_100_a_confidential_client_without_its_secret_is_refused() {
    let server = TestServer::start().await;
    let methods = [
        ("either", AuthMethod::ClientSecretBasicOrPost),
        ("basic", AuthMethod::ClientSecretBasic),
        ("post", AuthMethod::ClientSecretPost),
    ];
    for (id, method) in methods {
        client(&server, id, method, Some(SECRET)).await;
        let right = if id == "post" {
            by_post(&server, id, SECRET).await
        } else {
            by_basic(&server, id, SECRET).await
        };
        right.expect(200);
        let only_id = ask(&server, &[], &[("client_id", id)]).await;
        only_id.expect_oauth_error(401, "invalid_client");
        by_post(&server, id, "")
            .await
            .expect_oauth_error(401, "invalid_client");
        for joined in [
            format!("{id}:"),
            id.to_owned(),
            format!("{id}: "),
            format!("{id}:%00"),
        ] {
            let answer = ask(&server, &[("authorization", &raw_basic(&joined))], &[]).await;
            let answer = answer.expect_oauth_error(401, "invalid_client");
            assert!(
                answer
                    .header("www-authenticate")
                    .unwrap()
                    .starts_with("Basic "),
                "{joined}"
            );
        }
    }
    // A client whose secrets were all taken away has none that is right, not even the empty one.
    client(&server, "bare", AuthMethod::ClientSecretBasicOrPost, None).await;
    for secret in ["", " ", SECRET] {
        by_post(&server, "bare", secret)
            .await
            .expect_oauth_error(401, "invalid_client");
    }
    assert_eq!(issued(&server).await, 3);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_102_id_and_secret_are_form_encoded_inside_basic() {
    let server = TestServer::start().await;
    let (id, secret) = ("a:b", "p%3A:%+ é");
    client(
        &server,
        id,
        AuthMethod::ClientSecretBasicOrPost,
        Some(secret),
    )
    .await;
    by_basic(&server, id, secret).await.expect(200);
    by_post(&server, id, secret).await.expect(200);
    let by_hand = raw_basic("a%3Ab:p%253A%3A%25%2B+%C3%A9");
    ask(&server, &[("authorization", &by_hand)], &[])
        .await
        .expect(200);
    let lower = by_hand.replacen("Basic", "bASIC", 1);
    ask(&server, &[("authorization", &lower)], &[])
        .await
        .expect(200);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_103_nothing_is_decoded_twice_or_leniently() {
    let server = TestServer::start().await;
    let (id, secret) = ("a:b", "p%3A:%+ é");
    client(
        &server,
        id,
        AuthMethod::ClientSecretBasicOrPost,
        Some(secret),
    )
    .await;
    client(
        &server,
        "C1",
        AuthMethod::ClientSecretBasicOrPost,
        Some("50%zz"),
    )
    .await;
    by_basic(&server, id, secret).await.expect(200);
    by_basic(&server, "C1", "50%zz").await.expect(200);
    let twice = "a%253Ab:p%25253A%253A%2525%252B+%25C3%25A9";
    for joined in [
        "a:b:p%3A:%+ é",
        "a%3Ab:p%3A:%+ é",
        "C1:50%zz",
        twice,
        "a%3Ab:p%3A%3A%25%2B+%C3%A9",
    ] {
        let answer = ask(&server, &[("authorization", &raw_basic(joined))], &[]).await;
        answer.expect_oauth_error(401, "invalid_client");
    }
    let url_safe = encoded_basic(id, secret)
        .trim_end_matches('=')
        .replace('+', "-");
    for header in [
        url_safe.as_str(),
        "Basic",
        "Basic ",
        "Basic ====",
        "Basic \u{e9}",
        "Bearer x",
        "Negotiate",
    ] {
        let answer = ask(&server, &[("authorization", header)], &[]).await;
        answer.expect_oauth_error(401, "invalid_client");
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_113_client_ids_are_compared_by_code_points() {
    let server = TestServer::start().await;
    client(
        &server,
        "C1",
        AuthMethod::ClientSecretBasicOrPost,
        Some(SECRET),
    )
    .await;
    by_post(&server, "C1", SECRET).await.expect(200);
    for id in [
        "c1",
        "C1 ",
        " C1",
        "\u{421}1",
        "\u{ff23}1",
        "C\u{301}1",
        "C1\u{200b}",
        "C1%20",
        "C1\t",
        "C",
    ] {
        let posted = by_post(&server, id, SECRET).await;
        assert_refuses(&posted);
        assert!(
            ["invalid_client", "invalid_request"].contains(&posted.text("error").as_str()),
            "{id:?} {}",
            posted.body
        );
        let joined = format!("{}:{}", wire::percent(id), wire::percent(SECRET));
        let answer = ask(&server, &[("authorization", &raw_basic(&joined))], &[]).await;
        answer.expect_oauth_error(401, "invalid_client");
    }
    assert_eq!(issued(&server).await, 1);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_114_a_thousand_wrong_secrets_are_slowed_down_where_they_come_from() {
    let server = behind_a_proxy().await;
    client(
        &server,
        "C1",
        AuthMethod::ClientSecretBasicOrPost,
        Some(SECRET),
    )
    .await;
    let from = async |ip: &str, secret: &str| {
        let form = [("client_id", "C1"), ("client_secret", secret)];
        ask(&server, &[("x-forwarded-for", ip)], &form).await
    };
    from("192.0.2.1", SECRET).await.expect(200);
    let mut refused = 0;
    for number in 0..1000 {
        let answer = from("192.0.2.1", &format!("guess {number}")).await;
        assert!([401, 429].contains(&answer.status), "{}", answer.body);
        if answer.status == 429 {
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
            refused += 1;
        }
    }
    assert!(refused >= 970, "{refused} of 1000 were limited");
    // The right secret does not get past the limit either: the answer would tell a guesser.
    from("192.0.2.1", SECRET).await.expect(429);
    from(ELSEWHERE, SECRET).await.expect(200);
    let bursts = audited(&server, "rate_limit_exceeded").await;
    assert!(!bursts.is_empty());
    for line in &bursts {
        assert_eq!(
            (&line["client_id"], &line["ip"]),
            (&json!("C1"), &json!("192.0.2.1"))
        );
    }
    let failures = audited(&server, "client_auth_failed").await.len();
    assert_eq!(failures, 1000 - refused);
    server.advance(Duration::from_secs(60));
    from("192.0.2.1", SECRET).await.expect(200);
    assert_alive(&server).await;
}
