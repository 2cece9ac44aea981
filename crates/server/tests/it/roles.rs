//! Roles and permissions: who has which, who may give them, and how soon a change is felt.

use serde_json::{Value, json};
use tokensmith_resource_server::TokenError;
use tokensmith_store::{
    AssignRole, AuditContext, ChangeDeclarations, Declaration, DeclarationChange, DeclarationKind,
    Declared, Giver, Permission, PutResource, Resource, Role, RoleAssignment,
};
use tokensmith_testkit::{Answer, TestServer, User};

use crate::{
    claims_of,
    introspect::{CHAT, client, declare_chat},
    revocation_feed::{follower, refusal, service_for},
};

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

async fn change(server: &TestServer, before: Option<Declaration>, after: Option<Declaration>) {
    let store = server.app().store();
    let operation = ChangeDeclarations {
        changes: vec![DeclarationChange {
            before,
            after,
            members: Vec::new(),
        }],
        built_in: vec!["tokensmith:users".to_owned(), "tokensmith:admin".to_owned()],
        revoked_until: server.now() + DAY,
        context: AuditContext::operator(server.now()),
    };
    assert_eq!(store.write(operation).await.unwrap(), Declared::Done);
    server.reload().await;
}

/// Declares a role with permissions, which are declared beside it.
pub(crate) async fn declare(
    server: &TestServer,
    name: &str,
    permissions: &[&str],
    includes: &[&str],
) {
    let store = server.app().store();
    for permission in permissions {
        let kind = DeclarationKind::Permission;
        let known = store.declaration(kind, permission).await.unwrap().is_some();
        if !known && !permission.starts_with("tokensmith:") {
            let permission = Permission {
                name: (*permission).to_owned(),
                description: String::new(),
            };
            change(server, None, Some(Declaration::Permission(permission))).await;
        }
    }
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let role = Role {
        name: name.to_owned(),
        description: String::new(),
        permissions: owned(permissions),
        includes: owned(includes),
    };
    let before = store.declaration(DeclarationKind::Role, name).await;
    change(server, before.unwrap(), Some(Declaration::Role(role))).await;
}

async fn assignment(
    server: &TestServer,
    user: &User,
    org: Option<&str>,
    role: &str,
    has: bool,
) -> RoleAssignment {
    let assign = AssignRole {
        user_id: user.id.clone(),
        org_id: org.map(|org| org.parse().unwrap()),
        role: role.to_owned(),
        has,
        giver: Giver::Operator,
        revoked_until: server.now() + DAY,
        context: AuditContext::operator(server.now()),
    };
    let done = server.app().store().write(assign).await.unwrap();
    server.settle().await;
    done
}

/// Gives a role as the operator.
pub(crate) async fn assign(server: &TestServer, user: &User, org: Option<&str>, role: &str) {
    let done = assignment(server, user, org, role, true).await;
    assert_eq!(done, RoleAssignment::Done);
}

async fn me(user: &User) -> Value {
    user.get("/api/oauth2/me").await.expect(200).json()
}

async fn gives(giver: &User, to: &User, role: &str) -> Answer {
    let path = format!("/api/admin/v1/users/{}/roles", to.id);
    giver.post(&path, json!({"role": role})).await
}

#[tokio::test]
async fn me_says_who_is_signed_in_and_what_they_may_do() {
    let server = TestServer::start().await;
    declare(&server, "reader", &["pages:read"], &[]).await;
    declare(&server, "editor", &["pages:write"], &["reader"]).await;
    let alice = server.user("alice").await;
    assert_eq!(
        me(&alice).await,
        json!({"id": alice.id.as_str(), "username": null, "email": "alice@example.com", "role": "user",
            "roles": [], "permissions": [], "org_id": null, "is_active": true})
    );
    assign(&server, &alice, None, "editor").await;
    let found = me(&alice).await;
    assert_eq!(found["role"], "editor");
    assert_eq!(found["roles"], json!(["editor", "reader"]));
    assert_eq!(found["permissions"], json!(["pages:read", "pages:write"]));
    assert_eq!(
        alice.get("/api/oauth2/me").await.header("cache-control"),
        Some("no-store")
    );
}

#[tokio::test]
async fn row_261_me_is_for_people() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    alice.get("/api/oauth2/me").await.expect(200);
    let service = server.service("service", "groups:read").await;
    service.get("/api/oauth2/me").await.expect_problem(403);
    let anonymous = server.anonymous();
    let request = anonymous.request(reqwest::Method::GET, "/api/oauth2/me");
    anonymous.send(request).await.expect_problem(401);
}

#[tokio::test]
async fn a_role_in_an_organization_counts_there_alone_and_never_over_the_server() {
    let server = TestServer::start().await;
    declare(&server, "editor", &["pages:write", "tokensmith:users"], &[]).await;
    declare(&server, "organization:owner", &["members:bill"], &[]).await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    server.advance(std::time::Duration::from_secs(1));
    let other = alice.creates_organization("Other").await;
    assign(&server, &alice, Some(&org), "editor").await;
    let alice = alice.signed_in_again(&server).await;
    let found = me(&alice).await;
    assert_eq!(found["org_id"], org.as_str());
    assert_eq!(found["roles"], json!(["owner", "editor"]));
    assert_eq!(found["permissions"], json!(["members:bill", "pages:write"]));
    alice.get("/api/admin/v1/roles").await.expect_problem(403);
    let body = json!({"email": alice.email, "password": tokensmith_testkit::SIGN_IN_PASSWORD, "org_id": other});
    let answer = server
        .anonymous()
        .post("/api/auth/login", body)
        .await
        .expect(200);
    let mut elsewhere = alice.clone();
    elsewhere.access_token = answer.text("access_token");
    assert_eq!(me(&elsewhere).await["permissions"], json!(["members:bill"]));
}

#[tokio::test]
async fn nobody_gives_or_takes_what_they_do_not_hold() {
    let server = TestServer::start().await;
    declare(&server, "reader", &["pages:read"], &[]).await;
    declare(&server, "editor", &["pages:write"], &["reader"]).await;
    declare(
        &server,
        "helpdesk",
        &["tokensmith:users", "pages:read"],
        &[],
    )
    .await;
    let helpdesk = server.user_with_roles("helpdesk", &["helpdesk"]).await;
    let editor = server.user_with_roles("editor", &["editor"]).await;
    let admin = server.user_with_roles("admin", &["admin"]).await;
    let bob = server.user("bob").await;
    gives(&helpdesk, &bob, "reader").await.expect(201);
    gives(&helpdesk, &bob, "reader").await.expect_problem(409);
    gives(&helpdesk, &bob, "planet").await.expect_problem(422);
    for role in ["editor", "admin"] {
        let refused = gives(&helpdesk, &bob, role).await.expect_problem(403);
        assert!(
            refused.text("type").ends_with("beyond_own_rights"),
            "{role}"
        );
    }
    let path = format!("/api/admin/v1/users/{}/roles/admin", admin.id);
    helpdesk.delete(&path).await.expect_problem(403);
    // Holding a permission is no right to give it.
    gives(&editor, &bob, "editor").await.expect_problem(403);
    gives(&bob, &bob, "admin").await.expect_problem(403);
    gives(&admin, &bob, "editor").await.expect(201);
    let path = format!("/api/admin/v1/users/{}/roles", bob.id);
    let found = admin.get(&path).await.expect(200).json();
    assert_eq!(found["roles"], json!(["reader", "editor"]));
    admin.delete(&format!("{path}/editor")).await.expect(204);
    admin
        .delete(&format!("{path}/editor"))
        .await
        .expect_problem(404);
    admin
        .delete(&format!("{path}/%00"))
        .await
        .expect_problem(404);
    assert_eq!(me(&bob).await["permissions"], json!(["pages:read"]));
}

#[tokio::test]
async fn managers_of_an_organization_give_what_they_hold_in_it() {
    let server = TestServer::start().await;
    declare(&server, "editor", &["pages:write"], &[]).await;
    declare(&server, "organization:admin", &["pages:write"], &[]).await;
    declare(&server, "billing", &["bills:pay"], &[]).await;
    let (owner, member) = (server.user("owner").await, server.user("member").await);
    let org = owner.creates_organization("Activity").await;
    owner.adds(&org, &member, "member").await.expect(201);
    let path = format!("/api/auth/organizations/{org}/members/{}/roles", member.id);
    let give = async |role: &str| owner.post(&path, json!({"role": role})).await;
    give("editor").await.expect(201);
    give("billing").await.expect_problem(403);
    give("admin").await.expect_problem(422);
    owner
        .post(&path, json!({"role": "editor", "org_id": "x"}))
        .await
        .expect_problem(422);
    owner
        .post(&path, json!({"role": ["editor"]}))
        .await
        .expect_problem(422);
    let found = member.get(&path).await.expect(200).json();
    assert_eq!(
        (&found["role"], &found["roles"]),
        (&json!("member"), &json!(["editor"]))
    );
    owner.delete(&format!("{path}/editor")).await.expect(204);
    member
        .delete(&format!("{path}/editor"))
        .await
        .expect_problem(403);
}

#[tokio::test]
async fn tokens_say_permissions_only_where_the_resource_asks_for_them() {
    let server = TestServer::start().await;
    declare(&server, "editor", &["pages:write"], &[]).await;
    let resource = |user_claims| Resource {
        identifier: server.app().config().audience().to_owned(),
        name: "the server".to_owned(),
        scopes: Vec::new(),
        signing_algorithm: None,
        access_token_seconds: None,
        user_claims,
        created_at: server.now(),
    };
    let alice = server.user_with_roles("alice", &["editor"]).await;
    let usual = claims_of(&alice.access_token);
    assert_eq!(usual["roles"], json!(["editor"]));
    assert!(usual.get("permissions").is_none());
    for (asked, roles, permissions) in [
        (
            vec!["permissions", "roles"],
            json!(["editor"]),
            json!(["pages:write"]),
        ),
        (vec![], Value::Null, Value::Null),
    ] {
        let asked = asked.into_iter().map(str::to_owned).collect();
        let context = AuditContext::operator(server.now());
        let put = PutResource {
            resource: resource(Some(asked)),
            context,
        };
        server.app().store().write(put).await.unwrap();
        server.reload().await;
        let claims = claims_of(&alice.signed_in_again(&server).await.access_token);
        assert_eq!(
            (&claims["roles"], &claims["permissions"]),
            (&roles, &permissions)
        );
        assert_eq!(claims["email"], Value::Null);
    }
}

#[tokio::test]
async fn row_278_a_changed_role_is_felt_at_once_by_introspection_and_within_a_second_by_services() {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    declare(&server, "editor", &["pages:write"], &[]).await;
    let audience = server.app().config().audience().to_owned();
    let chat = client(&server, "chat", false, &[CHAT, &audience]).await;
    let feed = follower(server.base(), &server, &chat).start().unwrap();
    let (service, _feed) = service_for(&server, feed, &audience).await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    let alice = alice.signed_in_again(&server).await;
    let introspected = async |token: &str| {
        let form = [("token", token)];
        chat.form(&server, "/oauth/introspect", &form)
            .await
            .expect(200)
            .json()
    };
    assert_eq!(refusal(&service, &alice.access_token).await, None);
    assert_eq!(
        introspected(&alice.access_token).await["permissions"],
        json!([])
    );

    assign(&server, &alice, Some(&org), "editor").await;
    let answer = introspected(&alice.access_token).await;
    assert_eq!(
        (&answer["active"], &answer["permissions"]),
        (&json!(true), &json!(["pages:write"]))
    );
    becomes(&service, &alice.access_token, Some(401)).await;
    // The user is not signed out, and a token made in the very second of the change is good.
    me(&alice).await;
    let renewed = server
        .anonymous()
        .renew(&alice.refresh_token, &[])
        .await
        .expect(200);
    let renewed = renewed.text("access_token");
    assert_eq!(refusal(&service, &renewed).await, None);
    assert_eq!(claims_of(&renewed)["roles"], json!(["owner", "editor"]));

    // The role itself changes: whoever has it is asked for a new token.
    server.advance(std::time::Duration::from_secs(2));
    declare(&server, "editor", &[], &[]).await;
    assert_eq!(introspected(&renewed).await["permissions"], json!([]));
    becomes(&service, &renewed, Some(401)).await;
    assert!(matches!(
        service.verify(&renewed).await.unwrap_err().token_error(),
        Some(TokenError::Revoked)
    ));
}

async fn becomes(
    service: &tokensmith_resource_server::ResourceServer,
    token: &str,
    wanted: Option<u16>,
) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while refusal(service, token).await != wanted {
        assert!(std::time::Instant::now() < end, "the feed brought no news");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
