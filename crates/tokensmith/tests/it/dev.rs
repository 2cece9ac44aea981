//! `tokensmith dev`.

use std::process::Command;

use crate::running::{Ground, text, tokensmith};

const PASSWORD: &str = "correct horse battery staple";

#[test]
fn it_is_ready_with_the_demo_users_clients_and_scopes() {
    let ground = Ground::new();
    let server = ground.dev();
    for (client, secret, scope) in [
        (
            "chat-api-service",
            "your-service-secret-change-in-production",
            "groups:read members:read",
        ),
        ("test_client", "test_secret", "read write"),
        ("admin_client", "admin_secret", "admin"),
    ] {
        let answer = server.token_request(client, secret, scope).send().unwrap();
        assert_eq!(
            (answer.status, answer.json()["scope"].as_str()),
            (200, Some(scope)),
            "{client}: {}",
            answer.body
        );
    }
    for email in [
        "alice.admin@example.com",
        "bob@example.com",
        "mallory@example.com",
    ] {
        assert_eq!(server.login(email, PASSWORD).status, 200, "{email}");
        assert_eq!(
            server.login(email, "another password").status,
            401,
            "{email}"
        );
    }
    let groups = ground.json(["group", "list", "Activity", "--json"]);
    let group = groups[0]["id"].as_str().unwrap();
    assert_eq!(groups[0]["name"], "E2E Test Group");
    let members = ground.json(["group", "members", group, "--json"]);
    let emails: Vec<_> = members
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["email"].as_str().unwrap())
        .collect();
    assert_eq!(emails.len(), 2);
    assert!(emails.contains(&"alice.admin@example.com") && emails.contains(&"bob@example.com"));
    let role = |org: &str| ground.json(["org", "members", org, "--json"])[0]["role"].clone();
    assert_eq!(role("Globex"), "owner");
    assert_eq!(server.get("/health").unwrap().json()["status"], "ok");
    assert!(
        server
            .get("/metrics")
            .unwrap()
            .body
            .contains("http_request_duration_seconds")
    );
}

#[test]
fn demo_users_share_a_password_but_no_hash() {
    let ground = Ground::new();
    drop(ground.dev());
    let database = rusqlite::Connection::open(ground.database()).unwrap();
    let distinct =
        "SELECT count(DISTINCT password_hash) FROM users WHERE password_hash LIKE '$argon2id$%'";
    assert_eq!(
        database
            .query_row(distinct, [], |row| row.get::<_, i64>(0))
            .unwrap(),
        3
    );
}

#[test]
fn the_commands_of_the_banner_work_as_they_stand() {
    let ground = Ground::new();
    let server = ground.dev();
    let banner = server.log();
    assert!(
        !banner.contains('\u{1b}'),
        "colour belongs on a terminal alone"
    );
    for shown in [
        "alice.admin@example.com",
        "test_secret",
        "/sign-in",
        "/docs",
        "/health",
        "/metrics",
        "Ctrl-C",
        PASSWORD,
    ] {
        assert!(banner.contains(shown), "{shown}\n{banner}");
    }
    let is_command = |line: &&str| {
        ["  curl ", "  TOKEN=", "  ORG="]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let commands: Vec<&str> = banner.lines().filter(is_command).collect();
    assert_eq!(commands.len(), 4, "{banner}");
    let run = Command::new("bash")
        .args(["-e", "-c", &commands.join("\necho\n")])
        .output()
        .expect("bash and curl");
    let answers = text(&run.stdout);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert!(answers.contains("\"access_token\""), "{answers}");
    assert!(answers.contains("E2E Test Group"), "{answers}");
}

#[test]
fn a_second_start_keeps_the_data_and_what_people_changed() {
    let ground = Ground::new();
    let server = ground.dev();
    let jwks = server.jwks();
    assert!(
        ground
            .run(["client", "delete", "admin_client"])
            .status
            .success()
    );
    assert!(
        ground
            .run(["user", "disable", "bob@example.com"])
            .status
            .success()
    );
    assert!(
        ground
            .run(["user", "create", "new@example.com"])
            .status
            .success()
    );
    let users = ground.json(["user", "list", "--json"]);
    server.stop();

    let server = ground.dev();
    assert_eq!(server.jwks(), jwks);
    assert_eq!(ground.json(["user", "list", "--json"]), users);
    assert_eq!(
        server
            .token_request("admin_client", "admin_secret", "admin")
            .send()
            .unwrap()
            .status,
        401
    );
    assert_eq!(server.login("bob@example.com", PASSWORD).status, 401);
    assert_eq!(
        server.login("alice.admin@example.com", PASSWORD).status,
        200
    );
}

#[test]
fn a_start_that_was_cut_short_is_made_up_for() {
    let ground = Ground::new();
    drop(ground.dev());
    let database = rusqlite::Connection::open(ground.database()).unwrap();
    // As if the process had ended before the last steps.
    database.execute_batch("DELETE FROM resources; DELETE FROM group_members; DELETE FROM clients WHERE client_id = 'test_client'").unwrap();
    drop(database);
    let server = ground.dev();
    assert!(!server.token().is_empty());
    assert_eq!(
        ground
            .json(["user", "list", "--json"])
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let group = ground.json(["group", "list", "Activity", "--json"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        ground
            .json(["group", "members", &group, "--json"])
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_port_in_use_is_one_clear_sentence_and_nothing_is_made() {
    let (ground, other) = (Ground::new(), Ground::new());
    let server = ground.dev();
    let port = server.port.to_string();
    let output = tokensmith()
        .args(["dev", "--port", &port, "--data"])
        .arg(other.data())
        .output()
        .unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(
        message.contains(&format!("cannot listen on 127.0.0.1:{port}"))
            && message.contains("--port"),
        "{message}"
    );
    assert!(!other.data().exists());
}

#[test]
fn the_issuer_names_the_port_it_was_given() {
    let ground = Ground::new();
    let server = ground.dev();
    let metadata = server
        .get("/.well-known/oauth-authorization-server")
        .unwrap()
        .json();
    assert_eq!(
        metadata["issuer"],
        format!("http://localhost:{}", server.port)
    );
}
