//! Attacks on the whole server over HTTP. Each test sends the request without the attack first, which must succeed;
//! then the attack; then it looks at what was changed and recorded, and that the server still serves.
//!
//! `row_NNN` in a test's name is a row of the list in docs/testing.md, section "Attack rows".

mod absent;
mod almost_right;
mod bound_tokens;
mod browsers;
mod client_assertions;
mod client_authentication;
mod forged_tokens;
mod forging;
mod instances;
mod published;
mod random_requests;
mod recorded;
mod refresh_tokens;
pub(crate) mod second_factors;
mod secrecy;
mod sign_in;
mod slow;
mod table;
mod tenants;
mod token_exchange;
mod transport;
mod wire;

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_oauth2::{ClientId, GrantType, Scope, Secret};
use tokensmith_server::{
    client_auth,
    config::{Log, LogFilter, LogFormat},
    observe::logs,
};
use tokensmith_store::{
    AuditContext, AuditRecord, AuthMethod, Client, ClientSecret, RegisterClient,
};
use tokensmith_testkit::{Answer, SIGN_IN_PASSWORD, TestServer, process_log};

/// Sent with requests that must not be counted among those of the attack, where the server believes loopback proxies.
const ELSEWHERE: &str = "198.51.100.250";

/// A server that believes proxies on loopback, so that a test can send from many addresses.
async fn behind_a_proxy() -> TestServer {
    TestServer::start_with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()])
        .await
}

/// After an attack: healthy, ready, and a sign-in with a renewal works.
pub(crate) async fn assert_alive(server: &TestServer) {
    let email = "canary@example.com";
    let store = server.app().store();
    if store.user_by_login(email).await.unwrap().is_none() {
        server.registered(email).await;
    }
    let anonymous = server.anonymous();
    for path in ["/health", "/ready"] {
        anonymous
            .send(anonymous.request(Method::GET, path))
            .await
            .expect(200);
    }
    let post = async |path: &str, body: Value| {
        let request = anonymous.request(Method::POST, path).json(&body);
        let request = request.header("x-forwarded-for", ELSEWHERE);
        anonymous.send(request).await.expect(200)
    };
    let login = json!({"email": email, "password": SIGN_IN_PASSWORD});
    let signed_in = post("/api/auth/login", login).await;
    let body = json!({"refresh_token": signed_in.text("refresh_token")});
    post("/api/auth/refresh", body).await;
}

/// Registers a confidential client with a secret of the test's choice.
async fn client(server: &TestServer, id: &str, method: AuthMethod, secret: Option<&str>) {
    let client = record(server, id, method, secret).await;
    let context = AuditContext::operator(server.now());
    let registration = RegisterClient { client, context };
    server.app().store().write(registration).await.unwrap();
}

/// The record of such a client.
pub(crate) async fn record(
    server: &TestServer,
    id: &str,
    method: AuthMethod,
    secret: Option<&str>,
) -> Client {
    let (app, now) = (server.app(), server.now());
    let mut secrets = Vec::new();
    if let Some(secret) = secret {
        let secret = Secret::from(secret);
        let hash = client_auth::hash_secret(app.hashing(), app.entropy(), &secret).await;
        secrets.push(ClientSecret {
            id: "first".to_owned(),
            hash: hash.unwrap(),
            created_at: now.as_millis(),
            expires_at: None,
        });
    }
    Client {
        client_id: ClientId::parse(id).unwrap(),
        name: id.to_owned(),
        auth_method: method,
        secrets,
        grant_types: vec![GrantType::ClientCredentials],
        scope: Scope::parse("groups:read").unwrap(),
        resources: Vec::new(),
        redirect_uris: Vec::new(),
        role: None,
        access_token_seconds: None,
        rotates_refresh_tokens: true,
        metadata: tokensmith_store::ClientMetadata::default(),
        is_active: true,
        created_at: now,
        updated_at: now,
    }
}

/// The lines of the audit log with this event, as JSON.
pub(crate) async fn audited(server: &TestServer, event: &str) -> Vec<Value> {
    let records = server.audit().await;
    let of_event = records.iter().filter(|record| record.event == event);
    of_event.map(line).collect()
}

fn line(record: &AuditRecord) -> Value {
    serde_json::from_str(&record.body).unwrap()
}

/// Everything logged in this process since the first call, at the most talkative setting there is.
fn logged() -> String {
    String::from_utf8(log().0.lock().clone()).unwrap() + &process_log()
}

/// Begins to keep what is logged.
fn log() -> &'static Sink {
    static SINK: OnceLock<Sink> = OnceLock::new();
    SINK.get_or_init(|| {
        let sink = Sink::default();
        let settings = Log {
            format: LogFormat::Json,
            filter: LogFilter::parse("trace").unwrap(),
        };
        let writer = sink.clone();
        let spans = Box::new(SpanText(sink.clone()));
        let subscriber = logs::subscriber(&settings, Some(spans), move || writer.clone());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        sink
    })
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What an exporter of traces would see of our own spans.
struct SpanText(Sink);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for SpanText {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::span::Id,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        if attributes.metadata().target().starts_with("tokensmith") {
            let values = format!("{:?}", attributes.values());
            let text = format!("{}\n", json!({ "span": values }));
            self.0.0.lock().extend_from_slice(text.as_bytes());
        }
    }
}

/// An answer that refuses: 4xx, one public sentence, an id to ask the operator about, and nothing of the inside.
#[track_caller]
fn assert_refuses(answer: &Answer) {
    assert!(
        (400..500).contains(&answer.status),
        "{} {}: {}",
        answer.request,
        answer.status,
        answer.body
    );
    wire::assert_public(&answer.request, &answer.body);
    assert!(answer.header("x-correlation-id").is_some());
}
