//! The configuration as an operator meets it: files, variables, refusals and the reference page.

use std::path::PathBuf;

use base64::Engine;

use super::*;

const REFERENCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/config.md"
);

fn key() -> String {
    let bytes: [u8; 32] = std::array::from_fn(|i| (i as u8).wrapping_mul(73).wrapping_add(5));
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn good() -> Vec<(String, String)> {
    env(&[
        ("TOKENSMITH_ISSUER", "https://login.example.com"),
        ("TOKENSMITH_MASTER_KEY", &key()),
    ])
}

fn with(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(None, good().into_iter().chain(env(pairs)))
}

fn refusals(result: Result<Config, ConfigError>) -> Vec<String> {
    result
        .unwrap_err()
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokensmith.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

#[test]
fn every_default_can_be_read() {
    let config = with(&[]).unwrap();
    assert_eq!(
        config.tokens.access_token_lifetime,
        Duration::from_secs(900)
    );
    assert_eq!(config.limits.body, ByteSize::new(256 << 10));
    assert_eq!(config.audience(), "https://login.example.com");
    assert!(
        matches!(&config.database, Database::Sqlite(path) if path.ends_with("tokensmith-data/tokensmith.db"))
    );
}

#[test]
fn the_environment_wins_over_the_file_and_the_new_name_over_the_older() {
    let (_dir, path) = file(
        "issuer = 'https://file.test'\nlisten = ['127.0.0.1:1', '[::1]:1']\n[tokens]\naccess_token_lifetime = '5m'\n[limits]\nmax_in_flight = 7\n",
    );
    let env = good().into_iter().chain(env(&[
        ("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "30"),
        ("JWT_REFRESH_TOKEN_EXPIRE_DAYS", "7"),
        ("TOKENSMITH_TOKENS__REFRESH_TOKEN_LIFETIME", "9d"),
        ("MAX_REQUESTS_PER_MINUTE", "120"),
        ("AUDIT_LOGGING_ENABLED", "true"),
        ("TOKEN_ROTATION_ENABLED", "true"),
        ("REDIS_URL", "redis://localhost"),
        ("PATH", "/usr/bin"),
        ("TOKENSMITH_CONFIG", "x.toml"),
    ]));
    let config = Config::load(Some(&path), env).unwrap();
    assert_eq!(config.issuer.as_str(), "https://login.example.com");
    assert_eq!(config.listen.len(), 2);
    assert_eq!(
        config.tokens.access_token_lifetime,
        Duration::from_secs(1800)
    );
    assert_eq!(
        config.tokens.refresh_token_lifetime,
        Duration::from_secs(9 * 86400)
    );
    assert_eq!(config.rate_limit.requests_per_minute.get(), 120);
    assert_eq!(config.limits.max_in_flight.get(), 7);
    assert_eq!(config.redis_url.unwrap().expose(), "redis://localhost");
}

#[test]
fn all_problems_are_reported_at_once_each_with_its_key() {
    let (_dir, path) = file(
        "issuer = 'http://login.example.com'\ntypo = 1\n[limits]\nbody = 'much'\nidle_timout = '1s'\n[tokens]\nsigning_algorithm = 'none'\n",
    );
    let refusals = refusals(Config::load(
        Some(&path),
        env(&[
            ("TOKENSMITH_LISTEN", "8000"),
            ("TOKENSMITH_DEMO", "true"),
            ("TOKENSMITH_LOG__FORMT", "json"),
        ]),
    ));
    for (part, of) in [
        ("`issuer` must use https", "file "),
        ("`typo` is not a setting", "file "),
        ("`limits.body` must be a size", "not \"much\""),
        (
            "`limits.idle_timout` is not a setting",
            "did you mean `limits.idle_timeout`?",
        ),
        ("`tokens.signing_algorithm` must be one of", "not \"none\""),
        (
            "`listen` must be an address",
            "environment variable TOKENSMITH_LISTEN",
        ),
        ("`log.formt` is not a setting", "did you mean `log.format`?"),
        ("`demo` must be false", "tokensmith dev"),
        ("`master_key` is required", "openssl rand"),
    ] {
        assert!(
            refusals
                .iter()
                .any(|line| line.contains(part) && line.contains(of)),
            "{part}: {refusals:#?}"
        );
    }
    assert_eq!(refusals.len(), 9, "{refusals:#?}");
    assert!(refusals.iter().all(|line| !line.contains('\n')));
}

#[test]
fn row_030_serve_refuses_known_secrets_without_repeating_them() {
    for weak in ["secret", "changeme", "test_secret", "admin_secret"] {
        let refusals = refusals(with(&[
            ("JWT_SECRET_KEY", weak),
            ("TOKENSMITH_MASTER_KEY", weak),
        ]));
        assert_eq!(refusals.len(), 2, "{refusals:?}");
        assert!(
            refusals
                .iter()
                .all(|line| line.contains("well-known") && !line.contains(&format!("\"{weak}\""))),
            "{refusals:?}"
        );
    }
}

#[test]
fn a_secret_is_read_from_the_file_that_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, format!("{}\n", key())).unwrap();
    let named = path.display().to_string();
    let issuer = ("TOKENSMITH_ISSUER", "https://x.test");
    let config =
        Config::load(None, env(&[issuer, ("TOKENSMITH_MASTER_KEY_FILE", &named)])).unwrap();
    assert_eq!(
        base64::engine::general_purpose::STANDARD.encode(config.master_key.unwrap().expose()),
        key()
    );

    let both = refusals(with(&[("TOKENSMITH_MASTER_KEY_FILE", &named)]));
    assert!(both[0].contains("are both set"), "{both:?}");
    let missing = refusals(Config::load(
        None,
        env(&[issuer, ("TOKENSMITH_MASTER_KEY_FILE", "/nowhere/key")]),
    ));
    assert!(
        missing.len() == 1 && missing[0].contains("/nowhere/key, which cannot be read"),
        "{missing:?}"
    );
    let not_secret = refusals(with(&[("TOKENSMITH_ISSUER_FILE", &named)]));
    assert!(
        not_secret[0].contains("`issuer_file` is not a setting"),
        "{not_secret:?}"
    );
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_one_sentence() {
    let (_dir, path) = file("master_key = 'hunter2\nissuer = ");
    let broken = refusals(Config::load(Some(&path), good()));
    assert!(
        broken.len() == 1 && broken[0].contains("is not valid TOML"),
        "{broken:?}"
    );
    assert!(!broken[0].contains("hunter2"), "{broken:?}");
    let missing = refusals(Config::load(Some(Path::new("/nowhere/x.toml")), good()));
    assert!(
        missing.len() == 1 && missing[0].contains("/nowhere/x.toml cannot be read"),
        "{missing:?}"
    );
}

#[test]
fn show_hides_secrets_and_names_origins() {
    let shared = "Zk3!q9vXp0-7RtYw2LmN8sBdF5hJ1cGa";
    let env = good().into_iter().chain(env(&[
        ("JWT_SECRET_KEY", shared),
        ("DATABASE_URL", "postgres://ts:hunter2@db/ts"),
        ("REDIS_URL", "redis://:hunter2@cache"),
    ]));
    let loaded = Loaded::from(None, env).unwrap();
    let shown = loaded.show();
    let debugged = format!("{loaded:?}");
    for secret in [shared, "hunter2", &key()] {
        assert!(
            !shown.contains(secret) && !debugged.contains(secret),
            "{shown}{debugged}"
        );
    }
    let line = |key: &str| {
        shown
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        line("issuer").ends_with("# environment variable TOKENSMITH_ISSUER"),
        "{shown}"
    );
    assert!(
        line("limits.body = \"256 KiB\"").ends_with("# default"),
        "{shown}"
    );
    assert!(
        line("tokens.legacy_shared_secret = (secret)").ends_with("JWT_SECRET_KEY"),
        "{shown}"
    );
}

#[test]
fn dev_listens_on_loopback_with_demo_data() {
    let config = Config::dev(8000, Path::new("/tmp/x"));
    assert_eq!(config.issuer.as_str(), "http://localhost:8000");
    assert!(
        config.demo
            && config
                .listen
                .iter()
                .all(|address| address.ip().is_loopback())
    );
    assert!(
        matches!(&config.database, Database::Sqlite(path) if path == Path::new("/tmp/x/tokensmith.db"))
    );
}

#[test]
fn the_reference_page_is_what_the_code_says() {
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::create_dir_all(Path::new(REFERENCE).parent().unwrap()).unwrap();
        std::fs::write(REFERENCE, reference()).unwrap();
    }
    let written = std::fs::read_to_string(REFERENCE).unwrap_or_default();
    assert!(
        written == reference(),
        "docs/reference/config.md is not up to date: run the tests with UPDATE_REFERENCE=1"
    );
}

#[test]
fn certificate_settings_that_would_do_nothing_are_refused() {
    for (pairs, sentence) in [
        (
            &[("TOKENSMITH_TLS__CERTIFICATE_FILE", "c.pem")][..],
            "belong together",
        ),
        (
            &[("TOKENSMITH_TLS__PRIVATE_KEY_FILE", "c.key")],
            "belong together",
        ),
        (
            &[("TOKENSMITH_MTLS__LISTEN", "127.0.0.1:8443")],
            "need `tls.certificate_file`",
        ),
        (
            &[("TOKENSMITH_TLS__CLIENT_CERTIFICATES", "optional")],
            "need `tls.certificate_file`",
        ),
        (
            &[("TOKENSMITH_MTLS__CERTIFICATE_HEADER", "client-cert")],
            "needs `trusted_proxies`",
        ),
    ] {
        let refusals = refusals(with(pairs));
        assert!(
            refusals.len() == 1 && refusals[0].contains(sentence),
            "{pairs:?}: {refusals:?}"
        );
    }
    let good = with(&[
        ("TOKENSMITH_TLS__CERTIFICATE_FILE", "c.pem"),
        ("TOKENSMITH_TLS__PRIVATE_KEY_FILE", "c.key"),
        ("TOKENSMITH_MTLS__LISTEN", "127.0.0.1:8443"),
        ("TOKENSMITH_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("TOKENSMITH_MTLS__CERTIFICATE_HEADER", "x-ssl-client-cert"),
    ]);
    assert!(good.unwrap().takes_client_certificates());
    assert!(!with(&[]).unwrap().takes_client_certificates());
}
