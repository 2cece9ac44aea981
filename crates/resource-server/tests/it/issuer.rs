//! An issuer on loopback that publishes what it is told to, signs what it is asked to, and counts its visitors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokensmith_jose::{Algorithm, JwkSet, SigningKey};
use tokensmith_resource_server::{Builder, Clock, ResourceServer};

pub(crate) const AUDIENCE: &str = "https://api.activity.com";
pub(crate) const USER: &str = "0197a5c2-7d31-7aa0-9c7e-0123456789ab";
pub(crate) const NOW: u64 = 1_800_000_000;

/// What one address of the issuer answers.
#[derive(Clone)]
pub(crate) enum Answer {
    Json(Value),
    Text(String),
    Status(u16),
    Redirect(String),
    Never,
}

struct Shared {
    metadata: Mutex<Answer>,
    jwks: Mutex<Answer>,
    metadata_hits: AtomicUsize,
    jwks_hits: AtomicUsize,
    delay: Mutex<Duration>,
}

/// A running issuer with one ES256 key. It ends with the test.
pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) now: Arc<AtomicU64>,
    shared: Arc<Shared>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let metadata = json!({"issuer": url, "jwks_uri": format!("{url}/jwks"), "response_types_supported": []});
        let shared = Arc::new(Shared {
            metadata: Mutex::new(Answer::Json(metadata)),
            jwks: Mutex::new(Answer::Json(jwks(&[&key]))),
            metadata_hits: AtomicUsize::new(0),
            jwks_hits: AtomicUsize::new(0),
            delay: Mutex::new(Duration::ZERO),
        });
        let app = Router::new()
            .route(
                "/.well-known/oauth-authorization-server",
                get(serve_metadata),
            )
            .route("/jwks", get(serve_jwks))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            key,
            now: Arc::new(AtomicU64::new(NOW)),
            shared,
        }
    }

    /// A resource server for this issuer whose clock the test holds and whose key fetches follow each other at once.
    pub(crate) fn server(&self) -> ResourceServer {
        self.builder().build().unwrap()
    }

    pub(crate) fn builder(&self) -> Builder {
        let now = Arc::clone(&self.now);
        ResourceServer::builder(&self.url, AUDIENCE)
            .clock(Clock::from_fn(move || now.load(Ordering::Relaxed)))
            .key_fetch_interval(Duration::ZERO)
    }

    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        self.answer_jwks(Answer::Json(jwks(keys)));
    }

    pub(crate) fn answer_jwks(&self, answer: Answer) {
        *self
            .shared
            .jwks
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = answer;
    }

    pub(crate) fn answer_metadata(&self, answer: Answer) {
        *self
            .shared
            .metadata
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = answer;
    }

    pub(crate) fn delay(&self, delay: Duration) {
        *self
            .shared
            .delay
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = delay;
    }

    pub(crate) fn jwks_hits(&self) -> usize {
        self.shared.jwks_hits.load(Ordering::Relaxed)
    }

    pub(crate) fn metadata_hits(&self) -> usize {
        self.shared.metadata_hits.load(Ordering::Relaxed)
    }

    /// The claims of a good token for a user.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.url, "sub": USER, "aud": [AUDIENCE], "iat": NOW, "exp": NOW + 900, "jti": "token-1",
            "type": "access", "client_id": "web", "email": "alice.admin@example.com", "org_id": "org-1",
            "sid": "session-1", "roles": ["admin"], "scope": "groups:read",
        })
    }

    /// The claims of a good token for a service with this scope.
    pub(crate) fn service_claims(&self, scope: &str) -> Value {
        json!({
            "iss": self.url, "sub": "chat-api-service", "client_id": "chat-api-service", "aud": [AUDIENCE],
            "iat": NOW, "exp": NOW + 900, "jti": "token-2", "type": "access", "scope": scope,
        })
    }

    /// The header of a good token.
    pub(crate) fn header(&self) -> Value {
        json!({"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid()})
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        sign(&self.key, &self.header().to_string(), &claims.to_string())
    }

    /// A good token in which one claim has another value; `None` takes it out.
    pub(crate) fn token_with(&self, name: &str, value: Option<Value>) -> String {
        let mut claims = self.claims();
        match value {
            Some(value) => claims[name] = value,
            None => drop(claims.as_object_mut().unwrap().remove(name)),
        }
        self.token(&claims)
    }
}

pub(crate) fn jwks(keys: &[&SigningKey]) -> Value {
    let keys = keys.iter().map(|key| key.public_jwk().clone()).collect();
    serde_json::to_value(JwkSet { keys }).unwrap()
}

/// Signs exactly these texts.
pub(crate) fn sign(key: &SigningKey, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", b64(header), b64(payload));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", b64(signature))
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

async fn serve_metadata(State(shared): State<Arc<Shared>>) -> Response {
    shared.metadata_hits.fetch_add(1, Ordering::Relaxed);
    give(&shared, &shared.metadata).await
}

async fn serve_jwks(State(shared): State<Arc<Shared>>) -> Response {
    shared.jwks_hits.fetch_add(1, Ordering::Relaxed);
    give(&shared, &shared.jwks).await
}

async fn give(shared: &Shared, answer: &Mutex<Answer>) -> Response {
    let delay = *shared.delay.lock().unwrap_or_else(PoisonError::into_inner);
    tokio::time::sleep(delay).await;
    let answer = answer
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    match answer {
        Answer::Json(value) => Json(value).into_response(),
        Answer::Text(text) => text.into_response(),
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Redirect(to) => (StatusCode::FOUND, [(LOCATION, to)]).into_response(),
        Answer::Never => std::future::pending().await,
    }
}
