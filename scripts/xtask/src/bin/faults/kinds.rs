//! The kinds of fault: what is done to the server while the clients work, and what must hold besides the ledger.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokensmith_xtask::{http::Request, process::Server};

use crate::check::{self, Checked};
use crate::client::{Client, Dice, Shared};
use crate::ground::{Engine, Ground};
use crate::ledger::Ledger;
use crate::options::Options;

/// The bound on readiness after a crash.
const READY: Duration = Duration::from_secs(2);
/// The bound on an orderly end.
const DRAINED: Duration = Duration::from_secs(10);

/// Plays the kind on each engine; whether every promise was kept.
pub(crate) fn play(options: &Options) -> Result<bool> {
    ensure!(
        options.binary.exists(),
        "{} is not built",
        options.binary.display()
    );
    println!(
        "{} with seed {} ({} clients at once)",
        options.kind, options.seed, options.workers
    );
    let fault: fn(&mut Run<'_>) -> Result<()> = match options.kind.as_str() {
        "kill" => kill,
        "term" => term,
        "postgres" => postgres,
        "disk-full" => return disk_full(options),
        other => bail!("there is no fault {other:?}: kill, term, postgres, disk-full"),
    };
    let engines = if options.kind == "postgres" {
        vec![Engine::Postgres]
    } else {
        options.engines.clone()
    };
    let mut kept = true;
    for engine in engines {
        kept &= on(options, engine, None, fault)?;
    }
    Ok(kept)
}

/// One run on one store: the clients work while `fault` does its rounds.
struct Run<'a> {
    options: &'a Options,
    ground: &'a Ground,
    shared: &'a Shared,
    dice: Dice,
    server: Server,
    slowest: Duration,
    notes: Vec<String>,
}

fn on(
    options: &Options,
    engine: Engine,
    data: Option<&Path>,
    fault: fn(&mut Run<'_>) -> Result<()>,
) -> Result<bool> {
    let begun = Instant::now();
    let ground = Ground::new(&options.binary, engine, data)?;
    let shared = Shared::default();
    let (server, _) = ground.start()?;
    let (mut run, mut ledger) = (
        Run {
            options,
            ground: &ground,
            shared: &shared,
            dice: Dice(options.seed),
            server,
            slowest: Duration::ZERO,
            notes: Vec::new(),
        },
        Ledger::default(),
    );
    let faulted = thread::scope(|scope| {
        let clients: Vec<_> = (0..options.workers)
            .map(|worker| {
                let client = Client::new(ground.port, worker, options.seed, &shared);
                scope.spawn(move || client.work())
            })
            .collect();
        let faulted = fault(&mut run);
        shared.stop.store(true, Ordering::Relaxed);
        for client in clients {
            match client.join() {
                Ok(known) => ledger.absorb(known),
                Err(_) => ledger.breaks("a client panicked".to_owned()),
            }
        }
        faulted
    });
    let mut checked = Checked::default();
    if ledger.broken.is_empty() {
        faulted?;
        check::revoked_stay_revoked(&ground, &mut ledger, &mut checked);
        check::newest_are_live(&ground, &mut ledger, &mut checked);
    }
    let notes = run.notes.join(", ");
    drop(run);
    check::audit_agrees(&ground, &mut ledger, &mut checked)?;
    if let Some(sentence) = expected(options, &ledger, &checked) {
        ledger.breaks(sentence);
    }
    report(engine, &ledger, &checked, &notes, begun.elapsed());
    if !ledger.broken.is_empty() {
        let log = std::fs::read_to_string(ground.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(10)..];
        println!("the end of the server's log:\n{}", last.join("\n"));
    }
    Ok(ledger.broken.is_empty())
}

/// What the counts must show of a fault that took place, and of one that nobody may notice.
fn expected(options: &Options, ledger: &Ledger, checked: &Checked) -> Option<String> {
    let counts = &ledger.counts;
    match options.kind.as_str() {
        "kill" if counts.unknown == 0 => Some("no request was cut: nothing was tried".to_owned()),
        "term" if counts.unknown > 0 || checked.lost_answers > 0 => Some(format!(
            "F20: {} requests that were taken in were not answered, {} of them took effect",
            counts.unknown, checked.lost_answers
        )),
        // Between the last look into the queue of a socket and its end there is an instant that nobody can close.
        "term" if counts.turned_away > options.rounds => Some(format!(
            "F20: {} new connections were reset",
            counts.turned_away
        )),
        "postgres" | "disk-full" if counts.unavailable == 0 => {
            Some("nothing was answered 503: nothing was tried".to_owned())
        }
        _ => None,
    }
}

fn report(engine: Engine, ledger: &Ledger, checked: &Checked, notes: &str, took: Duration) {
    let counts = &ledger.counts;
    println!(
        "{}: {notes}; {} rotations, {} of them after an unknown outcome; {} requests unknown, {} turned away, {} answered 503 with \
         Retry-After; {} repeats, {} revocations; {} live and {} revoked families checked, {} rotations were durable \
         though their answer was lost; {} audit lines, chain whole: {}; {} promises broken; {} s",
        engine.name(),
        counts.rotations,
        counts.resolved,
        counts.unknown,
        counts.turned_away,
        counts.unavailable,
        counts.repeats,
        counts.revocations,
        checked.live,
        checked.revoked,
        checked.lost_answers,
        checked.audit_lines,
        !ledger
            .broken
            .iter()
            .any(|sentence| sentence.contains("audit verify")),
        ledger.broken.len(),
        took.as_secs()
    );
    for sentence in ledger.broken.iter().take(20) {
        println!("BROKEN {sentence}");
    }
}

impl Run<'_> {
    /// Waits until this round has its share of rotations, then for a random moment.
    fn wait_for_a_moment(&mut self, round: u64) -> Result<()> {
        let due = self.options.rotations * (round + 1) / self.options.rounds;
        let begun = Instant::now();
        while self.shared.rotations.load(Ordering::Relaxed) < due {
            ensure!(
                begun.elapsed() < Duration::from_secs(120),
                "the clients do not get on"
            );
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_micros(self.dice.below(300_000)));
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        let (server, ready) = self.ground.start()?;
        self.slowest = self.slowest.max(ready);
        self.server = server;
        Ok(())
    }
}

/// F01: SIGKILL at random moments.
fn kill(run: &mut Run<'_>) -> Result<()> {
    for round in 0..run.options.rounds {
        run.wait_for_a_moment(round)?;
        run.server.kill()?;
        run.restart()?;
    }
    let slowest = run.slowest;
    run.notes.push(format!(
        "killed {} times, ready again within {} ms",
        run.options.rounds,
        slowest.as_millis()
    ));
    ensure!(
        slowest <= READY,
        "the server needed {slowest:?} to be ready again"
    );
    Ok(())
}

/// F20: SIGTERM under load. Every request that was taken in is answered, and the end is orderly.
fn term(run: &mut Run<'_>) -> Result<()> {
    let mut longest = Duration::ZERO;
    for round in 0..run.options.rounds {
        run.wait_for_a_moment(round)?;
        let asked = Instant::now();
        run.server.terminate()?;
        let status: ExitStatus = run.server.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        longest = longest.max(asked.elapsed());
        run.restart()?;
    }
    run.notes.push(format!(
        "asked to end {} times, ended within {} ms",
        run.options.rounds,
        longest.as_millis()
    ));
    ensure!(longest <= DRAINED, "the server needed {longest:?} to end");
    Ok(())
}

/// F04: the database is killed and started again; the server is not touched.
fn postgres(run: &mut Run<'_>) -> Result<()> {
    let mut longest = Duration::ZERO;
    for round in 0..run.options.rounds {
        run.wait_for_a_moment(round)?;
        let crashed = Command::new("scripts/services")
            .arg("crash-postgres")
            .status()?;
        ensure!(
            crashed.success(),
            "scripts/services could not restart PostgreSQL"
        );
        let accepting = Instant::now();
        let before = run.shared.rotations.load(Ordering::Relaxed);
        while run.shared.rotations.load(Ordering::Relaxed) < before + run.options.workers as u64 {
            ensure!(
                accepting.elapsed() < Duration::from_secs(5),
                "no success within 5 s of PostgreSQL's return"
            );
            thread::sleep(Duration::from_millis(1));
        }
        longest = longest.max(accepting.elapsed());
        ensure!(run.server.is_running()?, "the server ended by itself");
    }
    run.notes.push(format!(
        "PostgreSQL killed {} times, served again within {} ms",
        run.options.rounds,
        longest.as_millis()
    ));
    Ok(())
}

/// F10: the disk fills up and is freed again.
fn disk_full(options: &Options) -> Result<bool> {
    let disk = Disk::mount()?;
    on(options, Engine::Sqlite, Some(&disk.0.join("data")), |run| {
        let disk = PathBuf::from(Disk::PLACE);
        for round in 0..run.options.rounds {
            run.wait_for_a_moment(round)?;
            let filler = disk.join("filler");
            Command::new("dd")
                .args([
                    "if=/dev/zero",
                    "bs=64k",
                    &format!("of={}", filler.display()),
                ])
                .output()
                .context("filling the disk")?;
            thread::sleep(Duration::from_millis(500));
            let jwks = Request::new("GET", run.ground.port, "/.well-known/jwks.json").send()?;
            ensure!(
                jwks.status == 200,
                "the keys are answered {} on a full disk",
                jwks.status
            );
            std::fs::remove_file(&filler)?;
            ensure!(run.server.is_running()?, "the server ended by itself");
        }
        run.notes
            .push(format!("disk full {} times", run.options.rounds));
        Ok(())
    })
}

/// A small disk in memory; mounting needs root.
struct Disk(PathBuf);

impl Disk {
    const PLACE: &'static str = "/tmp/tokensmith-faults-disk";

    fn mount() -> Result<Self> {
        let place = PathBuf::from(Self::PLACE);
        std::fs::create_dir_all(&place)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96m", "tmpfs", Self::PLACE])
            .status()?;
        ensure!(
            mounted.success(),
            "a small disk cannot be mounted: this needs root"
        );
        Ok(Self(place))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}
