//! `tokensmith apply` and the commands for declarations, beside a running server.

use std::{fs, process::Output};

use serde_json::Value;

use crate::running::{Ground, text, tokensmith};

const FILE: &str = r#"
[scopes."docs:read"]
description = "Read documents."

[scopes."docs:write"]
implies = ["docs:read"]

[resources."https://docs.example.com"]
name = "Documents"
scopes = ["docs:read", "docs:write"]
access_token_seconds = 120

[permissions."documents.write"]
description = "Write documents."

[roles.viewer]
permissions = ["tokensmith:read"]

[roles.editor]
permissions = ["documents.write"]
includes = ["viewer"]

[clients.reports]
client_name = "Reports"
scope = "docs:read"
resources = ["https://docs.example.com"]
token_endpoint_auth_method = "client_secret_post"
secret_env = "REPORTS_SECRET"

[clients.page]
token_endpoint_auth_method = "none"
redirect_uris = ["https://page.example.com/cb"]
dpop_bound_access_tokens = true

[issuers."https://ci.example.com"]
jwks_uri = "https://ci.example.com/jwks.json"
rules = [{ client_id = "reports", claims = { sub = ["repo:example/docs:*"] } }]
"#;

fn apply(ground: &Ground, file: &str, more: &[&str], secret: Option<&str>) -> Output {
    let path = ground.path("registry.toml");
    fs::write(&path, file).unwrap();
    let mut command = tokensmith();
    command.args(["apply", "-f"]).arg(path).args(more);
    command
        .arg("--data")
        .arg(ground.data())
        .stdin(std::process::Stdio::null());
    if let Some(secret) = secret {
        command.env("REPORTS_SECRET", secret);
    }
    command.output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

const SECRET: &str = "a secret of the pipeline";

#[test]
fn a_file_is_shown_applied_once_and_changes_nothing_the_second_time() {
    let ground = Ground::new();
    let server = ground.dev();
    let shown = apply(&ground, FILE, &["--dry-run"], Some(SECRET));
    assert_eq!(code(&shown), 3, "{}", text(&shown.stderr));
    let said = text(&shown.stdout);
    for line in [
        "+ scope docs:write",
        "    implies: [\"docs:read\"]",
        "+ client reports",
        "+ issuer https://ci.example.com",
        "9 to add, 0 to change, 0 to remove",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains(SECRET));
    assert!(
        !ground.run(["client", "show", "reports"]).status.success(),
        "a dry run changes nothing"
    );
    let unasked = apply(&ground, FILE, &[], Some(SECRET));
    assert_eq!(code(&unasked), 1, "nobody is there to be asked");
    let applied = apply(&ground, FILE, &["--yes"], Some(SECRET));
    assert_eq!(code(&applied), 0, "{}", text(&applied.stderr));
    let again = apply(&ground, FILE, &["--dry-run"], Some(SECRET));
    assert_eq!(
        (code(&again), text(&again.stdout).as_str()),
        (0, "nothing differs\n")
    );
    std::thread::sleep(std::time::Duration::from_secs(1));
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "reports"),
        ("client_secret", SECRET),
        ("scope", "docs:read"),
    ];
    let request =
        tokensmith_xtask::http::Request::new("POST", server.port, "/oauth/token").form(&form);
    let token = request.send().unwrap();
    assert_eq!(token.status, 200, "{}", token.body);
    assert_eq!(token.json()["expires_in"], 120);
    assert_eq!(
        ground.json(["client", "show", "page", "--json"])["auth_method"],
        "none"
    );
    let audit = text(&ground.run(["audit", "list", "--json"]).stdout);
    assert!(
        audit.contains("client_registered")
            && audit.contains("role_declared")
            && !audit.contains(SECRET)
    );
}

#[test]
fn what_changed_is_shown_member_by_member_and_only_pruned_when_asked() {
    let ground = Ground::new();
    drop(ground.dev());
    assert_eq!(code(&apply(&ground, FILE, &["--yes"], Some(SECRET))), 0);
    let smaller = FILE.replace("Read documents.", "Look at documents.");
    let smaller = smaller.replace(
        "[roles.editor]\npermissions = [\"documents.write\"]\nincludes = [\"viewer\"]\n",
        "",
    );
    let shown = apply(
        &ground,
        &smaller,
        &["--dry-run", "--json"],
        Some("another secret"),
    );
    let steps: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let keys: Vec<&str> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["docs:read", "reports"]);
    assert_eq!(
        steps[0]["members"]["description"]["before"],
        "Read documents."
    );
    assert!(
        steps[1]["members"]["secrets"].is_object() && !steps.to_string().contains("another secret")
    );
    // Scopes, clients and the rest of the demo are not in the file: pruning would remove them, and they are in use.
    let only_roles = "[roles]\n";
    let pruned = apply(&ground, only_roles, &["--prune", "--yes"], None);
    assert_eq!(code(&pruned), 0, "{}", text(&pruned.stderr));
    assert!(text(&pruned.stdout).contains("- role editor"));
    assert_eq!(
        ground
            .json(["role", "list", "--json"])
            .as_array()
            .unwrap()
            .len(),
        0
    );
    assert!(
        !ground
            .json(["scope", "list", "--json"])
            .as_array()
            .unwrap()
            .is_empty(),
        "not of a kind the file speaks of"
    );
    let refused = apply(&ground, "[scopes]\n", &["--prune", "--yes"], None);
    assert_eq!(code(&refused), 1);
    assert!(
        text(&refused.stderr).contains("is still named by"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn every_problem_is_told_with_its_line_and_nothing_is_changed() {
    let ground = Ground::new();
    drop(ground.dev());
    let wrong = r#"
[scopes."two tokens"]
[scopes.fine]
descripton = "a misspelt member"
[clients.reports]
scope = 7
secret_env = "NOT_SET_ANYWHERE"
[clients.keyless]
[clint.x]
[roles.a]
permissions = ["p", "p"]
"#;
    let refused = apply(&ground, wrong, &["--yes"], None);
    assert_eq!(code(&refused), 1);
    assert!(
        text(&refused.stderr).contains("registry.toml:9: clint is no part of such a file."),
        "{}",
        text(&refused.stderr)
    );
    let refused = apply(&ground, &wrong.replace("[clint.x]\n", ""), &["--yes"], None);
    let said = text(&refused.stderr);
    for part in [
        "registry.toml:2: scope two tokens: name",
        "registry.toml:4: scope fine: descripton is no member of a scope.",
        "registry.toml:6: client reports: scope must be a text.",
        "registry.toml:7: client reports: the environment variable NOT_SET_ANYWHERE is not set.",
        "registry.toml:8: client keyless: it authenticates by a secret",
        "registry.toml:10: role a: permissions: \"p\" stands twice.",
        "6 problems; nothing was changed",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!ground.run(["scope", "show", "fine"]).status.success());
    for (file, part) in [
        ("[clients.tokensmith-account]\n", "belongs to the server"),
        (
            "[clients.a]\nsecret_env = \"A\"\nsecret_sha256 = \"x\"\n",
            "given twice",
        ),
        (
            "[clients.a]\nclient_secret = \"in the clear\"\nsecret_sha256 = \"x\"\n",
            "no such hash",
        ),
        ("[scopes.a]\nimplies = [\"b\"]\n", "is not declared"),
        ("[scopes.a]\n[scopes.a]\n", "registry.toml:2"),
        (
            "[resources.\"https://api.activity.com\"]\nsigning_algorithm = \"HS256\"\n",
            "HS256",
        ),
    ] {
        let refused = apply(&ground, file, &["--yes"], None);
        let said = text(&refused.stderr);
        assert_eq!(code(&refused), 1, "{file}");
        assert!(
            said.contains(part) && !said.contains("in the clear"),
            "{part}: {said}"
        );
    }
}

#[test]
fn an_export_applied_again_changes_nothing_and_makes_the_same_registry_elsewhere() {
    let ground = Ground::new();
    drop(ground.dev());
    assert_eq!(code(&apply(&ground, FILE, &["--yes"], Some(SECRET))), 0);
    let exported = ground.run(["apply", "--export"]);
    let file = text(&exported.stdout);
    assert!(
        exported.status.success() && !file.contains("argon2") && !file.contains("sha256"),
        "{file}"
    );
    let again = apply(&ground, &file, &["--dry-run", "--prune"], None);
    assert_eq!(
        (code(&again), text(&again.stdout).as_str()),
        (0, "nothing differs\n"),
        "{}",
        text(&again.stderr)
    );
    let with_hashes = text(&ground.run(["apply", "--export", "--with-hashes"]).stdout);
    let again = apply(&ground, &with_hashes, &["--dry-run", "--prune"], None);
    assert_eq!(
        (code(&again), text(&again.stdout).as_str()),
        (0, "nothing differs\n")
    );
    let elsewhere = Ground::new();
    drop(elsewhere.serve(""));
    let config = elsewhere.path("tokensmith.toml");
    let on = |arguments: &[&str]| {
        let mut command = tokensmith();
        command.args(arguments).arg("--config").arg(&config);
        command.stdin(std::process::Stdio::null()).output().unwrap()
    };
    let path = elsewhere.path("registry.toml");
    fs::write(&path, &with_hashes).unwrap();
    let path = path.to_str().unwrap();
    let applied = on(&["apply", "-f", path, "--yes"]);
    assert_eq!(code(&applied), 0, "{}", text(&applied.stderr));
    let second = text(&on(&["apply", "--export", "--with-hashes"]).stdout);
    let clients = |file: &str| file[file.find("[clients").unwrap()..].to_owned();
    assert_eq!(clients(&second), clients(&with_hashes));
}

#[test]
fn declarations_are_set_shown_listed_and_deleted_one_by_one() {
    let ground = Ground::new();
    drop(ground.dev());
    let ok = |arguments: &[&str]| {
        let output = ground.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
    };
    ok(&["scope", "set", "docs:read", "--description", "Read."]);
    ok(&["scope", "set", "docs:write", "--implies", "docs:read"]);
    assert_eq!(
        ground.json(["scope", "show", "docs:write", "--json"])["implies"][0],
        "docs:read"
    );
    ok(&[
        "permission",
        "set",
        "documents.write",
        "--description",
        "Write.",
    ]);
    ok(&["role", "set", "viewer", "--permission", "tokensmith:read"]);
    ok(&[
        "role",
        "set",
        "editor",
        "--permission",
        "documents.write",
        "--include",
        "viewer",
    ]);
    assert_eq!(
        ground.json(["role", "show", "editor", "--json"])["includes"][0],
        "viewer"
    );
    let refusals: [&[&str]; 7] = [
        &["scope", "delete", "docs:read"],
        &["scope", "set", "tokensmith:own"],
        &["scope", "set", "a", "--implies", "nothing"],
        &["role", "delete", "viewer"],
        &["role", "set", "viewer", "--include", "editor"],
        &["permission", "delete", "documents.write"],
        &["permission", "show", "nothing"],
    ];
    for arguments in refusals {
        assert_eq!(code(&ground.run(arguments)), 1, "{arguments:?}");
    }
    ok(&["role", "set", "editor", "--include", "", "--permission", ""]);
    ok(&["role", "delete", "viewer"]);
    ok(&["permission", "delete", "documents.write"]);
    ok(&["scope", "delete", "docs:write"]);
    ok(&["resource", "declare", "https://docs.example.com"]);
    ok(&["resource", "delete", "https://docs.example.com"]);
    assert_eq!(
        ground
            .json(["role", "list", "--json"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
    for kind in ["scope", "resource", "permission", "role"] {
        assert!(ground.json([kind, "list", "--json"]).is_array());
    }
}
