//! Revocation: what a client may end, what ends with it, and what the answer tells.

use serde_json::json;
use tokensmith_testkit::{Answer, TestServer};

use crate::{
    claims_of,
    introspect::{CHAT, Registered, account_resource, client, declare_chat, still_serves},
};

/// The public client of the account endpoints, which holds the refresh tokens of signed-in users.
fn account_client() -> Registered {
    Registered {
        id: "tokensmith-account".to_owned(),
        secret: None,
    }
}

async fn revoke(server: &TestServer, client: &Registered, token: &str) -> Answer {
    client
        .form(server, "/oauth/revoke", &[("token", token)])
        .await
}

async fn refusals(server: &TestServer) -> usize {
    let events = server.audit_events().await;
    events
        .iter()
        .filter(|event| *event == "revocation_refused")
        .count()
}

#[tokio::test]
async fn a_revoked_access_token_is_inactive_and_refused_everywhere() {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    let caller = client(&server, "caller", false, &[CHAT]).await;
    let (token, other) = (
        caller.own_token(&server, "groups:read").await,
        caller.own_token(&server, "groups:read").await,
    );
    assert_eq!(caller.introspects(&server, &token).await["active"], true);
    let answer = revoke(&server, &caller, &token).await.expect(200);
    assert_eq!(
        (answer.body.as_str(), answer.header("cache-control")),
        ("", Some("no-store"))
    );
    assert_eq!(
        caller.introspects(&server, &token).await,
        json!({"active": false})
    );
    assert_eq!(caller.introspects(&server, &other).await["active"], true);
    let lines = server.app().store().revocations_since(0, 10).await.unwrap();
    let claims = claims_of(&token);
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (lines[0].kind.as_str(), &json!(lines[0].subject)),
        ("token", &claims["jti"])
    );
    assert_eq!(json!(lines[0].expires_at.as_seconds()), claims["exp"]);
    assert_eq!(server.audit_events().await.last().unwrap(), "token_revoked");
    // Again: the same answer, and no second line.
    revoke(&server, &caller, &token).await.expect(200);
    assert_eq!(
        server
            .app()
            .store()
            .revocations_since(0, 10)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn row_143_a_client_that_revokes_anothers_token_ends_nothing() {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    let caller = client(&server, "caller", false, &[CHAT]).await;
    let foreign = client(&server, "foreign", false, &[CHAT]).await;
    let token = caller.own_token(&server, "groups:read").await;
    let alice = server.user("alice").await;
    let own = foreign.own_token(&server, "groups:read").await;
    revoke(&server, &foreign, &own).await.expect(200);
    assert_eq!(foreign.introspects(&server, &own).await["active"], false);
    for (number, token) in [&token, &alice.access_token, &alice.refresh_token]
        .into_iter()
        .enumerate()
    {
        let answer = revoke(&server, &foreign, token).await.expect(200);
        let unknown = revoke(&server, &foreign, "nonsense").await.expect(200);
        assert_eq!(answer.body, unknown.body);
        assert_eq!(refusals(&server).await, number + 1);
    }
    assert_eq!(caller.introspects(&server, &token).await["active"], true);
    let resource = account_resource(&server).await;
    assert_eq!(
        resource.introspects(&server, &alice.access_token).await["active"],
        true
    );
    server
        .anonymous()
        .renew(&alice.refresh_token, &[])
        .await
        .expect(200);
    still_serves(&server, "bob").await;
}

#[tokio::test]
async fn row_144_a_public_client_ends_its_refresh_token_with_every_access_token_of_the_grant() {
    let server = TestServer::start().await;
    let resource = account_resource(&server).await;
    let (alice, elsewhere) = {
        let alice = server.user("alice").await;
        (alice.clone(), alice.signed_in_again(&server).await)
    };
    let renewed = server
        .anonymous()
        .renew(&alice.refresh_token, &[])
        .await
        .expect(200);
    // The oldest access token of the family and the newest: neither outlives the grant.
    let tokens = [alice.access_token.clone(), renewed.text("access_token")];
    for token in &tokens {
        assert_eq!(resource.introspects(&server, token).await["active"], true);
    }
    let refresh_token = renewed.text("refresh_token");
    revoke(&server, &account_client(), &refresh_token)
        .await
        .expect(200);
    for token in &tokens {
        assert_eq!(
            resource.introspects(&server, token).await,
            json!({"active": false})
        );
        let anonymous = server.anonymous();
        let call = anonymous.request(reqwest::Method::GET, "/api/auth/organizations");
        anonymous
            .send(call.bearer_auth(token))
            .await
            .expect_problem(401);
    }
    for token in [&refresh_token, &alice.refresh_token] {
        let refused = server.anonymous().renew(token, &[]).await;
        refused.expect_oauth_error(400, "invalid_grant");
    }
    assert!(
        server
            .audit_events()
            .await
            .contains(&"token_revoked".to_owned())
    );
    assert_eq!(
        resource.introspects(&server, &elsewhere.access_token).await["active"],
        true
    );
    server
        .anonymous()
        .renew(&elsewhere.refresh_token, &[])
        .await
        .expect(200);
    still_serves(&server, "bob").await;
}

#[tokio::test]
async fn a_spent_refresh_token_ends_its_grant_when_it_is_revoked() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let renewed = server
        .anonymous()
        .renew(&alice.refresh_token, &[])
        .await
        .expect(200);
    revoke(&server, &account_client(), &alice.refresh_token)
        .await
        .expect(200);
    let refused = server
        .anonymous()
        .renew(&renewed.text("refresh_token"), &[])
        .await;
    refused.expect_oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn row_146_a_wrong_or_unknown_hint_changes_nothing() {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    let caller = client(&server, "caller", false, &[CHAT]).await;
    for hint in [
        "access_token",
        "refresh_token",
        "id_token",
        "nonsense",
        "<script>",
    ] {
        let token = caller.own_token(&server, "groups:read").await;
        assert_eq!(caller.introspects(&server, &token).await["active"], true);
        let form = [("token", token.as_str()), ("token_type_hint", hint)];
        let asked = caller
            .form(&server, "/oauth/introspect", &form)
            .await
            .expect(200);
        assert_eq!(asked.json()["active"], true, "{hint}");
        caller
            .form(&server, "/oauth/revoke", &form)
            .await
            .expect(200);
        assert_eq!(
            caller.introspects(&server, &token).await["active"],
            false,
            "{hint}"
        );
    }
    let alice = server.user("alice").await;
    let form = [
        ("token", alice.refresh_token.as_str()),
        ("token_type_hint", "access_token"),
    ];
    account_client()
        .form(&server, "/oauth/revoke", &form)
        .await
        .expect(200);
    let refused = server.anonymous().renew(&alice.refresh_token, &[]).await;
    refused.expect_oauth_error(400, "invalid_grant");
    still_serves(&server, "bob").await;
}

#[tokio::test]
async fn a_request_that_names_no_token_or_no_client_is_refused() {
    let server = TestServer::start().await;
    let caller = client(&server, "caller", false, &[]).await;
    revoke(&server, &caller, "unknown").await.expect(200);
    for form in [&[][..], &[("token", "")], &[("token", "a"), ("token", "b")]] {
        let answer = caller.form(&server, "/oauth/revoke", form).await;
        answer.expect_oauth_error(400, "invalid_request");
    }
    let anonymous = server.anonymous();
    let nobody = anonymous.form("/oauth/revoke", &[("token", "a")]).await;
    nobody.expect_oauth_error(401, "invalid_client");
    // Knowing the name of a client with a secret is not being it.
    let form = [("token", "a"), ("client_id", "caller")];
    let pretender = anonymous.form("/oauth/revoke", &form).await;
    pretender.expect_oauth_error(401, "invalid_client");
}

#[tokio::test]
async fn fifty_revocations_of_one_token_at_once_leave_one_line() {
    let server = TestServer::start().await;
    let caller = client(&server, "caller", false, &[]).await;
    let token = caller.own_token(&server, "groups:read").await;
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let anonymous = server.anonymous();
        let request = anonymous
            .request(reqwest::Method::POST, "/oauth/revoke")
            .basic_auth(&caller.id, caller.secret.as_ref())
            .form(&[("token", &token)]);
        answers.spawn(async move { anonymous.send(request).await.status });
    }
    assert!(
        answers
            .join_all()
            .await
            .into_iter()
            .all(|status| status == 200)
    );
    assert_eq!(
        server
            .app()
            .store()
            .revocations_since(0, 10)
            .await
            .unwrap()
            .len(),
        1
    );
}
