//! Instants and devices as people read them.

use tokensmith_store::Timestamp;

use super::messages::{Messages, filled};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 86_400;

/// An instant: how it reads, and how machines read it.
#[derive(Clone, Debug)]
pub(crate) struct When {
    pub(crate) text: String,
    pub(crate) machine: String,
}

impl When {
    /// How long ago it was; from a day on, the date.
    pub(crate) fn new(at: Timestamp, now: Timestamp, t: &Messages) -> Self {
        let machine = at.to_string();
        let seconds = now.since(at).as_secs();
        let count = |text: &str, unit: u64| filled(text, &[&(seconds / unit).to_string()]);
        let text = match seconds {
            ..MINUTE => t.just_now.to_owned(),
            MINUTE..HOUR => count(t.minutes_ago, MINUTE),
            HOUR..DAY => count(t.hours_ago, HOUR),
            _ => machine.get(..10).unwrap_or_default().to_owned(),
        };
        Self { text, machine }
    }

    /// The date alone.
    pub(crate) fn date(at: Timestamp) -> Self {
        let machine = at.to_string();
        let text = machine.get(..10).unwrap_or_default().to_owned();
        Self { text, machine }
    }
}

/// The name of a device in the language of the page.
pub(crate) fn device(name: &str, t: &Messages) -> String {
    match name.split_once(" on ") {
        Some((browser, system)) => filled(t.device_on, &[browser, system]),
        None if name == "Unknown device" || name.is_empty() => t.unknown_device.to_owned(),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::messages::{DE, EN},
        *,
    };

    #[test]
    fn a_device_is_named_in_the_language_of_the_page() {
        assert_eq!(device("Firefox on Linux", &DE), "Firefox unter Linux");
        assert_eq!(device("curl", &DE), "curl");
        assert_eq!(device("Unknown device", &DE), "Unbekanntes Gerät");
    }

    #[test]
    fn what_was_lately_is_told_by_its_distance() {
        let now = Timestamp::from_millis(1_795_197_600_000);
        let ago = |seconds: u64| {
            let at = Timestamp::from_millis(now.as_millis() - seconds as i64 * 1000);
            When::new(at, now, &EN).text
        };
        assert_eq!(ago(59), "just now");
        assert_eq!(ago(60), "1 min ago");
        assert_eq!(ago(7199), "1 h ago");
        assert_eq!(ago(DAY), "2026-11-19");
    }
}
