//! Configuration: one TOML file, the environment over it, secrets from files, every problem at once.
//! Each setting is one documented field below; `docs/reference/config.md` is written from them.
//! Refuses unknown keys, known secrets, and an issuer over plain HTTP that is not loopback.

mod duration;
mod layers;
mod loaded;
mod log_filter;
mod mail;
mod place;
mod rate;
mod reference;
mod secret;
mod section;
mod tls;
mod value;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokensmith_jose::Algorithm;
use tokensmith_oauth2::Secret;

pub use self::loaded::{ConfigError, Loaded};
pub use self::log_filter::LogFilter;
pub use self::mail::{MailDelivery, MailSettings, Sender, SmtpTls};
pub use self::place::{Cidr, Database, Issuer};
pub use self::rate::{NamedQuota, Quota, Rate};
pub use self::reference::reference;
pub use self::secret::{MasterKey, SharedSecret};
pub use self::section::{Field, Problem, Section};
pub use self::tls::{CertificateHeader, CertificateProxies, ClientCertificates, Mtls, Tls};
pub use self::value::{ByteSize, Setting};

use self::section::{Reader, section, words};

section! {
    /// Everything the server is told at start.
    pub struct Config at "" {
        /// The issuer identifier (RFC 8414): the URL under which everybody reaches this server.
        /// It is compared and sent exactly as written. Plain http is for loopback only.
        issuer: Issuer,
        /// Addresses to listen on.
        listen: Vec<SocketAddr> = "127.0.0.1:8000",
        /// Directory of the embedded database and of files the server writes itself.
        data_dir: PathBuf = "tokensmith-data",
        /// The store. A relative SQLite path starts at `data_dir`.
        database: Database = "sqlite:tokensmith.db",
        /// The key under which signing keys and stored tokens are sealed.
        /// `serve` needs it; `dev` makes one in its data directory.
        master_key: Option<MasterKey>,
        /// Redis or Valkey for shared rate limits and cache hints. Without it the server works on its own.
        redis_url: Option<Secret>,
        /// Audience of access tokens when a client names no `resource` (RFC 8707). Left out, the issuer.
        default_audience: Option<String>,
        /// Address blocks of reverse proxies. Only from these does `trusted_proxy_header` count.
        trusted_proxies: Vec<Cidr>,
        /// The one header field in which the proxies name the client (the other one is ignored, because
        /// a proxy passes on what it does not know): `x-forwarded-for` or `forwarded` (RFC 7239).
        trusted_proxy_header: ProxyHeader = "x-forwarded-for",
        /// Create the demo organizations, users and clients. Only `tokensmith dev` may.
        demo: bool = "false",
    }
    parts {
        /// Lifetimes and signatures of tokens.
        tokens: Tokens,
        /// Sessions of signed-in users.
        session: SessionSettings,
        /// TLS on the server's own sockets.
        tls: Tls,
        /// Client certificates (RFC 8705).
        mtls: Mtls,
        /// A process that holds signing keys.
        external_signer: ExternalSigner,
        /// Proofs of possession.
        dpop: Dpop,
        /// Limits of the listener.
        limits: Limits,
        /// How clients authenticate.
        client_auth: ClientAuth,
        /// Asking for URLs that clients and issuers registered.
        fetch: Fetch,
        /// Limits per caller.
        rate_limit: RateLimit,
        /// Log lines.
        log: Log,
        /// OpenTelemetry export.
        otel: Otel,
        /// The audit log.
        audit: Audit,
        /// Mail to users.
        mail: MailSettings,
        /// Password hashing.
        hashing: Hashing,
        /// What a new password must be.
        passwords: PasswordSettings,
        /// Sizes of caches.
        cache: Cache,
    }
}

section! {
    /// Lifetimes and signatures of tokens.
    pub struct Tokens at "tokens." {
        /// Life of an access token.
        access_token_lifetime: Duration = "15m",
        /// Life of a family of refresh tokens, counted from sign-in.
        refresh_token_lifetime: Duration = "30d",
        /// A refresh token that is not used for so long is over, and its family with it. A client may have its own
        /// (`refresh_token_idle_seconds`). Never longer than the family.
        refresh_token_idle_lifetime: Duration = "14d",
        /// Whether every use of a refresh token answers with a new one.
        refresh_token_rotation: bool = "true",
        /// Life of an ID token.
        id_token_lifetime: Duration = "1h",
        /// Life of an authorization code (at most 60 s by the security profile this server follows).
        authorization_code_lifetime: Duration = "60s",
        /// Signature of access tokens.
        signing_algorithm: Algorithm = "ES256",
        /// Age at which a signing key is replaced.
        signing_key_lifetime: Duration = "90d",
        /// Time for which a new signing key is published before it signs.
        signing_key_notice: Duration = "1d",
        /// Secret shared with older services that check HS256 tokens.
        /// Only resources marked as legacy get such tokens; it has no other use.
        legacy_shared_secret: Option<SharedSecret>,
    }
}

section! {
    /// Sessions of signed-in users.
    pub struct SessionSettings at "session." {
        /// Longest life of a session, however busy. Left out, `tokens.refresh_token_lifetime`.
        lifetime: Option<Duration>,
        /// A session that is not used for so long is over. Left out, only its lifetime ends it.
        idle_lifetime: Option<Duration>,
        /// How long ago a user may have proved who they are who changes factors; past it 403 `reauth_required`.
        recent_authentication: Duration = "15m",
        /// Whether everybody must have a second factor. Who has none sets one up at the next sign-in.
        second_factor_required: bool = "false",
        /// How long a device is remembered on which a user asked not to be asked for the second factor.
        remembered_device_lifetime: Duration = "30d",
    }
}

section! {
    /// A process that holds signing keys, such as the agent of a hardware module (docs/guide/signing-keys.md).
    pub struct ExternalSigner at "external_signer." {
        /// The Unix socket it listens on. Left out, every signing key is this server's own.
        socket: Option<PathBuf>,
        /// Longest time for one signature, waiting for a connection included; past it 503.
        timeout: Duration = "2s",
        /// Most connections to it, and so most signatures at once.
        connections: NonZeroUsize = "16",
    }
}

section! {
    /// Proofs of possession (DPoP, RFC 9449).
    pub struct Dpop at "dpop." {
        /// Whether every proof must repeat a nonce of this server. A proof is then at most 5 minutes old by this
        /// server's clock, and nobody can make proofs ahead of time. Costs a client one more request now and then.
        require_nonce: bool = "false",
    }
}

section! {
    /// Limits of the listener. Past a limit a request is refused, never queued without end.
    pub struct Limits at "limits." {
        /// Largest request body; past it 413.
        body: ByteSize = "256 KiB",
        /// Largest request line and header fields together; past it 431.
        header_bytes: ByteSize = "16 KiB",
        /// Most header fields; past it 431.
        header_count: NonZeroUsize = "100",
        /// Longest time from the end of the header to the answer, slow bodies included; past it 408 or 503.
        request_timeout: Duration = "30s",
        /// Longest time for sending a request header; past it the connection is closed.
        header_read_timeout: Duration = "15s",
        /// Longest pause between two requests on one connection.
        idle_timeout: Duration = "60s",
        /// Most open connections; past it the idle ones are closed and the next one is answered 503.
        max_connections: NonZeroUsize = "16384",
        /// Most requests at work at once; past it 503.
        max_in_flight: NonZeroUsize = "4096",
        /// Time at shutdown in which kept-alive connections may send one more request and are then closed.
        drain_notice: Duration = "1s",
        /// Longest time at shutdown for requests at work; after it they are cut off.
        drain_timeout: Duration = "8s",
    }
}

section! {
    /// How clients authenticate.
    pub struct ClientAuth at "client_auth." {
        /// Longest life of an assertion by which a client authenticates, from its `iat` to its `exp`.
        assertion_lifetime: Duration = "5m",
        /// Whether `client_secret_jwt` is taken (HS256). Its clients' secrets are kept sealed instead of hashed, because
        /// they are keys; `private_key_jwt` is better in every way.
        client_secret_jwt: bool = "false",
    }
}

section! {
    /// Asking for URLs that clients and issuers registered, such as a `jwks_uri`. https and public addresses only;
    /// certificates are judged by the system's roots (`SSL_CERT_FILE` names others).
    pub struct Fetch at "fetch." {
        /// Address blocks inside your network that may be asked, besides public addresses.
        allowed_addresses: Vec<Cidr>,
        /// Whether plain http to this machine itself is allowed. For development and tests.
        plain_http_to_loopback: bool = "false",
    }
}

section! {
    /// Limits per caller. A rate is so many in so much time, such as `60/1m`: all of them at once, or spread evenly.
    /// An IPv6 address counts with its whole /64. With `redis_url` all nodes count together.
    pub struct RateLimit at "rate_limit." {
        /// Requests a minute for one client at one address, at the older machine-to-machine paths.
        requests_per_minute: NonZeroU32 = "60",
        /// Requests of one client at one address, at the OAuth endpoints and as a service at the JSON APIs.
        client: Rate = "off",
        /// Requests of one user at the JSON APIs, from wherever.
        account: Rate = "off",
        /// Requests of one caller that need a scope, for each scope named here, such as `groups:read=600/1m`.
        scopes: Vec<NamedQuota>,
        /// Requests of one address to an endpoint, for each path named here, such as `/oauth/token=600/1m`.
        /// A path stands as in the API description: `/api/auth/groups/{group_id}`.
        endpoints: Vec<NamedQuota>,
        /// Failed sign-ins of one address for one name.
        sign_in_failures: Rate = "10/20s",
        /// The same over a longer time: who goes on guessing waits longer.
        sign_in_failures_long: Rate = "50/1h",
        /// Names that one address fails to sign in with. Past it the address is recorded as suspicious, and no name can
        /// be tried from there until the rate allows another.
        sign_in_names_per_address: Rate = "30/30m",
        /// Failed sign-ins of one address, whatever the names.
        sign_in_failures_per_address: Rate = "100/100s",
        /// Wrong secrets of one address for one client.
        client_failures: Rate = "20/1m",
        /// Wrong secrets of one address, whatever the clients.
        client_failures_per_address: Rate = "300/5m",
        /// Refused assertions of workloads from one address.
        workload_failures: Rate = "20/1m",
        /// Registrations from one address.
        registrations: Rate = "300/5m",
        /// Mail that one address asks for by naming an e-mail address: new passwords, new codes.
        mail_requests: Rate = "30/10m",
        /// Unknown e-mail addresses that one user may name as a new member.
        unknown_addresses: Rate = "20/1m",
        /// Longest wait for Redis; past it, and while it is down, each node counts on its own.
        redis_timeout: Duration = "50ms",
    }
}

section! {
    /// Log lines, written to standard error.
    pub struct Log at "log." {
        /// `json` for machines, `text` for people.
        format: LogFormat = "json",
        /// What to log, as a level or as `target=level` pairs with commas, such as `info,tokensmith::access=debug`.
        /// Libraries never log below `info`, because some of them print what they send.
        filter: LogFilter = "info",
    }
}

section! {
    /// OpenTelemetry export.
    pub struct Otel at "otel." {
        /// Base URL of an OTLP/HTTP collector, such as `http://127.0.0.1:4318`. Left out, nothing is exported.
        endpoint: Option<String>,
        /// `service.name` of the exported spans.
        service_name: String = "tokensmith",
        /// One request in this many is traced; a caller's sampled `traceparent` always is.
        sample_one_in: NonZeroU32 = "1",
    }
}

section! {
    /// The audit log.
    pub struct Audit at "audit." {
        /// Whether stateless grants and refusals leave an audit line. What changes rights always does.
        enabled: bool = "true",
        /// When the line of a stateless access token is safe: `crash` survives the end of the process,
        /// `power` also the loss of power. What changes rights is always `power`.
        durability: Durability = "crash",
        /// Lines between two signed checkpoints.
        checkpoint_every: NonZeroU32 = "1000",
    }
}

section! {
    /// Password hashing with Argon2id.
    pub struct Hashing at "hashing." {
        /// Memory of one hash.
        memory: ByteSize = "19 MiB",
        /// Passes over the memory.
        iterations: NonZeroU32 = "2",
        /// Threads that hash.
        threads: NonZeroUsize = "2",
        /// Most sign-ins waiting for such a thread; past it 503.
        queue: NonZeroUsize = "64",
    }
}

section! {
    /// What a new password must be, besides 8 to 128 characters (docs/guide/passwords.md).
    pub struct PasswordSettings at "passwords." {
        /// Least strength by zxcvbn: `0` (any) to `4` (takes more than 10^10 guesses).
        strength: PasswordStrength = "2",
        /// Whether passwords that everybody tries are refused.
        refuse_common: bool = "true",
        /// File of breached passwords, made by `tokensmith passwords build-breached`. Left out, none are known.
        breached_file: Option<PathBuf>,
    }
}

section! {
    /// Sizes of caches, in entries.
    pub struct Cache at "cache." {
        /// Clients with their rights.
        clients: NonZeroUsize = "10000",
        /// Successful checks of low-entropy client secrets.
        secret_checks: NonZeroUsize = "10000",
        /// Introspected tokens and sessions.
        tokens: NonZeroUsize = "10000",
    }
}

words! {
    /// Least strength of a password, as zxcvbn's score.
    pub enum PasswordStrength {
        /// Any.
        Any = "0",
        /// More than 10^3 guesses.
        VeryGuessable = "1",
        /// More than 10^6 guesses.
        SomewhatGuessable = "2",
        /// More than 10^8 guesses.
        SafelyUnguessable = "3",
        /// More than 10^10 guesses.
        VeryUnguessable = "4",
    }
    form "\"0\", \"1\", \"2\", \"3\" or \"4\""
}

words! {
    /// The header field in which proxies name the client.
    pub enum ProxyHeader {
        /// `X-Forwarded-For`.
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded` (RFC 7239).
        Forwarded = "forwarded",
    }
    form "\"x-forwarded-for\" or \"forwarded\""
}

words! {
    /// The form of log lines.
    pub enum LogFormat {
        /// One JSON object a line.
        Json = "json",
        /// One readable line.
        Text = "text",
    }
    form "\"json\" or \"text\""
}

words! {
    /// When an audit line of a stateless token is safe.
    pub enum Durability {
        /// Survives the end of the process.
        Crash = "crash",
        /// Survives the loss of power.
        Power = "power",
    }
    form "\"crash\" or \"power\""
}

/// The reverse proxies in front of the server.
#[derive(Debug, Clone)]
pub struct TrustedProxies {
    /// Where they are.
    pub blocks: Vec<Cidr>,
    /// Where they name the client.
    pub header: ProxyHeader,
}

impl Config {
    /// The configuration of `serve`. See [`Loaded::from`].
    ///
    /// # Errors
    /// Every problem of form and every broken rule, each with its key.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Loaded::from(file, env).map(|loaded| loaded.config)
    }

    /// The configuration of `tokensmith dev`: loopback, one SQLite file, demo data, readable logs.
    pub fn dev(port: u16, data_dir: &Path) -> Self {
        let loopback = [SocketAddr::from(([127, 0, 0, 1], port))];
        let mut config = Self::with_defaults(&format!("http://localhost:{port}"));
        config.listen = loopback.to_vec();
        config.database = config.database.under(data_dir);
        config.data_dir = data_dir.to_owned();
        config.default_audience = Some("https://api.activity.com".to_owned());
        config.log.format = LogFormat::Text;
        config.mail.delivery = MailDelivery::Screen;
        config.demo = true;
        config
    }

    fn with_defaults(issuer: &str) -> Self {
        let mut reader = Reader::default();
        let given = section::Given {
            value: issuer.into(),
            origin: "dev".to_owned(),
        };
        reader.given.insert("issuer".to_owned(), given);
        Self::read(&mut reader).expect("the tests read every default and a loopback issuer")
    }

    fn finish(mut reader: Reader) -> Result<Self, ConfigError> {
        let config = Self::read(&mut reader);
        if config
            .as_ref()
            .is_some_and(|config| config.listen.is_empty())
        {
            reader.note("`listen` must name at least one address.".to_owned());
        }
        match config {
            Some(config) if reader.problems.is_empty() => Ok(config.settled()),
            _ => Err(ConfigError {
                problems: reader.problems,
            }),
        }
    }

    /// Relative paths and what follows from other settings, worked out once.
    fn settled(mut self) -> Self {
        self.database = self.database.under(&self.data_dir);
        self
    }

    /// The proxies whose word on the client's address counts.
    pub fn proxies(&self) -> TrustedProxies {
        TrustedProxies {
            blocks: self.trusted_proxies.clone(),
            header: self.trusted_proxy_header,
        }
    }

    /// The audience of a token for which no resource was named.
    pub fn audience(&self) -> &str {
        self.default_audience
            .as_deref()
            .unwrap_or(self.issuer.as_str())
    }
}
