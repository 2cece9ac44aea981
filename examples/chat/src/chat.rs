//! The routes. The order of the checks is a promise: token, sender, group, membership; only then is
//! anything stored.

use std::{path::Path as FilePath, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRef, Path, Query, State};
use axum::{Extension, Json, Router, http::StatusCode, middleware, response, routing::get};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokensmith_client::{Scope, ServiceClient, ServiceTokenManager};
use tokensmith_resource_server::{Caller, ResourceServer};
use uuid::Uuid;

use crate::groups::{Group, Groups};
use crate::observe::{CorrelationId, observe, recorder};
use crate::store::{Message, Page, Store, new_id};
use crate::{problem::Problem, setting};

/// 4000 characters, each written as two `\uXXXX`, and some room.
const MAX_BODY: usize = 64 * 1024;
const MAX_CONTENT: usize = 4000;

#[derive(Clone, FromRef)]
struct App {
    tokens: ResourceServer,
    groups: Arc<Groups>,
    store: Store,
}

/// The service with the settings of the environment.
pub(crate) async fn app() -> anyhow::Result<Router> {
    recorder();
    let app = App::from_env().await?;
    Ok(Router::new()
        .route("/api/chat/groups/{id}/messages", get(list).post(post))
        .route("/health", get(health))
        .route("/metrics", get(async || recorder().render()))
        .fallback(async || Problem::absent("there is nothing here"))
        .method_not_allowed_fallback(async || {
            Problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path takes other methods",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(observe))
        .with_state(app))
}

impl App {
    async fn from_env() -> anyhow::Result<Self> {
        let auth_url = setting("AUTH_API_URL", "http://localhost:8000");
        let auth_url = auth_url.trim_end_matches('/');
        let issuer = setting("AUTH_API_ISSUER", auth_url);
        let audience = setting("CHAT_AUDIENCE", "https://api.activity.com");
        let mut tokens = ResourceServer::builder(issuer, audience)
            .jwks_uri(format!("{auth_url}/.well-known/jwks.json"));
        let secret = setting("JWT_SECRET_KEY", "");
        if !secret.is_empty() {
            tokens = tokens.legacy_shared_secret(secret, setting("JWT_ALGORITHM", "HS256"));
        }
        let scope = setting("SERVICE_SCOPE", "groups:read members:read");
        let service = ServiceClient::from_env()?.scope(Scope::parse(&scope)?);
        let file = FilePath::new(&setting("CHAT_DATA", "chat-data")).join("chat.db");
        let store = match setting("MONGODB_URL", "").as_str() {
            "" => Store::open(&file).context("CHAT_DATA")?,
            url => Store::connect(url).await.context("MONGODB_URL")?,
        };
        Ok(Self {
            tokens: tokens.build()?,
            groups: Arc::new(Groups::new(auth_url, ServiceTokenManager::new(service)?)?),
            store,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    content: String,
    sender_id: String,
}

async fn post(
    caller: Caller,
    State(app): State<App>,
    Extension(trace): Extension<CorrelationId>,
    Path(id): Path<String>,
    message: Result<Json<NewMessage>, JsonRejection>,
) -> response::Result<(StatusCode, Json<Message>)> {
    let user = &caller.require_user()?.sub;
    let Json(message) = message.map_err(not_a_message)?;
    message.check(user)?;
    let group = app.groups.admit(&id, user, &trace).await?;
    let message = message.in_group(group);
    app.store.add(&message).await.map_err(store_down)?;
    Ok((StatusCode::CREATED, Json(message)))
}

impl NewMessage {
    fn check(&self, user: &str) -> Result<(), Problem> {
        let characters = self.content.chars().count();
        if !(1..=MAX_CONTENT).contains(&characters) || self.content.contains('\0') {
            let detail = "content must have 1 to 4000 characters and no NUL";
            return Err(Problem::unprocessable(detail));
        }
        if self.sender_id != user {
            return Err(Problem::forbidden("sender_id must be the user who posts"));
        }
        Ok(())
    }

    fn in_group(self, group: Group) -> Message {
        let id = new_id();
        let (seconds, nanos) = id.get_timestamp().map_or((0, 0), |at| at.to_unix());
        Message {
            id: id.to_string(),
            group_id: group.id.to_string(),
            org_id: group.org_id,
            sender_id: self.sender_id,
            content: self.content,
            created_at: OffsetDateTime::UNIX_EPOCH + Duration::new(seconds, nanos),
        }
    }
}

async fn list(
    caller: Caller,
    State(app): State<App>,
    Extension(trace): Extension<CorrelationId>,
    Path(id): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
) -> response::Result<Json<Vec<Message>>> {
    let user = &caller.require_user()?.sub;
    let page = page.ok().filter(|page| (1..=100).contains(&page.limit));
    let detail = "limit must be 1 to 100, before the id of a message";
    let Query(page) = page.ok_or(Problem::unprocessable(detail))?;
    let group = app.groups.admit(&id, user, &trace).await?;
    let newest = app.store.newest(group.id, page).await;
    Ok(Json(newest.map_err(store_down)?))
}

async fn health(State(app): State<App>) -> response::Result<Json<Value>> {
    let newest = app.store.newest(Uuid::nil(), Page::default()).await;
    newest.map_err(store_down)?;
    let version = env!("CARGO_PKG_VERSION");
    Ok(Json(json!({"status": "ok", "version": version})))
}

fn not_a_message(rejection: JsonRejection) -> Problem {
    let detail = "the body must be JSON with the strings content and sender_id, and no more";
    Problem(rejection.status(), detail)
}

fn store_down(error: anyhow::Error) -> Problem {
    tracing::error!(error = format!("{error:#}"), "the message store failed");
    Problem::down("the message store does not answer")
}
