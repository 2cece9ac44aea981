//! Bound tokens: against a token endpoint that demands proofs and nonces, and a service behind the resource-server
//! library that does the same.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use tokensmith_client::{
    AuthorizeLayer, Authorized, AuthorizedError, DpopKey, ServiceTokenManager, TokenErrorKind,
};
use tokensmith_jose::{
    Algorithm, JwkSet, Signer, SigningKey,
    dpop::{self, NonceKey},
};
use tokensmith_resource_server::{Caller, Confirmation, ResourceServer};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::stub::{Reply, Stub};

const ISSUER: &str = "https://as.test";

/// An authorization server that binds every token, and a service.
#[derive(Clone)]
struct World {
    url: String,
    signer: Arc<Signer>,
    /// Nonces of the token endpoint; a test makes them stale.
    nonces: Arc<NonceKey>,
    ahead: Arc<AtomicI64>,
    asked: Arc<AtomicUsize>,
}

impl World {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let service = ResourceServer::builder(ISSUER, "chat")
            .jwk_set(JwkSet {
                keys: vec![key.public_jwk().clone()],
            })
            .public_url(&url)
            .dpop_nonces("nonces of the service")
            .build()
            .unwrap();
        let world = Self {
            url,
            signer: Arc::new(Signer::new(key, "at+jwt").unwrap()),
            nonces: Arc::new(NonceKey::new(b"nonces of the token endpoint")),
            ahead: Arc::default(),
            asked: Arc::default(),
        };
        let api = Router::new()
            .route("/hello", get(hello).post(hello))
            .with_state(service);
        let app = Router::new()
            .route("/oauth/token", post(token))
            .with_state(world.clone())
            .merge(api);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        world
    }

    fn manager(&self, key: &DpopKey) -> ServiceTokenManager {
        let endpoint = format!("{}/oauth/token", self.url).parse().unwrap();
        let endpoint = tokensmith_client::TokenEndpoint::Url(endpoint);
        let id = tokensmith_client::ClientId::parse("svc").unwrap();
        let client = tokensmith_client::ServiceClient::new(id, "s3cret", endpoint);
        ServiceTokenManager::new(client.dpop(key.clone())).unwrap()
    }
}

async fn hello(caller: Caller) -> String {
    caller.subject().to_owned()
}

fn now() -> i64 {
    let elapsed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    elapsed.as_secs().cast_signed()
}

async fn token(State(world): State<World>, headers: HeaderMap) -> Response {
    world.asked.fetch_add(1, Ordering::Relaxed);
    let url = format!("{}/oauth/token", world.url);
    let request = dpop::Request {
        method: "POST",
        url: &url,
        now: now(),
        access_token: None,
    };
    let proof = dpop::verify(headers["dpop"].to_str().unwrap(), &request).unwrap();
    let at = now() + world.ahead.load(Ordering::Relaxed);
    if !proof
        .nonce
        .is_some_and(|nonce| world.nonces.is_fresh(&nonce, at))
    {
        let nonce = [("dpop-nonce", world.nonces.nonce(at))];
        let error = Json(json!({"error": "use_dpop_nonce"}));
        return (StatusCode::BAD_REQUEST, nonce, error).into_response();
    }
    let claims = json!({
        "iss": ISSUER, "aud": "chat", "sub": "svc", "client_id": "svc", "exp": now() + 900, "iat": now(),
        "cnf": Confirmation::Jkt(proof.key),
    });
    let token = world.signer.sign(&claims).unwrap();
    Json(json!({"access_token": token, "token_type": "DPoP", "expires_in": 900})).into_response()
}

fn call(world: &World, http: &reqwest::Client) -> reqwest::Request {
    let request = http.post(format!("{}/hello?a=b", world.url)).body("x");
    request.build().unwrap()
}

#[tokio::test]
async fn a_bound_token_is_fetched_and_used_through_nonces_of_both_servers() {
    let world = World::start().await;
    let key = DpopKey::generate().unwrap();
    let http = reqwest::Client::new();
    let api = Authorized::new(http.clone(), world.manager(&key));
    for _ in 0..3 {
        let answer = api.send(call(&world, &http)).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.unwrap(), "svc");
    }
    assert_eq!(
        world.asked.load(Ordering::Relaxed),
        2,
        "once without the nonce and once with it; a nonce of the service costs no token"
    );
}

#[tokio::test]
async fn a_stale_nonce_costs_one_more_request() {
    let world = World::start().await;
    let key = DpopKey::generate().unwrap();
    let manager = world.manager(&key);
    let first = manager.token().await.unwrap();
    world.ahead.store(1_000, Ordering::Relaxed);
    manager.invalidate(&first);
    assert_ne!(manager.token().await.unwrap(), first);
    assert_eq!(world.asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn an_endpoint_that_asks_for_nonces_for_ever_is_asked_twice() {
    let stub = Stub::start().await;
    let endless = Reply::status(400, r#"{"error":"use_dpop_nonce"}"#);
    stub.replies([
        endless.clone().header("dpop-nonce", "n1"),
        endless.header("dpop-nonce", "n2"),
    ]);
    let client = stub.client().dpop(DpopKey::generate().unwrap());
    let error = ServiceTokenManager::new(client).unwrap().token().await;
    let error = error.unwrap_err();
    assert!(matches!(error.kind(), TokenErrorKind::Refused { error } if error == "use_dpop_nonce"));
    assert_eq!(stub.count(), 2);
}

#[tokio::test]
async fn a_bearer_token_in_the_place_of_a_bound_one_is_not_taken() {
    let stub = Stub::start().await;
    let client = stub.client().dpop(DpopKey::generate().unwrap());
    let error = ServiceTokenManager::new(client).unwrap().token().await;
    assert!(matches!(
        error.unwrap_err().kind(),
        TokenErrorKind::Answer(_)
    ));
    let plain = stub.manager().token().await.unwrap();
    assert_eq!(plain.header_value(), "Bearer t2");
    assert!(stub.seen()[1].headers.get("dpop").is_none());
}

#[tokio::test]
async fn a_request_that_a_proof_cannot_name_is_not_sent() {
    let world = World::start().await;
    let layer = AuthorizeLayer::new(world.manager(&DpopKey::generate().unwrap()));
    let never = service_fn(|_: http::Request<String>| async {
        panic!("it was sent");
        #[expect(unreachable_code, reason = "says what the service would answer")]
        Ok::<http::Response<()>, std::io::Error>(http::Response::new(()))
    });
    let request = http::Request::get("/relative").body(String::new()).unwrap();
    let mut service = layer.layer(never);
    let outcome = service.ready().await.unwrap().call(request).await;
    assert!(matches!(outcome, Err(AuthorizedError::Address)));
}
