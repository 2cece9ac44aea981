//! One request after another, each printed with its answer and judged at once. Colour only on a terminal.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use serde_json::Value;
use tokensmith_xtask::http::{Answer, Request};

/// Longer texts are cut when printed: nobody reads a token.
const SHOWN: usize = 44;

/// What must hold of an answer.
pub(crate) enum Expect {
    /// The status.
    Status(u16),
    /// A JSON pointer and its value.
    Is(&'static str, Value),
    /// A JSON pointer that leads to something other than null.
    Present(&'static str),
    /// A list, at the top or as the only list of the object, has an element with this member.
    Holds(&'static str, Value),
    /// That list has so many elements.
    Count(usize),
    /// A header field contains a text.
    Header(&'static str, &'static str),
}

pub(crate) struct Play {
    scenes: usize,
    broken: Vec<String>,
    is_coloured: bool,
}

/// An answer that can be asked for its values.
pub(crate) struct Scene {
    title: String,
    body: Value,
}

impl Play {
    pub(crate) fn new() -> Self {
        Self {
            scenes: 0,
            broken: Vec::new(),
            is_coloured: std::io::stdout().is_terminal(),
        }
    }

    pub(crate) fn act(&self, title: &str) {
        println!("\n{}", self.paint("1", &format!("── {title}")));
    }

    /// Sends, prints and judges one request.
    pub(crate) fn scene(
        &mut self,
        title: &str,
        request: &Request,
        expected: &[Expect],
    ) -> Result<Scene> {
        self.scenes += 1;
        println!("\n{:>2}. {}", self.scenes, self.paint("1", title));
        self.print_request(request);
        let answer = request.send()?;
        self.print_answer(&answer);
        let body = answer.json();
        for broken in expected
            .iter()
            .filter_map(|expect| expect.broken(&answer, &body))
        {
            println!("    {}", self.paint("31", &format!("DIFFERS: {broken}")));
            self.broken
                .push(format!("{:>2}. {title}: {broken}", self.scenes));
        }
        Ok(Scene {
            title: title.to_owned(),
            body,
        })
    }

    /// Prints the verdict: whether every answer was as promised.
    pub(crate) fn end(&self) -> bool {
        println!();
        for broken in &self.broken {
            println!("{}", self.paint("31", &format!("differs  {broken}")));
        }
        let as_promised = self.broken.is_empty();
        let verdict = if as_promised {
            "every answer is as promised"
        } else {
            "some answers differ"
        };
        println!(
            "{}",
            self.paint(
                if as_promised { "32" } else { "31" },
                &format!("{} requests: {verdict}", self.scenes)
            )
        );
        as_promised
    }

    fn print_request(&self, request: &Request) {
        println!(
            "    {}",
            self.paint(
                "36",
                &format!(
                    "> {} http://127.0.0.1:{}{}",
                    request.method, request.port, request.path
                )
            )
        );
        for (name, value) in request
            .headers
            .iter()
            .filter(|(name, _)| *name != "Content-Type")
        {
            println!("      {name}: {}", shortened(value));
        }
        if !request.body.is_empty() {
            let is_json = serde_json::from_str::<Value>(&request.body).is_ok();
            println!(
                "      {}",
                if is_json {
                    pretty(&request.body)
                } else {
                    request.body.clone()
                }
            );
        }
    }

    fn print_answer(&self, answer: &Answer) {
        let colour = if answer.status < 400 { "32" } else { "33" };
        println!(
            "    {}",
            self.paint(colour, &format!("< {}", answer.status))
        );
        if let Some(challenge) = answer.header("www-authenticate") {
            println!("      WWW-Authenticate: {challenge}");
        }
        if !answer.body.is_empty() {
            println!("      {}", pretty(&answer.body));
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.is_coloured {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

impl Expect {
    /// Why the answer is not as expected.
    fn broken(&self, answer: &Answer, body: &Value) -> Option<String> {
        match self {
            Self::Status(status) => (answer.status != *status)
                .then(|| format!("status {} instead of {status}", answer.status)),
            Self::Is(path, value) => {
                let found = body.pointer(path).unwrap_or(&Value::Null);
                (found != value).then(|| format!("{path} is {found} instead of {value}"))
            }
            Self::Present(path) => body
                .pointer(path)
                .is_none_or(Value::is_null)
                .then(|| format!("{path} is missing")),
            Self::Holds(member, value) => {
                let holds = list(body).iter().any(|element| element[*member] == *value);
                (!holds).then(|| format!("no element has {member} = {value}"))
            }
            Self::Count(count) => (list(body).len() != *count)
                .then(|| format!("{} elements instead of {count}", list(body).len())),
            Self::Header(name, part) => {
                let value = answer.header(name).unwrap_or_default();
                (!value.contains(part))
                    .then(|| format!("header {name} is {value:?}, without {part:?}"))
            }
        }
    }
}

impl Scene {
    /// The text a JSON pointer leads to.
    pub(crate) fn text(&self, path: &str) -> Result<String> {
        let text = self.body.pointer(path).and_then(Value::as_str);
        Ok(text
            .with_context(|| {
                format!(
                    "\"{}\": the answer has no {path}; the play cannot go on",
                    self.title
                )
            })?
            .to_owned())
    }

    /// Of the list's element whose `member` has this value, the `wanted` member.
    pub(crate) fn found(&self, member: &str, value: &Value, wanted: &str) -> Result<String> {
        let element = list(&self.body)
            .iter()
            .find(|element| element[member] == *value);
        let text = element.and_then(|element| element[wanted].as_str());
        Ok(text
            .with_context(|| {
                format!(
                    "\"{}\": no {wanted} where {member} = {value}; the play cannot go on",
                    self.title
                )
            })?
            .to_owned())
    }
}

/// The list an answer is, or the one it holds.
fn list(body: &Value) -> &[Value] {
    let inner = || {
        body.as_object()
            .and_then(|object| object.values().find_map(Value::as_array))
    };
    body.as_array().or_else(inner).map_or(&[], Vec::as_slice)
}

/// JSON with a line a member and a line an element, long texts cut.
fn pretty(body: &str) -> String {
    match serde_json::from_str(body) {
        Ok(Value::Object(members)) => {
            let lines = members
                .iter()
                .map(|(name, value)| format!("        {name}: {}", rows(value, "          ")));
            format!("{{\n{}\n      }}", lines.collect::<Vec<_>>().join("\n"))
        }
        Ok(other) => rows(&other, "        "),
        Err(_) => shortened(body),
    }
}

fn rows(value: &Value, indent: &str) -> String {
    match value {
        Value::Array(elements) if elements.iter().any(Value::is_object) => {
            let lines = elements
                .iter()
                .map(|element| format!("{indent}{}\n", short(element)));
            format!("[\n{}{}]", lines.collect::<String>(), &indent[2..])
        }
        other => short(other),
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", shortened(text)),
        Value::Array(elements) => format!(
            "[{}]",
            elements.iter().map(short).collect::<Vec<_>>().join(", ")
        ),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| format!("{name}: {}", short(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= 3 * SHOWN {
        return text.to_owned();
    }
    let start: String = text.chars().take(SHOWN).collect();
    format!("{start}… ({count} characters)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, body: &Value) -> Answer {
        Answer {
            status,
            headers: vec![("www-authenticate".into(), "Bearer error=\"x\"".into())],
            body: body.to_string(),
        }
    }

    fn broken(expect: &Expect, status: u16, body: &Value) -> bool {
        expect.broken(&answer(status, body), body).is_some()
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        let body = json!({"members": [{"email": "a"}], "name": "x"});
        assert!(broken(&Expect::Status(201), 200, &body));
        assert!(broken(&Expect::Is("/name", json!("y")), 200, &body));
        assert!(broken(&Expect::Present("/org_id"), 200, &body));
        assert!(broken(&Expect::Holds("email", json!("b")), 200, &body));
        assert!(broken(&Expect::Count(2), 200, &body));
        assert!(broken(
            &Expect::Header("www-authenticate", "invalid_token"),
            200,
            &body
        ));
    }

    #[test]
    fn what_is_as_promised_passes() {
        let body = json!({"members": [{"email": "a"}], "name": "x"});
        for expect in [
            Expect::Status(200),
            Expect::Is("/name", json!("x")),
            Expect::Present("/members"),
            Expect::Holds("email", json!("a")),
            Expect::Count(1),
            Expect::Header("www-authenticate", "Bearer"),
        ] {
            assert!(!broken(&expect, 200, &body));
        }
    }

    #[test]
    fn a_long_text_is_cut_when_shown() {
        assert!(shortened(&"x".repeat(500)).ends_with("(500 characters)"));
    }
}
