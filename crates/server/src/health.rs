//! `/health` (the process and what it stands on) and `/ready` (whether to send requests here).
//! Pure: the caller probes, this module judges and answers. Names no host, path, version of a
//! database or error text, because both are open to everybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use serde::Serialize;

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// It answered.
    Ok,
    /// It did not answer in time or refused.
    Unavailable,
    /// It is not configured, and nothing needs it.
    NotConfigured,
}

/// What the caller found out just now.
#[derive(Debug, Clone, Copy)]
pub struct Probes {
    /// The store took a read.
    pub database: Part,
    /// Redis answered. It is never a source of truth: without it the server is slower, not wrong.
    pub redis: Part,
    /// Age of the key that signs access tokens; `None` when there is none.
    pub signing_key_age: Option<Duration>,
    /// Time since the process started.
    pub uptime: Duration,
    /// The version of this build.
    pub version: &'static str,
}

/// The body of `/health`; times are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Health {
    status: &'static str,
    database: Part,
    redis: Part,
    signing_key_age: Option<u64>,
    version: &'static str,
    uptime: u64,
}

impl Health {
    /// Judges the probes: `ok`, `degraded` (serves, but slower) or `unavailable`.
    pub fn of(probes: &Probes) -> Self {
        let can_serve = probes.database == Part::Ok && probes.signing_key_age.is_some();
        let status = match (can_serve, probes.redis) {
            (false, _) => "unavailable",
            (true, Part::Unavailable) => "degraded",
            (true, _) => "ok",
        };
        Self {
            status,
            database: probes.database,
            redis: probes.redis,
            signing_key_age: probes.signing_key_age.map(|age| age.as_secs()),
            version: probes.version,
            uptime: probes.uptime.as_secs(),
        }
    }

    /// Whether tokens can be granted.
    pub fn can_serve(&self) -> bool {
        self.status != "unavailable"
    }
}

impl IntoResponse for Health {
    /// 200, or 503 when it cannot serve.
    fn into_response(self) -> Response {
        answer(self.can_serve(), Json(self))
    }
}

fn answer(good: bool, body: impl IntoResponse) -> Response {
    const NO_STORE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];
    if good {
        return (NO_STORE, body).into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        NO_STORE,
        [(RETRY_AFTER, "1")],
        body,
    )
        .into_response()
}

/// Where the process is between start and end. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicU8>);

const STARTING: u8 = 0;
const STARTED: u8 = 1;
const DRAINING: u8 = 2;

impl Readiness {
    /// Start is complete: migrated, keys loaded, listening.
    pub fn started(&self) {
        // A process that is asked to stop while it starts stays draining.
        let _ = self
            .0
            .compare_exchange(STARTING, STARTED, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The process was asked to stop; from now on `/ready` is 503.
    pub fn draining(&self) {
        self.0.store(DRAINING, Ordering::Relaxed);
    }

    /// Whether the process was asked to stop.
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Relaxed) == DRAINING
    }

    /// The answer of `/ready`.
    pub fn answer(&self, health: &Health) -> Response {
        let status = match self.0.load(Ordering::Relaxed) {
            STARTING => "starting",
            DRAINING => "draining",
            _ if health.can_serve() => "ready",
            _ => "unavailable",
        };
        answer(status == "ready", Json(Ready { status }))
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Ready {
    status: &'static str,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::Config;
    use crate::listen::{Listen, bind, serve};
    use crate::observe::metrics::Metrics;

    fn probes() -> Probes {
        Probes {
            database: Part::Ok,
            redis: Part::NotConfigured,
            signing_key_age: Some(Duration::from_secs(3600)),
            uptime: Duration::from_millis(2500),
            version: "1.2.3",
        }
    }

    fn health(change: impl FnOnce(&mut Probes)) -> Health {
        let mut probes = probes();
        change(&mut probes);
        Health::of(&probes)
    }

    /// Asks one route over a real socket.
    async fn ask(
        answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
    ) -> (String, serde_json::Value) {
        let config = Config::dev(0, Path::new("/tmp"));
        let listeners = bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let router = Router::new().route("/", get(move || async move { answer() }));
        let listen = Listen {
            limits: config.limits.clone(),
            proxies: config.certificate_proxies(),
            tls: None,
            metrics: Metrics::new(),
        };
        let client = async {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        };
        let server = serve(listeners, router, listen, std::future::pending());
        let text = tokio::select! { text = client => text, _ = server => unreachable!("it serves for ever") };
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), serde_json::from_str(body).unwrap())
    }

    #[tokio::test]
    async fn health_has_the_six_members_of_the_contract() {
        let (head, body) = ask(|| health(|_| {}).into_response()).await;
        assert!(
            head.starts_with("HTTP/1.1 200") && head.contains("cache-control: no-store"),
            "{head}"
        );
        let expected = serde_json::json!({
            "status": "ok", "database": "ok", "redis": "not_configured",
            "signing_key_age": 3600, "version": "1.2.3", "uptime": 2
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn health_is_503_when_the_store_or_the_key_is_missing() {
        for change in [
            |probes: &mut Probes| probes.database = Part::Unavailable,
            |probes: &mut Probes| probes.signing_key_age = None,
        ] {
            let (head, body) = ask(move || health(change).into_response()).await;
            assert!(
                head.starts_with("HTTP/1.1 503") && head.contains("retry-after: 1"),
                "{head}"
            );
            assert_eq!(body["status"], "unavailable");
        }
    }

    #[tokio::test]
    async fn without_redis_it_serves_degraded() {
        let (head, body) =
            ask(|| health(|probes| probes.redis = Part::Unavailable).into_response()).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(
            (&body["status"], &body["redis"]),
            (&"degraded".into(), &"unavailable".into())
        );
    }

    #[tokio::test]
    async fn ready_is_503_before_start_is_complete_and_while_draining() {
        let readiness = Readiness::default();
        let well = health(|_| {});
        let asked = {
            let readiness = readiness.clone();
            move || readiness.answer(&well)
        };
        let (head, body) = ask(asked.clone()).await;
        assert!(
            head.starts_with("HTTP/1.1 503") && body["status"] == "starting",
            "{head}"
        );
        readiness.started();
        let (head, body) = ask(asked.clone()).await;
        assert!(
            head.starts_with("HTTP/1.1 200") && body["status"] == "ready",
            "{head}"
        );
        readiness.draining();
        readiness.started();
        let (head, body) = ask(asked).await;
        assert!(
            head.starts_with("HTTP/1.1 503") && body["status"] == "draining",
            "{head}"
        );
    }
}
