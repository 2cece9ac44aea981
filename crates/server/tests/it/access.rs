//! Access evaluation (OpenID AuthZEN 1.0): the decisions, their order, and what is no question.

use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_testkit::{Answer, TestServer, User};

use crate::{
    introspect::{CHAT, Registered, client, declare_chat},
    roles::{assign, declare},
};

const ONE: &str = "/access/v1/evaluation";
const SEVERAL: &str = "/access/v1/evaluations";

async fn ask(server: &TestServer, client: &Registered, path: &str, body: Value) -> Answer {
    let anonymous = server.anonymous();
    let request = anonymous.request(Method::POST, path).json(&body);
    let request = request.basic_auth(&client.id, client.secret.as_ref());
    anonymous.send(request.header("x-request-id", "q-1")).await
}

/// A server with a client that may ask, and alice, who may write pages in her organization and read them everywhere.
async fn house() -> (TestServer, Registered, User, String) {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    let chat = client(&server, "chat", false, &[CHAT]).await;
    declare(&server, "reader", &["pages:read", "export"], &[]).await;
    declare(&server, "editor", &["pages:write"], &[]).await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    assign(&server, &alice, None, "reader").await;
    assign(&server, &alice, Some(&org), "editor").await;
    (server, chat, alice, org)
}

fn question(subject: &str, action: &str, org: Option<&str>) -> Value {
    let mut question = json!({
        "subject": {"type": "user", "id": subject}, "action": {"name": action},
        "resource": {"type": "pages", "id": "1"},
    });
    if let Some(org) = org {
        question["resource"]["properties"] = json!({"org_id": org});
    }
    question
}

#[tokio::test]
async fn a_decision_follows_from_the_roles_of_this_moment() {
    let (server, chat, alice, org) = house().await;
    let bob = server.user("bob").await;
    let other = bob.creates_organization("Globex").await;
    let id = alice.id.as_str();
    for (subject, action, org, expected) in [
        (id, "read", None, true),
        (&alice.email, "read", None, true),
        (id, "export", None, true),
        (id, "write", None, false),
        (id, "write", Some(org.as_str()), true),
        (id, "write", Some(other.as_str()), false),
        (id, "READ", None, false),
        (bob.id.as_str(), "read", Some(other.as_str()), false),
        ("nobody@example.com", "read", None, false),
        ("01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f", "read", None, false),
    ] {
        let answer = ask(&server, &chat, ONE, question(subject, action, org))
            .await
            .expect(200);
        assert_eq!(
            answer.json(),
            json!({"decision": expected}),
            "{subject} {action} {org:?}"
        );
        assert_eq!(answer.header("x-request-id"), Some("q-1"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    // What a request says of its subject is not believed.
    let mut claims = question(bob.id.as_str(), "write", None);
    claims["subject"]["properties"] = json!({"roles": ["admin"], "permissions": ["pages:write"]});
    let answer = ask(&server, &chat, ONE, claims).await.expect(200);
    assert_eq!(answer.json(), json!({"decision": false}));
    let admin = server.user_with_roles("root", &["admin"]).await;
    let anything = question(admin.id.as_str(), "never declared", None);
    let answer = ask(&server, &chat, ONE, anything).await.expect(200);
    assert_eq!(answer.json(), json!({"decision": true}));
    let mut service = question("chat", "groups:read", None);
    service["subject"]["type"] = json!("client");
    let answer = ask(&server, &chat, ONE, service).await.expect(200);
    assert!(answer.json()["decision"].is_boolean());
}

#[tokio::test]
async fn several_questions_share_what_they_leave_out_and_stop_as_asked() {
    let (server, chat, alice, org) = house().await;
    let batch = |semantic: Value| {
        json!({
            "subject": {"type": "user", "id": alice.id.as_str()}, "action": {"name": "read"},
            "context": {"org_id": org}, "options": {"evaluations_semantic": semantic, "another": 1},
            "evaluations": [
                {"resource": {"type": "pages", "id": "1"}},
                {"resource": {"type": "secrets", "id": "2"}},
                {"resource": {"type": "pages", "id": "3"}, "action": {"name": "write"}},
                {"action": {"name": "write"}},
            ],
        })
    };
    let decisions = async |semantic: &str| -> Vec<Value> {
        let answer = ask(&server, &chat, SEVERAL, batch(json!(semantic)))
            .await
            .expect(200);
        answer.json()["evaluations"].as_array().unwrap().clone()
    };
    let all = decisions("execute_all").await;
    let plain: Vec<&Value> = all.iter().map(|one| &one["decision"]).collect();
    assert_eq!(plain, [true, false, true, false]);
    assert_eq!(all[3]["context"]["error"]["status"], 400);
    assert_eq!(decisions("deny_on_first_deny").await.len(), 2);
    assert_eq!(
        decisions("permit_on_first_permit").await,
        [json!({"decision": true})]
    );
    for bad in [json!("all"), json!(1), json!(null), json!("EXECUTE_ALL")] {
        ask(&server, &chat, SEVERAL, batch(bad))
            .await
            .expect_problem(400);
    }
    // Without questions it is a single one.
    for evaluations in [json!([]), Value::Null] {
        let mut single = question(alice.id.as_str(), "read", None);
        if !evaluations.is_null() {
            single["evaluations"] = evaluations;
        }
        let answer = ask(&server, &chat, SEVERAL, single).await.expect(200);
        assert_eq!(answer.json(), json!({"decision": true}));
    }
    let many: Vec<Value> = (0..101).map(|_| json!({})).collect();
    ask(&server, &chat, SEVERAL, json!({"evaluations": many}))
        .await
        .expect_problem(400);
}

#[tokio::test]
async fn row_271_decisions_are_for_clients_that_prove_themselves_and_speak_for_a_resource() {
    let (server, chat, alice, _) = house().await;
    let body = || question(alice.id.as_str(), "read", None);
    ask(&server, &chat, ONE, body()).await.expect(200);
    let anonymous = server.anonymous();
    let bare = anonymous.request(Method::POST, ONE).json(&body());
    anonymous.send(bare).await.expect(401);
    alice.post(ONE, body()).await.expect(401);
    let wrong = Registered {
        secret: Some("wrong".to_owned()),
        ..chat.clone()
    };
    let answer = ask(&server, &wrong, ONE, body()).await.expect(401);
    assert!(
        answer
            .header("www-authenticate")
            .unwrap()
            .starts_with("Basic")
    );
    let other = client(&server, "other", false, &[]).await;
    ask(&server, &other, ONE, body()).await.expect_problem(403);
    assert_eq!(
        server.audit_events().await.last().unwrap(),
        "evaluation_refused"
    );
    let query = format!(
        "{ONE}?client_id=chat&client_secret={}",
        chat.secret.unwrap()
    );
    let request = anonymous.request(Method::POST, &query).json(&body());
    anonymous.send(request).await.expect(401);
}

#[tokio::test]
async fn what_is_no_question_is_a_bad_request_and_decides_nothing() {
    let (server, chat, alice, _) = house().await;
    let good = question(alice.id.as_str(), "read", None);
    let long = "x".repeat(513);
    for (member, value) in [
        ("subject", json!(null)),
        ("subject", json!("alice")),
        ("subject", json!({"id": "1"})),
        ("subject", json!({"type": "user", "id": 1})),
        ("subject", json!({"type": "", "id": "1"})),
        ("subject", json!({"type": "user", "id": long})),
        ("subject", json!({"type": "user", "id": "a\u{0}b"})),
        (
            "subject",
            json!({"type": "user", "id": "1", "properties": []}),
        ),
        ("action", json!("read")),
        ("action", json!({"name": ["read"]})),
        ("resource", json!([])),
        (
            "resource",
            json!({"type": "pages", "id": "1", "properties": {"org_id": "x"}}),
        ),
        (
            "resource",
            json!({"type": "pages", "id": "1", "properties": {"org_id": 7}}),
        ),
        ("context", json!("now")),
        ("context", json!({"org_id": true})),
    ] {
        let mut bad = good.clone();
        bad[member] = value.clone();
        for path in [ONE, SEVERAL] {
            let answer = ask(&server, &chat, path, bad.clone()).await;
            assert_eq!(answer.status, 400, "{member} {value}: {}", answer.body);
            answer.expect_problem(400);
        }
    }
    let anonymous = server.anonymous();
    for body in ["", "{", "[]", r#"{"subject":{},"subject":{}}"#] {
        let request = anonymous.request(Method::POST, ONE).body(body);
        let request = request.header("content-type", "application/json");
        let request = request.basic_auth(&chat.id, chat.secret.as_ref());
        anonymous.send(request).await.expect_problem(400);
    }
}

#[tokio::test]
async fn the_well_known_document_names_the_endpoints_of_the_configured_issuer() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let request = anonymous.request(Method::GET, "/.well-known/authzen-configuration");
    let answer = anonymous.send(request.header("host", "evil.example")).await;
    let issuer = server
        .app()
        .config()
        .issuer
        .as_str()
        .trim_end_matches('/')
        .to_owned();
    assert_eq!(
        answer.expect(200).json(),
        json!({"policy_decision_point": server.app().config().issuer.as_str(),
            "access_evaluation_endpoint": format!("{issuer}{ONE}"),
            "access_evaluations_endpoint": format!("{issuer}{SEVERAL}")})
    );
}
