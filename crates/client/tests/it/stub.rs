//! An authorization server and a resource server in one, answering by script and remembering what they got.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokensmith_client::{ClientId, ServiceClient, ServiceTokenManager, TokenEndpoint};
use tokensmith_oauth2::Form;

/// One scripted answer of the token endpoint; `{n}` in the body becomes the number of the request.
#[derive(Clone)]
pub(crate) struct Reply {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    body: String,
    delay: Duration,
}

impl Reply {
    pub(crate) fn token(expires_in: &str) -> Self {
        Self::ok(&format!(
            r#"{{"access_token":"t{{n}}","token_type":"Bearer","expires_in":{expires_in}}}"#
        ))
    }

    pub(crate) fn ok(body: &str) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Vec::new(),
            body: body.into(),
            delay: Duration::ZERO,
        }
    }

    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            ..Self::ok(body)
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// What a request to the token endpoint brought.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) headers: HeaderMap,
    pub(crate) form: Form,
}

#[derive(Default)]
struct Script {
    next: VecDeque<Reply>,
    then: Option<Reply>,
    seen: Vec<Seen>,
    metadata: VecDeque<(u16, String)>,
    refused_tokens: usize,
    resource_calls: Vec<(Option<String>, Bytes)>,
}

#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
}

impl Stub {
    /// Starts a server that grants tokens of 900 seconds until told otherwise.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            script: Arc::default(),
        };
        let router = Router::new()
            .route("/oauth/token", post(token))
            .route("/.well-known/{document}", get(metadata))
            .route("/resource", post(resource))
            .with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        stub
    }

    pub(crate) fn replies(&self, replies: impl IntoIterator<Item = Reply>) -> &Self {
        self.script.lock().unwrap().next.extend(replies);
        self
    }

    pub(crate) fn then_always(&self, reply: Reply) -> &Self {
        self.script.lock().unwrap().then = Some(reply);
        self
    }

    pub(crate) fn metadata(&self, status: u16, body: impl Into<String>) -> &Self {
        self.script
            .lock()
            .unwrap()
            .metadata
            .push_back((status, body.into()));
        self
    }

    /// The resource server answers 401 to this many calls.
    pub(crate) fn refuse_calls(&self, count: usize) -> &Self {
        self.script.lock().unwrap().refused_tokens = count;
        self
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script.lock().unwrap().seen.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.script.lock().unwrap().seen.len()
    }

    /// `Authorization` header and body of each call to the resource server.
    pub(crate) fn resource_calls(&self) -> Vec<(Option<String>, Bytes)> {
        self.script.lock().unwrap().resource_calls.clone()
    }

    pub(crate) fn token_url(&self) -> TokenEndpoint {
        TokenEndpoint::Url(format!("{}/oauth/token", self.url).parse().unwrap())
    }

    pub(crate) fn client(&self) -> ServiceClient {
        ServiceClient::new(
            ClientId::parse("chat-api-service").unwrap(),
            "s3cret",
            self.token_url(),
        )
    }

    pub(crate) fn manager(&self) -> ServiceTokenManager {
        ServiceTokenManager::new(self.client()).unwrap()
    }

    fn reply_to(&self, headers: HeaderMap, body: &[u8]) -> (usize, Reply) {
        let mut script = self.script.lock().unwrap();
        script.seen.push(Seen {
            at: Instant::now(),
            headers,
            form: Form::parse(body).unwrap(),
        });
        let reply = script
            .next
            .pop_front()
            .or_else(|| script.then.clone())
            .unwrap_or_else(|| Reply::token("900"));
        (script.seen.len(), reply)
    }
}

async fn token(State(stub): State<Stub>, headers: HeaderMap, body: Bytes) -> Response {
    let (number, reply) = stub.reply_to(headers, &body);
    tokio::time::sleep(reply.delay).await;
    let mut response =
        (reply.status, reply.body.replace("{n}", &number.to_string())).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

async fn metadata(State(stub): State<Stub>, uri: Uri) -> Response {
    let next = stub.script.lock().unwrap().metadata.pop_front();
    match next {
        Some((status, body)) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        None => (StatusCode::NOT_FOUND, uri.to_string()).into_response(),
    }
}

async fn resource(State(stub): State<Stub>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut script = stub.script.lock().unwrap();
    let authorization = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap().to_owned());
    script.resource_calls.push((authorization, body));
    if script.refused_tokens > 0 {
        script.refused_tokens -= 1;
        return StatusCode::UNAUTHORIZED;
    }
    StatusCode::OK
}
