//! Log lines: JSON or text, one record a line, with the correlation id of the request at work.
//! Control characters are escaped, fields that are named like secrets are left out, and libraries
//! stay at `info` whatever the filter says, because some of them print what they send.

mod format;

#[cfg(test)]
mod tests;

use std::io;
use std::panic::PanicHookInfo;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, FilterFn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry};

use self::format::Line;
use crate::config::Log;

/// A layer beside the log lines, such as the export of traces.
pub type ExtraLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Writes log lines to standard error from now on, panics too. Once per process.
///
/// # Errors
/// When a subscriber is installed already.
pub fn install(log: &Log, extra: Option<ExtraLayer>) -> Result<(), TryInitError> {
    subscriber(log, extra, io::stderr).try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// The subscriber that [`install`] installs, over any writer.
pub fn subscriber<W>(
    log: &Log,
    extra: Option<ExtraLayer>,
    writer: W,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Line::of(log.format))
        .with_writer(writer);
    let lines = lines
        .with_ansi(false)
        .with_filter(log.filter.build().and(FilterFn::new(may_be_written)));
    let layers: Vec<ExtraLayer> = [Some(lines.boxed()), extra].into_iter().flatten().collect();
    Registry::default().with(layers)
}

/// Spans are for traces; the formatter needs none, so with export off they are never made. What is no span is an event,
/// or the question of `tracing::enabled!` whether one is wanted.
fn may_be_written(metadata: &Metadata<'_>) -> bool {
    let is_ours = metadata.target().starts_with("tokensmith");
    !metadata.is_span() && (is_ours || *metadata.level() <= Level::INFO)
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let reason = panic.payload_as_str().unwrap_or("(no text)");
    let reason: String = reason.chars().take(200).collect();
    tracing::error!(target: "tokensmith::panic", location, reason, "a panic; this is a defect");
}
