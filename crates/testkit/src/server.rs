//! One server for one test.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
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

use crate::{
    Anonymous, Authority, Browser, Identity, Names, Service, User,
    judged::Judged,
    process::{self, Process, Run, Watch},
};

/// The password of every user that [`TestServer::user`] makes.
pub const SIGN_IN_PASSWORD: &str = "correct horse battery staple";
/// When every test begins: 2026-11-20T18:00:00Z.
const BEGINNING: i64 = 1_795_197_600_000;
/// How a Date header tells it.
pub(crate) const BEGINNING_DATE: &str = "20 Nov 2026 18:00";
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
    serving: Serving,
    fails_on_purpose: AtomicBool,
    directory: TempDir,
    tls: Option<Tls>,
}

/// Who answers.
enum Serving {
    /// A task of this test.
    Here(JoinHandle<()>),
    /// The built program, which shares the store with `app`.
    Process(Process, Watch),
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
        let run = Run::current();
        let any_port = || run.as_ref().map_or(0, |_| process::free_port());
        let loopback = SocketAddr::from(([127, 0, 0, 1], any_port()));
        let listeners = listen::bind(&[loopback]).expect("loopback has a free port");
        let port = listeners[0].local_addr().expect("a bound socket").port();
        let mut config = Config::dev(port, directory.path());
        config.demo = false;
        config.hashing.memory = ByteSize::new(64 << 10);
        config.hashing.iterations = std::num::NonZeroU32::MIN;
        let key = std::array::from_fn(|i| i as u8 ^ 0x5a);
        config.master_key = Some(MasterKey::new(key));
        change(&mut config);
        for address in &mut config.mtls.listen {
            address.set_port(any_port());
        }
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
        let http = client(tls.as_ref());
        let app = App::open(config, clock.clone(), Entropy::seeded(7)).await;
        let app = app.expect("the server opens");
        declare_scopes(&app).await;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mtls_base = format!("https://127.0.0.1:{}", mtls_port.unwrap_or(0));
        let base = format!("{scheme}://127.0.0.1:{port}");
        let (app, serving) = match run {
            Some(run) => {
                // Who serves holds the audit journal, so this test lets go of the store while the process starts.
                let config = app.config().clone();
                drop((app, sockets));
                let mut process = Process::start(run, &config, directory.path(), BEGINNING);
                process.becomes_ready(&http, &base).await;
                let app = App::open(config, clock, Entropy::seeded(8)).await;
                let app = app.expect("the server's store is shared");
                let watch = Watch::new(&app).await;
                (app, Serving::Process(process, watch))
            }
            None => {
                let serving = tokio::spawn(serve(app.clone(), sockets));
                (app, Serving::Here(serving))
            }
        };
        Self {
            serving,
            base,
            http,
            app,
            millis,
            fails_on_purpose: AtomicBool::new(false),
            directory,
            tls: tls.map(|tls| Tls { mtls_base, ..tls }),
        }
    }

    /// Whether the built program answers, rather than a task of this test.
    pub fn is_a_process(&self) -> bool {
        matches!(self.serving, Serving::Process(..))
    }

    /// This test makes the server fail: answers with 500 are no defect.
    pub fn fails_on_purpose(&self) {
        self.fails_on_purpose.store(true, Ordering::Relaxed);
    }

    /// Lets the server read clients, declarations and keys again, as it does after a change by the command line.
    pub async fn reload(&self) {
        let app = &self.app;
        if self.is_a_process() {
            declare_scopes(app).await;
        }
        let declared = app.registry().reload(app.store()).await;
        declared.expect("the declarations are usable");
        let keys = app
            .keys()
            .reload(app.config(), app.store(), self.now())
            .await;
        keys.expect("the keys are usable");
    }

    /// Waits until the server has seen what was written into its store; actors do so by themselves.
    pub async fn settle(&self) {
        if let Some(watch) = self.watch() {
            watch.settle().await;
        }
    }

    fn watch(&self) -> Option<&Watch> {
        match &self.serving {
            Serving::Process(_, watch) => Some(watch),
            Serving::Here(_) => None,
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
        let now = self.millis.fetch_add(millis, Ordering::Relaxed) + millis;
        if let Serving::Process(process, _) = &self.serving {
            process.set_clock(now);
        }
    }

    /// Somebody without a token.
    pub fn anonymous(&self) -> Anonymous {
        Anonymous::new(self.base.clone(), self.http.clone(), self.watch().cloned())
    }

    /// A browser that has never been here.
    pub fn browser(&self) -> Browser {
        let client = client_builder(self.tls.as_ref()).redirect(reqwest::redirect::Policy::none());
        let http = client.build().expect("an HTTP client");
        Browser::new(Anonymous::new(
            self.base.clone(),
            http,
            self.watch().cloned(),
        ))
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
        let http = http.expect("an HTTP client");
        Anonymous::new(tls.mtls_base.clone(), http, self.watch().cloned())
    }

    /// A user `name@example.com` who is new, and signed in.
    pub async fn user(&self, name: &str) -> User {
        let email = format!("{name}@example.com");
        self.registered(&email).await;
        User::sign_in(self, email, SIGN_IN_PASSWORD).await
    }

    /// A new user who has not signed in.
    pub async fn registered(&self, email: &str) -> UserId {
        register(&self.app, email).await
    }

    /// A user `name@example.com` with roles over the whole server, signed in.
    pub async fn user_with_roles(&self, name: &str, roles: &[&str]) -> User {
        let email = format!("{name}@example.com");
        register_with_roles(&self.app, &email, roles).await;
        User::sign_in(self, email, SIGN_IN_PASSWORD).await
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

    /// Waits until so many mails to this address were shown, and returns them, oldest first.
    pub async fn mail_to(&self, address: &str, count: usize) -> Vec<serde_json::Value> {
        const TRIES: usize = 600;
        for _ in 0..TRIES {
            let mails = self.mail_shown().await;
            let to = |mail: &serde_json::Value| mail["to"] == address;
            let mut mails: Vec<_> = mails.into_iter().filter(to).collect();
            if mails.len() >= count {
                mails.reverse();
                return mails;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!(
            "{address} never got {count} mails: {:?}",
            self.mail_shown().await
        );
    }

    /// The mails shown so far, newest first.
    pub async fn mail_shown(&self) -> Vec<serde_json::Value> {
        let shown = self.http.get(format!("{}/dev/mail.json", self.base));
        let shown = shown.send().await.expect("the server answers");
        let shown: serde_json::Value = shown.json().await.expect("JSON");
        shown["mail"].as_array().cloned().unwrap_or_default()
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

/// Puts a user into the store.
pub(crate) async fn register(app: &App, email: &str) -> UserId {
    register_with_roles(app, email, &[]).await
}

async fn register_with_roles(app: &App, email: &str, roles: &[&str]) -> UserId {
    let now = app.clock().now();
    let password = Secret::from(SIGN_IN_PASSWORD);
    let hash = app.hashing().hash(password, app.entropy().bytes());
    let hash = hash.await.expect("a hashing thread");
    let id = UserId::from(app.entropy().uuid(now));
    let user = RegisterUser {
        id: id.clone(),
        email: email.to_owned(),
        username: None,
        password_hash: Some(PasswordHash::new(hash)),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        context: AuditContext::operator(now),
    };
    let outcome = app.store().write(user).await.expect("the store writes");
    assert_eq!(outcome, UserRegistration::Created, "{email}");
    id
}

fn client(tls: Option<&Tls>) -> reqwest::Client {
    client_builder(tls).build().expect("an HTTP client")
}

fn client_builder(tls: Option<&Tls>) -> reqwest::ClientBuilder {
    let client = reqwest::Client::builder();
    match tls {
        Some(tls) => client.tls_certs_only([tls.server_certificate()]),
        None => client,
    }
}

async fn serve(app: App, sockets: listen::Sockets) {
    let serving = start::serve(app, sockets, std::future::pending());
    serving.await.expect("the server serves");
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
        if let Serving::Here(serving) = &self.serving {
            serving.abort();
        }
        if std::thread::panicking() {
            return;
        }
        // What was tried too often may be tried again a minute later.
        if self.is_a_process() {
            self.advance(Duration::from_secs(61));
        }
        let judged = Judged {
            test: std::thread::current().name().unwrap_or("?").to_owned(),
            app: &self.app,
            base: &self.base,
            // The connections of the other one are served by the runtime that waits for this to end.
            http: client(self.tls.as_ref()),
            fails_on_purpose: self.fails_on_purpose.load(Ordering::Relaxed),
        };
        let serving = &mut self.serving;
        // A thread of its own, because a runtime may not be entered from within another one.
        let over = std::thread::scope(|scope| {
            let end = scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                let runtime = runtime.expect("a runtime");
                runtime.block_on(assert_sound(&judged, serving));
            });
            end.join()
        });
        if let Err(panic) = over {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The process, where there is one, and the store.
async fn assert_sound(judged: &Judged<'_>, serving: &mut Serving) {
    if let Serving::Process(process, _) = serving {
        judged.judge(process).await;
    }
    let broken = judged.app.store().verify().await.expect("the store reads");
    assert!(broken.is_empty(), "the store is not sound: {broken:#?}");
}
