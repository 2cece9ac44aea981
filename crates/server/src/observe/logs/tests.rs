//! Log lines as a collector reads them.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use super::*;
use crate::config::{LogFilter, LogFormat};
use crate::correlation::{self, CorrelationId};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(format: LogFormat, filter: &str, work: impl FnOnce()) -> Vec<String> {
    let sink = Sink::default();
    let log = Log {
        format,
        filter: LogFilter::parse(filter).unwrap(),
    };
    let writer = sink.clone();
    let subscriber = subscriber(&log, None, move || writer.clone());
    tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(sink.0.lock().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

const FORGED: &str = "x\r\nlevel=info msg=\"admin login ok\"\u{1b}[31m\u{9b}2J\u{2028}\\";

#[test]
fn row_317_a_forged_username_is_one_record_with_escapes() {
    for format in [LogFormat::Json, LogFormat::Text] {
        let lines = written(format, "info", || {
            tracing::info!(target: "tokensmith::login", username = FORGED, "refused {FORGED}");
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            !lines[0].chars().any(|c| c.is_control() || c == '\u{2028}'),
            "{lines:?}"
        );
        if format == LogFormat::Json {
            let record: Value = serde_json::from_str(&lines[0]).unwrap();
            assert_eq!(record["username"], FORGED);
            assert_eq!(record["level"], "INFO");
        }
    }
}

#[test]
fn every_line_of_a_request_carries_its_correlation_id() {
    let id = CorrelationId::fresh();
    let lines = written(LogFormat::Json, "debug", || {
        tracing::info!(target: "tokensmith", "before");
        let _entered = correlation::enter(Some(id));
        tracing::debug!(target: "tokensmith::x", count = 3u64, ok = true, "inside");
    });
    let records: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records[0]["correlation_id"], Value::Null);
    assert_eq!(records[1]["correlation_id"], id.as_str());
    assert_eq!(
        (&records[1]["count"], &records[1]["ok"]),
        (&3.into(), &true.into())
    );
}

#[test]
fn row_318_fields_named_like_secrets_and_chatty_libraries_are_not_written() {
    let lines = written(LogFormat::Json, "trace", || {
        tracing::info!(target: "tokensmith", client_secret = "hunter2", password = ?Some("hunter2"), "x");
        tracing::debug!(target: "tokio_postgres::query", "parameters: hunter2");
        tracing::trace!(target: "hyper::proto", "hunter2");
        tracing::info!(target: "hyper", "kept");
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(!lines.concat().contains("hunter2"), "{lines:?}");
}

#[test]
fn errors_are_written_with_their_causes() {
    let lines = written(LogFormat::Text, "info", || {
        let cause = io::Error::other("disk\nfull");
        let error = io::Error::other(cause);
        tracing::warn!(target: "tokensmith", error = &error as &dyn std::error::Error, "write failed");
    });
    assert!(
        lines[0].ends_with("WARN tokensmith: write failed error=\"disk\\u000afull\""),
        "{lines:?}"
    );
}

#[test]
fn who_asks_whether_a_line_is_wanted_is_told_what_the_filter_says() {
    let mut wanted = (false, true);
    written(LogFormat::Json, "info", || {
        wanted = (
            tracing::enabled!(target: "tokensmith::access", Level::INFO),
            tracing::enabled!(target: "tokensmith::access", Level::DEBUG),
        );
    });
    assert_eq!(wanted, (true, false));
}

#[test]
fn spans_are_never_made_when_nothing_exports_them() {
    let mut made = true;
    written(LogFormat::Json, "trace", || {
        made = !tracing::info_span!(target: "tokensmith", "request").is_disabled()
    });
    assert!(!made);
}
