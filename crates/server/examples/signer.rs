//! A signer process of the simplest kind: keys from PEM files of one directory, behind a Unix socket
//! (docs/guide/signing-keys.md). It shows the protocol; put a hardware module's library where `SigningKey` stands.
//!
//! `cargo run -p tokensmith-server --example signer -- DIRECTORY SOCKET`

use std::{
    fs,
    io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    thread,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokensmith_jose::{Algorithm, SigningKey};

/// The longest question, in bytes.
const LONGEST: u64 = 64 << 10;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(directory), Some(socket)) = (arguments.next(), arguments.next()) else {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "usage: signer DIRECTORY SOCKET",
        ));
    };
    serve(&directory, &socket)
}

/// Answers until it is ended, each connection on a thread of its own.
pub(crate) fn serve(directory: &Path, socket: &Path) -> Result<()> {
    let _ = fs::remove_file(socket);
    for connection in UnixListener::bind(socket)?.incoming() {
        let (connection, directory) = (connection?, directory.to_owned());
        thread::spawn(move || converse(&directory, connection));
    }
    Ok(())
}

fn converse(directory: &Path, mut connection: UnixStream) -> Result<()> {
    let mut questions = BufReader::new(connection.try_clone()?);
    loop {
        let mut line = Vec::new();
        let length = (&mut questions)
            .take(LONGEST)
            .read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(());
        }
        let answer = answer(directory, &line).unwrap_or_else(|error| json!({"error": error}));
        writeln!(connection, "{answer}")?;
    }
}

fn answer(directory: &Path, line: &[u8]) -> std::result::Result<Value, String> {
    let question: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let text = |name: &str| question[name].as_str().ok_or(format!("{name} is missing"));
    let name = text("key")?;
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let pem = is_plain.then(|| fs::read(directory.join(format!("{name}.pem"))));
    let pem = pem.and_then(Result::ok).ok_or("there is no such key")?;
    let algorithm = question["alg"].as_str().and_then(Algorithm::from_name);
    let key = SigningKey::from_pem(&pem, algorithm).map_err(|error| error.to_string())?;
    if question["op"] == "public" {
        return Ok(json!({ "jwk": key.public_jwk() }));
    }
    let input = URL_SAFE_NO_PAD
        .decode(text("input")?)
        .map_err(|error| error.to_string())?;
    let signature = key.sign(&input).map_err(|error| error.to_string())?;
    Ok(json!({ "signature": URL_SAFE_NO_PAD.encode(signature) }))
}
