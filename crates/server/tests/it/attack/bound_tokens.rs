//! Theme 19, proofs of possession: row 309 at the token endpoint and the server's own APIs, row 310, and row 013's proof.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokensmith_jose::dpop::Request;
use tokensmith_store::ClientMetadata;
use tokensmith_testkit::{Answer, Service, TestServer};

use super::{assert_alive, assert_refuses, audited};
use crate::dpop::{Key, ask, challenges, change, show_at, url};

/// A service whose tokens are bound, and its key.
async fn bound_service(server: &TestServer) -> (Service, Key, String) {
    let service = server.service("service", "groups:read").await;
    let metadata = ClientMetadata {
        dpop_bound_access_tokens: true,
        ..ClientMetadata::default()
    };
    change(server, "service", metadata).await;
    let key = Key::new();
    let answer = ask(server, &service, &[&key.proof(server, None)]).await;
    let token = answer.expect(200).text("access_token");
    (service, key, token)
}

/// What the service may read with its token.
async fn group(server: &TestServer) -> String {
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    format!(
        "/api/auth/groups/{}",
        alice.creates_group(&org, "Group").await
    )
}

fn token_request(server: &TestServer) -> (String, i64) {
    (url(server, "/oauth/token"), server.now().as_seconds())
}

#[track_caller]
fn is_refused(answer: &Answer, code: &str) {
    assert_refuses(answer);
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (400, &json!(code))
    );
}

#[tokio::test]
async fn row_309_a_proof_is_good_for_one_request_of_the_token_endpoint() {
    let server = TestServer::start().await;
    let (service, key, _) = bound_service(&server).await;
    let (url, now) = token_request(&server);
    let request = Request {
        method: "POST",
        url: &url,
        now,
        access_token: None,
    };
    let good = key.0.prove(&request, None).unwrap();
    ask(&server, &service, &[&good]).await.expect(200);
    let prove = |request: Request<'_>| key.0.prove(&request, None).unwrap();
    let (signed, other) = (good.rsplit_once('.').unwrap().0, Key::new());
    let of_other = other.proof(&server, None);
    let foreign = of_other.rsplit_once('.').unwrap().1;
    let elsewhere = self::url(&server, "/oauth/introspect");
    for bad in [
        good.clone(),
        prove(Request {
            method: "GET",
            ..request
        }),
        prove(Request {
            url: "https://evil.test/oauth/token",
            ..request
        }),
        prove(Request {
            url: &elsewhere,
            ..request
        }),
        prove(Request {
            now: now - 600,
            ..request
        }),
        prove(Request {
            now: now + 3600,
            ..request
        }),
        format!("{signed}.{foreign}"),
        format!("{signed}."),
        format!("{of_other},{of_other}"),
        service.access_token.clone(),
        String::new(),
    ] {
        let answer = ask(&server, &service, &[&bad]).await;
        is_refused(&answer, "invalid_dpop_proof");
    }
    let two = [key.proof(&server, None), key.proof(&server, None)];
    let answer = ask(&server, &service, &[&two[0], &two[1]]).await;
    is_refused(&answer, "invalid_dpop_proof");
    let refused = audited(&server, "token_refused").await;
    assert_eq!(refused.len(), 12);
    assert_eq!(
        (&refused[0]["outcome"], &refused[11]["outcome"]),
        (&json!("dpop_proof_replayed"), &json!("two_dpop_proofs"))
    );
    ask(&server, &service, &[&two[0]]).await.expect(200);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_309_a_replayed_proof_is_refused_as_long_as_it_could_be_believed_and_by_every_node() {
    let server = TestServer::start().await;
    let (service, key, _) = bound_service(&server).await;
    let proof = key.proof(&server, None);
    let shown = [proof.as_str()];
    let answers = futures_util::future::join_all((0..20).map(|_| ask(&server, &service, &shown)));
    let taken = answers.await;
    let taken = taken.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(taken, 1);
    for _ in 0..6 {
        server.advance(Duration::from_secs(55));
        let answer = ask(&server, &service, &[&proof]).await;
        is_refused(&answer, "invalid_dpop_proof");
    }
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_309_the_host_that_a_request_names_is_not_the_address_of_the_server() {
    let server = TestServer::start().await;
    let (service, key, _) = bound_service(&server).await;
    let (_, now) = token_request(&server);
    let request = Request {
        method: "POST",
        url: "http://evil.test/oauth/token",
        now,
        access_token: None,
    };
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", service.client_id.as_str()),
        ("client_secret", &service.secret),
        ("scope", "groups:read"),
    ];
    let anonymous = server.anonymous();
    let sent = anonymous
        .request(Method::POST, "/oauth/token")
        .header("host", "evil.test")
        .header("x-forwarded-host", "evil.test")
        .header("dpop", key.0.prove(&request, None).unwrap())
        .form(&form);
    is_refused(&anonymous.send(sent).await, "invalid_dpop_proof");
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_309_at_an_api_a_proof_names_request_and_token_and_is_of_the_tokens_key() {
    let server = TestServer::start().await;
    let (service, key, token) = bound_service(&server).await;
    let path = group(&server).await;
    let proof = key.shows(&server, ("GET", &path), &token);
    show_at(&server, &path, ("DPoP", &token), &[&proof])
        .await
        .expect(200);
    let url = self::url(&server, &path);
    let without_ath = Request {
        method: "GET",
        url: &url,
        now: server.now().as_seconds(),
        access_token: None,
    };
    let old = Request {
        now: server.now().as_seconds() - 600,
        access_token: Some(&token),
        ..without_ath
    };
    for bad in [
        proof,
        key.0.prove(&without_ath, None).unwrap(),
        key.0.prove(&old, None).unwrap(),
        key.shows(&server, ("GET", &path), &service.access_token),
        key.shows(&server, ("POST", &path), &token),
        key.shows(&server, ("GET", "/api/auth/login"), &token),
        Key::new().shows(&server, ("GET", &path), &token),
        "nonsense".to_owned(),
    ] {
        let answer = show_at(&server, &path, ("DPoP", &token), &[&bad]).await;
        assert_refuses(&answer);
        assert_eq!(answer.status, 401, "{bad}");
        let challenge = challenges(&answer).join("\n");
        assert!(
            challenge.starts_with(r#"DPoP error="invalid_dpop_proof""#),
            "{challenge}"
        );
    }
    let two = [(); 2].map(|()| key.shows(&server, ("GET", &path), &token));
    let answer = show_at(&server, &path, ("DPoP", &token), &[&two[0], &two[1]]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(audited(&server, "token_invalid").await.len(), 9);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_310_a_bound_token_is_no_bearer_token_and_a_bearer_token_is_not_bound() {
    let server = TestServer::start().await;
    let (service, key, token) = bound_service(&server).await;
    let path = group(&server).await;
    let proof = key.shows(&server, ("GET", &path), &token);
    show_at(&server, &path, ("DPoP", &token), &[&proof])
        .await
        .expect(200);
    let proof = key.shows(&server, ("GET", &path), &token);
    for proofs in [&[][..], &[proof.as_str()]] {
        let answer = show_at(&server, &path, ("Bearer", &token), proofs).await;
        assert_refuses(&answer);
        assert_eq!(answer.status, 401);
        assert!(challenges(&answer)[0].starts_with(r#"DPoP error="invalid_token""#));
    }
    let unbound = service.access_token.as_str();
    let proof = key.shows(&server, ("GET", &path), unbound);
    assert_eq!(
        show_at(&server, &path, ("DPoP", unbound), &[&proof])
            .await
            .status,
        401
    );
    show_at(&server, &path, ("Bearer", unbound), &[])
        .await
        .expect(200);
    assert_eq!(audited(&server, "token_invalid").await.len(), 3);
    assert_alive(&server).await;
}

#[tokio::test]
async fn row_013_a_proof_is_no_access_token() {
    let server = TestServer::start().await;
    let (_, key, token) = bound_service(&server).await;
    let path = group(&server).await;
    let proof = key.shows(&server, ("GET", &path), &token);
    show_at(&server, &path, ("DPoP", &token), &[&proof])
        .await
        .expect(200);
    let proof = key.shows(&server, ("GET", &path), &token);
    for scheme in ["Bearer", "DPoP"] {
        let answer = show_at(&server, &path, (scheme, &proof), &[&proof]).await;
        assert_refuses(&answer);
        assert_eq!(answer.status, 401);
    }
    assert_alive(&server).await;
}
