//! Export of request spans over OTLP/HTTP, and the caller's `traceparent` (W3C Trace Context).
//! Spans hold the method, the matched route, the status and the correlation id: no path, no token.
//! The queue is bounded; when the collector is away spans are dropped and requests do not wait.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::{Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;

use super::logs::ExtraLayer;
use crate::config::Otel;

const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The running export. Its thread ends with [`Traces::shutdown`].
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Starts the export when an endpoint is configured. The layer goes to `logs::install`.
    ///
    /// # Errors
    /// An endpoint that is no URL.
    pub fn start(otel: &Otel) -> Result<Option<(Self, ExtraLayer)>, ExporterBuildError> {
        let Some(endpoint) = &otel.endpoint else {
            return Ok(None);
        };
        let endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .build()?;
        let sampled = Sampler::TraceIdRatioBased(1.0 / f64::from(otel.sample_one_in.get()));
        let resource = Resource::builder()
            .with_service_name(otel.service_name.clone())
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(sampled)))
            .with_resource(resource)
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("tokensmith"));
        let layer = layer.with_location(false).with_threads(false);
        Ok(Some((
            Self { provider },
            layer.with_filter(FilterFn::new(is_exported)).boxed(),
        )))
    }

    /// Sends what is left and ends the export. Blocks for at most five seconds.
    pub fn shutdown(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(EXPORT_TIMEOUT) {
            tracing::warn!(target: "tokensmith::otel", %error, "the last traces were not sent");
        }
    }
}

/// Only our own spans: those of HTTP libraries would trace the export itself.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && metadata.target().starts_with("tokensmith")
        && *metadata.level() <= Level::INFO
}

/// Makes a request's span the child of the caller's.
pub(crate) fn adopt_parent(span: &Span, headers: &HeaderMap) {
    if headers.contains_key("traceparent") {
        let parent = TraceContextPropagator::new().extract(&Fields(headers));
        // Refused only without an export layer, and then there is nothing to be a child of.
        let _ = span.set_parent(parent);
    }
}

struct Fields<'a>(&'a HeaderMap);

impl Extractor for Fields<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::http::HeaderMap;
    use axum::routing::{get, post};
    use parking_lot::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::Config;
    use crate::listen::{Listen, bind, serve};
    use crate::observe::{logs, metrics::Metrics};

    type Posts = Arc<Mutex<Vec<(String, Bytes)>>>;

    async fn collect(State(posts): State<Posts>, headers: HeaderMap, body: Bytes) {
        posts
            .lock()
            .push((headers["content-type"].to_str().unwrap().to_owned(), body));
    }

    fn contains(haystack: &[u8], needle: &[u8]) -> bool {
        haystack
            .windows(needle.len())
            .any(|window| window == needle)
    }

    async fn request(config: &Config, path: &str) -> String {
        let listeners = bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let metrics = Metrics::new();
        let listen = Listen {
            limits: config.limits.clone(),
            proxies: config.certificate_proxies(),
            tls: None,
            metrics: metrics.clone(),
        };
        let router = Router::new().route("/users/{id}", get(|| async { "ok" }));
        let server = serve(listeners, router, listen, std::future::pending());
        let client = async {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\ntraceparent: {parent}\r\nX-Correlation-ID: corr-1\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        tokio::select! { answer = client => answer, _ = server => unreachable!("it serves for ever") }
    }

    // The subscriber of the test counts for this thread, so everything but the collector runs on it.
    #[test]
    fn a_request_is_exported_as_protobuf_under_the_callers_trace_and_without_its_path() {
        let posts = Posts::default();
        let collector = tokio::runtime::Runtime::new().unwrap();
        let listener = collector
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v1/traces", post(collect))
            .with_state(posts.clone());
        collector.spawn(async move { axum::serve(listener, router).await });

        let mut config = Config::dev(0, Path::new("/tmp"));
        config.otel.endpoint = Some(format!("http://{address}/"));
        let (traces, layer) = Traces::start(&config.otel).unwrap().unwrap();
        let subscriber = logs::subscriber(&config.log, Some(layer), std::io::sink);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let answer = tracing::subscriber::with_default(subscriber, || {
            runtime.block_on(request(&config, "/users/alice?code=hunter2"))
        });
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        traces.shutdown();

        let posts = posts.lock();
        let (kind, body) = posts.first().expect("one export");
        assert_eq!(kind, "application/x-protobuf");
        let trace_id = [
            0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80,
            0x31, 0x9c,
        ];
        let parent_id = [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31];
        for expected in [
            &trace_id[..],
            &parent_id,
            b"/users/{id}",
            b"corr-1",
            b"tokensmith",
        ] {
            assert!(contains(body, expected), "{expected:?} in {body:?}");
        }
        assert!(!contains(body, b"alice") && !contains(body, b"hunter2"));
    }

    #[test]
    fn without_an_endpoint_nothing_starts() {
        let config = Config::dev(0, Path::new("/tmp"));
        assert!(Traces::start(&config.otel).unwrap().is_none());
    }
}
