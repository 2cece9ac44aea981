//! One client under load: signs in, rotates, repeats, uses its tokens, revokes, and after every failure goes on with the
//! token it has, as the documentation tells it to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::ledger::Ledger;
use crate::wire::{Answer, Connection, Outcome};

const CLIENT: &str = "tokensmith-account";
const PASSWORD: &str = "a password of the fault tests";
/// Longer than any fault lasts; the server hands the same successor out again within a minute.
const PATIENCE: Duration = Duration::from_secs(45);
/// Between two attempts while nobody answers.
const PAUSE: Duration = Duration::from_millis(3);

/// What all clients and the one who makes the faults share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) stop: AtomicBool,
    pub(crate) rotations: AtomicU64,
}

/// Numbers that follow from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A client and what it knows.
pub(crate) struct Client<'a> {
    email: String,
    connection: Connection,
    dice: Dice,
    shared: &'a Shared,
    current: String,
    access_token: String,
    pub(crate) ledger: Ledger,
}

impl<'a> Client<'a> {
    pub(crate) fn new(port: u16, worker: usize, seed: u64, shared: &'a Shared) -> Self {
        Self {
            email: format!("worker{worker}@example.com"),
            connection: Connection::new(port, worker),
            dice: Dice(seed ^ (worker as u64) << 32),
            shared,
            current: String::new(),
            access_token: String::new(),
            ledger: Ledger::default(),
        }
    }

    /// Works until it is told to stop or a promise is broken.
    pub(crate) fn work(mut self) -> Ledger {
        let account = json!({"email": self.email, "password": PASSWORD});
        self.until_answered(|connection| connection.json("/api/auth/register", &account));
        self.sign_in();
        while !self.shared.stop.load(Ordering::Relaxed) && self.ledger.broken.is_empty() {
            match self.dice.below(100) {
                0 => self.revoke(),
                1..8 => self.repeat(),
                8..14 => self.use_access_token(),
                _ => self.rotate(),
            }
        }
        self.ledger
    }

    fn sign_in(&mut self) {
        let login = json!({"email": self.email, "password": PASSWORD});
        let answer = self.until_answered(|connection| connection.json("/api/auth/login", &login));
        self.takes(None, answer, "I1: a sign-in");
    }

    /// Presents the newest token until there is an answer: the successor, whatever was lost on the way.
    fn rotate(&mut self) {
        let unknown = self.ledger.counts.unknown + self.ledger.counts.turned_away;
        let presented = self.current.clone();
        let answer = self.present(&presented);
        let was_unknown = self.ledger.counts.unknown + self.ledger.counts.turned_away > unknown;
        self.takes(Some(&presented), answer, "I1: the newest refresh token");
        self.ledger.counts.rotations += 1;
        self.ledger.counts.resolved += u64::from(was_unknown);
        self.shared.rotations.fetch_add(1, Ordering::Relaxed);
    }

    /// Presents the predecessor again before the successor was used: the same successor, not a second one.
    fn repeat(&mut self) {
        let presented = self.current.clone();
        self.rotate();
        let answer = self.present(&presented);
        self.takes(Some(&presented), answer, "I9: a repeated refresh token");
        self.ledger.counts.repeats += 1;
    }

    fn use_access_token(&mut self) {
        let token = self.access_token.clone();
        let answer =
            self.until_answered(|connection| connection.get("/api/auth/organizations", &token));
        if let Some(answer) = answer.filter(|answer| answer.status != 200) {
            self.ledger
                .breaks(format!("I1: an access token is answered {}", answer.status));
        }
    }

    /// Ends the family; from the 200 on nothing of it is good.
    fn revoke(&mut self) {
        let token = self.current.clone();
        let form = [("client_id", CLIENT), ("token", token.as_str())];
        let answer = self.until_answered(|connection| connection.form("/oauth/revoke", &form));
        if answer.is_none_or(|answer| answer.status != 200) {
            return;
        }
        self.ledger.counts.revocations += 1;
        let family = crate::ledger::family_and_generation(&token).map(|(family, _)| family);
        if let Some(known) = family.and_then(|family| self.ledger.families.get_mut(&family)) {
            known.revoked = true;
        }
        self.sign_in();
    }

    fn present(&mut self, token: &str) -> Option<Answer> {
        let form = refresh_form(token);
        self.until_answered(|connection| connection.form("/oauth/token", &form))
    }

    /// Takes new tokens over; anything but 200 breaks `promise`.
    fn takes(&mut self, presented: Option<&str>, answer: Option<Answer>, promise: &str) {
        let Some(answer) = answer else { return };
        let text = |member: &str| answer.body[member].as_str().unwrap_or_default().to_owned();
        if answer.status != 200 {
            let (status, body) = (answer.status, &answer.body);
            return self.ledger.breaks(format!(
                "{promise} of {} is answered {status}: {body}",
                self.email
            ));
        }
        (self.current, self.access_token) = (text("refresh_token"), text("access_token"));
        self.ledger
            .handed_out(presented, &self.current, &self.access_token);
    }

    /// Sends until there is an answer other than "not now". `None` once the run is over or patience ends.
    fn until_answered(&mut self, send: impl Fn(&mut Connection) -> Outcome) -> Option<Answer> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match send(&mut self.connection) {
                Outcome::Answered(answer) if answer.status == 503 && answer.retry_after => {
                    self.ledger.counts.unavailable += 1;
                }
                Outcome::Answered(answer) => return Some(answer),
                Outcome::Unknown => self.ledger.counts.unknown += 1,
                Outcome::TurnedAway => self.ledger.counts.turned_away += 1,
                Outcome::NotSent => {}
            }
            std::thread::sleep(PAUSE);
        }
        self.ledger.breaks(format!(
            "I9: no answer to {} within {PATIENCE:?}",
            self.email
        ));
        None
    }
}

/// A renewal by the account client.
pub(crate) fn refresh_form(token: &str) -> [(&str, &str); 3] {
    [
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT),
        ("refresh_token", token),
    ]
}
