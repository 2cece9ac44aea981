//! The server under fault: its configuration, its store, its process.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokensmith_xtask::{
    http::Request,
    process::{Scratch, Server, free_port},
};

/// Which store a run is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// A configuration in a directory of its own.
pub(crate) struct Ground {
    scratch: Scratch,
    binary: PathBuf,
    pub(crate) port: u16,
}

impl Ground {
    /// An empty store on this engine, with its data below `data` or in the temporary directory.
    pub(crate) fn new(binary: &Path, engine: Engine, data: Option<&Path>) -> Result<Self> {
        let ground = Self {
            scratch: Scratch::new("faults")?,
            binary: binary.to_owned(),
            port: free_port()?,
        };
        let data = data.map_or_else(|| ground.scratch.path("data"), Path::to_owned);
        let database = match engine {
            Engine::Sqlite => "sqlite:tokensmith.db".to_owned(),
            Engine::Postgres => postgres_database(std::process::id(), ground.port)?,
        };
        let port = ground.port;
        // Hashing is as cheap as it can be: this is about the store. Workers claim addresses of their own.
        let text = format!(
            "issuer = \"http://127.0.0.1:{port}\"\nlisten = [\"127.0.0.1:{port}\"]\ndata_dir = {data:?}\n\
             database = {database:?}\nmaster_key = {:?}\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
             [rate_limit]\nrequests_per_minute = 4000000000\n[hashing]\nmemory = \"64 KiB\"\niterations = 1\n\
             [log]\nfilter = \"warn\"\n",
            master_key()?
        );
        std::fs::write(ground.config(), text)?;
        Ok(ground)
    }

    fn config(&self) -> PathBuf {
        self.scratch.path("tokensmith.toml")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.scratch.path("log")
    }

    /// Starts the server; how long it took until it was ready.
    pub(crate) fn start(&self) -> Result<(Server, Duration)> {
        let mut command = self.command(["serve"]);
        let mut server = Server::start(&mut command, &self.log())?;
        let ready = server.wait_for(&Request::new("GET", self.port, "/ready"))?;
        Ok((server, ready))
    }

    fn command<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TOKENSMITH_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).arg("--config").arg(self.config());
        command
    }

    /// `tokensmith audit verify`: refused when the chain is broken.
    pub(crate) fn verify_audit(&self) -> Result<()> {
        let output = self.command(["audit", "verify"]).output()?;
        ensure!(output.status.success(), "audit verify: {}", said(&output));
        Ok(())
    }

    /// Every audit line as the server wrote it.
    pub(crate) fn audit(&self) -> Result<Vec<Value>> {
        let output = self.command(["audit", "export"]).output()?;
        ensure!(output.status.success(), "audit export: {}", said(&output));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let records = text.lines().filter_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            serde_json::from_str(line["record"].as_str()?).ok()
        });
        Ok(records.collect())
    }
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// 32 bytes of the system's randomness, in base64 without padding: 42 letters and one that carries 4 bits.
fn master_key() -> Result<String> {
    use std::io::Read;
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = [0; 43];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    random[42] &= 0b11_1100;
    let letters = random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 63)]));
    Ok(letters.collect())
}

/// Creates a database in the cluster of `TOKENSMITH_TEST_POSTGRES_URL`; its URL.
fn postgres_database(process: u32, port: u16) -> Result<String> {
    let url = std::env::var("TOKENSMITH_TEST_POSTGRES_URL")
        .context("PostgreSQL is needed: eval \"$(scripts/services start)\" first, or set TOKENSMITH_TEST_POSTGRES_URL")?;
    let name = format!("faults_{process}_{port}");
    let created = Command::new(psql())
        .args([url.as_str(), "-qc", &format!("CREATE DATABASE {name}")])
        .output()
        .context("running psql")?;
    ensure!(
        created.status.success(),
        "CREATE DATABASE: {}",
        said(&created)
    );
    let (server, _) = url
        .rsplit_once('/')
        .context("the URL of PostgreSQL names a database")?;
    Ok(format!("{server}/{name}"))
}

/// Debian keeps the newest one out of PATH beside the server.
fn psql() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let found = versions
        .map(|version| version.path().join("bin/psql"))
        .find(|path| path.exists());
    found.unwrap_or_else(|| "psql".into())
}
