//! One server for one test.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokensmith_oauth2::{ClientId, GrantType, Scope, Secret};
use tokensmith_server::{
    app::App,
    client_auth,
    config::{ByteSize, Config, MasterKey},
    entropy::Entropy,
    listen,
    now::Clock,
    start,
};
use tokensmith_store::{
    AuditContext, AuditRecord, AuthMethod, Client, ClientSecret, PasswordHash, PutScope,
    RegisterClient, RegisterUser, ScopeDeclaration, Timestamp, UserId, UserRegistration,
};
use tokio::task::JoinHandle;

use crate::{Anonymous, Authority, Identity, Names, Service, User};

/// The password of every user that [`TestServer::user`] makes.
pub const SIGN_IN_PASSWORD: &str = "correct horse battery staple";
/// When every test begins: 2026-11-20T18:00:00Z.
const BEGINNING: i64 = 1_795_197_600_000;
/// What the demo declares of groups: a token, and what it implies.
const SCOPES: [(&str, &[&str]); 7] = [
    ("groups:admin", &["groups:write"]),
    ("groups:write", &["groups:read"]),
    ("groups:read", &[]),
    ("members:read", &[]),
    ("openid", &[]),
    ("profile", &[]),
    ("email", &[]),
];

/// A server that listens on loopback until it is dropped.
pub struct TestServer {
    app: App,
    base: String,
    http: reqwest::Client,
    millis: Arc<AtomicI64>,
    serving: JoinHandle<()>,
    directory: TempDir,
    tls: Option<Tls>,
}

/// What a server with TLS was started with.
pub struct Tls {
    /// Signed the server's certificate.
    pub server_authority: Authority,
    /// The authority of clients, named in `mtls.client_ca_file`.
    pub client_authority: Authority,
    /// Where clients are asked for a certificate, without a slash at the end.
    pub mtls_base: String,
}

impl TestServer {
    /// Starts a server with the settings of `dev`, cheap hashing and no demo data.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts a server with settings of its own.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::start_in(directory, None, change).await
    }

    /// Starts a server that speaks TLS, and asks for client certificates on a second address.
    pub async fn start_tls(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let tls = Tls {
            server_authority: Authority::new("servers"),
            client_authority: Authority::new("clients"),
            mtls_base: String::new(),
        };
        let at = |name: &str| directory.path().join(name);
        let (certificate, key, authorities) =
            (at("server.pem"), at("server.key"), at("clients.pem"));
        let server = tls
            .server_authority
            .certifies(Names::of("server").ip([127, 0, 0, 1].into()));
        server.write(&certificate, &key);
        std::fs::write(&authorities, tls.client_authority.pem()).expect("a file");
        let change = |config: &mut Config| {
            config.tls.certificate_file = Some(certificate);
            config.tls.private_key_file = Some(key);
            config.mtls.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
            config.mtls.client_ca_file = Some(authorities);
            change(config);
        };
        Self::start_in(directory, Some(tls), change).await
    }

    async fn start_in(
        directory: TempDir,
        tls: Option<Tls>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = listen::bind(&[loopback]).expect("loopback has a free port");
        let port = listeners[0].local_addr().expect("a bound socket").port();
        let mut config = Config::dev(port, directory.path());
        config.demo = false;
        config.hashing.memory = ByteSize::new(64 << 10);
        config.hashing.iterations = std::num::NonZeroU32::MIN;
        let key = std::array::from_fn(|i| i as u8 ^ 0x5a);
        config.master_key = Some(MasterKey::new(key));
        change(&mut config);
        let millis = Arc::new(AtomicI64::new(BEGINNING));
        let clock = Clock::Settable(millis.clone());
        let asking = listen::bind(&config.mtls.listen).expect("loopback has a free port");
        let mtls_port = asking
            .first()
            .map(|socket| socket.local_addr().expect("a bound socket").port());
        let sockets = listen::Sockets {
            usual: listeners,
            asking,
        };
        let mut http = reqwest::Client::builder();
        if let Some(tls) = &tls {
            http = http.tls_certs_only([tls.server_certificate()]);
        }
        let app = App::open(config, clock, Entropy::seeded(7)).await;
        let app = app.expect("the server opens");
        declare_scopes(&app).await;
        let serving = start::serve(app.clone(), sockets, std::future::pending());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mtls_base = format!("https://127.0.0.1:{}", mtls_port.unwrap_or(0));
        Self {
            serving: tokio::spawn(async move { serving.await.expect("the server serves") }),
            base: format!("{scheme}://127.0.0.1:{port}"),
            http: http.build().expect("an HTTP client"),
            app,
            millis,
            directory,
            tls: tls.map(|tls| Tls { mtls_base, ..tls }),
        }
    }

    /// What the server shares among its requests: for arranging a test and for looking behind its answers.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Where it listens, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The instant it is.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::Relaxed))
    }

    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).expect("a span of a test");
        self.millis.fetch_add(millis, Ordering::Relaxed);
    }

    /// Somebody without a token.
    pub fn anonymous(&self) -> Anonymous {
        Anonymous::new(self.base.clone(), self.http.clone())
    }

    /// What it speaks TLS with.
    pub fn tls(&self) -> &Tls {
        self.tls.as_ref().expect("started with TLS")
    }

    /// Its directory, with the files of its certificate: `server.pem`, `server.key`, `clients.pem`.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Somebody without a token who shows a certificate where it is asked for.
    pub fn with_certificate(&self, identity: &Identity) -> Anonymous {
        let tls = self.tls();
        let http = reqwest::Client::builder().tls_certs_only([tls.server_certificate()]);
        let http = http.identity(identity.for_reqwest()).build();
        Anonymous::new(tls.mtls_base.clone(), http.expect("an HTTP client"))
    }

    /// A user `name@example.com` who is new, and signed in.
    pub async fn user(&self, name: &str) -> User {
        let email = format!("{name}@example.com");
        self.registered(&email).await;
        User::sign_in(self, email, SIGN_IN_PASSWORD).await
    }

    /// A new user who has not signed in.
    pub async fn registered(&self, email: &str) -> UserId {
        let password = Secret::from(SIGN_IN_PASSWORD);
        let hash = self
            .app
            .hashing()
            .hash(password, self.app.entropy().bytes());
        let hash = hash.await.expect("a hashing thread");
        let id = UserId::from(self.app.entropy().uuid(self.now()));
        let user = RegisterUser {
            id: id.clone(),
            email: email.to_owned(),
            username: None,
            password_hash: Some(PasswordHash::new(hash)),
            roles: Vec::new(),
            context: AuditContext::operator(self.now()),
        };
        let outcome = self
            .app
            .store()
            .write(user)
            .await
            .expect("the store writes");
        assert_eq!(outcome, UserRegistration::Created, "{email}");
        id
    }

    /// A new service with this scope, and a token for all of it.
    pub async fn service(&self, client_id: &str, scope: &str) -> Service {
        let secret = client_auth::new_secret(self.app.entropy());
        let hash = client_auth::hash_secret(self.app.hashing(), self.app.entropy(), &secret);
        let now = self.now();
        let client = Client {
            client_id: ClientId::parse(client_id).expect("a client id"),
            name: client_id.to_owned(),
            auth_method: AuthMethod::ClientSecretBasicOrPost,
            secrets: vec![ClientSecret {
                id: "first".to_owned(),
                hash: hash.await.expect("a hashing thread"),
                created_at: now.as_millis(),
                expires_at: None,
            }],
            grant_types: vec![GrantType::ClientCredentials],
            scope: Scope::parse(scope).expect("a scope"),
            resources: Vec::new(),
            redirect_uris: Vec::new(),
            role: None,
            access_token_seconds: None,
            rotates_refresh_tokens: true,
            metadata: tokensmith_store::ClientMetadata::default(),
            is_active: true,
            created_at: now,
            updated_at: now,
        };
        let context = AuditContext::operator(now);
        let registration = RegisterClient { client, context };
        self.app
            .store()
            .write(registration)
            .await
            .expect("the store writes");
        Service::authorized(self, client_id, secret.expose().to_owned(), scope).await
    }

    /// The newest lines of the audit log, oldest first.
    pub async fn audit(&self) -> Vec<AuditRecord> {
        let newest = self.app.store().audit_newest(1000).await;
        let mut records = newest.expect("the store reads");
        records.reverse();
        records
    }

    /// The words of the events in the audit log, oldest first.
    pub async fn audit_events(&self) -> Vec<String> {
        let records = self.audit().await;
        records.into_iter().map(|record| record.event).collect()
    }
}

impl Tls {
    fn server_certificate(&self) -> reqwest::Certificate {
        reqwest::Certificate::from_pem(self.server_authority.pem().as_bytes())
            .expect("a certificate")
    }
}

async fn declare_scopes(app: &App) {
    let context = AuditContext::operator(app.clock().now());
    for (name, implies) in SCOPES {
        let scope = ScopeDeclaration {
            name: name.to_owned(),
            description: String::new(),
            implies: implies.iter().map(|&implied| implied.to_owned()).collect(),
        };
        let put = PutScope {
            scope,
            context: context.clone(),
        };
        app.store().write(put).await.expect("the store writes");
    }
    let reloaded = app.registry().reload(app.store()).await;
    reloaded.expect("the declarations are usable");
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.serving.abort();
        if std::thread::panicking() {
            return;
        }
        let app = self.app.clone();
        // A thread of its own, because a runtime may not be entered from within another one.
        let verified = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.expect("a runtime");
            runtime
                .block_on(app.store().verify())
                .expect("the store reads")
        });
        let broken = verified.join().expect("the check ends");
        assert!(broken.is_empty(), "the store is not sound: {broken:#?}");
    }
}
