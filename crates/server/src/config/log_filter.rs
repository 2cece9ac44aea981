//! Which log lines are written, in the words of `tracing_subscriber`'s `EnvFilter`.

use figment::value::Value;
use tracing_subscriber::EnvFilter;

use super::value::{Setting, must_be, quoted, text};

/// A checked filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// Checks a filter.
    ///
    /// # Errors
    /// A sentence fragment that says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let checked = EnvFilter::builder()
            .parse(text)
            .map(|_| Self(text.to_owned()));
        checked.map_err(|_| must_be(Self::FORM))
    }

    pub(crate) fn build(&self) -> EnvFilter {
        EnvFilter::builder().parse_lossy(&self.0)
    }
}

impl Setting for LogFilter {
    const FORM: &'static str =
        "a level (error, warn, info, debug, trace) or target=level pairs with commas";

    fn read(value: &Value) -> Result<Self, String> {
        Self::parse(&text(value).ok_or_else(|| must_be(Self::FORM))?)
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_checked_before_start() {
        assert!(LogFilter::parse("info,tokensmith::access=debug").is_ok());
        assert_eq!(
            LogFilter::parse("tokensmith=loud"),
            Err(must_be(LogFilter::FORM))
        );
    }
}
