//! Requests on a connection that stays open, and the three ways in which one can end: answered, never sent, unknown.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a request ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Status, header and body arrived whole.
    Answered(Answer),
    /// There was nobody to send it to.
    NotSent,
    /// A new connection was reset before anything came back: it stood in the queue of a socket that was closed.
    TurnedAway,
    /// Something may have been sent, and no whole answer came back.
    Unknown,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: bool,
    pub(crate) body: Value,
    closes: bool,
}

/// A client's connection, opened when it is needed.
#[derive(Debug)]
pub(crate) struct Connection {
    port: u16,
    /// The address the client claims, so that limits per address do not meet one worker for all.
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub(crate) fn new(port: u16, worker: usize) -> Self {
        let address = format!("10.0.{}.{}", worker / 250, worker % 250 + 1);
        Self {
            port,
            address,
            stream: None,
        }
    }

    pub(crate) fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Outcome {
        let pairs: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        self.send(
            "POST",
            path,
            "application/x-www-form-urlencoded",
            "",
            &pairs.join("&"),
        )
    }

    pub(crate) fn json(&mut self, path: &str, body: &Value) -> Outcome {
        self.send("POST", path, "application/json", "", &body.to_string())
    }

    pub(crate) fn get(&mut self, path: &str, access_token: &str) -> Outcome {
        let authorization = format!("Authorization: Bearer {access_token}\r\n");
        self.send("GET", path, "application/json", &authorization, "")
    }

    fn send(&mut self, method: &str, path: &str, kind: &str, more: &str, body: &str) -> Outcome {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: {}\r\nContent-Type: {kind}\r\n{more}\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let is_new = self.stream.is_none();
        let Some(mut stream) = self.stream.take().or_else(|| open(self.port).ok()) else {
            return Outcome::NotSent;
        };
        match exchange(&mut stream, &request) {
            Ok(answer) => {
                self.stream = (!answer.closes).then_some(stream);
                Outcome::Answered(answer)
            }
            Err(error) if is_new && is_reset(&error) => Outcome::TurnedAway,
            Err(_) => Outcome::Unknown,
        }
    }
}

fn open(port: u16) -> Result<BufReader<TcpStream>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

/// Reset while sending or while waiting for the first byte; later the answer is cut short, which is no error of I/O.
fn is_reset(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    let kind = error.downcast_ref().map(std::io::Error::kind);
    matches!(kind, Some(ConnectionReset | BrokenPipe))
}

fn exchange(stream: &mut BufReader<TcpStream>, request: &str) -> Result<Answer> {
    stream.get_mut().write_all(request.as_bytes())?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).context("no status line")?.parse()?;
    let (mut length, mut retry_after, mut closes) = (0, false, false);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            bail!("the header is cut short");
        }
        let field = line.trim_end().to_ascii_lowercase();
        if field.is_empty() {
            break;
        }
        if let Some(value) = field.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        retry_after |= field.starts_with("retry-after:");
        closes |= field == "connection: close";
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Answer {
        status,
        retry_after,
        body,
        closes,
    })
}
