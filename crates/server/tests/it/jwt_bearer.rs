//! The JWT bearer grant (RFC 7523 §2.1): a build job's or a cluster's token becomes one of ours.

use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_jose::{Algorithm, Signer, SigningKey};
use tokensmith_oauth2::GrantType;
use tokensmith_store::{
    AuditContext, AuthMethod, ChangeClient, ClientChange, PutTrustedIssuer, RegisterClient,
    RemoveTrustedIssuer, TrustedIssuer,
};
use tokensmith_testkit::{Answer, Service, TestServer};

use crate::{
    attack::{assert_alive, audited, record},
    claims_of,
    fetch::{Stub, published},
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const CI: &str = "https://ci.test";

/// A server that trusts a build system, whose key the test holds, for the client `deploy`.
pub(crate) struct Ground {
    pub(crate) server: TestServer,
    key: std::sync::Arc<SigningKey>,
}

impl Ground {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut TrustedIssuer)) -> Self {
        let server =
            TestServer::start_with(|config| config.fetch.plain_http_to_loopback = true).await;
        for id in ["deploy", "other"] {
            let mut client = record(&server, id, AuthMethod::None, None).await;
            client.grant_types = vec![GrantType::JwtBearer];
            client.scope = "groups:write members:read".parse().unwrap();
            let context = AuditContext::operator(server.now());
            let registration = RegisterClient { client, context };
            server.app().store().write(registration).await.unwrap();
        }
        let key = SigningKey::generate(Algorithm::Rs256).unwrap();
        let mut issuer: TrustedIssuer = serde_json::from_value(json!({
            "issuer": CI,
            "jwks": {"keys": [key.public_jwk()]},
            "rules": [
                {"client_id": "deploy", "scope": "groups:read", "claims": {
                    "repository": ["acme/app"], "ref": ["refs/heads/main", "refs/tags/*"]}},
                {"client_id": "other", "claims": {"repository": ["acme/other"]}},
                {"client_id": "deploy", "claims": {"repository": ["acme/both"]}},
                {"client_id": "other", "claims": {"repository": ["acme/both"]}},
            ],
        }))
        .unwrap();
        change(&mut issuer);
        let ground = Self {
            server,
            key: key.into(),
        };
        ground.trust(issuer).await;
        ground
    }

    async fn trust(&self, issuer: TrustedIssuer) {
        let put = PutTrustedIssuer {
            issuer,
            before: None,
            context: AuditContext::operator(self.server.now()),
        };
        assert!(self.server.app().store().write(put).await.unwrap());
        self.reload().await;
    }

    async fn reload(&self) {
        let app = self.server.app();
        app.registry().reload(app.store()).await.unwrap();
    }

    async fn issuer(&self) -> TrustedIssuer {
        let store = self.server.app().store();
        store.trusted_issuer(CI).await.unwrap().unwrap()
    }

    /// What a build system says of a job.
    pub(crate) fn claims(&self) -> Value {
        let now = self.server.now().as_seconds();
        json!({
            "iss": CI,
            "sub": "repo:acme/app:ref:refs/heads/main",
            "aud": self.server.app().config().issuer.as_str(),
            "repository": "acme/app",
            "ref": "refs/heads/main",
            "actor": "alice",
            "run_attempt": 1,
            "jti": self.server.app().entropy().identifier(),
            "iat": now, "nbf": now - 10, "exp": now + 600,
        })
    }

    pub(crate) fn signed(&self, claims: &Value) -> String {
        let signer = Signer::new(self.key.clone(), "JWT").unwrap();
        signer.sign(claims).unwrap()
    }

    fn with(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[name] = value;
        self.signed(&claims)
    }

    pub(crate) async fn ask(&self, assertion: &str, more: &[(&str, &str)]) -> Answer {
        let form = [&[("grant_type", GRANT), ("assertion", assertion)], more].concat();
        self.server.anonymous().form("/oauth/token", &form).await
    }

    /// 400 `invalid_grant` for this reason, recorded, and no token.
    pub(crate) async fn refuses(&self, assertion: &str, outcome: &str) {
        let issued = audited(&self.server, "token_issued").await.len();
        self.ask(assertion, &[])
            .await
            .expect_oauth_error(400, "invalid_grant");
        let lines = audited(&self.server, "token_refused").await;
        assert_eq!(lines.last().unwrap()["outcome"], outcome);
        assert_eq!(audited(&self.server, "token_issued").await.len(), issued);
        self.server.advance(Duration::from_secs(4));
    }
}

#[tokio::test]
async fn a_job_gets_a_token_of_its_client_and_its_audit_line_names_the_job() {
    let ground = Ground::start().await;
    let answer = ground
        .ask(&ground.signed(&ground.claims()), &[])
        .await
        .expect(200);
    assert_eq!(answer.text("scope"), "groups:read");
    assert!(answer.json().get("refresh_token").is_none());
    let claims = claims_of(&answer.text("access_token"));
    assert_eq!(
        (&claims["sub"], &claims["client_id"]),
        (&json!("deploy"), &json!("deploy"))
    );
    let line = audited(&ground.server, "token_issued").await.pop().unwrap();
    assert_eq!(line["grant_type"], "jwt_bearer");
    assert_eq!(line["assertion_issuer"], CI);
    assert_eq!(
        line["assertion_subject"],
        "repo:acme/app:ref:refs/heads/main"
    );
    let tag = ground.with("ref", json!("refs/tags/v1.0"));
    ground
        .ask(&tag, &[("client_id", "deploy"), ("scope", "groups:read")])
        .await
        .expect(200);
}

#[tokio::test]
async fn a_rule_bounds_scope_and_client() {
    let ground = Ground::start().await;
    let ask = async |repository: &str, more: &[(&str, &str)]| {
        ground
            .ask(&ground.with("repository", json!(repository)), more)
            .await
    };
    for scope in ["groups:write", "members:read", "groups:read members:read"] {
        ask("acme/app", &[("scope", scope)])
            .await
            .expect_oauth_error(400, "invalid_scope");
    }
    // A rule without a scope leaves the client's own, which must be asked for.
    ask("acme/other", &[])
        .await
        .expect_oauth_error(400, "invalid_scope");
    let answer = ask("acme/other", &[("scope", "groups:write")])
        .await
        .expect(200);
    assert_eq!(claims_of(&answer.text("access_token"))["sub"], "other");
    ask("acme/app", &[("client_id", "other")])
        .await
        .expect_oauth_error(400, "invalid_grant");
    ask("acme/none", &[])
        .await
        .expect_oauth_error(400, "invalid_grant");
    let both = ask("acme/both", &[("scope", "groups:read")]).await;
    both.expect_oauth_error(400, "invalid_request");
    let named = [("scope", "groups:read"), ("client_id", "other")];
    let answer = ask("acme/both", &named).await.expect(200);
    assert_eq!(claims_of(&answer.text("access_token"))["sub"], "other");
    let resource = [("resource", "https://elsewhere.test")];
    ask("acme/app", &resource)
        .await
        .expect_oauth_error(400, "invalid_target");
}

#[tokio::test]
async fn a_token_of_a_job_is_good_once_unless_the_issuer_is_declared_otherwise() {
    let ground = Ground::start().await;
    let assertion = ground.signed(&ground.claims());
    // What is refused for something else is not used up.
    let beyond = [("scope", "groups:write")];
    ground
        .ask(&assertion, &beyond)
        .await
        .expect_oauth_error(400, "invalid_scope");
    let calls = (0..50).map(|_| ground.ask(&assertion, &[]));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        1
    );
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.expect_oauth_error(400, "invalid_grant");
    }
    ground.refuses(&assertion, "assertion_replayed").await;
    let mut without = ground.claims();
    without.as_object_mut().unwrap().remove("jti");
    ground
        .refuses(&ground.signed(&without), "assertion_jti_missing")
        .await;
    let mut issuer = ground.issuer().await;
    issuer.once = false;
    ground.trust(issuer).await;
    for _ in 0..3 {
        ground.ask(&ground.signed(&without), &[]).await.expect(200);
    }
}

#[tokio::test]
async fn what_is_not_quite_a_good_assertion_is_refused() {
    let ground = Ground::start().await;
    ground
        .ask(&ground.signed(&ground.claims()), &[])
        .await
        .expect(200);
    let now = ground.server.now().as_seconds();
    let refused = [
        (
            ground.with("iss", json!("https://evil.test")),
            "issuer_not_trusted",
        ),
        (
            ground.with("iss", json!("https://ci.test/")),
            "issuer_not_trusted",
        ),
        (
            ground.with("aud", json!("https://other.test")),
            "assertion_audience",
        ),
        (ground.with("aud", json!([CI])), "assertion_audience"),
        (ground.with("exp", json!(now - 31)), "assertion_expired"),
        (ground.with("exp", json!(now + 7200)), "assertion_life"),
        (ground.with("nbf", json!(now + 3600)), "assertion_early"),
        (ground.with("exp", json!("9999999999")), "assertion_claims"),
        (ground.with("jti", json!(7)), "assertion_claims"),
        (
            ground.with("repository", json!(["acme/app"])),
            "assertion_without_rule",
        ),
        (
            ground.with("repository", json!("acme/App")),
            "assertion_without_rule",
        ),
        (
            ground.with("ref", json!("refs/heads/main2")),
            "assertion_without_rule",
        ),
        (ground.with("ref", json!(null)), "assertion_without_rule"),
        ("a.b.c".to_owned(), "assertion_malformed"),
    ];
    for (assertion, outcome) in refused {
        ground.refuses(&assertion, outcome).await;
    }
    let forger = SigningKey::generate(Algorithm::Rs256).unwrap();
    let forged = Signer::new(forger.into(), "JWT")
        .unwrap()
        .sign(&ground.claims())
        .unwrap();
    ground.refuses(&forged, "assertion_key_unknown").await;
    for typ in ["at+jwt", "dpop+jwt", "logout+jwt"] {
        let odd = Signer::new(ground.key.clone(), typ)
            .unwrap()
            .sign(&ground.claims())
            .unwrap();
        ground.refuses(&odd, "assertion_malformed").await;
    }
    let form = [("grant_type", GRANT), ("client_id", "deploy")];
    let answer = ground.server.anonymous().form("/oauth/token", &form).await;
    answer.expect_oauth_error(400, "invalid_request");
    assert_alive(&ground.server).await;
}

#[tokio::test]
async fn twenty_bad_assertions_from_one_address_are_enough() {
    let ground = Ground::start().await;
    for _ in 0..20 {
        ground
            .ask("a.b.c", &[])
            .await
            .expect_oauth_error(400, "invalid_grant");
    }
    let limited = ground
        .ask(&ground.signed(&ground.claims()), &[])
        .await
        .expect(429);
    assert!(limited.header("retry-after").is_some());
    ground.server.advance(Duration::from_secs(4));
    ground
        .ask(&ground.signed(&ground.claims()), &[])
        .await
        .expect(200);
}

#[tokio::test]
async fn row_126_a_disabled_client_or_issuer_gets_nothing() {
    let ground = Ground::start().await;
    ground
        .ask(&ground.signed(&ground.claims()), &[])
        .await
        .expect(200);
    let active = async |is_active| {
        let change = ChangeClient {
            client_id: "deploy".parse().unwrap(),
            change: ClientChange::Active(is_active),
            context: AuditContext::operator(ground.server.now()),
        };
        assert!(ground.server.app().store().write(change).await.unwrap());
        ground.reload().await;
    };
    active(false).await;
    ground
        .refuses(&ground.signed(&ground.claims()), "workload_client_disabled")
        .await;
    active(true).await;
    let mut issuer = ground.issuer().await;
    issuer.is_active = false;
    ground.trust(issuer).await;
    ground
        .refuses(&ground.signed(&ground.claims()), "issuer_not_trusted")
        .await;
    let remove = RemoveTrustedIssuer {
        issuer: CI.to_owned(),
        context: AuditContext::operator(ground.server.now()),
    };
    assert!(ground.server.app().store().write(remove).await.unwrap());
    ground.reload().await;
    ground
        .refuses(&ground.signed(&ground.claims()), "issuer_not_trusted")
        .await;
    assert_alive(&ground.server).await;
}

#[tokio::test]
async fn a_client_that_authenticates_besides_must_be_the_one_of_the_rule() {
    let ground = Ground::start().await;
    let Service { secret, .. } = ground.server.service("svc", "groups:read").await;
    let by = [("client_id", "svc"), ("client_secret", secret.as_str())];
    let assertion = ground.signed(&ground.claims());
    ground
        .ask(&assertion, &by)
        .await
        .expect_oauth_error(400, "unauthorized_client");
    ground
        .ask(&assertion, &[("client_id", "svc")])
        .await
        .expect_oauth_error(400, "invalid_grant");
    let wrong = [("client_id", "deploy"), ("client_secret", "wrong")];
    ground
        .ask(&assertion, &wrong)
        .await
        .expect_oauth_error(401, "invalid_client");
    ground
        .ask(&assertion, &[("client_id", "deploy")])
        .await
        .expect(200);
}

#[tokio::test]
async fn a_client_of_workloads_cannot_use_another_grant() {
    let ground = Ground::start().await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "deploy"),
        ("scope", "groups:read"),
    ];
    let answer = ground.server.anonymous().form("/oauth/token", &form).await;
    answer.expect_oauth_error(400, "unauthorized_client");
}

#[tokio::test]
async fn published_keys_are_fetched_kept_and_fetched_again_for_a_new_one() {
    let ground = Ground::start().await;
    let stub = Stub::start(published(&[&ground.key])).await;
    let mut issuer = ground.issuer().await;
    (issuer.jwks, issuer.jwks_uri) = (None, Some(stub.url()));
    ground.trust(issuer).await;
    for _ in 0..3 {
        ground
            .ask(&ground.signed(&ground.claims()), &[])
            .await
            .expect(200);
    }
    assert_eq!(stub.connections(), 1);
    let forger = SigningKey::generate(Algorithm::Rs256).unwrap();
    let forged = Signer::new(forger.into(), "JWT")
        .unwrap()
        .sign(&ground.claims())
        .unwrap();
    for _ in 0..5 {
        ground.refuses(&forged, "assertion_key_unknown").await;
    }
    assert_eq!(
        stub.connections(),
        1,
        "an unknown key within the interval costs no fetch"
    );
}

#[tokio::test]
async fn row_153_an_address_inside_is_never_connected_to() {
    let ground = Ground::start().await;
    let stub = Stub::start(published(&[&ground.key])).await;
    let server = TestServer::start().await;
    let port = stub.url();
    let port = port
        .rsplit(':')
        .next()
        .unwrap()
        .trim_end_matches("/jwks")
        .to_owned();
    for url in [
        stub.url(),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        "http://169.254.169.254/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "https://10.0.0.1/".to_owned(),
    ] {
        // A record that was written past every check.
        let mut issuer = ground.issuer().await;
        (issuer.jwks, issuer.jwks_uri) = (None, Some(url.clone()));
        let app = server.app();
        let context = AuditContext::operator(server.now());
        let put = PutTrustedIssuer {
            issuer,
            before: None,
            context,
        };
        assert!(app.store().write(put).await.unwrap());
        app.registry().reload(app.store()).await.unwrap();
        let mut claims = ground.claims();
        claims["aud"] = json!(app.config().issuer.as_str());
        let form = [
            ("grant_type", GRANT),
            ("assertion", &ground.signed(&claims)),
        ];
        let answer = server.anonymous().form("/oauth/token", &form).await;
        answer.expect_oauth_error(400, "invalid_grant");
        let line = audited(&server, "token_refused").await.pop().unwrap();
        assert_eq!(line["outcome"], "assertion_keys_unavailable", "{url}");
    }
    assert_eq!(stub.connections(), 0);
    assert_alive(&server).await;
}
