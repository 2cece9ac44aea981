//! A server process on loopback that ends with its owner, and the folder it keeps its files in.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http::Request;

/// How long a server may take to answer its first request or to drain.
const PATIENCE: Duration = Duration::from_secs(20);

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// A temporary directory, removed when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes `$TMPDIR/tokensmith-<name>.<pid>`.
    pub fn new(name: &str) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("tokensmith-{name}.{}", std::process::id()));
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        Ok(Self(dir))
    }

    /// A path inside.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A started server; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    started: Instant,
    log: PathBuf,
}

impl Server {
    /// Starts `command` with both outputs in `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("starting {:?}", command.get_program()))?;
        Ok(Self {
            child,
            started,
            log: log.to_owned(),
        })
    }

    /// Waits until `request` is answered with 2xx; the time since the process started. Only silence and 5xx are waited
    /// out: any other answer is final.
    pub fn wait_for(&mut self, request: &Request) -> Result<Duration> {
        while self.started.elapsed() < PATIENCE {
            match request.send() {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    return Ok(self.started.elapsed());
                }
                Ok(answer) if answer.status < 500 => {
                    bail!(
                        "{} is answered {}: {}\n{}",
                        request.path,
                        answer.status,
                        answer.body,
                        self.last_lines()
                    );
                }
                _ => {}
            }
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the server ended by itself ({status}):\n{}",
                    self.last_lines()
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!(
            "no 2xx on {} within {PATIENCE:?}:\n{}",
            request.path,
            self.last_lines()
        )
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it has printed.
    fn last_lines(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Whether the very process that was started still runs.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to drain (SIGTERM).
    pub fn terminate(&self) -> Result<()> {
        let kill = ["-c", "kill \"$0\"", &self.pid().to_string()];
        let sent = Command::new("sh").args(kill).status()?;
        anyhow::ensure!(sent.success(), "SIGTERM could not be sent");
        Ok(())
    }

    /// Waits for its end; kills it when it does not come in time.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill()?;
        bail!("the server did not end within {PATIENCE:?} of SIGTERM and was killed")
    }

    /// Asks it to drain and waits.
    pub fn stop(&mut self) -> Result<()> {
        let _ = self.terminate();
        self.wait().map(|_| ())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
