//! Themes 01 and 06: clients that authenticate by an assertion (RFC 7523 §2.2).

use std::time::Duration;

use serde_json::{Value, json};
use tokensmith_jose::{Algorithm, SigningKey};
use tokensmith_oauth2::Secret;
use tokensmith_server::client_auth;
use tokensmith_store::{AuditContext, AuthMethod, ChangeClient, ClientChange, RegisterClient};
use tokensmith_testkit::{Answer, TestServer};

use super::{
    assert_alive, assert_refuses, audited,
    forging::{b64, mac, public_key_encodings, signed_text},
    record,
};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const GRANT: [(&str, &str); 2] = [
    ("grant_type", "client_credentials"),
    ("scope", "groups:read"),
];

/// A server with the client C2, whose key the test holds.
struct Ground {
    server: TestServer,
    key: SigningKey,
}

impl Ground {
    async fn start() -> Self {
        Self::start_with(Algorithm::Es256, |_| {}).await
    }

    async fn start_with(algorithm: Algorithm, change: impl FnOnce(&mut Value)) -> Self {
        let server = TestServer::start().await;
        let key = SigningKey::generate(algorithm).unwrap();
        register(&server, "C2", &key, change).await;
        let ground = Self { server, key };
        ground.by(&ground.assertion()).await.expect(200);
        ground
    }

    /// The claims of a good assertion, never the same twice.
    fn claims(&self) -> Value {
        let now = self.server.now().as_seconds();
        let jti = self.server.app().entropy().identifier();
        let issuer = self.server.app().config().issuer.as_str();
        json!({"iss": "C2", "sub": "C2", "aud": issuer, "jti": jti, "iat": now, "exp": now + 60})
    }

    fn header(&self) -> Value {
        json!({"alg": self.key.algorithm().as_str(), "typ": "JWT", "kid": self.key.kid()})
    }

    fn assertion(&self) -> String {
        self.signed(&self.claims())
    }

    fn signed(&self, claims: &Value) -> String {
        signed_text(&self.key, &self.header().to_string(), &claims.to_string())
    }

    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[name] = value;
        self.signed(&claims)
    }

    fn without_claim(&self, name: &str) -> String {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(name);
        self.signed(&claims)
    }

    fn with_header(&self, name: &str, value: Value) -> String {
        let mut header = self.header();
        header[name] = value;
        signed_text(&self.key, &header.to_string(), &self.claims().to_string())
    }

    async fn by(&self, assertion: &str) -> Answer {
        self.ask(&[
            ("client_assertion_type", TYPE),
            ("client_assertion", assertion),
        ])
        .await
    }

    async fn ask(&self, more: &[(&str, &str)]) -> Answer {
        let form = [&GRANT, more].concat();
        self.server.anonymous().form("/oauth/token", &form).await
    }

    /// 401 `invalid_client`, one line in the audit log, and no token.
    async fn refuses(&self, assertion: &str) -> Answer {
        let before = audited(&self.server, "client_auth_failed").await.len();
        let issued = audited(&self.server, "token_issued").await.len();
        let answer = self.by(assertion).await;
        assert_eq!(answer.status, 401, "{assertion}: {}", answer.body);
        let answer = answer.expect_oauth_error(401, "invalid_client");
        assert_refuses(&answer);
        let lines = audited(&self.server, "client_auth_failed").await;
        assert_eq!(lines.len(), before + 1, "{assertion}");
        assert_eq!(audited(&self.server, "token_issued").await.len(), issued);
        // Each refused try is counted; a few seconds later the next one is allowed.
        self.server.advance(Duration::from_secs(4));
        answer
    }

    /// What the newest refusal was for.
    async fn outcome(&self) -> String {
        let lines = audited(&self.server, "client_auth_failed").await;
        let outcome = lines.last().unwrap()["outcome"].as_str();
        outcome.unwrap().to_owned()
    }
}

async fn register(
    server: &TestServer,
    id: &str,
    key: &SigningKey,
    change: impl FnOnce(&mut Value),
) {
    let mut client = record(server, id, AuthMethod::PrivateKeyJwt, None).await;
    let mut jwk = serde_json::to_value(key.public_jwk()).unwrap();
    change(&mut jwk);
    if let Some(algorithm) = jwk.as_object_mut().unwrap().remove("registered_alg") {
        client.metadata.token_endpoint_auth_signing_alg = algorithm.as_str().map(str::to_owned);
    }
    client.metadata.jwks = Some(json!({"keys": [jwk]}));
    let context = AuditContext::operator(server.now());
    let registration = RegisterClient { client, context };
    server.app().store().write(registration).await.unwrap();
}

#[tokio::test]
async fn every_asymmetric_algorithm_proves_a_client_at_every_endpoint() {
    for algorithm in [
        Algorithm::Es256,
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::EdDsa,
    ] {
        let ground = Ground::start_with(algorithm, |_| {}).await;
        let token = ground
            .by(&ground.assertion())
            .await
            .expect(200)
            .text("access_token");
        for path in ["/oauth/introspect", "/oauth/revoke"] {
            let assertion = ground.assertion();
            let form = [
                ("client_assertion_type", TYPE),
                ("client_assertion", &assertion),
                ("client_id", "C2"),
                ("token", &token),
            ];
            let anonymous = ground.server.anonymous();
            anonymous.form(path, &form).await.expect(200);
            anonymous
                .form(path, &form)
                .await
                .expect_oauth_error(401, "invalid_client");
        }
    }
}

#[tokio::test]
async fn metadata_lists_the_method_and_its_algorithms_wherever_clients_authenticate() {
    let server = TestServer::start().await;
    let path = "/.well-known/oauth-authorization-server";
    let anonymous = server.anonymous();
    let request = anonymous.request(reqwest::Method::GET, path);
    let metadata = anonymous.send(request).await.expect(200).json();
    for endpoint in ["token", "introspection", "revocation"] {
        let methods = &metadata[format!("{endpoint}_endpoint_auth_methods_supported")];
        assert_eq!(methods[0], "private_key_jwt", "{methods}");
        assert!(
            !methods.to_string().contains("client_secret_jwt"),
            "it is off"
        );
        let algorithms =
            &metadata[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        assert_eq!(*algorithms, json!(["ES256", "RS256", "PS256", "EdDSA"]));
    }
}

#[tokio::test]
async fn row_105_an_assertion_is_good_once_also_for_fifty_at_once() {
    let ground = Ground::start().await;
    let assertion = ground.assertion();
    ground.by(&assertion).await.expect(200);
    let answer = ground.refuses(&assertion).await;
    assert!(answer.text("error_description").contains("used before"));
    assert_eq!(ground.outcome().await, "assertion_replayed");
    for _ in 0..3 {
        ground.server.advance(Duration::from_secs(120));
        let assertion = ground.assertion();
        let calls = (0..50).map(|_| ground.by(&assertion));
        let answers = futures_util::future::join_all(calls).await;
        let good = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(good, 1);
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert!(matches!(answer.status, 401 | 429), "{}", answer.body);
        }
    }
    ground.server.advance(Duration::from_secs(600));
    ground.refuses(&assertion).await;
    assert_eq!(ground.outcome().await, "assertion_expired");
    assert_alive(&ground.server).await;
}

#[tokio::test]
async fn row_107_a_forged_assertion_uses_up_nobodys_identifier() {
    let ground = Ground::start().await;
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    register(&ground.server, "C5", &other, |_| {}).await;
    let claims = ground.claims();
    let genuine = ground.signed(&claims);
    let forged = signed_text(&other, &ground.header().to_string(), &claims.to_string());
    ground.refuses(&forged).await;
    assert_eq!(ground.outcome().await, "assertion_signature");
    ground.by(&genuine).await.expect(200);
    let mut of_other = claims.clone();
    (of_other["iss"], of_other["sub"]) = (json!("C5"), json!("C5"));
    let header = json!({"alg": "ES256", "kid": other.kid()}).to_string();
    let same_jti = signed_text(&other, &header, &of_other.to_string());
    ground.by(&same_jti).await.expect(200);
    ground.refuses(&genuine).await;
    assert_alive(&ground.server).await;
}

#[tokio::test]
async fn an_assertion_that_is_refused_for_a_claim_does_not_use_up_its_identifier() {
    let ground = Ground::start().await;
    let mut claims = ground.claims();
    let right = claims["aud"].take();
    claims["aud"] = json!("https://other-as.test");
    ground.refuses(&ground.signed(&claims)).await;
    claims["aud"] = right;
    ground.by(&ground.signed(&claims)).await.expect(200);
}

#[tokio::test]
async fn row_108_the_audience_is_the_issuer_alone() {
    let ground = Ground::start().await;
    let issuer = ground.server.app().config().issuer.as_str().to_owned();
    ground
        .by(&ground.with_claim("aud", json!([issuer])))
        .await
        .expect(200);
    for aud in [
        json!("https://other-as.test"),
        json!([issuer, "https://evil.test"]),
        json!([issuer, issuer]),
        json!([]),
        json!(format!("{issuer}/")),
        json!(format!("{issuer}/oauth/token")),
        json!(issuer.to_uppercase()),
        json!(null),
        json!({"0": issuer}),
    ] {
        ground.refuses(&ground.with_claim("aud", aud)).await;
    }
    ground.refuses(&ground.without_claim("aud")).await;
    assert_alive(&ground.server).await;
}

#[tokio::test]
async fn row_109_a_long_life_is_refused() {
    let ground = Ground::start().await;
    let now = ground.server.now().as_seconds();
    ground
        .by(&ground.with_claim("exp", json!(now + 300)))
        .await
        .expect(200);
    for life in [86_400, 3_600, 331] {
        let exp = ground.server.now().as_seconds() + life;
        ground.refuses(&ground.with_claim("exp", json!(exp))).await;
        assert_eq!(ground.outcome().await, "assertion_life");
        let mut without_iat = ground.claims();
        without_iat.as_object_mut().unwrap().remove("iat");
        without_iat["exp"] = json!(ground.server.now().as_seconds() + life);
        ground.refuses(&ground.signed(&without_iat)).await;
        assert_eq!(ground.outcome().await, "assertion_life");
    }
    for early in ["iat", "nbf"] {
        let date = ground.server.now().as_seconds() + 40;
        ground.refuses(&ground.with_claim(early, json!(date))).await;
        assert_eq!(ground.outcome().await, "assertion_early");
    }
    assert_alive(&ground.server).await;
}

#[tokio::test]
async fn row_111_a_shared_secret_is_never_a_key_of_a_key_client() {
    for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
        let ground = Ground::start_with(algorithm, |_| {}).await;
        let mut secrets = public_key_encodings(&ground.key);
        secrets.extend([b"a secret of the test, long enough".to_vec(), vec![]]);
        for secret in secrets {
            for header in [
                json!({"alg": "HS256"}),
                json!({"alg": "HS256", "kid": ground.key.kid()}),
            ] {
                ground
                    .refuses(&mac(&secret, &header, &ground.claims()))
                    .await;
            }
        }
        let unsigned = |alg: &str| {
            let header = json!({"alg": alg, "kid": ground.key.kid()});
            format!(
                "{}.{}.",
                b64(header.to_string()),
                b64(ground.claims().to_string())
            )
        };
        for alg in ["none", "None", "NONE", ""] {
            ground.refuses(&unsigned(alg)).await;
        }
        assert_alive(&ground.server).await;
    }
}

#[tokio::test]
async fn row_111_the_registered_algorithm_is_the_only_one() {
    let registered = |alg: &'static str| {
        move |jwk: &mut Value| {
            jwk.as_object_mut().unwrap().remove("alg");
            jwk["registered_alg"] = json!(alg);
        }
    };
    let ground = Ground::start_with(Algorithm::Ps256, registered("PS256")).await;
    ground.by(&ground.assertion()).await.expect(200);
    // The same RSA key under the other padding.
    let pkcs8 = ground.key.to_pkcs8().unwrap();
    let other = SigningKey::from_pkcs8(Algorithm::Rs256, &pkcs8).unwrap();
    let header = json!({"alg": "RS256", "kid": ground.key.kid()}).to_string();
    let by_other = signed_text(&other, &header, &ground.claims().to_string());
    ground.refuses(&by_other).await;
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    register(&ground.server, "C6", &key, |jwk| {
        jwk["registered_alg"] = json!("EdDSA")
    })
    .await;
    let mut claims = ground.claims();
    (claims["iss"], claims["sub"]) = (json!("C6"), json!("C6"));
    let header = json!({"alg": "ES256", "kid": key.kid()}).to_string();
    ground
        .refuses(&signed_text(&key, &header, &claims.to_string()))
        .await;
    assert_eq!(ground.outcome().await, "assertion_algorithm");
}

#[tokio::test]
async fn row_007_008_010_keys_and_extensions_in_the_header_are_not_followed() {
    let ground = Ground::start().await;
    let attacker = SigningKey::generate(Algorithm::Es256).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let evil = format!("http://{}/jwks", listener.local_addr().unwrap());
    for (name, value) in [
        ("jku", json!(evil)),
        ("x5u", json!(evil)),
        ("jwk", serde_json::to_value(attacker.public_jwk()).unwrap()),
    ] {
        ground
            .by(&ground.with_header(name, value.clone()))
            .await
            .expect(200);
        for kid in [attacker.kid(), ground.key.kid()] {
            let header = json!({"alg": "ES256", "kid": kid, name: value});
            let forged = signed_text(&attacker, &header.to_string(), &ground.claims().to_string());
            ground.refuses(&forged).await;
        }
    }
    let claims = ground.claims();
    let mut header = ground.header();
    header["crit"] = json!(["x-policy"]);
    header["x-policy"] = json!("1");
    ground
        .refuses(&signed_text(
            &ground.key,
            &header.to_string(),
            &claims.to_string(),
        ))
        .await;
    ground.by(&ground.signed(&claims)).await.expect(200);
    let connected = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(connected.is_err(), "nobody was asked for keys");
    assert_alive(&ground.server).await;
}

#[tokio::test]
async fn row_015_018_claims_have_one_value_of_the_right_type() {
    let ground = Ground::start().await;
    for exp in [
        json!("9999999999"),
        json!(null),
        json!(-1),
        json!([1]),
        json!(true),
    ] {
        ground.refuses(&ground.with_claim("exp", exp)).await;
    }
    for name in ["exp", "iss", "sub", "jti"] {
        ground.refuses(&ground.without_claim(name)).await;
        ground
            .refuses(&ground.with_claim(name, json!([ground.claims()[name]])))
            .await;
    }
    for (name, value) in [
        ("jti", json!("")),
        ("iat", json!("now")),
        ("nbf", json!(null)),
        ("iss", json!("C1")),
        ("sub", json!("C1")),
    ] {
        ground.refuses(&ground.with_claim(name, value)).await;
    }
    let text = ground.claims().to_string();
    for twice in [
        text.replacen('{', r#"{"sub":"C1","#, 1),
        text.replacen('{', "{\"\\u0073ub\":\"C1\",", 1),
        text.replacen('{', r#"{"jti":"x","#, 1),
    ] {
        let duplicate = signed_text(&ground.key, &ground.header().to_string(), &twice);
        ground.refuses(&duplicate).await;
    }
    assert_alive(&ground.server).await;
}

#[tokio::test]
async fn row_013_022_a_token_of_another_kind_is_no_assertion() {
    let ground = Ground::start().await;
    for typ in ["client-authentication+jwt", "jwt", "application/jwt"] {
        ground
            .by(&ground.with_header("typ", json!(typ)))
            .await
            .expect(200);
    }
    for typ in [
        "at+jwt",
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "JWE",
        "",
    ] {
        ground.refuses(&ground.with_header("typ", json!(typ))).await;
    }
    let token = ground
        .by(&ground.assertion())
        .await
        .expect(200)
        .text("access_token");
    ground.refuses(&token).await;
    let encrypted = "eyJhbGciOiJSU0EtT0FFUCIsInppcCI6IkRFRiJ9.AA.AA.AA.AA";
    let inflated = b64(json!({"alg": "RSA-OAEP", "enc": "A256GCM", "zip": "DEF"}).to_string());
    let inflated = format!("{inflated}.AA.AA.{}.AA", "A".repeat(100 << 10));
    let assertion = ground.assertion();
    for odd in [
        encrypted,
        &inflated,
        "a.b.c",
        "",
        &assertion[..assertion.len() - 1],
        &format!("{assertion}A"),
    ] {
        assert_refuses(
            &ground
                .by(odd)
                .await
                .expect_oauth_error(401, "invalid_client"),
        );
        ground.server.advance(Duration::from_secs(4));
    }
    assert_alive(&ground.server).await;
}

#[tokio::test]
async fn row_097_an_assertion_and_a_secret_are_two_methods() {
    let ground = Ground::start().await;
    let assertion = ground.assertion();
    let both = [
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion.as_str()),
    ];
    for more in [("client_secret", "x"), ("client_secret", "")] {
        let answer = ground.ask(&[both[0], both[1], more]).await;
        answer.expect_oauth_error(400, "invalid_request");
    }
    for other in [("client_id", "C1"), ("client_id", "c2")] {
        let answer = ground.ask(&[both[0], both[1], other]).await;
        answer.expect_oauth_error(400, "invalid_request");
    }
    for half in [[both[0]], [both[1]]] {
        ground
            .ask(&half)
            .await
            .expect_oauth_error(401, "invalid_client");
    }
    let other_type = (
        "client_assertion_type",
        "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
    );
    let answer = ground.ask(&[other_type, both[1]]).await;
    answer.expect_oauth_error(401, "invalid_client");
    ground
        .ask(&[both[0], both[1], both[1]])
        .await
        .expect_oauth_error(400, "invalid_request");
    ground
        .ask(&[("client_id", "C2")])
        .await
        .expect_oauth_error(401, "invalid_client");
    // None of these used it up.
    ground
        .ask(&[both[0], both[1], ("client_id", "C2")])
        .await
        .expect(200);
    assert_alive(&ground.server).await;
}

#[tokio::test]
async fn row_277_a_disabled_client_proves_nothing_and_uses_up_nothing() {
    let ground = Ground::start().await;
    let assertion = ground.assertion();
    let active = async |is_active| {
        let change = ChangeClient {
            client_id: "C2".parse().unwrap(),
            change: ClientChange::Active(is_active),
            context: AuditContext::operator(ground.server.now()),
        };
        assert!(ground.server.app().store().write(change).await.unwrap());
        let app = ground.server.app();
        app.registry().reload(app.store()).await.unwrap();
    };
    active(false).await;
    ground.refuses(&assertion).await;
    active(true).await;
    ground.by(&assertion).await.expect(200);
}

/// A server that takes client_secret_jwt or not, with the client C7 of that method.
async fn with_sealed_secret(is_on: bool, secret: &str) -> TestServer {
    let server =
        TestServer::start_with(|config| config.client_auth.client_secret_jwt = is_on).await;
    let mut client = record(&server, "C7", AuthMethod::ClientSecretJwt, Some(secret)).await;
    let sealing = server.app().keys().sealing();
    let sealed = client_auth::seal_secret(sealing, &client.client_id, &Secret::from(secret));
    client.secrets[0].hash = sealed.unwrap();
    let context = AuditContext::operator(server.now());
    let registration = RegisterClient { client, context };
    server.app().store().write(registration).await.unwrap();
    server
}

fn under_secret(server: &TestServer, secret: &str) -> String {
    let now = server.now().as_seconds();
    let jti = server.app().entropy().identifier();
    let issuer = server.app().config().issuer.as_str();
    let claims =
        json!({"iss": "C7", "sub": "C7", "aud": issuer, "jti": jti, "iat": now, "exp": now + 60});
    mac(
        secret.as_bytes(),
        &json!({"alg": "HS256", "typ": "JWT"}),
        &claims,
    )
}

#[tokio::test]
async fn client_secret_jwt_is_off_until_a_setting_allows_it() {
    const SECRET: &str = "a shared secret of at least 32 bytes";
    for is_on in [false, true] {
        let server = with_sealed_secret(is_on, SECRET).await;
        let anonymous = server.anonymous();
        let ask = async |assertion: &str| {
            let by = [
                ("client_assertion_type", TYPE),
                ("client_assertion", assertion),
            ];
            anonymous
                .form("/oauth/token", &[&GRANT, by.as_slice()].concat())
                .await
        };
        let request = anonymous.request(
            reqwest::Method::GET,
            "/.well-known/oauth-authorization-server",
        );
        let metadata = anonymous.send(request).await.expect(200).json();
        let listed = |member: &str, word: &str| metadata[member].to_string().contains(word);
        assert_eq!(
            listed("token_endpoint_auth_methods_supported", "client_secret_jwt"),
            is_on
        );
        assert_eq!(
            listed("token_endpoint_auth_signing_alg_values_supported", "HS256"),
            is_on
        );
        let good = under_secret(&server, SECRET);
        if is_on {
            ask(&good).await.expect(200);
        }
        ask(&good).await.expect_oauth_error(401, "invalid_client");
        let wrong = under_secret(&server, "another secret of at least 32 bytes");
        ask(&wrong).await.expect_oauth_error(401, "invalid_client");
        // The secret itself proves nothing when it is sent.
        let sent = [("client_id", "C7"), ("client_secret", SECRET)];
        let answer = anonymous
            .form("/oauth/token", &[&GRANT, sent.as_slice()].concat())
            .await;
        answer.expect_oauth_error(401, "invalid_client");
        let stored = server
            .app()
            .store()
            .client(&"C7".parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        let stored = serde_json::to_string(&stored.secrets).unwrap();
        assert!(stored.contains("sealed") && !stored.contains(SECRET));
        assert_alive(&server).await;
    }
}
