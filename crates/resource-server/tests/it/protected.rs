//! A small service behind the library, and what it answers.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokensmith_resource_server::{Caller, Principal, Refusal, ResourceServer};
use tower::ServiceExt as _;

/// The routes of the service, with extractors and state only.
pub(crate) fn app(server: ResourceServer) -> Router {
    routes().with_state(server)
}

pub(crate) fn routes() -> Router<ResourceServer> {
    Router::new()
        .route("/me", get(me).post(me))
        .route("/greeting", get(greeting))
        .route("/user", get(user))
        .route("/service", get(service))
        .route("/groups", get(groups))
        .route("/members", get(members))
        .route("/permission", get(permission))
        .route("/any-permission", get(any_permission))
        .route("/role", get(role))
        .route("/any-role", get(any_role))
        .route("/transfer", get(transfer))
}

/// The same behind the layer, with a form handler that needs no state.
pub(crate) fn layered(server: ResourceServer) -> Router {
    let form = post(
        |Extension(caller): Extension<Caller>, body: String| async move {
            format!("{} {body}", caller.subject())
        },
    );
    let layer = server.layer();
    routes()
        .route("/form", form)
        .layer(layer)
        .with_state(server)
}

async fn me(caller: Caller) -> Json<Value> {
    let kind = match caller.principal() {
        Principal::User(user) => {
            json!({"user": user.sub, "email": user.email, "org_id": user.org_id, "sid": user.sid})
        }
        Principal::Service(service) => json!({"service": service.client_id}),
    };
    Json(kind)
}

async fn greeting(caller: Option<Caller>) -> String {
    caller.map_or_else(
        || "stranger".to_owned(),
        |caller| caller.subject().to_owned(),
    )
}

async fn user(caller: Caller) -> Result<String, Refusal> {
    Ok(caller.require_user()?.sub.clone())
}

async fn service(caller: Caller) -> Result<String, Refusal> {
    Ok(caller.require_service()?.client_id.clone())
}

async fn groups(caller: Caller) -> Result<&'static str, Refusal> {
    caller.require_scope("groups:read")?;
    Ok("groups")
}

async fn members(caller: Caller) -> Result<&'static str, Refusal> {
    caller.require_any_scope(&["members:read", "groups:read"])?;
    Ok("members")
}

async fn permission(caller: Caller) -> Result<&'static str, Refusal> {
    caller.require_permission("orders.cancel")?;
    Ok("permission")
}

async fn any_permission(caller: Caller) -> Result<&'static str, Refusal> {
    caller.require_any_permission(&["orders.cancel", "orders.read"])?;
    Ok("permission")
}

async fn role(caller: Caller) -> Result<&'static str, Refusal> {
    caller.require_scope("admin")?.require_role("admin")?;
    Ok("role")
}

async fn any_role(caller: Caller) -> Result<&'static str, Refusal> {
    caller.require_any_role(&["owner", "admin"])?;
    Ok("role")
}

async fn transfer(caller: Caller) -> Result<&'static str, Refusal> {
    caller.require_authentication(&["aal2"], Some(Duration::from_secs(300)))?;
    Ok("transfer")
}

/// An answer with what tests look at.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) challenge: Option<String>,
    pub(crate) retry_after: Option<String>,
    pub(crate) text: String,
}

impl Reply {
    async fn read(response: Response) -> Self {
        let header = |name| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let (status, challenge, retry_after) = (
            response.status().as_u16(),
            header(WWW_AUTHENTICATE),
            header(RETRY_AFTER),
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Self {
            status,
            challenge,
            retry_after,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// 401 `invalid_token` in challenge and body (RFC 6750 section 3.1).
    #[track_caller]
    pub(crate) fn assert_invalid_token(&self, detail: &str) {
        let challenge = format!(r#"Bearer error="invalid_token", error_description="{detail}""#);
        assert_eq!(
            (self.status, self.challenge.as_deref()),
            (401, Some(challenge.as_str())),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(
            (&problem["error"], &problem["detail"]),
            (&json!("invalid_token"), &json!(detail))
        );
    }
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Reply {
    Reply::read(app.clone().oneshot(request).await.unwrap()).await
}

/// GET with a bearer token.
pub(crate) async fn get_with(app: &Router, path: &str, token: &str) -> Reply {
    let request = Request::get(path).header(AUTHORIZATION, format!("Bearer {token}"));
    send(app, request.body(Body::empty()).unwrap()).await
}

pub(crate) async fn get_without(app: &Router, path: &str) -> Reply {
    send(app, Request::get(path).body(Body::empty()).unwrap()).await
}

/// The control of every attack: the honest token works.
#[track_caller]
pub(crate) fn assert_ok(reply: &Reply) {
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
}
