//! The measured server: `tokensmith serve` with its defaults on an embedded database, its rate limit out of the way.
//! Clients and users are put there through the store's own operations before it starts.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64URL};
use tokensmith_oauth2::{ClientId, GrantType, Scope};
use tokensmith_store::{
    AuditContext, AuthMethod, Client, ClientSecret, Operation, Options, RegisterClient,
    RegisterUser, SecretHash, Store, Target, Timestamp, UserId,
};
use tokensmith_xtask::http::Request;
use tokensmith_xtask::process::{Scratch, free_port};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::pinned::Pinned;
use crate::wrk::Load;

/// The secret of every client: a generated secret's length and alphabet.
pub(crate) const SECRET: &str = "b9Zk3fQ0w7R5tY2uL8xV6nM4cH1jD0sAeGqPzXoTiKU";
const SCOPE: &str = "groups:read members:read";

/// A server's files, before it starts.
pub(crate) struct Subject {
    scratch: Scratch,
    algorithm: &'static str,
}

impl Subject {
    pub(crate) fn new(name: &str, algorithm: &'static str) -> Result<Self> {
        Ok(Self {
            scratch: Scratch::new(name)?,
            algorithm,
        })
    }

    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Registers so many clients, `bench-0000000` and on, all with the same secret, and as many users.
    pub(crate) fn with_clients_and_users(self, clients: u32, users: u32) -> Result<Self> {
        fs::create_dir_all(self.scratch.path("data"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let now = now();
            let target = Target::Sqlite(self.scratch.path("data").join("tokensmith.db"));
            let store = Arc::new(Store::open(&Options::new(target), now).await?);
            register_clients(&store, clients, now).await?;
            register_users(&store, users, now).await
        })?;
        Ok(self)
    }

    /// Starts `serve` and waits for its first token; the server and its port.
    pub(crate) fn serve(&self) -> Result<(Pinned, u16)> {
        let port = free_port()?;
        let config = self.scratch.path("tokensmith.toml");
        fs::write(&config, self.config(port))?;
        write_private(
            &self.scratch.path("master.key"),
            STANDARD.encode(random_key()?).as_bytes(),
        )?;
        let first = token_request(port, 0);
        let arguments = ["serve".as_ref(), "--config".as_ref(), config.as_os_str()];
        let server = Pinned::start(
            &release("tokensmith")?,
            &arguments,
            &self.scratch.path("server.log"),
            &first,
        )?;
        Ok((server, port))
    }

    fn config(&self, port: u16) -> String {
        format!(
            "issuer = \"http://127.0.0.1:{port}\"\nlisten = [\"127.0.0.1:{port}\"]\ndata_dir = \"{}\"\n\
             master_key_file = \"{}\"\ndefault_audience = \"https://api.activity.com\"\n\
             [tokens]\nsigning_algorithm = \"{}\"\n[rate_limit]\nrequests_per_minute = 4000000000\n",
            self.scratch.path("data").display(),
            self.scratch.path("master.key").display(),
            self.algorithm
        )
    }
}

/// One client_credentials request of client number `client`.
pub(crate) fn token_request(port: u16, client: u32) -> Request {
    let id = format!("bench-{client:07}");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", id.as_str()),
        ("client_secret", SECRET),
        ("scope", SCOPE),
    ];
    Request::new("POST", port, "/oauth/token").form(&form)
}

/// The same as load: one client, or any of `clients` at random when there are more.
pub(crate) fn token_load(port: u16, clients: u32) -> Load {
    let body = token_request(port, 0).body;
    let (body, clients) = if clients > 1 {
        (body.replace("0000000", "@CLIENT@"), clients)
    } else {
        (body, 0)
    };
    Load {
        port,
        path: "/oauth/token",
        body,
        tokens: None,
        collect: None,
        clients,
        connections: 32,
    }
}

/// A text member of the answer to `request`.
pub(crate) fn member(request: &Request, name: &str) -> Result<String> {
    let answer = request.send()?;
    let body = answer.json();
    let text = body[name].as_str();
    Ok(text
        .with_context(|| format!("status {}: {}", answer.status, answer.body))?
        .to_owned())
}

/// Writes so many new refresh tokens of client 0 into a file, each of a family of its own.
pub(crate) fn refresh_tokens(port: u16, file: &Path, count: usize) -> Result<PathBuf> {
    let form = [("username", "bench-0000000"), ("password", SECRET)];
    let sign_in = Request::new("POST", port, "/token").form(&form);
    let tokens: Vec<String> = (0..count)
        .map(|_| member(&sign_in, "refresh_token"))
        .collect::<Result<_>>()?;
    fs::write(file, tokens.join("\n"))?;
    Ok(file.to_owned())
}

/// A program built beside this one.
pub(crate) fn release(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(
        path.exists(),
        "{} is not built: scripts/bench builds it",
        path.display()
    );
    Ok(path)
}

/// Registers clients number 0 and on.
pub(crate) async fn register_clients(store: &Arc<Store>, count: u32, now: Timestamp) -> Result<()> {
    let register = |number| {
        Ok(RegisterClient {
            client: client(number, now)?,
            context: AuditContext::operator(now),
        })
    };
    write_all(store, (0..count).map(register)).await
}

async fn register_users(store: &Arc<Store>, count: u32, now: Timestamp) -> Result<()> {
    let register = |number: u32| {
        Ok(RegisterUser {
            id: UserId::from(Uuid::from_u128(u128::from(number))),
            email: format!("user{number:07}@example.com"),
            username: None,
            password_hash: None,
            roles: Vec::new(),
            context: AuditContext::operator(now),
        })
    };
    write_all(store, (0..count).map(register)).await
}

/// Enough at once for full batches, few enough for memory.
const AT_ONCE: usize = 512;

async fn write_all<O: Operation>(
    store: &Arc<Store>,
    operations: impl Iterator<Item = Result<O>>,
) -> Result<()> {
    let mut writes = JoinSet::new();
    for operation in operations {
        let (store, operation) = (Arc::clone(store), operation?);
        writes.spawn(async move { store.write(operation).await.map(drop) });
        if writes.len() >= AT_ONCE
            && let Some(written) = writes.join_next().await
        {
            written??;
        }
    }
    while let Some(written) = writes.join_next().await {
        written??;
    }
    Ok(())
}

fn client(number: u32, now: Timestamp) -> Result<Client> {
    let hash = digest::digest(&digest::SHA256, SECRET.as_bytes());
    let secret = ClientSecret {
        id: "bench".into(),
        hash: SecretHash::Sha256(BASE64URL.encode(hash)),
        created_at: now.as_millis(),
        expires_at: None,
    };
    Ok(Client {
        client_id: client_id(number)?,
        name: "Bench".into(),
        auth_method: AuthMethod::ClientSecretBasicOrPost,
        secrets: vec![secret],
        grant_types: vec![GrantType::ClientCredentials, GrantType::RefreshToken],
        scope: scope(),
        resources: Vec::new(),
        redirect_uris: Vec::new(),
        role: None,
        access_token_seconds: None,
        rotates_refresh_tokens: true,
        metadata: tokensmith_store::ClientMetadata::default(),
        is_active: true,
        created_at: now,
        updated_at: now,
    })
}

/// `bench-0000007`.
pub(crate) fn client_id(number: u32) -> Result<ClientId> {
    Ok(format!("bench-{number:07}").parse()?)
}

/// What every client of the bench may ask for.
pub(crate) fn scope() -> Scope {
    Scope::parse(SCOPE).unwrap_or_default()
}

fn random_key() -> Result<[u8; 32]> {
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key)?;
    Ok(key)
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .write_all(bytes)?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own, with no request to take the time from"
)]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
