//! One HTTP/1.1 exchange over loopback (RFC 9112), on a connection of its own.
//! Refuses any host but 127.0.0.1: these programs play and load only what they started themselves.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// A request, ready to send or to print.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`.
    pub method: &'static str,
    /// Port on 127.0.0.1.
    pub port: u16,
    /// Path and query.
    pub path: String,
    /// Header fields besides `Host`, `Connection` and `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// Body; empty for none.
    pub body: String,
}

impl Request {
    /// A request without header fields or body.
    pub fn new(method: &'static str, port: u16, path: impl Into<String>) -> Self {
        Self {
            method,
            port,
            path: path.into(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds an RFC 6750 bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// Carries a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string();
        self.header("Content-Type", "application/json")
    }

    /// Carries a form whose values need no percent-encoding beyond that of spaces.
    #[must_use]
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let pairs = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace(' ', "+")));
        self.body = pairs.collect::<Vec<_>>().join("&");
        self.header("Content-Type", "application/x-www-form-urlencoded")
    }

    /// Sends it and reads the whole answer.
    pub fn send(&self) -> Result<Answer> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        stream.write_all(self.wire().as_bytes())?;
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).context("reading the answer")?;
        Answer::parse(&raw).with_context(|| format!("{} {}", self.method, self.path))
    }

    fn wire(&self) -> String {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n",
            self.method, self.path, self.port
        );
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() || self.method != "GET" {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head + "\r\n" + &self.body
    }
}

/// Status, header fields and body of an answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body as text.
    pub body: String,
}

impl Answer {
    /// First header field of that name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` when it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    fn parse(raw: &[u8]) -> Result<Self> {
        let text = String::from_utf8_lossy(raw);
        let (head, rest) = text
            .split_once("\r\n\r\n")
            .context("the answer has no end of header")?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .context("the answer has no status")?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let chunked = headers.iter().any(|(name, value)| {
            name == "transfer-encoding" && value.eq_ignore_ascii_case("chunked")
        });
        let body = if chunked {
            unchunk(rest)?
        } else {
            rest.to_owned()
        };
        Ok(Self {
            status: status.parse().context("status")?,
            headers,
            body,
        })
    }
}

/// RFC 9112 section 7.1, without trailers.
fn unchunk(mut rest: &str) -> Result<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").context("a chunk has no size")?;
        let size =
            usize::from_str_radix(size.trim(), 16).context("a chunk's size is not hexadecimal")?;
        if size == 0 {
            return Ok(body);
        }
        let Some((chunk, next)) = after.split_at_checked(size) else {
            bail!("a chunk is cut short")
        };
        body += chunk;
        rest = next.strip_prefix("\r\n").context("a chunk has no end")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_answer_is_put_together() {
        let raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n";
        let answer = Answer::parse(raw).unwrap();
        assert_eq!((answer.status, answer.json()["a"].as_u64()), (200, Some(1)));
    }

    #[test]
    fn a_short_chunk_is_an_error() {
        assert!(unchunk("a\r\nshort").is_err());
    }

    #[test]
    fn header_names_are_found_in_any_case() {
        let answer =
            Answer::parse(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n\r\n")
                .unwrap();
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}
