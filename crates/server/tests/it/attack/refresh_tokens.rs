//! Theme 05, as far as the token endpoint is concerned and no other file of this suite names the row.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use reqwest::Method;
use tokensmith_oauth2::{ClientId, GrantType, form};
use tokensmith_store::{AuditContext, AuthMethod, PutClient};
use tokensmith_testkit::{Answer, TestServer};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{assert_alive, audited, client, log, logged};

async fn renew(server: &TestServer, token: &str) -> Answer {
    server.anonymous().renew(token, &[]).await
}

async fn refused(server: &TestServer, token: &str) {
    renew(server, token)
        .await
        .expect_oauth_error(400, "invalid_grant");
}

/// What an access token is answered at an API of the server.
async fn shown(server: &TestServer, access_token: &str) -> u16 {
    let anonymous = server.anonymous();
    let request = anonymous.request(Method::GET, "/api/auth/organizations");
    anonymous
        .send(request.bearer_auth(access_token))
        .await
        .status
}

#[tokio::test]
async fn row_078_a_spent_token_ends_its_family_with_every_token_of_it() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let first = renew(&server, &alice.refresh_token).await.expect(200);
    let second = renew(&server, &first.text("refresh_token"))
        .await
        .expect(200);
    server.advance(Duration::from_secs(120));
    assert_eq!(shown(&server, &second.text("access_token")).await, 200);
    refused(&server, &alice.refresh_token).await;
    refused(&server, &second.text("refresh_token")).await;
    for token in [
        alice.access_token.clone(),
        first.text("access_token"),
        second.text("access_token"),
    ] {
        assert_eq!(shown(&server, &token).await, 401);
    }
    let reuse = audited(&server, "refresh_token_reuse").await;
    assert_eq!(reuse.len(), 1);
    assert_eq!(reuse[0]["user_id"], alice.id.as_str());
    assert_eq!(shown(&server, &bob.access_token).await, 200);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_079_fifty_renewals_at_once_make_one_successor_in_every_round() {
    let server = TestServer::start().await;
    let mut token = server.user("alice").await.refresh_token;
    for _ in 0..20 {
        let answers = join_all((0..50).map(|_| renew(&server, &token))).await;
        let successors: BTreeSet<String> = answers
            .into_iter()
            .map(|answer| answer.expect(200).text("refresh_token"))
            .collect();
        assert_eq!(successors.len(), 1);
        assert!(!successors.contains(&token));
        token = successors.into_iter().next().unwrap();
    }
    assert!(audited(&server, "refresh_token_reuse").await.is_empty());
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_081_a_refresh_token_is_good_for_its_own_client_alone() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    client(
        &server,
        "C2",
        AuthMethod::ClientSecretBasicOrPost,
        Some("a secret"),
    )
    .await;
    client(&server, "C4", AuthMethod::None, None).await;
    for id in ["C2", "C4"] {
        let store = server.app().store();
        let mut client = store
            .client(&ClientId::parse(id).unwrap())
            .await
            .unwrap()
            .unwrap();
        client.grant_types = vec![GrantType::RefreshToken];
        let context = AuditContext::operator(server.now());
        store.write(PutClient { client, context }).await.unwrap();
    }
    server
        .app()
        .registry()
        .reload(server.app().store())
        .await
        .unwrap();
    let token = renew(&server, &alice.refresh_token)
        .await
        .expect(200)
        .text("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str()),
    ];
    for more in [
        &[("client_id", "C2"), ("client_secret", "a secret")][..],
        &[("client_id", "C4")],
    ] {
        let answer = server
            .anonymous()
            .form("/oauth/token", &[&form, more].concat())
            .await;
        answer.expect_oauth_error(400, "invalid_grant");
    }
    let lines = audited(&server, "refresh_token_invalid").await;
    let of: Vec<_> = lines
        .iter()
        .map(|line| line["client_id"].as_str().unwrap())
        .collect();
    assert_eq!(of, ["C2", "C4"]);
    renew(&server, &token).await.expect(200);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_089_the_token_before_the_last_is_reuse_however_early_it_comes() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let second = renew(&server, &alice.refresh_token)
        .await
        .expect(200)
        .text("refresh_token");
    let third = renew(&server, &second)
        .await
        .expect(200)
        .text("refresh_token");
    refused(&server, &alice.refresh_token).await;
    refused(&server, &third).await;
    assert_eq!(audited(&server, "refresh_token_reuse").await.len(), 1);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_091_renewing_again_and_again_does_not_outlive_the_family() {
    let server = TestServer::start().await;
    let mut token = server.user("alice").await.refresh_token;
    let life = server.app().config().tokens.refresh_token_lifetime;
    for _ in 0..9 {
        server.advance(life / 10);
        token = renew(&server, &token)
            .await
            .expect(200)
            .text("refresh_token");
    }
    server.advance(life / 10 - Duration::from_secs(1));
    token = renew(&server, &token)
        .await
        .expect(200)
        .text("refresh_token");
    server.advance(Duration::from_secs(1));
    refused(&server, &token).await;
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_095_a_lost_answer_can_be_asked_for_again() {
    let server = TestServer::start().await;
    let mut token = server.user("alice").await.refresh_token;
    for round in 0..10_u64 {
        let body = form::encode([
            ("grant_type", "refresh_token"),
            ("client_id", "tokensmith-account"),
            ("refresh_token", &token),
        ]);
        let request = format!(
            "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(server.base().strip_prefix("http://").unwrap())
            .await
            .unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        // The connection is lost before, while or after the server works on it.
        tokio::time::sleep(Duration::from_millis(round)).await;
        drop(stream);
        let answer = renew(&server, &token).await.expect(200);
        let successor = answer.text("refresh_token");
        assert_eq!(
            renew(&server, &token)
                .await
                .expect(200)
                .text("refresh_token"),
            successor
        );
        token = successor;
    }
    assert!(audited(&server, "refresh_token_reuse").await.is_empty());
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_092_what_is_no_refresh_token_is_refused_as_one() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let service = server.service("service", "groups:read").await;
    let anonymous = server.anonymous();
    let good = anonymous
        .renew(&alice.refresh_token, &[])
        .await
        .expect(200)
        .text("refresh_token");
    let (family, rest) = good.split_once('.').unwrap();
    let (generation, secret) = rest.split_once('.').unwrap();
    let other_family = bob.refresh_token.split_once('.').unwrap().0;
    let next: i64 = generation.parse::<i64>().unwrap() + 1;
    let forged = [
        alice.access_token.clone(),
        service.access_token.clone(),
        service.secret.clone(),
        format!("{other_family}.{rest}"),
        format!("{family}.{next}.{secret}"),
        format!("{family}.0{generation}.{secret}"),
        format!("{family}.+{generation}.{secret}"),
        format!("{family}.{generation}.{secret}="),
        format!("{family}.{generation}.{secret}.x"),
        format!("{family}.{generation}."),
        format!("{family}.{}.{secret}", i64::MAX),
        format!("{family}.99999999999999999999.{secret}"),
        good.to_uppercase(),
        good.replacen("tkr_", "", 1),
        format!(" {good}"),
        format!("{good} "),
    ];
    for token in &forged {
        let answer = anonymous.renew(token, &[]).await;
        answer.expect_oauth_error(400, "invalid_grant");
    }
    // A token of another client is refused, and is still good for its own.
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", &service.client_id),
        ("client_secret", &service.secret),
        ("refresh_token", &good),
    ];
    let other = anonymous.form("/oauth/token", &form).await;
    assert_eq!(other.status, 400, "{}", other.body);
    assert_eq!(
        audited(&server, "refresh_token_invalid").await.len(),
        forged.len()
    );
    assert!(audited(&server, "refresh_token_reuse").await.is_empty());
    anonymous.renew(&good, &[]).await.expect(200);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_094_a_refresh_token_in_the_url_is_refused_and_written_nowhere() {
    log();
    let server = TestServer::start().await;
    let alice = server.user("alice-of-the-url").await;
    let anonymous = server.anonymous();
    let token = anonymous
        .renew(&alice.refresh_token, &[])
        .await
        .expect(200)
        .text("refresh_token");
    for path in [
        format!("/oauth/token?refresh_token={token}"),
        format!(
            "/oauth/token?grant_type=refresh_token&client_id=tokensmith-account&refresh_token={token}"
        ),
    ] {
        let whole = [
            ("grant_type", "refresh_token"),
            ("client_id", "tokensmith-account"),
            ("refresh_token", &token),
        ];
        for form in [&whole[..], &whole[..2]] {
            let answer = anonymous.form(&path, form).await;
            answer.expect_oauth_error(400, "invalid_request");
        }
        let got = anonymous.send(anonymous.request(Method::GET, &path)).await;
        assert_eq!(got.expect(405).header("allow"), Some("POST"));
    }
    let secret = token.rsplit('.').next().unwrap();
    assert!(!logged().contains(secret));
    assert!(
        server
            .audit()
            .await
            .iter()
            .all(|record| !record.body.contains(secret))
    );
    // It was not spent.
    anonymous.renew(&token, &[]).await.expect(200);
    assert_alive(&server).await;
}
