//! What signs a resource's tokens: each algorithm with its rotation, the secret shared with older services, and keys
//! that another process holds.

#[path = "../../examples/signer.rs"]
#[expect(dead_code, reason = "the example's own main is not called here")]
mod signer;

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokensmith_jose::{Algorithm, Expect, HmacKey, JwkSet, KeySet, Signer};
use tokensmith_oauth2::Secret;
use tokensmith_resource_server::ResourceServer;
use tokensmith_server::{
    app::App,
    config::{Config, Setting, SharedSecret},
    entropy::Entropy,
    keys::{NewKey, Rotation, SignerSocket, rotate},
    now::Clock,
};
use tokensmith_store::{AuditContext, PutResource, Resource};
use tokensmith_testkit::{Answer, TestServer};

use crate::{
    claims_of,
    exchange::{ACCESS_TOKEN, EXCHANGE, change, rule},
    introspect::{Registered, client},
    revocation_feed::clock,
};

const SECRET: &str = "Zk3!q9vXp0-7RtYw2LmN8sBdF5hJ1cGa";
const HOUR: Duration = Duration::from_secs(3600);
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::Es256,
    Algorithm::Rs256,
    Algorithm::Ps256,
    Algorithm::EdDsa,
];

fn shared_secret() -> SharedSecret {
    SharedSecret::read(&SECRET.into()).unwrap()
}

/// The resource of an algorithm.
fn resource_of(algorithm: Algorithm) -> String {
    format!("https://{}.example", algorithm.as_str().to_lowercase())
}

async fn declare(server: &TestServer, algorithm: Algorithm) {
    let resource = resource(&resource_of(algorithm), algorithm, server.app());
    let context = AuditContext::operator(server.now());
    let app = server.app();
    let put = PutResource { resource, context };
    app.store().write(put).await.unwrap();
    server.reload().await;
}

fn resource(identifier: &str, algorithm: Algorithm, app: &App) -> Resource {
    Resource {
        identifier: identifier.to_owned(),
        name: identifier.to_owned(),
        scopes: Vec::new(),
        signing_algorithm: Some(algorithm.as_str().to_owned()),
        access_token_seconds: None,
        user_claims: None,
        created_at: app.clock().now(),
    }
}

async fn ask(server: &TestServer, client: &Registered) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "groups:read"),
    ];
    client.form(server, "/oauth/token", &form).await
}

/// `alg` and `kid`.
fn header(token: &str) -> (String, Option<String>) {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = URL_SAFE_NO_PAD
        .decode(token.split('.').next().unwrap())
        .unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    let text = |name: &str| header[name].as_str().map(str::to_owned);
    (text("alg").unwrap(), text("kid"))
}

async fn jwks(server: &TestServer) -> JwkSet {
    let anonymous = server.anonymous();
    let request = anonymous.request(reqwest::Method::GET, "/.well-known/jwks.json");
    let body = anonymous.send(request).await.expect(200).body;
    JwkSet::from_slice(body.as_bytes()).unwrap()
}

fn verifies(set: &JwkSet, token: &str) -> bool {
    let keys = KeySet::from_jwks(set).unwrap();
    keys.verify(token, Expect::typ(&["at+jwt"])).is_ok()
}

fn kids(set: &JwkSet) -> Vec<&str> {
    set.keys
        .iter()
        .filter_map(|key| key.kid.as_deref())
        .collect()
}

#[tokio::test]
async fn a_resource_has_its_algorithm_from_its_declaration_on_and_services_verify_it() {
    let server = TestServer::start().await;
    for algorithm in ALGORITHMS {
        declare(&server, algorithm).await;
        let audience = resource_of(algorithm);
        let service = client(&server, algorithm.as_str(), false, &[&audience]).await;
        if algorithm != Algorithm::Es256 {
            // Published before it signs, also for the first token of a new algorithm.
            ask(&server, &service).await.expect(503);
            let names = jwks(&server).await;
            let named = |key: &tokensmith_jose::Jwk| key.alg.as_deref() == Some(algorithm.as_str());
            assert!(names.keys.iter().any(named), "{algorithm}");
            server.advance(Duration::from_secs(2));
        }
        let token = ask(&server, &service)
            .await
            .expect(200)
            .text("access_token");
        assert_eq!(header(&token).0, algorithm.as_str());
        let issuer = server.app().config().issuer.as_str();
        let validator = ResourceServer::builder(issuer, &audience)
            .jwks_uri(format!("{}/.well-known/jwks.json", server.base()))
            .clock(clock(&server))
            .build()
            .unwrap();
        let caller = validator.verify(&token).await.unwrap();
        assert_eq!(caller.subject(), algorithm.as_str());
        assert_eq!(service.introspects(&server, &token).await["active"], true);
    }
}

#[tokio::test]
async fn keys_of_every_algorithm_rotate_by_age_and_are_published_before_they_sign() {
    let server = TestServer::start_with(|config| {
        config.tokens.signing_key_lifetime = HOUR;
        config.tokens.signing_key_notice = Duration::from_secs(10);
    })
    .await;
    let mut services = Vec::new();
    for algorithm in ALGORITHMS {
        declare(&server, algorithm).await;
        let audience = resource_of(algorithm);
        services.push(client(&server, algorithm.as_str(), false, &[&audience]).await);
    }
    server.advance(Duration::from_secs(2));
    let tokens = async || {
        let mut tokens = Vec::new();
        for service in &services {
            tokens.push(ask(&server, service).await.expect(200).text("access_token"));
        }
        tokens
    };
    let first = tokens().await;
    server.advance(HOUR);
    // The job looks once a second.
    let asked = Instant::now();
    while jwks(&server).await.keys.len() < 2 * ALGORITHMS.len() {
        assert!(asked.elapsed() < Duration::from_secs(30), "the job rotates");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let published = jwks(&server).await;
    let kids = kids(&published);
    for (before, now) in first.iter().zip(tokens().await) {
        assert_eq!(header(before), header(&now), "the notice is not over");
    }
    server.advance(Duration::from_secs(10));
    for (before, now) in first.iter().zip(tokens().await) {
        assert_eq!(header(before).0, header(&now).0);
        assert_ne!(header(before).1, header(&now).1);
        assert!(
            kids.contains(&header(&now).1.unwrap().as_str()),
            "it was published before"
        );
        assert!(verifies(&published, &now) && verifies(&published, before));
    }
}

#[tokio::test]
async fn a_spent_key_is_published_until_the_longest_token_that_anybody_may_ask_for_has_expired() {
    let server = TestServer::start().await;
    let service = client(&server, "service", false, &[]).await;
    change(&server, "service", |client| {
        client.access_token_seconds = Some(7200)
    })
    .await;
    let token = ask(&server, &service)
        .await
        .expect(200)
        .text("access_token");
    let (app, context) = (server.app(), AuditContext::operator(server.now()));
    let key = NewKey::Generated(Algorithm::Es256);
    let rotated = rotate(
        app.config(),
        app.store(),
        key,
        Some(Duration::ZERO),
        context,
    )
    .await;
    assert!(matches!(rotated.unwrap(), Rotation::Added { .. }));
    server.advance(HOUR * 2 - Duration::from_secs(1));
    server.reload().await;
    assert!(verifies(&jwks(&server).await, &token));
    server.advance(Duration::from_secs(400));
    server.reload().await;
    assert!(!verifies(&jwks(&server).await, &token));
}

#[tokio::test]
async fn a_shared_secret_signs_for_resources_declared_so_and_is_good_for_nothing_else() {
    let server = TestServer::start_with(|config| {
        config.tokens.legacy_shared_secret = Some(shared_secret());
    })
    .await;
    declare(&server, Algorithm::Hs256).await;
    let audience = resource_of(Algorithm::Hs256);
    let service = client(&server, "old", false, &[&audience]).await;
    let token = ask(&server, &service)
        .await
        .expect(200)
        .text("access_token");
    assert_eq!(header(&token), ("HS256".to_owned(), None));
    let issuer = server.app().config().issuer.as_str();
    let builder = |audience: &str| {
        ResourceServer::builder(issuer, audience)
            .jwks_uri(format!("{}/.well-known/jwks.json", server.base()))
            .clock(clock(&server))
    };
    let old = builder(&audience)
        .legacy_shared_secret(SECRET, "HS256")
        .build()
        .unwrap();
    assert_eq!(old.verify(&token).await.unwrap().subject(), "old");
    // Nobody takes it who does not share the secret, nobody for whom it is not, and nothing is published.
    let without_secret = builder(&audience).build().unwrap();
    assert!(without_secret.verify(&token).await.is_err());
    let other = builder("https://other.example").legacy_shared_secret(SECRET, "HS256");
    assert!(other.build().unwrap().verify(&token).await.is_err());
    for key in jwks(&server).await.keys {
        assert!(key.kty != "oct" && key.alg.as_deref() != Some("HS256"));
    }
    assert_eq!(service.introspects(&server, &token).await["active"], true);
    let form = [("token", token.as_str())];
    service
        .form(&server, "/oauth/revoke", &form)
        .await
        .expect(200);
    assert_eq!(service.introspects(&server, &token).await["active"], false);
}

#[tokio::test]
async fn whoever_knows_the_shared_secret_gets_nothing_from_this_server_with_it() {
    let server = TestServer::start_with(|config| {
        config.tokens.legacy_shared_secret = Some(shared_secret());
    })
    .await;
    declare(&server, Algorithm::Hs256).await;
    let audience = resource_of(Algorithm::Hs256);
    let default = server.app().config().audience().to_owned();
    let service = client(&server, "old", false, &[&audience, &default]).await;
    change(&server, "old", |client| {
        client
            .grant_types
            .push(tokensmith_oauth2::GrantType::TokenExchange);
        client.metadata.token_exchange = vec![tokensmith_store::ExchangeRule {
            subject_clients: vec![crate::exchange::id("old")],
            subject_audiences: vec![audience.clone(), default.clone()],
            resources: vec![default.clone()],
            ..rule()
        }];
    })
    .await;
    let alice = server.user("alice").await;
    let key = HmacKey::new(SECRET.as_bytes()).unwrap();
    let forge = Signer::hs256(key, "at+jwt").unwrap();
    let anonymous = server.anonymous();
    for aud in [&default, &audience] {
        let mut claims = claims_of(&alice.access_token);
        claims["aud"] = serde_json::json!([aud]);
        claims["client_id"] = "old".into();
        let forged = forge.sign(&claims).unwrap();
        let request = anonymous.request(reqwest::Method::GET, "/api/auth/organizations");
        anonymous
            .send(request.bearer_auth(&forged))
            .await
            .expect_problem(401);
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", forged.as_str()),
            ("subject_token_type", ACCESS_TOKEN),
        ];
        let answer = service.form(&server, "/oauth/token", &form).await;
        answer.expect_oauth_error(400, "invalid_request");
        // Of the resource that takes such tokens, it says what the resource would believe anyway.
        let said = service.introspects(&server, &forged).await;
        assert_eq!(said["active"] == true, aud == &audience, "{aud}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_sign_as_declared_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let config = || {
        let mut config = Config::dev(8000, directory.path());
        config.demo = false;
        let key = tokensmith_server::config::MasterKey::new(std::array::from_fn(|i| i as u8));
        config.master_key = Some(key);
        config.tokens.legacy_shared_secret = Some(shared_secret());
        config
    };
    let open = async |config| App::open(config, Clock::System, Entropy::default()).await;
    let app = open(config()).await.unwrap();
    let old = "https://old.example";
    let put = |identifier: &str, algorithm| PutResource {
        resource: resource(identifier, algorithm, &app),
        context: AuditContext::operator(app.clock().now()),
    };
    app.store().write(put(old, Algorithm::Hs256)).await.unwrap();
    open(config()).await.unwrap();
    let mut without = config();
    without.tokens.legacy_shared_secret = None;
    let refused = open(without).await.err().unwrap().to_string();
    assert!(
        refused.contains(old) && refused.contains("JWT_SECRET_KEY"),
        "{refused}"
    );
    let own = config().audience().to_owned();
    app.store()
        .write(put(&own, Algorithm::Hs256))
        .await
        .unwrap();
    let refused = open(config()).await.err().unwrap().to_string();
    assert!(refused.contains("own APIs"), "{refused}");
    assert!(!refused.contains(SECRET));
}

/// A signer in a process of its own, which ends with this.
struct SignerProcess(Child);

impl SignerProcess {
    /// This test binary again, running nothing but [`serve_as_a_signer_process`].
    fn start(directory: &Path, socket: &Path) -> Self {
        let _ = std::fs::remove_file(socket);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "signing::serve_as_a_signer_process"]);
        command
            .env("SIGNER_DIRECTORY", directory)
            .env("SIGNER_SOCKET", socket);
        let child = Self(command.stdout(std::process::Stdio::null()).spawn().unwrap());
        let asked = Instant::now();
        while !socket.exists() {
            assert!(
                asked.elapsed() < Duration::from_secs(20),
                "the signer listens"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    }
}

impl Drop for SignerProcess {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
#[ignore = "a process of other tests"]
fn serve_as_a_signer_process() {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
    if let (Some(directory), Some(socket)) = (path("SIGNER_DIRECTORY"), path("SIGNER_SOCKET")) {
        signer::serve(&directory, &socket).unwrap();
    }
}

/// A server whose key of this algorithm is held by the signer at `socket`.
async fn server_with(socket: &Path, algorithm: Algorithm) -> TestServer {
    let server = TestServer::start_with(|config| {
        config.external_signer.socket = Some(socket.to_owned());
        config.external_signer.timeout = Duration::from_millis(500);
        config.tokens.signing_algorithm = algorithm;
    })
    .await;
    let app = server.app();
    let connection = SignerSocket::new(&app.config().external_signer).unwrap();
    let public = connection.public_key("main", algorithm).await.unwrap();
    let key = NewKey::External {
        name: "main".to_owned(),
        public: Box::new(public),
    };
    let context = AuditContext::operator(server.now());
    let rotated = rotate(
        app.config(),
        app.store(),
        key,
        Some(Duration::ZERO),
        context,
    )
    .await;
    assert!(matches!(rotated.unwrap(), Rotation::Added { .. }));
    server.reload().await;
    server
}

fn pem_of(algorithm: Algorithm) -> PathBuf {
    let name = match algorithm {
        Algorithm::Es256 => "ec_pkcs8.pem",
        Algorithm::EdDsa => "ed25519_pkcs8.pem",
        _ => "rsa_pkcs8.pem",
    };
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jose/tests/vectors/keys");
    keys.join(name)
}

#[tokio::test]
async fn tokens_are_signed_by_a_key_that_another_process_holds() {
    for algorithm in ALGORITHMS {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("signer.sock");
        std::fs::copy(pem_of(algorithm), directory.path().join("main.pem")).unwrap();
        let process = SignerProcess::start(directory.path(), &socket);
        let server = server_with(&socket, algorithm).await;
        let service = client(&server, "service", false, &[]).await;
        let asked = (0..20).map(|_| ask(&server, &service));
        for answer in futures_util::future::join_all(asked).await {
            let token = answer.expect(200).text("access_token");
            assert_eq!(header(&token).0, algorithm.as_str());
            assert!(verifies(&jwks(&server).await, &token));
        }
        // A stored key that is only a name holds nothing secret, and its private half is nowhere in the database.
        let records = server.app().store().signing_keys().await.unwrap();
        assert!(records.iter().any(|key| {
            key.sealed_private
                .as_ref()
                .is_some_and(|sealed| sealed.len() < 100)
        }));
        drop(process);
        let answer = ask(&server, &service)
            .await
            .expect_oauth_error(503, "temporarily_unavailable");
        assert!(answer.header("retry-after").is_some());
        assert!(!answer.body.contains("sock"), "{}", answer.body);
        let _process = SignerProcess::start(directory.path(), &socket);
        ask(&server, &service).await.expect(200);
    }
}

#[tokio::test]
async fn a_signer_that_is_slow_wrong_or_talks_nonsense_never_makes_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("signer.sock");
    std::fs::copy(pem_of(Algorithm::Es256), directory.path().join("main.pem")).unwrap();
    let process = SignerProcess::start(directory.path(), &socket);
    let server = server_with(&socket, Algorithm::Es256).await;
    let service = client(&server, "service", false, &[]).await;
    ask(&server, &service).await.expect(200);
    drop(process);
    let zeros = format!("{{\"signature\":\"{}\"}}\n", "A".repeat(86));
    let endless = "x".repeat(100_000);
    for answer in [
        None,
        Some(zeros.as_str()),
        Some("{\"signature\":\"\"}\n"),
        Some("{\"signature\":\"?\"}\n"),
        Some("{\"error\":\"the module is locked\"}\n"),
        Some("{\"jwk\":{\"kty\":\"EC\"}}\n"),
        Some("nonsense\n"),
        Some("\n"),
        Some(endless.as_str()),
    ] {
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let text = answer.map(str::to_owned);
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut line = String::new();
            let mut reader = BufReader::new(connection.try_clone().unwrap());
            reader.read_line(&mut line).unwrap();
            match text {
                Some(text) => drop(connection.write_all(text.as_bytes())),
                None => std::thread::sleep(Duration::from_secs(3)),
            }
        });
        let asked = Instant::now();
        let refused = ask(&server, &service).await;
        refused.expect_oauth_error(503, "temporarily_unavailable");
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{answer:?} {:?}",
            asked.elapsed()
        );
    }
    // What the server's own APIs need does not depend on the signer.
    server
        .anonymous()
        .send(server.anonymous().request(reqwest::Method::GET, "/ready"))
        .await
        .expect(200);
}

#[test]
fn a_shared_secret_is_long_and_not_well_known() {
    assert_eq!(
        shared_secret().secret().expose(),
        Secret::from(SECRET).expose()
    );
    for weak in ["short", "changeme", &"a".repeat(40)] {
        assert!(SharedSecret::read(&weak.into()).is_err(), "{weak}");
    }
}
