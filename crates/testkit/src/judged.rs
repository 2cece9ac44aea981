//! What must hold after every test that ran against a process, whatever it played: the very same process is alive and
//! serves, and nothing was answered with a failure. What was answered is told in the report of the run.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use tokensmith_server::app::App;

use crate::{
    SIGN_IN_PASSWORD,
    process::{Process, append},
    server::register,
};

/// Who signs in after every test.
const CANARY: &str = "canary-of-the-run@example.com";
/// The bound on a sign-in with a renewal.
const BOUND: Duration = Duration::from_secs(1);
/// What the log calls the endpoint of a request for nothing there is.
const NO_ENDPOINT: &str = "unmatched";
/// A busy machine may spoil one measurement.
const ATTEMPTS: u32 = 3;

/// A test that is over, and its server.
pub(crate) struct Judged<'a> {
    pub(crate) test: String,
    pub(crate) app: &'a App,
    pub(crate) base: &'a str,
    pub(crate) http: Client,
    /// Whether the test makes the server fail on purpose.
    pub(crate) fails_on_purpose: bool,
}

impl Judged<'_> {
    /// Judges the process and writes the report.
    pub(crate) async fn judge(&self, process: &mut Process) {
        let answers = Answers::read(&process.log());
        assert!(
            process.is_running(),
            "{}: the server ended: {}",
            self.test,
            process.log()
        );
        for path in ["/health", "/ready"] {
            let answer = self.http.get(format!("{}{path}", self.base)).send().await;
            let status = answer.expect("the server answers").status();
            assert_eq!(status, 200, "{}: {path}", self.test);
        }
        let took = self.sign_in().await;
        assert!(
            answers.failures == 0 || self.fails_on_purpose,
            "{}: {} answers with 500",
            self.test,
            answers.failures
        );
        let line = json!({
            "test": self.test, "accepted": answers.accepted, "refused": answers.refused, "failures": answers.failures,
            "unavailable": answers.unavailable, "control": answers.has_control(),
            "sign_in_millis": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
        append(&process.report, &line.to_string()).expect("the report can be written");
    }

    async fn sign_in(&self) -> Duration {
        register(self.app, CANARY).await;
        let mut took = Duration::MAX;
        for _ in 0..ATTEMPTS {
            let started = Instant::now();
            let login = json!({"email": CANARY, "password": SIGN_IN_PASSWORD});
            let signed_in = self.post("/api/auth/login", login).await;
            let renewal = json!({"refresh_token": signed_in["refresh_token"]});
            self.post("/api/auth/refresh", renewal).await;
            took = took.min(started.elapsed());
            if took < BOUND {
                return took;
            }
        }
        panic!("{}: a sign-in with a renewal took {took:?}", self.test);
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.base);
        let answer = self.http.post(url).json(&body).send().await;
        let answer = answer.expect("the server answers");
        let status = answer.status();
        let text = answer.text().await.expect("the answer arrives");
        assert_eq!(status, 200, "{}: {path} {text}", self.test);
        serde_json::from_str(&text).expect("the answer is JSON")
    }
}

/// What a process answered, counted from its own log.
#[derive(Default)]
struct Answers {
    accepted: u64,
    refused: u64,
    failures: u64,
    unavailable: u64,
    /// Endpoints that accepted something, and those that refused something.
    accepting: BTreeSet<String>,
    refusing: BTreeSet<String>,
}

impl Answers {
    fn read(log: &str) -> Self {
        let mut answers = Self::default();
        for line in log
            .lines()
            .filter(|line| line.contains("tokensmith::access"))
        {
            let line: BTreeMap<String, Value> = serde_json::from_str(line).unwrap_or_default();
            let endpoint = line.get("endpoint").and_then(Value::as_str);
            let status = line.get("status").and_then(Value::as_u64);
            if let (Some(endpoint), Some(status)) = (endpoint, status) {
                answers.count(endpoint, status);
            }
        }
        answers
    }

    fn count(&mut self, endpoint: &str, status: u64) {
        match status {
            503 => self.unavailable += 1,
            500.. => self.failures += 1,
            400.. => {
                self.refused += 1;
                if endpoint != NO_ENDPOINT {
                    self.refusing.insert(endpoint.to_owned());
                }
            }
            _ => {
                self.accepted += 1;
                self.accepting.insert(endpoint.to_owned());
            }
        }
    }

    /// Whether something was accepted where something else was refused, so that a refusal means the attack.
    fn has_control(&self) -> bool {
        let nothing_refused = self.refusing.is_empty() && self.accepted > 0;
        nothing_refused
            || self
                .refusing
                .iter()
                .any(|endpoint| self.accepting.contains(endpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::Answers;

    fn line(endpoint: &str, status: u16) -> String {
        format!(
            "{{\"target\":\"tokensmith::access\",\"endpoint\":\"{endpoint}\",\"status\":{status}}}\n"
        )
    }

    #[test]
    fn a_refusal_without_anything_accepted_at_the_same_endpoint_is_no_control() {
        let refused = line("/oauth/token", 401) + &line("/health", 200);
        assert!(!Answers::read(&refused).has_control());
        let controlled = refused + &line("/oauth/token", 200);
        let answers = Answers::read(&controlled);
        assert!(answers.has_control());
        assert_eq!(
            (answers.accepted, answers.refused, answers.failures),
            (2, 1, 0)
        );
    }

    #[test]
    fn a_failure_is_counted_and_an_unavailable_service_apart() {
        let answers = Answers::read(&(line("/a", 500) + &line("/b", 503) + "no record\n"));
        assert_eq!((answers.failures, answers.unavailable), (1, 1));
    }
}
