//! Signing keys from files and from another process, resources with algorithms of their own, and the shared secret.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::Output,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokensmith_jose::SigningKey;

use crate::running::{Ground, PATIENCE, Running, random_base64, text, tokensmith};

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../jose/tests/vectors/keys")
        .join(name)
}

fn import(ground: &Ground, name: &str, more: &[&str]) -> Output {
    let file = vector(name);
    let arguments = ["key", "import", "--now", "--file", file.to_str().unwrap()];
    ground.run([&arguments, more].concat())
}

/// Header of a token.
fn header(token: &str) -> Value {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header);
    serde_json::from_slice(&header.unwrap()).unwrap()
}

/// The header of the first token of the demo's test client for which this holds.
fn until(server: &Running, holds: impl Fn(&Value) -> bool) -> Value {
    let asked = Instant::now();
    loop {
        let answer = server
            .token_request("test_client", "test_secret", "read")
            .send()
            .unwrap();
        if answer.status == 200 {
            let header = header(answer.json()["access_token"].as_str().unwrap());
            if holds(&header) {
                return header;
            }
        }
        assert!(asked.elapsed() < PATIENCE, "{}", answer.body);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn an_imported_key_signs_after_its_notice_like_any_successor() {
    let ground = Ground::new();
    let server = ground.dev();
    let first = header(&server.token());
    let output = import(&ground, "ec_sec1.pem", &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let kid = text(&output.stdout)
        .split_whitespace()
        .nth(1)
        .unwrap()
        .to_owned();
    let now = until(&server, |header| header["kid"] == kid.as_str());
    assert_eq!(
        (&now["alg"], &first["alg"]),
        (&json!("ES256"), &json!("ES256"))
    );
    let published = server.jwks().to_string();
    assert!(published.contains(&kid) && !published.contains("\"d\""));
    let again = import(&ground, "ec.jwk.json", &[]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        text(&again.stderr).contains("is here already"),
        "{}",
        text(&again.stderr)
    );
}

#[test]
fn a_key_that_cannot_sign_here_is_refused_with_its_reason() {
    let ground = Ground::new();
    let server = ground.dev();
    let before = server.jwks();
    let none: &[&str] = &[];
    for (name, more, reason) in [
        ("rsa1024_pkcs8.pem", none, "2048 to 4096 bits"),
        ("rsa1024_pkcs1.pem", none, "2048 to 4096 bits"),
        ("p384_pkcs8.pem", none, "P-256"),
        ("k256_pkcs8.pem", none, "P-256"),
        ("ec_pkcs8_mismatched.pem", none, "belongs to it"),
        ("ec_sec1_mismatched.pem", none, "belongs to it"),
        ("rsa_pkcs1_mismatched.pem", none, "belongs to it"),
        ("ec_encrypted.pem", none, "is encrypted"),
        ("ec_public.pem", none, "no whole private key"),
        ("README.md", none, "no whole private key"),
        ("absent.pem", none, "cannot read"),
        ("ec_pkcs8.pem", &["--algorithm", "RS256"], "P-256 for ES256"),
        (
            "rsa.jwk.json",
            &["--algorithm", "RS256"],
            "than the algorithm needs",
        ),
    ] {
        let output = import(&ground, name, more);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let said = text(&output.stderr);
        assert!(said.contains(reason), "{name}: {said}");
    }
    assert_eq!(server.jwks(), before);
}

#[test]
fn a_resource_is_declared_with_an_algorithm_and_a_running_server_follows() {
    let ground = Ground::new();
    let server = ground.dev();
    for (algorithm, kty) in [
        ("RS256", "RSA"),
        ("PS256", "RSA"),
        ("EdDSA", "OKP"),
        ("ES256", "EC"),
    ] {
        let uri = format!("https://{}.example", algorithm.to_lowercase());
        let declare = ["resource", "declare", &uri, "--algorithm", algorithm];
        let output = ground.run(declare);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let create = [
            "client",
            "create",
            algorithm,
            "--scope",
            "read",
            "--resource",
            &uri,
        ];
        let output = ground.run([&create[..], &["--auth-method", "client_secret_post"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let secret = text(&output.stdout)
            .split_whitespace()
            .last()
            .unwrap()
            .to_owned();
        let asked = Instant::now();
        let token = loop {
            let answer = server
                .token_request(algorithm, &secret, "read")
                .send()
                .unwrap();
            if answer.status == 200 {
                break answer.json()["access_token"].as_str().unwrap().to_owned();
            }
            assert!(asked.elapsed() < PATIENCE, "{}", answer.body);
            std::thread::sleep(Duration::from_millis(100));
        };
        let header = header(&token);
        assert_eq!(header["alg"], algorithm);
        let jwks = server.jwks();
        let mut keys = jwks["keys"].as_array().unwrap().iter();
        assert!(
            keys.any(|key| key["kid"] == header["kid"] && key["kty"] == kty),
            "{jwks}"
        );
    }
    let listed = ground.json(["resource", "list", "--json"]);
    let listed = listed.to_string();
    assert!(
        listed.contains("https://eddsa.example") && listed.contains("EdDSA"),
        "{listed}"
    );
    for wrong in [
        ["resource", "declare", "no uri", "--algorithm", "ES256"],
        [
            "resource",
            "declare",
            "https://a.example",
            "--algorithm",
            "HS256",
        ],
    ] {
        assert_eq!(ground.run(wrong).status.code(), Some(1), "{wrong:?}");
    }
}

#[test]
fn the_older_variable_or_its_file_gives_the_shared_secret_and_a_short_one_is_refused() {
    let ground = Ground::new();
    let config = ground.configure(1, "");
    let secret = random_base64();
    let file = ground.path("shared");
    fs::write(&file, &secret).unwrap();
    let check = |name: &str, value: &str| {
        let mut command = tokensmith();
        command.args(["config", "show", "--config"]).arg(&config);
        let output = command.env(name, value).output().unwrap();
        (
            output.status.success(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };
    for (name, value) in [
        ("JWT_SECRET_KEY", secret.as_str()),
        ("JWT_SECRET_KEY_FILE", file.to_str().unwrap()),
    ] {
        let (went_well, said) = check(name, value);
        assert!(
            went_well && said.contains("legacy_shared_secret = (secret)"),
            "{name}: {said}"
        );
        assert!(!said.contains(&secret));
    }
    let (went_well, said) = check("JWT_SECRET_KEY", "s3cr3tandshort");
    assert!(!went_well && said.contains("at least 32 bytes"), "{said}");
    assert!(!said.contains("s3cr3tandshort"));
}

#[test]
fn a_key_of_the_external_signer_is_named_by_its_public_half() {
    let ground = Ground::new();
    let socket = ground.path("signer.sock");
    let more = format!("[external_signer]\nsocket = {socket:?}\n");
    let config = ground.configure(1, &more);
    let external = |name: &str| {
        let mut command = tokensmith();
        command
            .args(["key", "external", name, "--config"])
            .arg(&config);
        let output = command.output().unwrap();
        (
            output.status.success(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };
    let migrated = tokensmith()
        .args(["migrate", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert!(migrated.status.success(), "{}", text(&migrated.stderr));
    let (went_well, said) = external("main");
    assert!(!went_well && said.contains("signer.sock"), "{said}");
    let key = SigningKey::from_pem(&fs::read(vector("ec_pkcs8.pem")).unwrap(), None).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let public = json!({ "jwk": key.public_jwk() }).to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut line = String::new();
            BufReader::new(connection.try_clone().unwrap())
                .read_line(&mut line)
                .unwrap();
            let answer = match line.contains("main") {
                true => public.clone(),
                false => json!({"error": "there is no such key"}).to_string(),
            };
            writeln!(connection, "{answer}").unwrap();
        }
    });
    let (went_well, said) = external("other");
    assert!(
        !went_well && said.contains("there is no such key"),
        "{said}"
    );
    let (went_well, said) = external("main");
    assert!(went_well && said.contains(key.kid()), "{said}");
    let (went_well, said) = external("main");
    assert!(!went_well && said.contains("is here already"), "{said}");
}
