//! One event as one line. Everything that came from outside is escaped: a value can end neither its
//! field nor the line, and cannot move a terminal's cursor.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;
use crate::correlation;

/// Fields that hold a secret wherever they appear; their value is never written.
const SECRET_FIELDS: [&str; 14] = [
    "access_token",
    "assertion",
    "authorization",
    "client_secret",
    "code",
    "code_verifier",
    "cookie",
    "id_token",
    "master_key",
    "password",
    "refresh_token",
    "secret",
    "set_cookie",
    "token",
];

/// The form of a line.
pub(super) struct Line(LogFormat);

impl Line {
    pub(super) fn of(format: LogFormat) -> Self {
        Self(format)
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.0 {
            LogFormat::Json => json(writer, event),
            LogFormat::Text => text(writer, event),
        }
    }
}

fn json(mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    writer.write_str("{\"timestamp\":\"")?;
    SystemTime.format_time(&mut writer)?;
    write!(writer, "\",\"level\":\"{}\",\"target\":", metadata.level())?;
    quote(&mut writer, metadata.target())?;
    let mut fields = Fields {
        writer: &mut writer,
        form: LogFormat::Json,
        result: Ok(()),
    };
    event.record(&mut fields);
    fields.result?;
    correlation::with_current(|id| match id {
        Some(id) => write!(writer, ",\"correlation_id\":\"{id}\""),
        None => Ok(()),
    })?;
    writer.write_str("}\n")
}

fn text(mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    SystemTime.format_time(&mut writer)?;
    write!(writer, " {:>5} {}:", metadata.level(), metadata.target())?;
    let mut fields = Fields {
        writer: &mut writer,
        form: LogFormat::Text,
        result: Ok(()),
    };
    event.record(&mut fields);
    fields.result?;
    correlation::with_current(|id| match id {
        Some(id) => write!(writer, " correlation_id={id}"),
        None => Ok(()),
    })?;
    writer.write_char('\n')
}

/// Writes fields as they are visited; the first failure ends the line.
struct Fields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    form: LogFormat,
    result: fmt::Result,
}

impl Fields<'_, '_> {
    /// A value that needs no quotes in either form.
    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        if self.result.is_ok() {
            self.result = self
                .name(field.name())
                .and_then(|()| write!(self.writer, "{value}"));
        }
    }

    fn quoted(&mut self, field: &Field, value: &str) {
        if self.result.is_ok() {
            let value = if SECRET_FIELDS.contains(&field.name()) {
                "(secret)"
            } else {
                value
            };
            self.result = self.write_quoted(field.name(), value);
        }
    }

    fn write_quoted(&mut self, name: &str, value: &str) -> fmt::Result {
        if name == "message" && self.form == LogFormat::Text {
            self.writer.write_char(' ')?;
            return escape(self.writer, value);
        }
        self.name(name)?;
        quote(self.writer, value)
    }

    fn name(&mut self, name: &str) -> fmt::Result {
        let name = name.strip_prefix("r#").unwrap_or(name);
        match self.form {
            LogFormat::Json => write!(self.writer, ",\"{name}\":"),
            LogFormat::Text => write!(self.writer, " {name}="),
        }
    }
}

impl Visit for Fields<'_, '_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.plain(field, value);
        } else {
            self.quoted(field, &value.to_string());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.quoted(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut chain = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            let _ = write!(chain, ": {cause}");
            source = cause.source();
        }
        self.quoted(field, &chain);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.quoted(field, &format!("{value:?}"));
    }
}

/// A JSON string; the text form quotes its values the same way.
fn quote(writer: &mut impl Write, value: &str) -> fmt::Result {
    writer.write_char('"')?;
    let mut rest = value;
    while let Some(at) = rest.find(['"', '\\']) {
        escape(writer, &rest[..at])?;
        writer.write_char('\\')?;
        writer.write_str(&rest[at..=at])?;
        rest = &rest[at + 1..];
    }
    escape(writer, rest)?;
    writer.write_char('"')
}

/// Control characters, line separators and direction marks as `\uXXXX`.
fn escape(writer: &mut impl Write, value: &str) -> fmt::Result {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut rest = value;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_harmful(*c)) {
        writer.write_str(&rest[..at])?;
        write!(writer, "\\u{:04x}", u32::from(c))?;
        rest = &rest[at + c.len_utf8()..];
    }
    writer.write_str(rest)
}
