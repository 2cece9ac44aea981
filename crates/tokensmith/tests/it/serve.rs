//! `tokensmith serve`: what it refuses, and that two instances share nothing.

use std::fs;

use tokensmith_xtask::process::free_port;

use crate::running::{Ground, random_base64, text, tokensmith};

/// What `serve` says to a configuration, with its exit code.
fn refusal(config: &str) -> (Option<i32>, String) {
    let ground = Ground::new();
    let file = ground.path("tokensmith.toml");
    let config = config.replace("DATA", &ground.data().display().to_string());
    fs::write(&file, config).unwrap();
    let output = tokensmith()
        .arg("serve")
        .arg("--config")
        .arg(&file)
        .output()
        .unwrap();
    assert!(!ground.data().exists(), "a refused start makes nothing");
    (output.status.code(), text(&output.stderr))
}

#[test]
fn all_problems_are_told_at_once_and_nothing_starts() {
    let (code, said) = refusal(
        "issuer = \"http://login.example.com\"\nlisen = [\"127.0.0.1:1\"]\ndemo = true\ndata_dir = \"DATA\"\n",
    );
    assert_eq!(code, Some(1));
    for problem in [
        "`issuer` must use https",
        "`lisen` is not a setting",
        "did you mean `listen`?",
        "`master_key` is required",
        "`demo` must be false",
    ] {
        assert!(said.contains(problem), "{problem} in\n{said}");
    }
}

#[test]
fn row_030_well_known_secrets_are_refused_at_start() {
    for weak in [
        "secret",
        "random",
        "changeme",
        "your-service-secret-change-in-production",
        &"a".repeat(44),
    ] {
        let config = format!(
            "issuer = \"https://login.example.com\"\ndata_dir = \"DATA\"\nmaster_key = \"{weak}\"\n"
        );
        let (code, said) = refusal(&config);
        assert_eq!(code, Some(1));
        assert!(
            said.contains("`master_key` is a well-known or repetitive secret"),
            "{said}"
        );
        assert!(
            weak.len() < 10 || !said.contains(weak),
            "a secret is never repeated: {said}"
        );
    }
    let config = format!(
        "issuer = \"https://login.example.com\"\nmaster_key = \"{}\"\n[tokens]\nlegacy_shared_secret = \"changeme\"\n",
        random_base64()
    );
    assert!(refusal(&config).1.contains("`tokens.legacy_shared_secret`"));
}

#[test]
fn row_030_two_fresh_instances_share_no_key() {
    let (one, other) = (Ground::new(), Ground::new());
    let (first, second) = (one.dev(), other.dev());
    let kid = |jwks: serde_json::Value| jwks["keys"][0]["kid"].as_str().unwrap().to_owned();
    assert_ne!(kid(first.jwks()), kid(second.jwks()));
    let key = |ground: &Ground| fs::read_to_string(ground.data().join("master.key")).unwrap();
    assert_ne!(key(&one), key(&other));
}

#[test]
fn another_master_key_is_refused_with_one_sentence() {
    let ground = Ground::new();
    ground.serve("").stop();
    fs::write(ground.path("master.key"), random_base64()).unwrap();
    let config = ground.configure(free_port().unwrap(), "");
    let output = tokensmith()
        .arg("serve")
        .arg("--config")
        .arg(config)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("the master key does not open signing key"),
        "{said}"
    );
}

#[test]
fn a_database_that_is_newer_or_not_ours_is_refused() {
    let ground = Ground::new();
    ground.serve("").stop();
    let database = rusqlite::Connection::open(ground.database()).unwrap();
    database
        .execute(
            "INSERT INTO schema_migrations VALUES (99999, 'later', x'00', 0)",
            [],
        )
        .unwrap();
    drop(database);
    let config = ground.configure(free_port().unwrap(), "");
    let output = tokensmith()
        .arg("serve")
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("use a newer tokensmith"),
        "{}",
        text(&output.stderr)
    );
    fs::write(ground.database(), "these are no records").unwrap();
    let output = tokensmith()
        .arg("serve")
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
}

#[test]
fn a_setting_from_the_environment_wins_and_serve_starts_empty() {
    let ground = Ground::new();
    let server = ground.serve("");
    let answer = server
        .token_request("test_client", "test_secret", "read")
        .send()
        .unwrap();
    assert_eq!(answer.status, 401, "serve makes no demo client");
    let config = ground.configure(server.port, "");
    let shown = tokensmith()
        .args(["config", "show", "--config"])
        .arg(&config)
        .env("TOKENSMITH_LIMITS__BODY", "64 KiB")
        .output()
        .unwrap();
    let shown = text(&shown.stdout);
    assert!(
        shown.contains("limits.body = \"64 KiB\"") && shown.contains("TOKENSMITH_LIMITS__BODY"),
        "{shown}"
    );
    assert!(shown.contains("master_key = (secret)"), "{shown}");
}
