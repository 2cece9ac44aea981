//! Signing keys rotate under load without one failed verification (fault F13), by command and by age.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokensmith_jose::{Expect, JwkSet, KeySet};
use tokensmith_xtask::http::Request;

use crate::running::{Ground, PATIENCE, Running, text, tokensmith};

/// A verifier as resource servers are: it keeps the JWK set for a while and fetches it again for an unknown key.
struct Verifier<'a> {
    server: &'a Running,
    keys: KeySet,
    fetched: Instant,
    kept: Duration,
}

impl<'a> Verifier<'a> {
    fn new(server: &'a Running, kept: Duration) -> Self {
        Self {
            server,
            keys: fetch(server),
            fetched: Instant::now(),
            kept,
        }
    }

    fn verify(&mut self, token: &str) -> Result<String, String> {
        if self.fetched.elapsed() > self.kept {
            (self.keys, self.fetched) = (fetch(self.server), Instant::now());
        }
        let verified = self
            .keys
            .verify(token, Expect::typ(&["at+jwt"]))
            .map_err(|error| error.to_string())?;
        Ok(verified.header.kid.unwrap_or_default())
    }
}

fn fetch(server: &Running) -> KeySet {
    KeySet::from_jwks(&JwkSet::from_slice(server.jwks().to_string().as_bytes()).unwrap()).unwrap()
}

/// Tokens are fetched and verified all along while `rotate` runs; how many, and under how many keys.
fn under_load(server: &Running, rotate: impl FnOnce()) -> (usize, usize) {
    let (stop, verified) = (AtomicBool::new(false), AtomicUsize::new(0));
    let kids = std::sync::Mutex::new(std::collections::BTreeSet::new());
    let request: Request = server.token_request("test_client", "test_secret", "read");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut verifier = Verifier::new(server, Duration::from_millis(700));
                let mut kept: Vec<(Instant, String)> = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = request.send().unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
                    kids.lock().unwrap().insert(
                        verifier
                            .verify(&token)
                            .expect("a token just granted verifies"),
                    );
                    kept.push((Instant::now(), token));
                    let (at, old) = &kept[kept.len() / 2];
                    verifier
                        .verify(old)
                        .unwrap_or_else(|error| panic!("a token {:?} old: {error}", at.elapsed()));
                    verified.fetch_add(2, Ordering::Relaxed);
                }
            });
        }
        rotate();
        stop.store(true, Ordering::Relaxed);
    });
    (verified.into_inner(), kids.into_inner().unwrap().len())
}

#[test]
fn f13_keys_rotate_by_command_under_load_and_every_token_verifies() {
    let ground = Ground::new();
    let server = ground.dev();
    let (verified, kids) = under_load(&server, || {
        for _ in 0..4 {
            let output = ground.run(["key", "rotate", "--now"]);
            assert!(output.status.success(), "{}", text(&output.stderr));
            std::thread::sleep(Duration::from_millis(3000));
        }
    });
    assert_eq!(kids, 5, "each successor signed in its turn");
    assert!(verified > 100, "{verified}");
    let states = ground.json(["key", "list", "--json"]);
    let count = |state: &str| {
        states
            .as_array()
            .unwrap()
            .iter()
            .filter(|key| key["state"] == state)
            .count()
    };
    assert_eq!(
        (count("signs"), count("verifies"), count("waits")),
        (1, 4, 0)
    );
}

#[test]
fn f13_keys_rotate_by_age_under_load_and_every_token_verifies() {
    let ground = Ground::new();
    let server = ground.serve("[tokens]\nsigning_key_lifetime = \"2s\"\nsigning_key_notice = \"2s\"\n[rate_limit]\nrequests_per_minute = 1000000\n");
    let config = ground.path("tokensmith.toml");
    let mut create = tokensmith();
    create.args([
        "client",
        "create",
        "test_client",
        "--scope",
        "read",
        "--secret-stdin",
    ]);
    create
        .args(["--auth-method", "client_secret_post", "--config"])
        .arg(&config);
    let output = crate::running::run_with_input(&mut create, "test_secret\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let asked = Instant::now();
    while server
        .token_request("test_client", "test_secret", "read")
        .send()
        .unwrap()
        .status
        != 200
    {
        assert!(asked.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    }
    let (verified, kids) = under_load(&server, || std::thread::sleep(Duration::from_secs(13)));
    assert!(kids >= 3, "{kids} keys signed");
    assert!(verified > 100, "{verified}");
}

#[test]
fn a_successor_is_published_at_once_signs_after_its_notice_and_comes_alone() {
    let ground = Ground::new();
    let server = ground.dev();
    let before = server.jwks();
    assert!(ground.run(["key", "rotate"]).status.success());
    let again = ground.run(["key", "rotate"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        text(&again.stderr).contains("a successor waits already"),
        "{}",
        text(&again.stderr)
    );
    let asked = Instant::now();
    while server.jwks()["keys"].as_array().unwrap().len() != 2 {
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{}",
            server.jwks()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(
        Some(kid(&server.token())),
        before["keys"][0]["kid"].as_str().map(str::to_owned)
    );
    let jwks = server.jwks().to_string();
    assert!(!jwks.contains("\"d\""), "only public members: {jwks}");
}

#[test]
fn row_024_a_retired_key_leaves_the_set_and_its_tokens_are_refused() {
    let ground = Ground::new();
    let server = ground.dev();
    let answer = server
        .login("alice.admin@example.com", "correct horse battery staple")
        .json();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    let status = || {
        Request::new("GET", server.port, "/api/auth/organizations")
            .bearer(&token)
            .send()
            .unwrap()
            .status
    };
    assert_eq!(status(), 200);
    let kid = kid(&token);
    let only = ground.run(["key", "retire", &kid]);
    assert_eq!(only.status.code(), Some(1), "the only key that signs stays");
    assert!(ground.run(["key", "rotate", "--now"]).status.success());
    std::thread::sleep(Duration::from_millis(2500));
    assert!(ground.run(["key", "retire", &kid]).status.success());
    let asked = Instant::now();
    while status() != 401 {
        assert!(asked.elapsed() < Duration::from_secs(2));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!server.jwks().to_string().contains(&kid));
    let keys = ground.json(["key", "list", "--json"]);
    let retired: Vec<&Value> = keys
        .as_array()
        .unwrap()
        .iter()
        .filter(|key| key["kid"] == kid.as_str())
        .collect();
    assert_eq!(
        (&retired[0]["state"], &retired[0]["private_half"]),
        (&"retired".into(), &false.into())
    );
    assert_eq!(
        ground.run(["audit", "verify"]).status.code(),
        Some(0),
        "what it signed still verifies"
    );
}

fn kid(token: &str) -> String {
    use base64::Engine as _;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token.split('.').next().unwrap())
        .unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"]
        .as_str()
        .unwrap()
        .to_owned()
}
