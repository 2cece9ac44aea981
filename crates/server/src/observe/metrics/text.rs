//! The Prometheus exposition format, version 0.0.4.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Key, Label};
use parking_lot::RwLock;

use super::histogram::Latency;
use super::{Registry, process};

pub(super) fn render(registry: &Registry) -> String {
    let mut page = Page {
        help: &registry.help.read(),
        text: String::with_capacity(16 * 1024),
    };
    for (name, series) in by_name(&registry.counters) {
        page.head(&name, "counter");
        series
            .iter()
            .for_each(|(key, cell)| page.whole(&name, key, cell));
    }
    for (name, series) in by_name(&registry.gauges) {
        page.head(&name, "gauge");
        series
            .iter()
            .for_each(|(key, cell)| page.float(&name, key, cell));
    }
    for (name, series) in by_name(&registry.histograms) {
        page.head(&name, "histogram");
        series
            .iter()
            .for_each(|(key, cell)| page.histogram(&name, key, cell));
    }
    for (name, read) in &*registry.probes.read() {
        page.head(name, "gauge");
        let _ = writeln!(page.text, "{name} {}", read());
    }
    for (name, kind, value) in process::figures() {
        page.head(name, kind);
        let _ = writeln!(page.text, "{name} {value}");
    }
    page.text
}

type Series<V> = Vec<(Key, Arc<V>)>;

/// The series of each name, in a stable order.
fn by_name<V>(cells: &RwLock<HashMap<Key, Arc<V>>>) -> BTreeMap<String, Series<V>> {
    let mut names: BTreeMap<String, Series<V>> = BTreeMap::new();
    for (key, cell) in &*cells.read() {
        names
            .entry(name(key.name()))
            .or_default()
            .push((key.clone(), cell.clone()));
    }
    names
        .values_mut()
        .for_each(|series| series.sort_by(|(a, _), (b, _)| a.cmp(b)));
    names
}

/// A name in the alphabet of the format.
pub(super) fn name(name: &str) -> String {
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' || c == ':' {
            c
        } else {
            '_'
        }
    };
    name.chars().map(allowed).collect()
}

struct Page<'a> {
    help: &'a BTreeMap<String, String>,
    text: String,
}

impl Page<'_> {
    fn head(&mut self, name: &str, kind: &str) {
        if let Some(help) = self.help.get(name) {
            let help = help.replace('\\', r"\\").replace('\n', r"\n");
            let _ = writeln!(self.text, "# HELP {name} {help}");
        }
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
    }

    fn whole(&mut self, name: &str, key: &Key, cell: &AtomicU64) {
        let value = cell.load(Ordering::Relaxed);
        let _ = writeln!(self.text, "{name}{} {value}", labels(key, None));
    }

    fn float(&mut self, name: &str, key: &Key, cell: &AtomicU64) {
        let value = f64::from_bits(cell.load(Ordering::Relaxed));
        let _ = writeln!(self.text, "{name}{} {value}", labels(key, None));
    }

    fn histogram(&mut self, name: &str, key: &Key, cell: &Latency) {
        let mut count = 0;
        for (bound, total) in cell.cumulative() {
            let bound = if bound.is_infinite() {
                "+Inf".to_owned()
            } else {
                bound.to_string()
            };
            let _ = writeln!(
                self.text,
                "{name}_bucket{} {total}",
                labels(key, Some(&bound))
            );
            count = total;
        }
        let _ = writeln!(self.text, "{name}_sum{} {}", labels(key, None), cell.sum());
        let _ = writeln!(self.text, "{name}_count{} {count}", labels(key, None));
    }
}

fn labels(key: &Key, bound: Option<&str>) -> String {
    let bound = bound.map(|bound| format!("le=\"{bound}\""));
    let pairs: Vec<String> = key.labels().map(pair).chain(bound).collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", pairs.join(","))
    }
}

fn pair(label: &Label) -> String {
    let value = label
        .value()
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n");
    format!("{}=\"{value}\"", name(label.key()))
}
