//! Tokens bound to a key: proofs at a service (RFC 9449 section 7).

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Request};
use futures_util::future::BoxFuture;
use serde_json::json;
use tokensmith_jose::dpop::{self, Prover};
use tokensmith_jose::{Algorithm, SigningKey};
use tokensmith_resource_server::{Builder, ConfigError, Confirmation, Replays, ResourceServer};
use tower::ServiceExt as _;

use crate::issuer::{Issuer, NOW};
use crate::protected::{app, assert_ok, get_with, layered, routes};

const PUBLIC: &str = "https://api.activity.com/chat";

/// A caller with a key, and a token that is bound to it.
struct Holder {
    prover: Prover,
    token: String,
}

impl Holder {
    fn new(issuer: &Issuer) -> Self {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let prover = Prover::new(Arc::new(key)).unwrap();
        let cnf = json!(Confirmation::Jkt(prover.key()));
        Self {
            token: issuer.token_with("cnf", Some(cnf)),
            prover,
        }
    }

    fn prove(&self, request: dpop::Request<'_>, nonce: Option<&str>) -> String {
        self.prover.prove(&request, nonce).unwrap()
    }

    fn request<'a>(&'a self, url: &'a str) -> dpop::Request<'a> {
        dpop::Request {
            method: "GET",
            url,
            now: NOW.cast_signed(),
            access_token: Some(&self.token),
        }
    }

    /// A proof of a GET of `/me`.
    fn me(&self) -> String {
        self.prove(self.request(&format!("{PUBLIC}/me")), None)
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
}

impl Answer {
    fn challenges(&self) -> Vec<&str> {
        let values = self.headers.get_all(WWW_AUTHENTICATE).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    #[track_caller]
    fn assert_challenge(&self, beginning: &str) {
        assert_eq!(self.status, 401);
        assert!(
            self.challenges()
                .iter()
                .any(|line| line.starts_with(beginning)),
            "{:?}",
            self.challenges()
        );
    }
}

async fn show(app: &Router, path: &str, scheme: &str, token: &str, proofs: &[&str]) -> Answer {
    let request = Request::get(path).header(AUTHORIZATION, format!("{scheme} {token}"));
    let request = proofs
        .iter()
        .fold(request, |request, proof| request.header("dpop", *proof));
    let answer = app.clone().oneshot(request.body(Body::empty()).unwrap());
    let answer = answer.await.unwrap();
    Answer {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
    }
}

fn dpop_server(issuer: &Issuer) -> Builder {
    issuer.builder().public_url(PUBLIC)
}

fn serving(builder: Builder) -> Router {
    app(builder.build().unwrap())
}

#[tokio::test]
async fn a_bound_token_is_taken_with_a_proof_of_its_key_once() {
    let issuer = Issuer::start().await;
    for app in [
        serving(dpop_server(&issuer)),
        layered(dpop_server(&issuer).build().unwrap()),
    ] {
        let holder = Holder::new(&issuer);
        for scheme in ["DPoP", "dpop"] {
            let proof = holder.me();
            let answer = show(&app, "/me", scheme, &holder.token, &[&proof]).await;
            assert_eq!(answer.status, 200);
            let again = show(&app, "/me", scheme, &holder.token, &[&proof]).await;
            again.assert_challenge(r#"DPoP error="invalid_dpop_proof""#);
        }
        assert_ok(&get_with(&app, "/me", &issuer.token(&issuer.claims())).await);
    }
}

#[tokio::test]
async fn a_nested_service_compares_the_path_that_the_caller_sent() {
    let issuer = Issuer::start().await;
    let server = issuer
        .builder()
        .public_url("https://api.activity.com/")
        .build()
        .unwrap();
    let app = Router::new()
        .nest("/chat", routes().layer(server.layer()))
        .with_state(server);
    let holder = Holder::new(&issuer);
    let answer = show(&app, "/chat/me", "DPoP", &holder.token, &[&holder.me()]).await;
    assert_eq!(answer.status, 200);
}

/// Proofs that are not of a GET of `/me` with the holder's token, now, for the first time.
fn bad_proofs(issuer: &Issuer, holder: &Holder, used: String) -> Vec<String> {
    let url = format!("{PUBLIC}/me");
    let request = holder.request(&url);
    let prove = |request| holder.prove(request, None);
    let at = |url| dpop::Request { url, ..request };
    let with = |access_token| dpop::Request {
        access_token,
        ..request
    };
    vec![
        used,
        prove(dpop::Request {
            method: "POST",
            ..request
        }),
        prove(at("https://api.activity.com/me")),
        prove(at("https://evil.test/chat/me")),
        prove(dpop::Request {
            now: request.now - 600,
            ..request
        }),
        prove(with(None)),
        prove(with(Some("other"))),
        Holder::new(issuer).prove(request, None),
        holder.token.clone(),
        String::new(),
    ]
}

#[tokio::test]
async fn row_309_a_proof_for_something_else_is_refused_at_a_service() {
    let issuer = Issuer::start().await;
    let app = serving(dpop_server(&issuer));
    let holder = Holder::new(&issuer);
    let good = holder.me();
    assert_eq!(
        show(&app, "/me", "DPoP", &holder.token, &[&good])
            .await
            .status,
        200
    );
    for bad in bad_proofs(&issuer, &holder, good) {
        let answer = show(&app, "/me", "DPoP", &holder.token, &[&bad]).await;
        answer.assert_challenge(r#"DPoP error="invalid_dpop_proof""#);
    }
    let two = [holder.me(), holder.me()];
    for proofs in [&[][..], &[two[0].as_str(), &two[1]]] {
        let answer = show(&app, "/me", "DPoP", &holder.token, proofs).await;
        answer.assert_challenge(r#"DPoP error="invalid_dpop_proof""#);
    }
    assert_eq!(
        show(&app, "/me", "DPoP", &holder.token, &[&two[0]])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn row_310_a_token_is_taken_in_the_scheme_it_was_issued_for_alone() {
    let issuer = Issuer::start().await;
    let holder = Holder::new(&issuer);
    let app = serving(dpop_server(&issuer));
    let plain = issuer.token(&issuer.claims());
    assert_ok(&get_with(&app, "/me", &plain).await);
    let answer = show(&app, "/me", "Bearer", &holder.token, &[&holder.me()]).await;
    answer.assert_challenge(r#"DPoP error="invalid_token""#);
    let proof = holder.prove(
        dpop::Request {
            access_token: Some(&plain),
            ..holder.request(&format!("{PUBLIC}/me"))
        },
        None,
    );
    assert_eq!(
        show(&app, "/me", "DPoP", &plain, &[&proof]).await.status,
        401
    );
    // A caller who may be absent is not let in by a token that is no good.
    assert_eq!(
        show(&app, "/greeting", "DPoP", &holder.token, &[])
            .await
            .status,
        401
    );
    let without_dpop = self::app(issuer.server());
    let answer = show(&without_dpop, "/me", "DPoP", &holder.token, &[&holder.me()]).await;
    answer.assert_challenge(r#"Bearer error="invalid_token""#);
}

#[tokio::test]
async fn a_caller_without_a_token_is_told_both_schemes() {
    let issuer = Issuer::start().await;
    let app = serving(dpop_server(&issuer));
    let nothing = Request::get("/me").body(Body::empty()).unwrap();
    let answer = app.oneshot(nothing).await.unwrap();
    let values: Vec<_> = answer.headers().get_all(WWW_AUTHENTICATE).iter().collect();
    assert_eq!(values, ["Bearer", r#"DPoP algs="ES256 EdDSA PS256""#]);
    let server = dpop_server(&issuer).build().unwrap();
    let metadata = server.protected_resource_metadata();
    assert_eq!(
        metadata.dpop_signing_alg_values_supported,
        ["ES256", "EdDSA", "PS256"]
    );
}

#[tokio::test]
async fn where_nonces_are_demanded_a_proof_repeats_a_fresh_one_of_any_process() {
    let issuer = Issuer::start().await;
    let process = || serving(dpop_server(&issuer).dpop_nonces("shared by the processes"));
    let (first, second) = (process(), process());
    let holder = Holder::new(&issuer);
    let challenge = show(&first, "/me", "DPoP", &holder.token, &[&holder.me()]).await;
    challenge.assert_challenge(r#"DPoP error="use_dpop_nonce""#);
    let nonce = challenge.headers["dpop-nonce"].to_str().unwrap();
    let url = format!("{PUBLIC}/me");
    let proof = || holder.prove(holder.request(&url), Some(nonce));
    assert_eq!(
        show(&second, "/me", "DPoP", &holder.token, &[&proof()])
            .await
            .status,
        200
    );
    issuer.now.fetch_add(301, Ordering::Relaxed);
    let now = NOW.cast_signed() + 301;
    let late = holder.prove(
        dpop::Request {
            now,
            ..holder.request(&url)
        },
        Some(nonce),
    );
    let stale = show(&first, "/me", "DPoP", &holder.token, &[&late]).await;
    stale.assert_challenge(r#"DPoP error="use_dpop_nonce""#);
}

/// What several processes share; `false` while it cannot be reached.
#[derive(Default)]
struct Shared(Mutex<Vec<[u8; 32]>>, std::sync::atomic::AtomicBool);

impl Replays for Shared {
    fn is_first_use<'a>(
        &'a self,
        proof: &'a [u8; 32],
        expires_at: u64,
    ) -> BoxFuture<'a, Option<bool>> {
        assert_eq!(expires_at, NOW + 300);
        Box::pin(async move {
            if self.1.load(Ordering::Relaxed) {
                return None;
            }
            let mut seen = self.0.lock().unwrap();
            let is_new = !seen.contains(proof);
            seen.push(*proof);
            Some(is_new)
        })
    }
}

#[tokio::test]
async fn processes_that_share_a_store_take_a_proof_once_together() {
    let issuer = Issuer::start().await;
    let shared = Arc::new(Shared::default());
    let process = || serving(dpop_server(&issuer).replays(shared.clone()));
    let (first, second) = (process(), process());
    let holder = Holder::new(&issuer);
    let proof = holder.me();
    assert_eq!(
        show(&first, "/me", "DPoP", &holder.token, &[&proof])
            .await
            .status,
        200
    );
    assert_eq!(
        show(&second, "/me", "DPoP", &holder.token, &[&proof])
            .await
            .status,
        401
    );
    shared.1.store(true, Ordering::Relaxed);
    let unknown = show(&first, "/me", "DPoP", &holder.token, &[&holder.me()]).await;
    assert_eq!(unknown.status, 503);
}

#[tokio::test]
async fn past_the_bound_of_remembered_proofs_old_ones_are_refused_and_new_ones_taken() {
    let issuer = Issuer::start().await;
    let app = serving(dpop_server(&issuer).remembered_proofs(3));
    let holder = Holder::new(&issuer);
    let url = format!("{PUBLIC}/me");
    let at = |now: i64| {
        holder.prove(
            dpop::Request {
                now,
                ..holder.request(&url)
            },
            None,
        )
    };
    let now = NOW.cast_signed();
    let first = at(now - 10);
    assert_eq!(
        show(&app, "/me", "DPoP", &holder.token, &[&first])
            .await
            .status,
        200
    );
    for _ in 0..3 {
        assert_eq!(
            show(&app, "/me", "DPoP", &holder.token, &[&at(now)])
                .await
                .status,
            200
        );
    }
    assert_eq!(
        show(&app, "/me", "DPoP", &holder.token, &[&first])
            .await
            .status,
        503
    );
    assert_eq!(
        show(&app, "/me", "DPoP", &holder.token, &[&at(now + 1)])
            .await
            .status,
        200
    );
}

#[test]
fn a_public_address_is_one_that_a_path_can_follow() {
    let build = |address: &str| {
        ResourceServer::builder("https://as.test", "chat")
            .public_url(address)
            .build()
    };
    assert!(build("https://api.test").is_ok());
    for address in [
        "",
        "api.test",
        "ftp://api.test",
        "https://api.test/?a",
        "https://api.test/#a",
    ] {
        assert!(
            matches!(build(address), Err(ConfigError::PublicAddress(_))),
            "{address}"
        );
    }
}
