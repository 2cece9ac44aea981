//! What is sent, where it is sent, and which tokens are kept apart.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokensmith_client::{
    ClientAuthentication, ClientId, ResourceIndicator, Scope, ServiceClient, ServiceTokenManager,
    ServiceTokenSet, TokenEndpoint, TokenErrorKind,
};
use tokensmith_oauth2::basic;

use crate::stub::{Reply, Stub};

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

fn resource(text: &str) -> ResourceIndicator {
    ResourceIndicator::parse(text).unwrap()
}

#[tokio::test]
async fn basic_credentials_are_form_encoded_and_scope_and_resource_are_sent() {
    let stub = Stub::start().await;
    let id = ClientId::parse("a:b").unwrap();
    let client = ServiceClient::new(id.clone(), "p%3A:%+ é", stub.token_url())
        .scope(scope("groups:read members:read"))
        .resource(resource("https://api.activity.com"))
        .resource(resource("urn:example:chat"));
    ServiceTokenManager::new(client)
        .unwrap()
        .token()
        .await
        .unwrap();
    let seen = stub.seen().remove(0);
    let (sent_id, sent_secret) =
        basic::parse(seen.headers["authorization"].to_str().unwrap()).unwrap();
    assert_eq!((sent_id, sent_secret.expose()), (id, "p%3A:%+ é"));
    assert_eq!(seen.form.one("grant_type"), Ok(Some("client_credentials")));
    assert_eq!(seen.form.one("scope"), Ok(Some("groups:read members:read")));
    assert_eq!(
        seen.form.many("resource").collect::<Vec<_>>(),
        ["https://api.activity.com", "urn:example:chat"]
    );
    assert!(!seen.form.has("client_secret") && !seen.form.has("client_id"));
    assert_eq!(
        seen.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
}

#[tokio::test]
async fn post_credentials_are_in_the_body_only() {
    let stub = Stub::start().await;
    let client = stub.client().authentication(ClientAuthentication::Post);
    ServiceTokenManager::new(client)
        .unwrap()
        .token()
        .await
        .unwrap();
    let seen = stub.seen().remove(0);
    assert_eq!(seen.form.one("client_id"), Ok(Some("chat-api-service")));
    assert_eq!(seen.form.one("client_secret"), Ok(Some("s3cret")));
    assert!(!seen.headers.contains_key("authorization"));
    assert!(!seen.form.has("scope") && !seen.form.has("resource"));
}

#[tokio::test]
async fn row_324_tokens_for_other_scopes_audiences_clients_and_issuers_are_kept_apart() {
    let (stub, other) = (Stub::start().await, Stub::start().await);
    other.then_always(Reply::ok(
        r#"{"access_token":"other{n}","token_type":"Bearer"}"#,
    ));
    let set = ServiceTokenSet::new().unwrap();
    let clients = [
        stub.client(),
        stub.client().scope(scope("groups:read")),
        stub.client().scope(scope("members:read")),
        stub.client().resource(resource("https://a.test")),
        stub.client().resource(resource("https://b.test")),
        ServiceClient::new(
            ClientId::parse("second").unwrap(),
            "s3cret",
            stub.token_url(),
        ),
        other.client(),
    ];
    let mut tokens = Vec::new();
    for _ in 0..2 {
        for client in &clients {
            tokens.push(
                set.manager(client.clone())
                    .unwrap()
                    .token()
                    .await
                    .unwrap()
                    .expose()
                    .to_owned(),
            );
        }
    }
    let (first, second) = tokens.split_at(clients.len());
    assert_eq!(first, second, "equal settings share a token");
    assert_eq!(first, ["t1", "t2", "t3", "t4", "t5", "t6", "other1"]);
    assert_eq!(
        set.manager(stub.client().scope(scope("groups:read")))
            .unwrap()
            .token()
            .await
            .unwrap()
            .expose(),
        "t2"
    );
}

#[tokio::test]
async fn another_secret_for_the_same_client_replaces_its_manager() {
    let stub = Stub::start().await;
    let set = ServiceTokenSet::new().unwrap();
    set.manager(stub.client()).unwrap().token().await.unwrap();
    let rotated = ServiceClient::new(
        ClientId::parse("chat-api-service").unwrap(),
        "n3w",
        stub.token_url(),
    );
    assert_eq!(
        set.manager(rotated)
            .unwrap()
            .token()
            .await
            .unwrap()
            .expose(),
        "t2"
    );
}

#[tokio::test]
async fn a_set_is_bounded_by_the_managers_in_use() {
    let stub = Stub::start().await;
    let set = ServiceTokenSet::new().unwrap();
    let numbered = |n: usize| stub.client().scope(scope(&format!("s{n}")));
    let in_use: Vec<_> = (0..256)
        .map(|n| set.manager(numbered(n)).unwrap())
        .collect();
    assert!(set.manager(numbered(256)).is_err());
    drop(in_use);
    assert!(set.manager(numbered(256)).is_ok());
}

fn metadata(issuer: &str, stub: &Stub) -> String {
    format!(
        r#"{{"issuer":"{issuer}","token_endpoint":"{}/oauth/token"}}"#,
        stub.url
    )
}

fn discovering(stub: &Stub) -> ServiceTokenManager {
    let issuer = TokenEndpoint::Issuer(stub.url.clone());
    let client = ServiceClient::new(ClientId::parse("c").unwrap(), "s", issuer);
    ServiceTokenManager::new(client).unwrap()
}

#[tokio::test]
async fn the_token_endpoint_is_found_through_the_issuer() {
    let stub = Stub::start().await;
    stub.metadata(200, metadata(&stub.url, &stub));
    assert_eq!(discovering(&stub).token().await.unwrap().expose(), "t1");
}

#[tokio::test]
async fn openid_discovery_is_asked_when_the_other_document_is_absent() {
    let stub = Stub::start().await;
    stub.metadata(404, "")
        .metadata(200, metadata(&stub.url, &stub));
    assert_eq!(discovering(&stub).token().await.unwrap().expose(), "t1");
}

#[tokio::test]
async fn row_167_metadata_of_another_issuer_gets_no_secret() {
    let stub = Stub::start().await;
    stub.metadata(200, metadata("https://evil.test", &stub));
    let error = discovering(&stub).token().await.unwrap_err();
    assert!(
        matches!(error.kind(), TokenErrorKind::Metadata(_)),
        "{error}"
    );
    assert_eq!(stub.count(), 0);
}

#[tokio::test]
async fn an_endpoint_that_fails_is_looked_up_again() {
    let (stub, moved) = (Stub::start().await, Stub::start().await);
    stub.metadata(200, metadata(&stub.url, &stub))
        .metadata(200, metadata(&stub.url, &moved));
    stub.then_always(Reply::status(410, ""));
    let manager = discovering(&stub);
    let error = manager.token().await.unwrap_err();
    tokio::time::sleep(error.retry_after() + Duration::from_millis(1)).await;
    manager.token().await.unwrap();
    assert_eq!((stub.count(), moved.count()), (1, 1));
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn row_318_no_secret_and_no_token_reaches_the_log_at_trace_level() {
    // With one subscriber alone, tracing asks the thread that comes to a line first whether anybody listens, and
    // remembers the answer: it may be another test's. With two it asks both.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
    let _guard =
        tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
    let stub = Stub::start().await;
    stub.replies([
        Reply::status(500, "s3cret"),
        Reply::ok(r#"{"access_token":"tok-value","token_type":"Bearer"}"#),
    ]);
    let manager = stub.manager();
    let error = manager.token().await.unwrap_err();
    tokio::time::sleep(error.retry_after() + Duration::from_millis(1)).await;
    let token = manager.token().await.unwrap();
    manager.invalidate(&token);
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(
        text.contains("no service token"),
        "the log was captured: {text}"
    );
    for secret in ["s3cret", "tok-value", "Y2hhdC1hcGktc2VydmljZTpzM2NyZXQ"] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}

/// A private key in PEM, and its public half.
fn pem() -> (String, tokensmith_jose::SigningKey) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let key = tokensmith_jose::SigningKey::generate(tokensmith_jose::Algorithm::Es256).unwrap();
    let body = STANDARD.encode(&*key.to_pkcs8().unwrap());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    (pem, key)
}

#[tokio::test]
async fn a_key_signs_a_new_statement_for_the_issuer_with_each_request() {
    let stub = Stub::start().await;
    let metadata = format!(
        r#"{{"issuer":"{0}","token_endpoint":"{0}/oauth/token"}}"#,
        stub.url
    );
    stub.metadata(200, metadata.clone()).metadata(200, metadata);
    let (pem, key) = pem();
    let issuer = TokenEndpoint::Issuer(stub.url.clone());
    let client = || {
        ServiceClient::new(
            ClientId::parse("billing").unwrap(),
            pem.clone(),
            issuer.clone(),
        )
        .authentication(ClientAuthentication::PrivateKeyJwt)
    };
    for _ in 0..2 {
        ServiceTokenManager::new(client())
            .unwrap()
            .token()
            .await
            .unwrap();
    }
    let keys = tokensmith_jose::KeySet::new([key.verifying_key().unwrap()]).unwrap();
    let mut seen = Vec::new();
    for request in stub.seen() {
        assert!(
            !request.headers.contains_key("authorization") && !request.form.has("client_secret")
        );
        let of = request.form.one("client_assertion_type").unwrap().unwrap();
        assert_eq!(of, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let assertion = request.form.one("client_assertion").unwrap().unwrap();
        let expect = tokensmith_jose::Expect::typ(&["client-authentication+jwt"]);
        let claims: serde_json::Value = keys.verify(assertion, expect).unwrap().claims().unwrap();
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&"billing".into(), &"billing".into())
        );
        assert_eq!(claims["aud"], stub.url);
        assert_eq!(
            claims["exp"].as_i64(),
            claims["iat"].as_i64().map(|iat| iat + 60)
        );
        seen.push(claims["jti"].clone());
    }
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0], seen[1]);
    assert!(!format!("{:?}", client()).contains("PRIVATE"));
}

#[tokio::test]
async fn a_key_that_cannot_sign_for_the_issuer_is_refused_at_once() {
    let (pem, _) = pem();
    let id = || ClientId::parse("billing").unwrap();
    let refused = |secret: &str, endpoint: TokenEndpoint| {
        let client = ServiceClient::new(id(), secret, endpoint);
        ServiceTokenManager::new(client.authentication(ClientAuthentication::PrivateKeyJwt))
            .unwrap_err()
            .to_string()
    };
    let issuer = || TokenEndpoint::Issuer("https://as.test".to_owned());
    assert!(refused("s3cret", issuer()).starts_with("the client's key"));
    let endpoint = TokenEndpoint::Url("https://as.test/oauth/token".parse().unwrap());
    assert!(refused(&pem, endpoint).contains("issuer"));
}
