//! `tokensmith token mint|revoke|timeline` beside a running server.

use serde_json::Value;
use tokensmith_xtask::http::Request;

use crate::running::{Ground, run_with_input, text, tokensmith};

const ALICE: &str = "alice.admin@example.com";
const PASSWORD: &str = "correct horse battery staple";

#[test]
fn the_timeline_of_a_refresh_token_says_why_its_user_was_signed_out() {
    let ground = Ground::new();
    let server = ground.dev();
    let signed_in = server.login(ALICE, PASSWORD).json();
    let refresh = signed_in["refresh_token"].as_str().unwrap().to_owned();
    let access = signed_in["access_token"].as_str().unwrap().to_owned();
    let logout = Request::new("POST", server.port, "/api/auth/logout");
    let logout = logout.header("authorization", format!("Bearer {access}"));
    assert_eq!(logout.send().unwrap().status, 200);
    let mut show = tokensmith();
    show.args(["token", "timeline", "--data"])
        .arg(ground.data());
    let output = run_with_input(&mut show, &format!("{refresh}\n"));
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        said.lines()
            .last()
            .unwrap()
            .starts_with("The family ended because the user signed out"),
        "{said}"
    );
    assert!(said.contains("signed in: a session began"), "{said}");
    let secret = refresh.rsplit('.').next().unwrap();
    assert!(!said.contains(secret) && !said.contains(&access));
    let family = refresh["tkr_".len()..].split('.').next().unwrap();
    let by_family = ground.json(["token", "timeline", family, "--json"]);
    let by_access_token = ground.json(["token", "timeline", &access, "--json"]);
    assert_eq!(by_family["subject"]["kind"], "family");
    assert_eq!(by_family["entries"], by_access_token["entries"]);
    let of_user = ground.json(["token", "timeline", ALICE, "--json"]);
    assert!(
        of_user["verdict"]
            .as_str()
            .unwrap()
            .starts_with("The user has 0 live sessions")
    );
    let unknown = ground.run(["token", "timeline", "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f"]);
    assert!(!unknown.status.success());
}

#[test]
fn a_minted_token_is_recorded_and_refused_once_it_is_revoked() {
    let ground = Ground::new();
    let server = ground.dev();
    let port = server.port.to_string();
    let mint = |client: &str, scope: &str| {
        ground.run([
            "token", "mint", client, "--scope", scope, "--port", &port, "--json",
        ])
    };
    let output = mint("chat-api-service", "groups:read");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let minted: Value = serde_json::from_slice(&output.stdout).unwrap();
    let token = minted["access_token"].as_str().unwrap();
    let valid = || {
        let inspect = ground.run(["token", "inspect", token]);
        inspect.status.success()
    };
    assert!(valid());
    for (client, scope) in [
        ("chat-api-service", "groups:admin"),
        ("demo-spa", "openid"),
        ("nobody", "read"),
    ] {
        assert!(!mint(client, scope).status.success(), "{client} {scope}");
    }
    let listed = ground.json(["audit", "list", "--json", "--limit", "20"]);
    let minted_by = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["event"] == "token_minted");
    assert_eq!(minted_by.unwrap()["actor"], "operator");
    assert_eq!(minted_by.unwrap()["jti"], minted["jti"]);
    assert!(ground.run(["token", "revoke", token]).status.success());
    assert!(!valid());
    assert!(
        !ground.run(["token", "revoke", token]).status.success(),
        "only once"
    );
    assert!(
        !ground
            .run(["token", "revoke", "no-such-jti"])
            .status
            .success()
    );
    let again = mint("chat-api-service", "groups:read");
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert!(
        ground
            .run(["token", "revoke", "--client", "chat-api-service"])
            .status
            .success()
    );
    let inspect = ground.run(["token", "inspect", again["access_token"].as_str().unwrap()]);
    assert!(text(&inspect.stdout).contains("the token is revoked"));
}

#[test]
fn an_operator_ends_a_family_a_session_and_a_user() {
    let ground = Ground::new();
    let server = ground.dev();
    let sign_in = || {
        server.login(ALICE, PASSWORD).json()["refresh_token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let renews = |refresh: &str| {
        let body = serde_json::json!({ "refresh_token": refresh });
        let request = Request::new("POST", server.port, "/api/auth/refresh").json(&body);
        request.send().unwrap().status == 200
    };
    let family = sign_in();
    assert!(ground.run(["token", "revoke", &family]).status.success());
    assert!(!renews(&family));
    let session = sign_in();
    let line = ground.json(["token", "timeline", &session, "--json"]);
    let sid = line["entries"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["event"] == "login_success");
    let sid = sid.unwrap()["grant_id"].as_str().unwrap();
    let ended = ground.run(["token", "revoke", sid]);
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    assert!(!renews(&session));
    let user = sign_in();
    assert!(ground.run(["token", "revoke", ALICE]).status.success());
    assert!(!renews(&user));
    let said = text(&ground.run(["token", "timeline", &user]).stdout);
    assert!(said.contains("an operator revoked it"), "{said}");
}
