//! A bounded set of threads that hash. A full queue is refused at once, so that sign-ins never starve token grants
//! and a flood of them never grows memory.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::phc::PasswordHash,
};
use parking_lot::Mutex;
use std::sync::Arc;
use tokensmith_oauth2::Secret;
use tokio::sync::oneshot;

use super::foreign::ForeignHash;
use crate::config;

/// The hashing threads.
pub struct Hashing {
    queue: SyncSender<Job>,
    /// A hash nobody knows the password of: checked for unknown users, so that they take as long as known ones.
    decoy: String,
}

/// The queue is full. Answer 503 with `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many sign-ins are waiting")]
pub struct Overloaded;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is another one.
    Wrong,
    /// The password is right.
    Right,
    /// The password is right, and its hash is weaker than the configuration wants: store this one.
    RightButWeak(String),
}

enum Job {
    Hash {
        password: Secret,
        salt: [u8; 16],
        answer: oneshot::Sender<Option<String>>,
    },
    Verify {
        password: Secret,
        phc: String,
        salt: [u8; 16],
        answer: oneshot::Sender<Verdict>,
    },
}

impl Hashing {
    /// Starts the threads.
    ///
    /// # Errors
    /// When a thread cannot be started or the parameters are out of argon2's range.
    pub fn start(settings: &config::Hashing) -> io::Result<Self> {
        let argon2 = argon2(settings)?;
        let (queue, jobs) = sync_channel(settings.queue.get());
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..settings.threads.get() {
            let (jobs, argon2) = (jobs.clone(), argon2.clone());
            let thread = std::thread::Builder::new().name(format!("hashing-{number}"));
            thread.spawn(move || {
                while let Some(job) = next(&jobs) {
                    run(&argon2, job)
                }
            })?;
        }
        Ok(Self {
            queue,
            decoy: decoy(&argon2),
        })
    }

    /// Hashes a password; the answer is a PHC string.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub async fn hash(&self, password: Secret, salt: [u8; 16]) -> Result<String, Overloaded> {
        let (answer, hash) = oneshot::channel();
        self.queue
            .try_send(Job::Hash {
                password,
                salt,
                answer,
            })
            .map_err(|_| Overloaded)?;
        hash.await.ok().flatten().ok_or(Overloaded)
    }

    /// Checks a password against a PHC string, or against a decoy when there is none.
    /// `salt` is for the new hash, should the old one be weak.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub async fn verify(
        &self,
        password: Secret,
        phc: Option<String>,
        salt: [u8; 16],
    ) -> Result<Verdict, Overloaded> {
        let (answer, verdict) = oneshot::channel();
        let phc = phc.unwrap_or_else(|| self.decoy.clone());
        self.queue
            .try_send(Job::Verify {
                password,
                phc,
                salt,
                answer,
            })
            .map_err(|_| Overloaded)?;
        verdict.await.map_err(|_| Overloaded)
    }
}

fn next(jobs: &Mutex<Receiver<Job>>) -> Option<Job> {
    jobs.lock().recv().ok()
}

fn run(argon2: &Argon2<'_>, job: Job) {
    // A caller that has gone away is not worth the work.
    match job {
        Job::Hash { answer, .. } if answer.is_closed() => {}
        Job::Verify { answer, .. } if answer.is_closed() => {}
        Job::Hash {
            password,
            salt,
            answer,
        } => drop(answer.send(hash(argon2, &password, &salt))),
        Job::Verify {
            password,
            phc,
            salt,
            answer,
        } => drop(answer.send(verify(argon2, &password, &phc, &salt))),
    }
}

fn hash(argon2: &Argon2<'_>, password: &Secret, salt: &[u8]) -> Option<String> {
    argon2
        .hash_password_with_salt(password.expose().as_bytes(), salt)
        .ok()
        .map(|hash: PasswordHash| hash.to_string())
}

fn verify(argon2: &Argon2<'_>, password: &Secret, phc: &str, salt: &[u8]) -> Verdict {
    if let Some(foreign) = ForeignHash::parse(phc) {
        return verify_foreign(argon2, password, &foreign, salt);
    }
    let Ok(stored) = PasswordHash::new(phc) else {
        return Verdict::Wrong;
    };
    if argon2
        .verify_password(password.expose().as_bytes(), &stored)
        .is_err()
    {
        return Verdict::Wrong;
    }
    if is_weaker(&stored, argon2.params()) {
        return hash(argon2, password, salt).map_or(Verdict::Right, Verdict::RightButWeak);
    }
    Verdict::Right
}

/// A right password is at once hashed as every other.
fn verify_foreign(
    argon2: &Argon2<'_>,
    password: &Secret,
    foreign: &ForeignHash,
    salt: &[u8],
) -> Verdict {
    if !foreign.is_of(password.expose()) {
        return Verdict::Wrong;
    }
    hash(argon2, password, salt).map_or(Verdict::Right, Verdict::RightButWeak)
}

fn is_weaker(stored: &PasswordHash, wanted: &Params) -> bool {
    let Ok(params) = Params::try_from(stored) else {
        return true;
    };
    stored.algorithm != Algorithm::Argon2id.ident()
        || params.m_cost() < wanted.m_cost()
        || (params.m_cost() == wanted.m_cost() && params.t_cost() < wanted.t_cost())
}

fn decoy(argon2: &Argon2<'_>) -> String {
    // The right shape and cost with a hash part that no password is known for; nothing is computed for it.
    let params = argon2.params();
    format!(
        "$argon2id$v=19$m={},t={},p={}$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        params.m_cost(),
        params.t_cost(),
        params.p_cost()
    )
}

fn argon2(settings: &config::Hashing) -> io::Result<Argon2<'static>> {
    let out_of_range =
        |reason: String| io::Error::new(io::ErrorKind::InvalidInput, format!("hashing: {reason}"));
    let kibibytes = u32::try_from(settings.memory.bytes() / 1024)
        .map_err(|_| out_of_range("too much memory".into()))?;
    let params = Params::new(kibibytes, settings.iterations.get(), 1, None)
        .map_err(|error| out_of_range(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}
