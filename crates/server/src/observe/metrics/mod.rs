//! Metrics in memory and their Prometheus text (exposition format 0.0.4).
//! Histograms have fixed buckets, so that nothing grows between scrapes, and the number of series
//! is capped. Labels are routes, methods and error codes, never a path, a user or an address.

mod histogram;
mod http;
mod process;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use ::metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit,
};
use parking_lot::RwLock;

pub use self::histogram::Latency;
pub use self::http::ErrorLabel;
pub(crate) use self::http::{EndpointSeries, KnownEndpoints, endpoint_at_work};

/// Series past this number are counted nowhere: a label that takes any value must not eat the memory.
const MOST_SERIES: usize = 8192;

/// One registry of metrics. Cloning shares it.
#[derive(Clone, Default)]
pub struct Metrics {
    registry: Arc<Registry>,
}

#[derive(Default)]
struct Registry {
    help: RwLock<BTreeMap<String, String>>,
    counters: RwLock<HashMap<Key, Arc<AtomicU64>>>,
    gauges: RwLock<HashMap<Key, Arc<AtomicU64>>>,
    histograms: RwLock<HashMap<Key, Arc<Latency>>>,
    probes: RwLock<BTreeMap<&'static str, Probe>>,
}

/// A number that is read when somebody asks.
type Probe = Box<dyn Fn() -> f64 + Send + Sync>;

impl Metrics {
    /// A registry of its own, for one server.
    pub fn new() -> Self {
        let metrics = Self::default();
        http::describe(&metrics);
        metrics
    }

    /// The registry of the process, which also takes what libraries record through the `metrics`
    /// macros. Installed at the first call.
    pub fn shared() -> Self {
        static SHARED: OnceLock<Metrics> = OnceLock::new();
        let install = || {
            let metrics = Self::new();
            if ::metrics::set_global_recorder(metrics.clone()).is_err() {
                tracing::warn!("another metrics recorder is installed; libraries record there");
            }
            metrics
        };
        SHARED.get_or_init(install).clone()
    }

    /// The counter of that name and these labels. Keep the handle where it is used often.
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Counter {
        Counter::from_arc(stored(&self.registry.counters, &key(name, labels)))
    }

    /// The gauge of that name and these labels.
    pub fn gauge(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Gauge {
        Gauge::from_arc(stored(&self.registry.gauges, &key(name, labels)))
    }

    /// The latency histogram of that name and these labels.
    pub fn latency(
        &self,
        name: &'static str,
        labels: &[(&'static str, &'static str)],
    ) -> Arc<Latency> {
        stored(&self.registry.histograms, &key(name, labels))
    }

    /// What a metric means, for its HELP line.
    pub fn help(&self, name: &str, text: &str) {
        self.registry
            .help
            .write()
            .insert(text::name(name), text.to_owned());
    }

    /// A gauge that is asked for its value at each scrape, such as the length of a queue.
    pub fn probe(
        &self,
        name: &'static str,
        help: &str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.help(name, help);
        self.registry.probes.write().insert(name, Box::new(read));
    }

    /// All metrics as Prometheus text.
    pub fn render(&self) -> String {
        text::render(&self.registry)
    }

    /// The answer of `/metrics`.
    pub fn answer(&self) -> axum::response::Response {
        let kind = [(
            ::http::header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )];
        axum::response::IntoResponse::into_response((kind, self.render()))
    }

    fn latency_of(&self, key: &Key) -> Arc<Latency> {
        stored(&self.registry.histograms, key)
    }
}

fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
    let labels: Vec<Label> = labels
        .iter()
        .map(|(name, value)| Label::new(*name, *value))
        .collect();
    Key::from_parts(name, labels)
}

/// The cell of a key, made when it is new. Past the cap the cell is made and forgotten.
fn stored<K: Hash + Eq + Clone, V: Default>(cells: &RwLock<HashMap<K, Arc<V>>>, key: &K) -> Arc<V> {
    if let Some(cell) = cells.read().get(key) {
        return cell.clone();
    }
    let mut cells = cells.write();
    if cells.len() >= MOST_SERIES && !cells.contains_key(key) {
        return Arc::default();
    }
    cells.entry(key.clone()).or_default().clone()
}

impl Recorder for Metrics {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, text: SharedString) {
        self.help(name.as_str(), &text);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, text: SharedString) {
        self.help(name.as_str(), &text);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, text: SharedString) {
        self.help(name.as_str(), &text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(stored(&self.registry.counters, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(stored(&self.registry.gauges, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(stored(&self.registry.histograms, key))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered_as_prometheus_text() {
        let metrics = Metrics::new();
        metrics.help("grants_total", "Grants answered.");
        metrics
            .counter("grants_total", &[("grant_type", "client_credentials")])
            .increment(3);
        metrics.gauge("queue_depth", &[]).set(2.0);
        metrics.probe("cache_entries", "Entries.", || 7.0);
        let text = metrics.render();
        for line in [
            "# HELP grants_total Grants answered.",
            "# TYPE grants_total counter",
            "grants_total{grant_type=\"client_credentials\"} 3",
            "# TYPE queue_depth gauge",
            "queue_depth 2",
            "cache_entries 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn the_macros_of_libraries_arrive_in_the_recorder() {
        let metrics = Metrics::new();
        ::metrics::with_local_recorder(&metrics, || {
            ::metrics::counter!("library.calls", "kind" => "a\"b\\c\nd").increment(1);
            ::metrics::histogram!("library_seconds").record(0.003);
        });
        let text = metrics.render();
        assert!(
            text.contains(r#"library_calls{kind="a\"b\\c\nd"} 1"#),
            "{text}"
        );
        assert!(
            text.contains("library_seconds_bucket{le=\"0.005\"} 1"),
            "{text}"
        );
        assert!(text.contains("library_seconds_sum 0.003"), "{text}");
    }

    #[test]
    fn the_number_of_series_is_capped() {
        let metrics = Metrics::new();
        ::metrics::with_local_recorder(&metrics, || {
            for i in 0..MOST_SERIES + 10 {
                ::metrics::counter!("many", "i" => i.to_string()).increment(1);
            }
        });
        assert_eq!(metrics.registry.counters.read().len(), MOST_SERIES);
    }

    #[test]
    fn registries_are_apart() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.counter("hits", &[]).increment(1);
        assert!(!other.render().contains("hits"));
        assert!(
            Metrics::shared()
                .render()
                .contains("process_start_time_seconds")
        );
    }
}
