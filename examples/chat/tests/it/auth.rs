//! The stub: keys, service tokens, groups and members. It answers only to a service token it granted last.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokensmith_jose::{Algorithm, HmacKey, Signer, SigningKey};

pub(crate) const AUDIENCE: &str = "https://api.activity.com";
pub(crate) const ALICE: &str = "01900000-0000-7000-8000-00000000000a";
pub(crate) const BOB: &str = "01900000-0000-7000-8000-00000000000b";
pub(crate) const MALLORY: &str = "01900000-0000-7000-8000-00000000000c";
pub(crate) const ORG: &str = "01900000-0000-7000-8000-0000000000ff";
pub(crate) const GROUP: &str = "01900000-0000-7000-8000-000000000001";
pub(crate) const NO_GROUP: &str = "01900000-0000-7000-8000-000000000002";

#[derive(Default)]
struct Script {
    is_down: bool,
    refusals: usize,
    delay: Duration,
    members: HashMap<String, Vec<String>>,
    grants: Vec<(HeaderMap, String)>,
    questions: Vec<HeaderMap>,
}

#[derive(Clone)]
pub(crate) struct Auth {
    pub(crate) url: String,
    key: Arc<SigningKey>,
    script: Arc<Mutex<Script>>,
}

impl Auth {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let members = HashMap::from([(GROUP.to_owned(), vec![ALICE.to_owned(), BOB.to_owned()])]);
        let auth = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            key: Arc::new(SigningKey::generate(Algorithm::Es256).unwrap()),
            script: Arc::new(Mutex::new(Script {
                members,
                ..Script::default()
            })),
        };
        let router = Router::new()
            .route("/.well-known/jwks.json", get(jwks))
            .route("/oauth/token", post(token))
            .route("/api/auth/groups/{id}", get(group))
            .route("/api/auth/groups/{id}/members", get(members_of))
            .with_state(auth.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        auth
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.script.lock().unwrap().is_down = is_down;
    }

    /// The next so many questions about groups are answered 401.
    pub(crate) fn refuse(&self, count: usize) {
        self.script.lock().unwrap().refusals = count;
    }

    pub(crate) fn answer_after(&self, delay: Duration) {
        self.script.lock().unwrap().delay = delay;
    }

    pub(crate) fn set_members(&self, group: &str, members: &[&str]) {
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        self.script
            .lock()
            .unwrap()
            .members
            .insert(group.to_owned(), members);
    }

    /// Headers and body of each token request.
    pub(crate) fn grants(&self) -> Vec<(HeaderMap, String)> {
        self.script.lock().unwrap().grants.clone()
    }

    /// Headers of each question about a group.
    pub(crate) fn questions(&self) -> Vec<HeaderMap> {
        self.script.lock().unwrap().questions.clone()
    }

    /// An access token of a user.
    pub(crate) fn user_token(&self, user: &str) -> String {
        self.token(
            json!({"sub": user, "email": "alice@example.com", "org_id": ORG, "roles": ["member"]}),
        )
    }

    /// A token with these claims on top of good ones.
    pub(crate) fn token(&self, claims: Value) -> String {
        Signer::new(Arc::clone(&self.key), "at+jwt")
            .unwrap()
            .sign(&self.claims(claims))
            .unwrap()
    }

    /// The older kind of token.
    pub(crate) fn shared_secret_token(&self, secret: &str, user: &str) -> String {
        let key = HmacKey::new(secret.as_bytes()).unwrap();
        Signer::hs256(key, "JWT")
            .unwrap()
            .sign(&self.claims(json!({"sub": user})))
            .unwrap()
    }

    fn claims(&self, more: Value) -> Value {
        let now = now();
        let mut claims = json!({
            "iss": self.url, "aud": [AUDIENCE], "type": "access", "scope": "openid", "client_id": "web",
            "iat": now, "exp": now + 900, "jti": "j1",
        });
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        claims
    }

    /// Lets an answer through unless the script says otherwise.
    async fn judged(
        &self,
        headers: HeaderMap,
        answer: impl FnOnce(&Script) -> Option<Value>,
    ) -> Response {
        let delay = self.script.lock().unwrap().delay;
        tokio::time::sleep(delay).await;
        let mut script = self.script.lock().unwrap();
        let expected = format!("Bearer service-{}", script.grants.len());
        let is_current = headers
            .get("authorization")
            .is_some_and(|value| *value == *expected);
        script.questions.push(headers);
        if script.is_down {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        if script.refusals > 0 || !is_current {
            script.refusals = script.refusals.saturating_sub(1);
            return StatusCode::UNAUTHORIZED.into_response();
        }
        answer(&script).map_or(StatusCode::NOT_FOUND.into_response(), |answer| {
            Json(answer).into_response()
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tokens are judged by the clock of the machine"
)]
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

async fn jwks(State(auth): State<Auth>) -> Json<Value> {
    Json(json!({"keys": [auth.key.public_jwk()]}))
}

async fn token(State(auth): State<Auth>, headers: HeaderMap, body: String) -> Response {
    let mut script = auth.script.lock().unwrap();
    if script.is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    script.grants.push((headers, body));
    let token = format!("service-{}", script.grants.len());
    Json(json!({"access_token": token, "token_type": "Bearer", "expires_in": 900})).into_response()
}

async fn group(State(auth): State<Auth>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let answer = |script: &Script| {
        let known = script.members.contains_key(&id);
        known.then(|| json!({"id": id, "name": "G", "description": null, "org_id": ORG, "created_at": "2026-01-01T00:00:00Z"}))
    };
    auth.judged(headers, answer).await
}

async fn members_of(
    State(auth): State<Auth>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let answer = |script: &Script| {
        let members = script.members.get(&id)?.iter();
        let members: Vec<Value> = members
            .map(|id| json!({"user_id": id, "email": "x@example.com"}))
            .collect();
        Some(json!({"members": members}))
    };
    auth.judged(headers, answer).await
}
