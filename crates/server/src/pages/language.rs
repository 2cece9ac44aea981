//! The language of a page: asked for by `ui_locales` (OpenID Connect Core §3.1.2.1), chosen before and kept in a
//! cookie, or preferred by the browser (`Accept-Language`, RFC 9110 §12.5.4). English when nobody says.

use super::messages::{DE, EN, FR, Messages};

/// Of an `Accept-Language` field only so many ranges are looked at.
const MOST_RANGES: usize = 20;

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    English,
    German,
    French,
}

impl Language {
    pub(super) const ALL: [Self; 3] = [Self::English, Self::German, Self::French];

    /// Its tag (RFC 5646).
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
        }
    }

    /// What its speakers call it.
    pub(crate) fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
            Self::French => "Français",
        }
    }

    pub(crate) fn messages(self) -> &'static Messages {
        match self {
            Self::English => &EN,
            Self::German => &DE,
            Self::French => &FR,
        }
    }

    /// The language of a tag, whatever the region: `de-AT` is German.
    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next()?;
        let is_it = |language: &Self| primary.eq_ignore_ascii_case(language.tag());
        Self::ALL.into_iter().find(is_it)
    }

    /// The first known of a list of tags with spaces between them, the most wanted first.
    pub(super) fn of_ui_locales(locales: &str) -> Option<Self> {
        locales.split(' ').take(MOST_RANGES).find_map(Self::of_tag)
    }

    /// The known one of the highest quality.
    pub(super) fn of_accept_language(field: &str) -> Option<Self> {
        let mut best: Option<(u16, Self)> = None;
        for range in field.split(',').take(MOST_RANGES) {
            let (tag, quality) = match range.split_once(';') {
                Some((tag, parameter)) => (tag, quality(parameter)),
                None => (range, 1000),
            };
            let Some(language) = Self::of_tag(tag) else {
                continue;
            };
            if quality > best.map_or(0, |(quality, _)| quality) {
                best = Some((quality, language));
            }
        }
        best.map(|(_, language)| language)
    }
}

/// `q=0.8` in thousandths; what cannot be read counts as nothing.
fn quality(parameter: &str) -> u16 {
    let text = parameter.trim().strip_prefix("q=").unwrap_or("0");
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let is_number = whole.len() == 1 && rest.len() <= 3 && rest.bytes().all(|c| c.is_ascii_digit());
    match (is_number, whole) {
        (true, "1") => 1000,
        (true, "0") => format!("{rest:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_language_is_the_known_one_of_highest_quality() {
        for (field, expected) in [
            ("de", Some(Language::German)),
            ("de-AT,de;q=0.9,en;q=0.8", Some(Language::German)),
            ("es,fr;q=0.5,en;q=0.4", Some(Language::French)),
            ("en;q=0.1, FR-ca;q=0.9", Some(Language::French)),
            ("de;q=0, en", Some(Language::English)),
            ("de;q=2, fr;q=0.01", Some(Language::French)),
            ("de;q=0", None),
            ("es", None),
            ("*", None),
            ("", None),
            (",;,=;q", None),
        ] {
            assert_eq!(Language::of_accept_language(field), expected, "{field}");
        }
        let beyond = format!("{}de", "es,".repeat(MOST_RANGES));
        assert_eq!(Language::of_accept_language(&beyond), None);
    }

    #[test]
    fn the_first_known_of_ui_locales_counts() {
        let of = Language::of_ui_locales;
        assert_eq!(of("es fr-CA de"), Some(Language::French));
        assert_eq!(of("es"), None);
        assert_eq!(of(""), None);
    }
}
