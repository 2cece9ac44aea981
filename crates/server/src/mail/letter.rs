//! How a mail reads: one pair of templates, so that its text and its HTML say the same, and every mail looks alike.
//! All that comes from people is escaped in HTML and kept on one line in a header field.

use askama::Template;

/// What a mail says, without its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The Subject field. Nothing that somebody typed belongs here.
    pub subject: String,
    /// The first line.
    pub heading: String,
    /// What it is about.
    pub paragraphs: Vec<String>,
    /// A code to be typed.
    pub code: Option<String>,
    /// Where to go.
    pub button: Option<Button>,
    /// What to do if this was not you.
    pub note: String,
}

/// A link of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// What it does.
    pub label: &'static str,
    /// Where it leads: below the issuer, from the configuration alone.
    pub url: String,
}

/// A letter in both forms.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The Subject field: one line.
    pub subject: String,
    /// `text/plain`.
    pub text: String,
    /// `text/html`.
    pub html: String,
}

#[derive(Template)]
#[template(path = "mail/letter.txt")]
struct TextLetter<'a> {
    letter: &'a Letter,
    name: &'a str,
    home: &'a str,
}

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct HtmlLetter<'a> {
    letter: &'a Letter,
    name: &'a str,
    home: &'a str,
}

impl Letter {
    /// Both forms, for a service of this name under this URL.
    ///
    /// # Errors
    /// When a template fails.
    pub fn render(&self, name: &str, home: &str) -> Result<Rendered, askama::Error> {
        let letter = self;
        Ok(Rendered {
            subject: one_line(&self.subject),
            text: TextLetter { letter, name, home }.render()?,
            html: HtmlLetter { letter, name, home }.render()?,
        })
    }
}

/// Without what could begin another header field, or hide part of the line.
fn one_line(text: &str) -> String {
    let ends_a_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.split(ends_a_line)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            subject: "Hello\r\nBcc: everybody@example.com\u{2028}x".into(),
            heading: "Hello <b>you</b>".into(),
            paragraphs: vec!["First & <script>".into(), "Second".into()],
            code: Some("123456".into()),
            button: Some(Button {
                label: "Go",
                url: "https://login.example.com/a?b=1&c=2".into(),
            }),
            note: "Not you?".into(),
        }
    }

    #[test]
    fn a_subject_is_one_line() {
        let rendered = letter().render("Example", "https://x.test").unwrap();
        assert_eq!(rendered.subject, "Hello Bcc: everybody@example.com x");
    }

    #[test]
    fn html_is_escaped_and_text_is_not() {
        let rendered = letter().render("Example", "https://x.test").unwrap();
        assert!(!rendered.html.contains("<script>") && !rendered.html.contains("<b>you"));
        assert!(rendered.text.contains("First & <script>"));
        assert!(
            rendered
                .text
                .contains("https://login.example.com/a?b=1&c=2")
        );
        for form in [&rendered.text, &rendered.html] {
            for part in ["Second", "123456", "Not you?", "Example", "Go"] {
                assert!(form.contains(part), "{part} is missing in {form}");
            }
        }
    }

    #[test]
    fn a_letter_without_code_and_link_shows_none() {
        let plain = Letter {
            code: None,
            button: None,
            ..letter()
        };
        let rendered = plain.render("Example", "https://x.test").unwrap();
        assert!(!rendered.html.contains("<a ") && !rendered.text.contains("Go:"));
    }
}
