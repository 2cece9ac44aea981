//! The two servers of the demo: the authorization server with its demo data and the chat service, both on free ports,
//! with everything they write in a temporary directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use tokensmith_xtask::http::Request;
use tokensmith_xtask::process::{Scratch, Server, free_port};

/// The chat service's client, from the demo data.
pub(crate) const SERVICE: &str = "chat-api-service";
/// Its secret, as public as the rest of the demo data.
pub(crate) const SECRET: &str = "your-service-secret-change-in-production";

pub(crate) struct Stage {
    auth_port: u16,
    chat_port: u16,
    // Dropped in this order: servers first, their files last.
    _chat: Server,
    _auth: Server,
    _scratch: Scratch,
}

impl Stage {
    /// Starts both servers and waits until they are ready.
    pub(crate) fn set() -> Result<Self> {
        let scratch = Scratch::new("demo")?;
        let (auth_port, chat_port) = (free_port()?, free_port()?);
        let mut auth = Server::start(
            &mut auth_command(auth_port, &scratch)?,
            &scratch.path("auth.log"),
        )?;
        let ready = auth.wait_for(&Request::new("GET", auth_port, "/ready"))?;
        println!(
            "Authorization server: http://127.0.0.1:{auth_port}, ready after {} ms",
            ready.as_millis()
        );
        let mut chat = Server::start(
            &mut chat_command(auth_port, chat_port, &scratch)?,
            &scratch.path("chat.log"),
        )?;
        let ready = chat.wait_for(&Request::new("GET", chat_port, "/health"))?;
        println!(
            "Chat service:         http://127.0.0.1:{chat_port}, ready after {} ms",
            ready.as_millis()
        );
        Ok(Self {
            auth_port,
            chat_port,
            _chat: chat,
            _auth: auth,
            _scratch: scratch,
        })
    }

    /// A request to the authorization server.
    pub(crate) fn auth(&self, method: &'static str, path: &str) -> Request {
        Request::new(method, self.auth_port, path)
    }

    /// A request to the chat service.
    pub(crate) fn chat(&self, method: &'static str, path: &str) -> Request {
        Request::new(method, self.chat_port, path)
    }
}

fn auth_command(port: u16, scratch: &Scratch) -> Result<Command> {
    let mut command = Command::new(binary("TOKENSMITH_BIN", "tokensmith")?);
    command
        .args(["dev", "--port", &port.to_string(), "--data"])
        .arg(scratch.path("auth"));
    Ok(command)
}

fn chat_command(auth_port: u16, chat_port: u16, scratch: &Scratch) -> Result<Command> {
    // As `dev` names itself.
    let auth = format!("http://localhost:{auth_port}");
    let mut command = Command::new(binary("CHAT_BIN", "chat")?);
    command.envs([
        ("AUTH_API_URL", auth.as_str()),
        ("AUTH_API_ISSUER", &auth),
        ("SERVICE_CLIENT_ID", SERVICE),
        ("SERVICE_CLIENT_SECRET", SECRET),
        ("SERVICE_TOKEN_URL", &format!("{auth}/oauth/token")),
        ("SERVICE_SCOPE", "groups:read members:read"),
        ("CHAT_PORT", &chat_port.to_string()),
    ]);
    command.env("CHAT_DATA", scratch.path("chat"));
    Ok(command)
}

/// The program named by the environment, else the one built beside this one.
fn binary(variable: &str, name: &str) -> Result<PathBuf> {
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join(name));
    let path = std::env::var_os(variable)
        .map(PathBuf::from)
        .or_else(beside)
        .unwrap_or_default();
    ensure!(
        Path::exists(&path),
        "{} is not built: run scripts/demo, which builds it",
        path.display()
    );
    Ok(path)
}
