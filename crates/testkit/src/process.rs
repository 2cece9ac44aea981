//! The server as a process of its own: the built program, started with the test's configuration on the test's store.
//!
//! `TOKENSMITH_TEST_BINARY` names the program, `TOKENSMITH_TEST_CLOCK` the library that gives it the test's clock
//! (clock/clock.c) and `TOKENSMITH_TEST_REPORT` a directory for logs and for what is told of every server. Where they
//! are not set there is no process, and the server runs inside the test.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU16, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use parking_lot::Mutex;
use reqwest::{Client, Response};
use tokensmith_server::{
    app::App,
    config::{Config, Database, Log, LogFilter, LogFormat, Section},
    registry::EPOCH_INTERVAL,
};

use crate::server::BEGINNING_DATE;

/// How long a server may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// Logs of every process that this test program has started.
static LOGS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Where the programs of a run are, and where its report goes.
pub(crate) struct Run {
    binary: PathBuf,
    clock: PathBuf,
    pub(crate) report: PathBuf,
}

impl Run {
    /// The run this test belongs to, if any.
    pub(crate) fn current() -> Option<Self> {
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        Some(Self {
            binary: path("TOKENSMITH_TEST_BINARY")?,
            clock: path("TOKENSMITH_TEST_CLOCK")?,
            report: path("TOKENSMITH_TEST_REPORT")?,
        })
    }
}

/// Everything that processes started by this test program have logged; empty without a process.
pub fn process_log() -> String {
    let logs = LOGS.lock().clone();
    let texts = logs
        .iter()
        .map(|log| fs::read_to_string(log).unwrap_or_default());
    // A line that is being written has no end yet.
    let whole = texts.map(|text| match text.rfind('\n') {
        Some(end) => text[..=end].to_owned(),
        None => String::new(),
    });
    whole.collect()
}

/// A port that is free, outside the range from which the system hands out ports of its own accord.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const RANGE: u32 = 20_000;
    static TRIED: AtomicU32 = AtomicU32::new(0);
    loop {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        let offset = (std::process::id().wrapping_mul(97) + tried) % RANGE;
        let port = u16::try_from(FIRST + offset).expect("the range ends below 65536");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A running server program. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    clock: File,
    log: PathBuf,
    pub(crate) report: PathBuf,
}

impl Process {
    /// Starts the program with this configuration, at this instant.
    pub(crate) fn start(run: Run, config: &Config, directory: &Path, millis: i64) -> Self {
        let file = directory.join("tokensmith.toml");
        fs::write(&file, toml(config)).expect("a file for the configuration");
        let clock_file = directory.join("clock");
        fs::write(&clock_file, millis.to_ne_bytes()).expect("a file for the clock");
        let log = log_path(&run.report);
        let mut command = Command::new(&run.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TOKENSMITH_") {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--config"])
            .arg(file)
            .envs(secrets(config))
            .env("TOKENSMITH_TEST_CLOCK_FILE", &clock_file)
            .env("LD_PRELOAD", &run.clock)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a file for the log"));
        LOGS.lock().push(log.clone());
        Self {
            child: command.spawn().expect("the program starts"),
            clock: File::options()
                .write(true)
                .open(&clock_file)
                .expect("the clock's file"),
            log,
            report: run.report,
        }
    }

    /// Waits until it says so.
    pub(crate) async fn becomes_ready(&mut self, http: &Client, base: &str) {
        let ready = format!("{base}/ready");
        let started = Instant::now();
        loop {
            let answer = http.get(&ready).send().await;
            if let Ok(answer) = answer.and_then(Response::error_for_status) {
                return assert_clock(&answer);
            }
            assert!(self.is_running(), "the program ended: {}", self.log());
            assert!(started.elapsed() < PATIENCE, "not ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether the very process that was started still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sets the instant it is.
    pub(crate) fn set_clock(&self, millis: i64) {
        let written = self.clock.write_all_at(&millis.to_ne_bytes(), 0);
        written.expect("the clock's file can be written");
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// A program that runs by the machine's clock would make every row about time worthless.
fn assert_clock(answer: &Response) {
    let date = answer.headers().get("date");
    let date = date.and_then(|date| date.to_str().ok()).unwrap_or_default();
    assert!(
        date.contains(BEGINNING_DATE),
        "the program runs by another clock: {date}"
    );
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every setting that can be written down; secrets go into the environment.
fn toml(config: &Config) -> String {
    let mut config = config.clone();
    config.log = Log {
        format: LogFormat::Json,
        filter: LogFilter::parse("trace").expect("a filter"),
    };
    let mut settings = Vec::new();
    config.show(&mut settings);
    for (key, _) in settings.iter().filter(|(_, value)| value == "(secret)") {
        assert!(
            SECRETS.contains(key),
            "add {key} to `secrets` in testkit/src/process.rs: a process of this server would not get it"
        );
    }
    let written = settings
        .into_iter()
        .filter(|(_, value)| !value.starts_with('('));
    written
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect()
}

/// The settings that [`secrets`] hands over.
const SECRETS: [&str; 5] = [
    "mail.smtp_password",
    "master_key",
    "tokens.legacy_shared_secret",
    "redis_url",
    "database",
];

fn secrets(config: &Config) -> Vec<(&'static str, String)> {
    let mut secrets = Vec::new();
    if let Some(key) = &config.master_key {
        secrets.push(("TOKENSMITH_MASTER_KEY", STANDARD.encode(key.expose())));
    }
    if let Some(shared) = &config.tokens.legacy_shared_secret {
        let name = "TOKENSMITH_TOKENS__LEGACY_SHARED_SECRET";
        secrets.push((name, shared.secret().expose().to_owned()));
    }
    if let Some(password) = &config.mail.smtp_password {
        let name = "TOKENSMITH_MAIL__SMTP_PASSWORD";
        secrets.push((name, password.expose().to_owned()));
    }
    if let Some(url) = &config.redis_url {
        secrets.push(("TOKENSMITH_REDIS_URL", url.expose().to_owned()));
    }
    if let Database::Postgres(url) = &config.database {
        secrets.push(("TOKENSMITH_DATABASE", url.expose().to_owned()));
    }
    secrets
}

fn log_path(report: &Path) -> PathBuf {
    static NUMBER: AtomicU16 = AtomicU16::new(0);
    let logs = report.join("logs");
    fs::create_dir_all(&logs).expect("a directory for logs");
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    logs.join(format!("{}-{number}.jsonl", std::process::id()))
}

/// Appends a line to the report, in one write, so that tests at once do not mix theirs.
pub(crate) fn append(report: &Path, line: &str) -> io::Result<()> {
    use std::io::Write;
    let path = report.join("servers.jsonl");
    let mut file = File::options().create(true).append(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

/// Lets a change of clients, scopes or keys arrive: a test writes them into the store, and the process looks for
/// changes a few times a second, as it does for those that the command line makes.
#[derive(Clone)]
pub(crate) struct Watch {
    app: App,
    seen: Arc<AtomicI64>,
}

impl Watch {
    /// Watches the store of a process that is about to start.
    pub(crate) async fn new(app: &App) -> Self {
        let watch = Self {
            app: app.clone(),
            seen: Arc::default(),
        };
        watch.seen.store(watch.epoch().await, Ordering::SeqCst);
        watch
    }

    /// Waits until the process must have seen what was written so far.
    pub(crate) async fn settle(&self) {
        let epoch = self.epoch().await;
        if self.seen.load(Ordering::SeqCst) != epoch {
            tokio::time::sleep(EPOCH_INTERVAL * 2 + Duration::from_millis(100)).await;
            self.seen.store(epoch, Ordering::SeqCst);
        }
    }

    async fn epoch(&self) -> i64 {
        let epoch = self.app.store().configuration_epoch().await;
        epoch.expect("the store reads")
    }
}
