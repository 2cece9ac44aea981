//! What the older machine-to-machine service kept is brought over: its clients and their tokens go on as before.

use std::fs;

use serde_json::{Value, json};
use tokensmith_xtask::http::{Answer, Request};

use crate::running::{Ground, Running, text, tokensmith};

/// Seconds since 1970, far from now.
const FUTURE: i64 = 4_102_444_800;

fn collections() -> Vec<(&'static str, Vec<Value>)> {
    let later = json!({"$date": "2100-01-01T00:00:00Z"});
    let past = json!({"$date": "2020-01-01T00:00:00Z"});
    vec![
        (
            "clients",
            vec![
                json!({"_id": {"$oid": "66f000000000000000000001"}, "client_id": "billing", "client_secret": "plain-old-secret",
                    "scopes": ["read", "write"], "role": "user", "is_active": true, "created_at": past}),
                json!({"_id": "ops", "secret": "another secret", "scope": "read admin", "role": "admin"}),
                json!({"_id": 3, "client_id": "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f", "client_secret": "x"}),
                json!({"_id": 4, "client_id": "odd", "client_secret": "x", "shoe_size": 44}),
                json!({"_id": 5, "client_id": "hashed", "client_secret":
                    format!("$2b$12${}", "a".repeat(53))}),
            ],
        ),
        (
            "tokens",
            vec![
                json!({"_id": 1, "client_id": "billing", "refresh_token": "opaque-live", "access_token": "a.b.c",
                    "jti": "of-the-access-token", "family_id": "f1", "expires_at": later}),
                json!({"_id": 2, "client_id": "billing", "refresh_token": "opaque-expired", "expires_at": past}),
                json!({"_id": 3, "client_id": "billing", "refresh_token": "opaque-revoked", "expires_at": later}),
                json!({"_id": 4, "client_id": "ops", "expires_at": FUTURE, "refresh_token_hash":
                    "2c1c8ad1c4f8a1e4b1a8f3e4d3a9cf9b7b2c1ad0e9f8d7c6b5a4938271605f4e"}),
                json!({"_id": 5, "client_id": "nobody", "refresh_token": "x", "expires_at": later}),
                json!({"_id": 6, "client_id": "ops", "type": "access", "token": "y"}),
            ],
        ),
        (
            "used_refresh_tokens",
            vec![
                json!({"_id": 1, "client_id": "billing", "refresh_token": "opaque-used", "family_id": "f1",
                "used_at": past, "expires_at": later}),
            ],
        ),
        (
            "revoked_tokens",
            vec![
                json!({"_id": 1, "refresh_token": "opaque-revoked", "revoked_at": past}),
                json!({"_id": 2, "jti": "of-the-access-token", "expires_at": FUTURE}),
            ],
        ),
        (
            "audit_logs",
            vec![
                json!({"_id": 1, "event_type": "login_success", "client_id": "billing", "ip": "192.0.2.7",
                "reason": "ok", "timestamp": "2020-01-01T00:00:00"}),
            ],
        ),
        (
            "config",
            vec![
                json!({"_id": 1, "MAX_REQUESTS_PER_MINUTE": 90, "JWT_SECRET_KEY": "never-shown-anywhere"}),
            ],
        ),
    ]
}

/// Files of `mongoexport`: one document a line, one of them as an array.
fn export(ground: &Ground) -> String {
    let directory = ground.path("export");
    fs::create_dir(&directory).unwrap();
    for (name, documents) in collections() {
        let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
        let content = match name {
            "tokens" => format!("\n[{}]", lines.join(",\n")),
            _ => lines.join("\n"),
        };
        fs::write(directory.join(format!("{name}.json")), content).unwrap();
    }
    directory.to_str().unwrap().to_owned()
}

fn import(ground: &Ground, more: &[&str]) -> (Option<i32>, String) {
    let mut command = tokensmith();
    command.args(["import", "m2m-mongodb"]).args(more);
    command.arg("--data").arg(ground.data());
    let output = command.output().unwrap();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    (output.status.code(), said)
}

fn refresh(server: &Running, token: &str) -> Answer {
    let request = Request::new("POST", server.port, "/refresh");
    let body = json!({ "refresh_token": token });
    request.json(&body).send().unwrap()
}

fn sign_in(server: &Running, id: &str, secret: &str) -> Answer {
    let form = [("username", id), ("password", secret)];
    let request = Request::new("POST", server.port, "/token");
    request.form(&form).send().unwrap()
}

fn assert_goes_on(server: &Running) {
    assert_eq!(sign_in(server, "billing", "plain-old-secret").status, 200);
    assert_eq!(sign_in(server, "billing", "plain").status, 401);
    assert_eq!(sign_in(server, "ops", "another secret").status, 200);
    let renewed = refresh(server, "opaque-live");
    assert_eq!(renewed.status, 200, "{}", renewed.body);
    let renewed: Value = serde_json::from_str(&renewed.body).unwrap();
    let next = renewed["refresh_token"].as_str().unwrap();
    assert!(next.starts_with("tkr_"));
    for over in ["opaque-expired", "opaque-revoked", "opaque-unknown"] {
        assert_eq!(refresh(server, over).status, 401, "{over}");
    }
    let next: Value = serde_json::from_str(&refresh(server, next).body).unwrap();
    let next = next["refresh_token"].as_str().unwrap();
    // The one that was used before ends the family it belonged to.
    let reused = refresh(server, "opaque-used");
    assert_eq!(reused.status, 401);
    assert!(
        reused.body.contains("Refresh token reuse detected"),
        "{}",
        reused.body
    );
    assert_eq!(refresh(server, next).status, 401);
    assert!(
        refresh(server, "opaque-live")
            .body
            .contains("reuse detected")
    );
}

#[test]
fn clients_and_tokens_go_on_after_an_import_from_files() {
    let ground = Ground::new();
    let server = ground.dev();
    let from = export(&ground);
    let (code, said) = import(&ground, &["--from", &from, "--dry-run"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Nothing was changed."), "{said}");
    assert_eq!(sign_in(&server, "billing", "plain-old-secret").status, 401);
    let (code, said) = import(&ground, &["--from", &from]);
    assert_eq!(code, Some(1), "{said}");
    for line in [
        "clients              5 read, 2 brought over, 0 here already, 0 not needed, 3 refused",
        "tokens               6 read, 2 brought over, 0 here already, 3 not needed, 1 refused",
        "used_refresh_tokens  1 read, 1 brought over",
        "revoked_tokens       2 read, 1 brought over",
        "audit_logs           1 read, 1 brought over",
        "refused: clients 3: its client id cannot be used",
        "refused: clients 4: `shoe_size` is not known",
        "refused: clients 5: its secret looks like a bcrypt hash",
        "refused: tokens 5: there is no client nobody",
        "setting: MAX_REQUESTS_PER_MINUTE=90",
    ] {
        assert!(said.contains(line), "{line} in\n{said}");
    }
    assert!(
        !said.contains("never-shown") && !said.contains("opaque"),
        "{said}"
    );
    let (_, again) = import(&ground, &["--from", &from, "--ignore", "shoe_size"]);
    for line in [
        "clients              5 read, 1 brought over, 2 here already",
        "tokens               6 read, 0 brought over, 2 here already",
        "used_refresh_tokens  1 read, 0 brought over, 1 here already",
        "audit_logs           1 read, 0 brought over, 1 here already",
    ] {
        assert!(again.contains(line), "{line} in\n{again}");
    }
    // The running server sees new clients within a second.
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_goes_on(&server);
    assert!(text(&ground.run(["audit", "verify"]).stdout).contains("whole"));
    let database = fs::read(ground.database()).unwrap();
    for secret in ["plain-old-secret", "opaque-live", "opaque-used"] {
        let secret = secret.as_bytes();
        assert!(
            !database
                .windows(secret.len())
                .any(|window| window == secret)
        );
    }
}

#[test]
fn an_import_without_a_source_or_from_nowhere_says_so() {
    let ground = Ground::new();
    ground.dev().stop();
    assert_eq!(import(&ground, &[]).0, Some(2));
    let (code, said) = import(&ground, &["--from", "/nonexistent"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("there is no /nonexistent/clients.json"),
        "{said}"
    );
    let (code, said) = import(&ground, &["--url", "mongodb://user:hunter2@"]);
    assert_eq!(code, Some(1));
    assert!(!said.contains("hunter2"), "{said}");
}

#[cfg(feature = "mongodb")]
#[test]
#[ignore = "needs a server of MongoDB's protocol: interop/ferretdb/run"]
fn clients_and_tokens_go_on_after_an_import_from_a_live_mongodb() {
    let url = std::env::var("IMPORT_TEST_MONGODB_URL").expect("interop/ferretdb/run sets it");
    let name = format!("m2m_{}", std::process::id());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(&url).await.unwrap();
        for (collection, documents) in collections() {
            let collection = client.database(&name).collection(collection);
            let documents = documents.into_iter().map(|document| {
                serde_json::from_value::<mongodb::bson::Document>(document).unwrap()
            });
            collection.insert_many(documents).await.unwrap();
        }
    });
    let ground = Ground::new();
    let server = ground.dev();
    let (code, said) = import(&ground, &["--url", &url, "--database", &name]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("clients              5 read, 2 brought over"),
        "{said}"
    );
    assert!(
        said.contains("tokens               6 read, 2 brought over"),
        "{said}"
    );
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_goes_on(&server);
}
