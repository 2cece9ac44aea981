//! Row 329: what the server publishes of its keys, and for how long others may keep it.

use reqwest::Method;
use serde_json::json;
use tokensmith_jose::Algorithm;
use tokensmith_server::keys;
use tokensmith_store::AuditContext;
use tokensmith_testkit::TestServer;

use super::assert_alive;

#[tokio::test]
async fn row_329_only_public_halves_are_published_each_with_its_name_and_use() {
    for algorithm in [
        Algorithm::Es256,
        Algorithm::Rs256,
        Algorithm::EdDsa,
        Algorithm::Ps256,
    ] {
        let server =
            TestServer::start_with(|config| config.tokens.signing_algorithm = algorithm).await;
        let app = server.app();
        let context = AuditContext::operator(server.now());
        keys::rotate(
            app.config(),
            app.store(),
            keys::NewKey::Generated(algorithm),
            None,
            context,
        )
        .await
        .unwrap();
        server.reload().await;
        assert_eq!(published(&server, algorithm).await, 2);
        let long = app.config().tokens.signing_key_notice * 3;
        server.advance(long);
        server.reload().await;
        assert_eq!(
            published(&server, algorithm).await,
            1,
            "the retired key is gone"
        );
        assert_alive(&server).await;
    }
}

/// Checks the JWK set and the metadata; how many keys there are.
async fn published(server: &TestServer, algorithm: Algorithm) -> usize {
    let anonymous = server.anonymous();
    let get = async |path: &str| {
        anonymous
            .send(anonymous.request(Method::GET, path))
            .await
            .expect(200)
    };
    let jwks = get("/.well-known/jwks.json").await;
    let json = jwks.json();
    let keys = json["keys"].as_array().unwrap();
    let public = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];
    let mut kids = Vec::new();
    for key in keys {
        let members = key.as_object().unwrap();
        assert!(
            members
                .keys()
                .all(|member| public.contains(&member.as_str())),
            "{key}"
        );
        assert_eq!(
            (&key["alg"], &key["use"]),
            (&json!(algorithm.as_str()), &json!("sig"))
        );
        kids.push(key["kid"].as_str().unwrap().to_owned());
    }
    kids.sort();
    kids.dedup();
    assert_eq!(kids.len(), keys.len(), "key ids are unique");
    assert_eq!(
        jwks.header("content-type"),
        Some("application/jwk-set+json")
    );
    let notice = server.app().config().tokens.signing_key_notice;
    for answer in [
        &jwks,
        &get("/.well-known/oauth-authorization-server").await,
        &get("/.well-known/openid-configuration").await,
    ] {
        let cache = answer.header("cache-control").unwrap();
        let age = cache
            .split("max-age=")
            .nth(1)
            .unwrap()
            .split(',')
            .next()
            .unwrap();
        let age: u64 = age.parse().unwrap();
        assert!(
            cache.starts_with("public") && (1..=notice.as_secs()).contains(&age),
            "{cache}"
        );
    }
    keys.len()
}
