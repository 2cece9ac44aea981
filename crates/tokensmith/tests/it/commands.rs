//! The commands, beside a running server on the same file, and their exit codes.

use std::time::{Duration, Instant};

use crate::running::{Ground, PATIENCE, run_with_input, text, tokensmith};

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let asked = Instant::now();
    while !holds() {
        assert!(asked.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_client_made_changed_and_removed_beside_a_running_server_is_seen_by_it() {
    let ground = Ground::new();
    let server = ground.dev();
    let status = |secret: &str| {
        server
            .token_request("reports", secret, "groups:read")
            .send()
            .unwrap()
            .status
    };
    assert_eq!(status("x"), 401);
    let secret = |output: std::process::Output| {
        let said = text(&output.stdout);
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix("client_secret (shown once): "));
        line.unwrap_or_else(|| panic!("{said}{}", text(&output.stderr)))
            .to_owned()
    };
    let create = [
        "client",
        "create",
        "reports",
        "--scope",
        "groups:read",
        "--auth-method",
        "client_secret_post",
    ];
    let first = secret(ground.run(create));
    eventually("the new client gets a token", || status(&first) == 200);
    let second = secret(ground.run(["client", "rotate-secret", "reports"]));
    eventually("the new secret counts", || status(&second) == 200);
    assert_eq!(
        status(&first),
        200,
        "the former secret stays valid for a day"
    );
    let third = secret(ground.run(["client", "rotate-secret", "reports", "--keep-old", "0"]));
    eventually("the former secrets are over", || {
        status(&third) == 200 && status(&second) == 401
    });
    assert!(
        ground
            .run(["client", "disable", "reports"])
            .status
            .success()
    );
    eventually("a disabled client is refused", || status(&third) == 401);
    assert!(ground.run(["client", "enable", "reports"]).status.success());
    eventually("an enabled one is not", || status(&third) == 200);
    let shown = ground.json(["client", "show", "reports", "--json"]);
    assert_eq!(shown["scope"], "groups:read");
    for secret in [&first, &second, &third] {
        assert!(!shown.to_string().contains(secret.as_str()));
    }
    assert!(ground.run(["client", "delete", "reports"]).status.success());
    eventually("a removed client is unknown", || status(&third) == 401);
    assert!(text(&ground.run(["audit", "verify"]).stdout).contains("whole"));
}

#[test]
fn a_client_registered_from_a_plain_secret_authenticates_with_it() {
    let ground = Ground::new();
    let server = ground.dev();
    let mut create = tokensmith();
    create.args([
        "client",
        "create",
        "old-service",
        "--scope",
        "read",
        "--secret-stdin",
    ]);
    create
        .args(["--auth-method", "client_secret_basic_or_post", "--data"])
        .arg(ground.data());
    let output = run_with_input(&mut create, "hunter2 and more\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!text(&output.stdout).contains("hunter2"));
    let status = || {
        server
            .token_request("old-service", "hunter2 and more", "read")
            .send()
            .unwrap()
            .status
    };
    eventually("it gets a token", || status() == 200);
}

#[test]
fn a_user_is_made_disabled_and_given_a_password_beside_a_running_server() {
    let ground = Ground::new();
    let server = ground.dev();
    let output = ground.run(["user", "create", "dora@example.com", "--username", "dora"]);
    let said = text(&output.stdout);
    let password = said
        .lines()
        .find_map(|line| line.strip_prefix("password (shown once): "))
        .unwrap();
    let login = |password: &str| server.login("dora@example.com", password);
    let answer = login(password);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let organizations = || {
        let request =
            tokensmith_xtask::http::Request::new("GET", server.port, "/api/auth/organizations");
        request.bearer(&token).send().unwrap().status
    };
    assert_eq!(organizations(), 200);
    let mut change = tokensmith();
    change
        .args(["user", "password", "dora", "--password-stdin", "--data"])
        .arg(ground.data());
    let output = run_with_input(&mut change, "another good password\n");
    assert!(
        text(&output.stdout).contains("1 sessions ended"),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    assert_eq!(
        (
            login(password).status,
            login("another good password").status
        ),
        (401, 200)
    );
    assert_eq!(organizations(), 401, "a token of an ended session");
    assert!(
        ground
            .run(["user", "disable", "dora@example.com"])
            .status
            .success()
    );
    assert_eq!(login("another good password").status, 401);
    assert!(ground.run(["user", "enable", "dora"]).status.success());
    assert_eq!(login("another good password").status, 200);
    let mut weak = tokensmith();
    weak.args(["user", "password", "dora", "--password-stdin", "--data"])
        .arg(ground.data());
    assert_eq!(run_with_input(&mut weak, "short\n").status.code(), Some(1));
}

#[test]
fn organizations_and_groups_are_made_and_listed() {
    let ground = Ground::new();
    drop(ground.dev());
    let run = |arguments: &[&str]| {
        let output = ground.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    };
    run(&["org", "create", "Initech", "--owner", "bob@example.com"]);
    let group = run(&[
        "group",
        "create",
        "Initech",
        "Printers",
        "--description",
        "Who fixes them",
    ]);
    let group = group.trim().strip_prefix("created group ").unwrap();
    run(&["group", "add", group, "bob@example.com"]);
    assert_eq!(
        ground.json(["group", "members", group, "--json"])[0]["email"],
        "bob@example.com"
    );
    assert_eq!(
        ground.json(["org", "members", "Initech", "--json"])[0]["role"],
        "owner"
    );
    let refused = ground.run(["group", "add", group, "mallory@example.com"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("does not belong"),
        "{}",
        text(&refused.stderr)
    );
    let roles = ground.run(["role", "in-organizations"]);
    assert_eq!(text(&roles.stdout).lines().count(), 1 + 3);
}

#[test]
fn a_refusal_is_one_sentence_and_an_exit_code() {
    let ground = Ground::new();
    drop(ground.dev());
    let refusals: [(&[&str], i32, &str); 10] = [
        (
            &["user", "disable", "nobody@example.com"],
            1,
            "there is no user",
        ),
        (&["user", "create", "not an address"], 1, "e-mail address"),
        (
            &["user", "create", "BOB@example.com"],
            1,
            "has an account already",
        ),
        (&["client", "show", "nothing"], 1, "there is no client"),
        (
            &["client", "create", "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f"],
            1,
            "UUID",
        ),
        (
            &[
                "client",
                "create",
                "spa",
                "--public",
                "--redirect-uri",
                "http://evil.test/cb",
            ],
            1,
            "redirect URI",
        ),
        (&["client", "create", "test_client"], 1, "there is a client"),
        (
            &[
                "client",
                "create",
                "keyed",
                "--auth-method",
                "private_key_jwt",
            ],
            1,
            "needs the client's public keys",
        ),
        (&["key", "retire", "nothing"], 1, "there is no signing key"),
        (&["user", "frobnicate"], 2, "unrecognized subcommand"),
    ];
    for (arguments, code, sentence) in refusals {
        let output = ground.run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(sentence), "{arguments:?}: {said}");
        assert!(
            code == 2 || said.lines().count() == 1,
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn a_client_is_registered_with_exactly_one_subject_of_its_certificate() {
    let ground = Ground::new();
    drop(ground.dev());
    let create = |more: &[&str]| {
        let mut command = tokensmith();
        command.args(["client", "create", "certified"]).args(more);
        let output = command.arg("--data").arg(ground.data()).output();
        let output = output.unwrap();
        (
            output.status.success(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    const METHOD: [&str; 2] = ["--auth-method", "tls_client_auth"];
    const DN: [&str; 2] = ["--tls-subject-dn", "CN=certified,O=Activity"];
    let two = [&METHOD[..], &DN, &["--tls-san-dns", "certified.test"]].concat();
    let spaced = [
        &METHOD[..],
        &["--tls-subject-dn", "CN=certified, O=Activity"],
    ]
    .concat();
    for (more, sentence) in [
        (&METHOD[..], "exactly one of"),
        (&two, "exactly one of"),
        (&spaced, "RFC 4514"),
        (&DN, "shows no certificate"),
    ] {
        let (made, _, said) = create(more);
        assert!(!made && said.contains(sentence), "{more:?}: {said}");
    }
    let (made, told, said) = create(&[METHOD, DN].concat());
    assert!(made && !told.contains("secret"), "{told}{said}");
}

#[test]
fn a_client_is_registered_with_its_public_keys_and_never_with_a_private_one() {
    const COORDINATES: &str = r#""x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
    let ground = Ground::new();
    drop(ground.dev());
    let file = ground.path("metadata.json");
    let create = |keys: String| {
        std::fs::write(&file, keys).unwrap();
        let mut command = tokensmith();
        command
            .args([
                "client",
                "create",
                "keyed",
                "--auth-method",
                "private_key_jwt",
            ])
            .arg("--metadata")
            .arg(&file)
            .arg("--data")
            .arg(ground.data());
        command.output().unwrap()
    };
    let set = |more: &str| {
        format!(r#"{{"jwks":{{"keys":[{{"kty":"EC","crv":"P-256",{more}{COORDINATES}}}]}}}}"#)
    };
    let refusals = [
        (set(r#""d":"AA","#), "private or symmetric key"),
        (
            r#"{"jwks_url":"https://client.test"}"#.to_owned(),
            "jwks_url",
        ),
    ];
    for (metadata, sentence) in refusals {
        let output = create(metadata);
        let said = text(&output.stderr);
        assert!(
            !output.status.success() && said.contains(sentence),
            "{said}"
        );
    }
    let output = create(set(""));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        !text(&output.stdout).contains("secret"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn without_data_a_command_says_where_to_find_some_and_makes_nothing() {
    let ground = Ground::new();
    let output = ground.run(["user", "list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!ground.data().exists());
    let output = tokensmith()
        .args(["user", "list"])
        .current_dir(ground.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("--data DIR"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_backup_made_while_the_server_writes_is_whole_and_starts() {
    let ground = Ground::new();
    let server = ground.dev();
    let backup = ground.path("backup.db");
    std::thread::scope(|scope| {
        let load = scope.spawn(|| (0..60).for_each(|_| drop(server.token())));
        let output = ground.run(["backup".as_ref(), backup.as_os_str()]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        load.join().unwrap();
    });
    let again = ground.run(["backup".as_ref(), backup.as_os_str()]);
    assert_eq!(
        again.status.code(),
        Some(1),
        "a backup is never overwritten"
    );
    let restored = Ground::new();
    std::fs::create_dir(restored.data()).unwrap();
    std::fs::copy(&backup, restored.database()).unwrap();
    std::fs::copy(
        ground.data().join("master.key"),
        restored.data().join("master.key"),
    )
    .unwrap();
    let other = restored.dev();
    assert_eq!(other.jwks(), server.jwks());
    assert!(!other.token().is_empty());
    assert_eq!(restored.run(["audit", "verify"]).status.code(), Some(0));
}

#[test]
fn a_token_is_taken_apart_and_what_is_wrong_with_it_is_said() {
    let ground = Ground::new();
    let server = ground.dev();
    let token = server.token();
    let inspect = |token: &str| {
        let mut command = tokensmith();
        command
            .args(["token", "inspect", "--json", "--data"])
            .arg(ground.data());
        let output = run_with_input(&mut command, token);
        let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            output.status.code(),
            Some(if verdict["valid"] == true { 0 } else { 1 })
        );
        verdict
    };
    let verdict = inspect(&token);
    assert_eq!(
        (&verdict["valid"], verdict["claims"]["sub"].as_str()),
        (&true.into(), Some("test_client")),
        "{verdict}"
    );
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let other = server.token();
    let foreign = format!("{rest}.{}", other.rsplit_once('.').unwrap().1);
    assert_ne!(signature, other.rsplit_once('.').unwrap().1);
    assert!(
        inspect(&foreign)["problems"]
            .to_string()
            .contains("signature is wrong")
    );
    assert!(
        inspect("rubbish")["problems"]
            .to_string()
            .contains("not a compact JWS")
    );
    assert!(
        ground
            .run(["client", "disable", "test_client"])
            .status
            .success()
    );
    assert!(
        inspect(&token)["problems"]
            .to_string()
            .contains("is disabled")
    );
}

#[test]
fn migrate_makes_the_schema_without_a_server() {
    let ground = Ground::new();
    let config = ground.configure(1, "");
    let migrate = || {
        tokensmith()
            .args(["migrate", "--config"])
            .arg(&config)
            .output()
            .unwrap()
    };
    for _ in 0..2 {
        let output = migrate();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(
            text(&output.stdout).contains("has schema version"),
            "{}",
            text(&output.stdout)
        );
    }
    let users = tokensmith()
        .args(["user", "list", "--json", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(text(&users.stdout).trim(), "[]");
}

#[test]
fn a_file_of_breached_passwords_is_built_from_sorted_lists_and_looked_into() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    // SHA-1 of "password", "123456" and "letmein", in order.
    let list = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:10434004\r\n\
        7C4A8D09CA3762AF61E59520943DC26494F8941B:42542807\r\n\
        B7A875FC1EA228B9061041B7CEC4BD3C52AB3CE3:9\r\n";
    std::fs::write(at("list"), list).unwrap();
    let build = |list: &str| {
        let out = at("breached");
        let list = at(list);
        tokensmith()
            .args([
                "passwords",
                "build-breached",
                "--at-least",
                "10",
                "--out",
                &out,
                &list,
            ])
            .output()
            .unwrap()
    };
    let built = build("list");
    assert!(built.status.success(), "{}", text(&built.stderr));
    assert!(text(&built.stdout).contains("holds 2 passwords"));
    let check = |password: &str| {
        let file = at("breached");
        run_with_input(
            tokensmith().args(["passwords", "check-breached", &file]),
            password,
        )
    };
    assert_eq!(check("password\n").status.code(), Some(1));
    assert_eq!(check("letmein\n").status.code(), Some(0));
    let before = std::fs::read(at("breached")).unwrap();
    let backwards: String = list.lines().rev().map(|line| format!("{line}\n")).collect();
    std::fs::write(at("backwards"), backwards).unwrap();
    let refused = build("backwards");
    assert!(
        text(&refused.stderr).contains("not in order"),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(
        std::fs::read(at("breached")).unwrap(),
        before,
        "the former file stays"
    );
}
