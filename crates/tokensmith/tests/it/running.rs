//! A data directory and the processes on it.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokensmith_xtask::{
    http::{Answer, Request},
    process::free_port,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, without the environment of whoever runs the tests.
pub(crate) fn tokensmith() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokensmith"));
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TOKENSMITH_"))
    {
        command.env_remove(name);
    }
    command
}

/// A directory with the data of one server.
pub(crate) struct Ground {
    dir: TempDir,
}

impl Ground {
    pub(crate) fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("tokensmith.db")
    }

    /// `dev` on a free port, ready.
    pub(crate) fn dev(&self) -> Running {
        let port = free_port().unwrap();
        let mut command = tokensmith();
        command
            .arg("dev")
            .args(["--port", &port.to_string()])
            .arg("--data")
            .arg(self.data());
        Running::start(command, port, self.path("log"))
    }

    /// `serve` with this configuration beside what it needs, ready.
    pub(crate) fn serve(&self, more: &str) -> Running {
        self.serve_with(more, |_| {})
    }

    /// The same, started as `change` says.
    pub(crate) fn serve_with(&self, more: &str, change: impl FnOnce(&mut Command)) -> Running {
        let port = free_port().unwrap();
        let config = self.configure(port, more);
        let mut command = tokensmith();
        command.arg("serve").arg("--config").arg(config);
        change(&mut command);
        Running::start(command, port, self.path("log"))
    }

    /// Writes a master key, if there is none, and a configuration; its path.
    pub(crate) fn configure(&self, port: u16, more: &str) -> PathBuf {
        let (config, key) = (self.path("tokensmith.toml"), self.path("master.key"));
        if !key.exists() {
            fs::write(&key, random_base64()).unwrap();
        }
        let text = format!(
            "issuer = \"http://127.0.0.1:{port}\"\nlisten = [\"127.0.0.1:{port}\"]\ndata_dir = {:?}\nmaster_key_file = {key:?}\n{more}\n",
            self.data()
        );
        fs::write(&config, text).unwrap();
        config
    }

    /// A command on the data of `dev`.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        tokensmith()
            .args(arguments)
            .arg("--data")
            .arg(self.data())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Its JSON, after it went well.
    pub(crate) fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// 32 bytes of the system's randomness.
pub(crate) fn random_base64() -> String {
    use base64::Engine as _;
    let mut key = [0; 32];
    fs::File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut key)
        .unwrap();
    base64::engine::general_purpose::STANDARD.encode(key)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Feeds a command's standard input.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// A server process.
pub(crate) struct Running {
    child: Child,
    pub(crate) port: u16,
    log: PathBuf,
}

impl Running {
    fn start(mut command: Command, port: u16, log: PathBuf) -> Self {
        let file = fs::File::create(&log).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        let mut running = Self {
            child: command.spawn().unwrap(),
            port,
            log,
        };
        let started = Instant::now();
        while running.get("/ready").map(|answer| answer.status) != Some(200) {
            assert!(
                running.child.try_wait().unwrap().is_none(),
                "it ended: {}",
                running.log()
            );
            assert!(started.elapsed() < PATIENCE, "not ready: {}", running.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        running
    }

    /// What it printed so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Option<Answer> {
        Request::new("GET", self.port, path).send().ok()
    }

    pub(crate) fn jwks(&self) -> Value {
        self.get("/.well-known/jwks.json").unwrap().json()
    }

    /// A client credentials request of a demo client.
    pub(crate) fn token_request(&self, client: &str, secret: &str, scope: &str) -> Request {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", secret),
            ("scope", scope),
        ];
        Request::new("POST", self.port, "/oauth/token").form(&form)
    }

    pub(crate) fn token(&self) -> String {
        let answer = self
            .token_request("test_client", "test_secret", "read")
            .send()
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn login(&self, email: &str, password: &str) -> Answer {
        let body = serde_json::json!({ "email": email, "password": password });
        Request::new("POST", self.port, "/auth/login")
            .json(&body)
            .send()
            .unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// How it ended, and after how long.
    pub(crate) fn wait(&mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, asked.elapsed());
            }
            assert!(
                asked.elapsed() < PATIENCE,
                "it does not end: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        assert!(self.wait().0.success(), "{}", self.log());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Permission bits.
pub(crate) fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
}
