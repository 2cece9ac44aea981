//! Groups, as users and as services see them.

use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_testkit::{TestServer, User};

fn group_path(group: &str) -> String {
    format!("/api/auth/groups/{group}")
}

fn members(group: &str) -> String {
    format!("/api/auth/groups/{group}/members")
}

fn groups(org: &str) -> String {
    format!("/api/auth/organizations/{org}/groups")
}

/// Alice owns the organization, Bob is a member of it and of the group, Carol of the organization alone.
struct Scene {
    server: TestServer,
    alice: User,
    bob: User,
    carol: User,
    org: String,
    group: String,
}

async fn scene() -> Scene {
    let server = TestServer::start().await;
    let (alice, bob, carol) = (
        server.user("alice").await,
        server.user("bob").await,
        server.user("carol").await,
    );
    let org = alice.creates_organization("Activity").await;
    alice.adds(&org, &bob, "member").await.expect(201);
    alice.adds(&org, &carol, "member").await.expect(201);
    let group = alice.creates_group(&org, "E2E Test Group").await;
    alice.adds_to_group(&group, &bob).await.expect(201);
    Scene {
        server,
        alice,
        bob,
        carol,
        org,
        group,
    }
}

#[tokio::test]
async fn a_group_and_its_members_have_the_members_the_contract_promises() {
    let Scene {
        server: _server,
        alice,
        bob,
        org,
        group,
        ..
    } = scene().await;
    let answer = bob.get(&group_path(&group)).await.expect(200).json();
    assert_eq!(
        answer,
        json!({
            "id": group, "name": "E2E Test Group", "description": "", "org_id": org,
            "created_at": "2026-11-20T18:00:00.000Z", "updated_at": "2026-11-20T18:00:00.000Z", "created_by": alice.id,
        })
    );
    let answer = bob.get(&members(&group)).await.expect(200).json();
    assert_eq!(
        answer,
        json!({"members": [{
        "user_id": bob.id, "email": "bob@example.com",
        "added_at": "2026-11-20T18:00:00.000Z", "added_by": alice.id,
    }], "next": null})
    );
}

#[tokio::test]
async fn a_user_sees_a_group_as_its_member_or_as_owner_or_admin_of_its_organization() {
    let Scene {
        server,
        alice,
        bob,
        carol,
        org,
        group,
    } = scene().await;
    let mallory = server.user("mallory").await;
    mallory.creates_organization("Globex").await;
    for sees in [&alice, &bob] {
        sees.get(&group_path(&group)).await.expect(200);
        sees.get(&members(&group)).await.expect(200);
    }
    let nothing = "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f";
    for hidden in [&carol, &mallory] {
        let there = hidden.get(&group_path(&group)).await.expect_problem(404);
        let nowhere = hidden.get(&group_path(nothing)).await.expect_problem(404);
        assert_eq!(there.body, nowhere.body);
        hidden.get(&members(&group)).await.expect_problem(404);
    }
    let listed = async |user: &User| {
        let list = user.get(&groups(&org)).await.expect(200).json();
        list["groups"].as_array().unwrap().len()
    };
    assert_eq!(
        (
            listed(&alice).await,
            listed(&bob).await,
            listed(&carol).await
        ),
        (1, 1, 0)
    );
    mallory.get(&groups(&org)).await.expect_problem(404);
    let path = format!("/api/auth/organizations/{org}/members/{}", carol.id);
    alice
        .patch(&path, json!({"role": "admin"}))
        .await
        .expect(200);
    carol.get(&group_path(&group)).await.expect(200);
}

#[tokio::test]
async fn owners_and_admins_manage_groups_and_members_may_only_leave() {
    let Scene {
        server: _server,
        alice,
        bob,
        carol,
        org,
        group,
        ..
    } = scene().await;
    let removal = |user: &User| format!("{}/{}", members(&group), user.id);
    bob.post(&groups(&org), json!({"name": "Mine"}))
        .await
        .expect_problem(403);
    bob.patch(&group_path(&group), json!({"name": "Mine"}))
        .await
        .expect_problem(403);
    bob.delete(&group_path(&group)).await.expect_problem(403);
    bob.adds_to_group(&group, &carol).await.expect_problem(403);
    alice.adds_to_group(&group, &carol).await.expect(201);
    alice
        .adds_to_group(&group, &carol)
        .await
        .expect_problem(409);
    bob.delete(&removal(&carol)).await.expect_problem(403);
    bob.delete(&removal(&bob)).await.expect(204);
    alice.delete(&removal(&bob)).await.expect_problem(404);
    alice.delete(&removal(&carol)).await.expect(204);
    alice.delete(&group_path(&group)).await.expect(204);
    alice.get(&group_path(&group)).await.expect_problem(404);
}

#[tokio::test]
async fn a_group_is_changed_member_by_member_and_its_name_is_unique_in_the_organization() {
    let Scene {
        server,
        alice,
        org,
        group,
        ..
    } = scene().await;
    server.advance(std::time::Duration::from_millis(1500));
    let changed = alice
        .patch(
            &group_path(&group),
            json!({"description": "For tests\nonly"}),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&changed["name"], &changed["description"]),
        (&json!("E2E Test Group"), &json!("For tests\nonly"))
    );
    assert_eq!(changed["updated_at"], "2026-11-20T18:00:01.500Z");
    alice.creates_group(&org, "Second").await;
    for same in ["second", "SECOND "] {
        alice
            .patch(&group_path(&group), json!({"name": same}))
            .await
            .expect_problem(409);
        alice
            .post(&groups(&org), json!({"name": same}))
            .await
            .expect_problem(409);
    }
    alice
        .patch(&group_path(&group), json!({"name": "e2e test group"}))
        .await
        .expect(200);
    for bad in [
        json!({"name": ""}),
        json!({"name": 1}),
        json!({"name": "a\u{0}"}),
        json!({"description": "x".repeat(2001)}),
    ] {
        alice
            .patch(&group_path(&group), bad)
            .await
            .expect_problem(422);
    }
}

#[tokio::test]
async fn only_members_of_the_organization_can_be_in_its_groups() {
    let Scene {
        server,
        alice,
        group,
        ..
    } = scene().await;
    let mallory = server.user("mallory").await;
    let foreign = alice
        .adds_to_group(&group, &mallory)
        .await
        .expect_problem(422);
    let body = json!({"user_id": "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f"});
    let unknown = alice.post(&members(&group), body).await.expect_problem(422);
    assert_eq!(foreign.body, unknown.body);
}

/// What a service may do, in an order in which everything that is allowed also succeeds.
fn calls(org: &str, group: &str, user: &User) -> Vec<(Method, String, Value, &'static str)> {
    let member = format!("{}/{}", members(group), user.id);
    let add = json!({"user_id": user.id});
    vec![
        (Method::GET, group_path(group), json!(null), "groups:read"),
        (Method::GET, groups(org), json!(null), "groups:read"),
        (Method::GET, members(group), json!(null), "members:read"),
        (
            Method::PATCH,
            group_path(group),
            json!({"name": "Renamed"}),
            "groups:write",
        ),
        (Method::POST, members(group), add, "groups:write"),
        (Method::DELETE, member, json!(null), "groups:write"),
        (
            Method::POST,
            groups(org),
            json!({"name": "New"}),
            "groups:admin",
        ),
        (
            Method::DELETE,
            group_path(group),
            json!(null),
            "groups:admin",
        ),
    ]
}

fn holds(scope: &str, needed: &str) -> bool {
    match scope {
        "groups:admin" => true,
        "groups:write" => needed != "groups:admin",
        "groups:read" => ["groups:read", "members:read"].contains(&needed),
        other => other == needed,
    }
}

#[tokio::test]
async fn row_265_a_service_needs_the_scope_and_broader_scopes_imply_narrower_ones() {
    let Scene {
        server,
        bob,
        carol,
        org,
        group,
        ..
    } = scene().await;
    for scope in [
        "openid",
        "members:read",
        "groups:read",
        "groups:write",
        "groups:admin",
    ] {
        let service = server
            .service(&format!("service-{}", scope.replace(':', "-")), scope)
            .await;
        for (method, path, body, needed) in calls(&org, &group, &carol) {
            let answer = service
                .send(service.request(method.clone(), &path).json(&body))
                .await;
            if holds(scope, needed) {
                assert!(
                    (200..300).contains(&answer.status),
                    "{scope} {method} {path}: {}",
                    answer.body
                );
                continue;
            }
            let answer = answer.expect_problem(403);
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(
                challenge.starts_with("Bearer error=\"insufficient_scope\""),
                "{challenge}"
            );
            assert!(
                challenge.contains(&format!("scope=\"{needed}\"")),
                "{challenge}"
            );
        }
    }
    bob.get(&group_path(&group)).await.expect_problem(404);
}

#[tokio::test]
async fn for_a_service_with_the_scope_a_missing_group_is_404() {
    let Scene { server, .. } = scene().await;
    let service = server
        .service("chat-api-service", "groups:read members:read")
        .await;
    let nothing = "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f";
    service.get(&group_path(nothing)).await.expect_problem(404);
    service.get(&members(nothing)).await.expect_problem(404);
    service.get(&groups(nothing)).await.expect_problem(404);
}

#[tokio::test]
async fn the_members_of_a_large_group_come_in_one_page() {
    let Scene {
        server,
        alice,
        org,
        group,
        ..
    } = scene().await;
    for number in 0..210 {
        let email = format!("member{number}@example.com");
        let id = server.registered(&email).await;
        let path = format!("/api/auth/organizations/{org}/members");
        alice.post(&path, json!({"user_id": id})).await.expect(201);
        alice
            .post(&members(&group), json!({"user_id": id}))
            .await
            .expect(201);
    }
    let service = server.service("chat-api-service", "members:read").await;
    let all = service.get(&members(&group)).await.expect(200).json();
    assert_eq!(all["members"].as_array().unwrap().len(), 211);
    let some = service
        .get(&format!("{}?limit=200", members(&group)))
        .await
        .expect(200)
        .json();
    let after = some["next"].as_str().unwrap();
    let rest = service
        .get(&format!("{}?after={after}", members(&group)))
        .await
        .expect(200)
        .json();
    assert_eq!(rest["members"].as_array().unwrap().len(), 11);
    service
        .get(&format!("{}?limit=1001", members(&group)))
        .await
        .expect_problem(422);
}

#[tokio::test]
async fn row_275_a_group_takes_nothing_but_name_and_description() {
    let Scene {
        server,
        alice,
        bob,
        org,
        group,
        ..
    } = scene().await;
    let globex = server
        .user("mallory")
        .await
        .creates_organization("Globex")
        .await;
    let more = json!({"name": "Second", "id": group, "org_id": globex, "created_by": bob.id, "created_at": "2020-01-01T00:00:00Z"});
    let created = alice.post(&groups(&org), more).await.expect(201).json();
    assert_ne!(created["id"], json!(group));
    assert_eq!(
        (&created["org_id"], &created["created_by"]),
        (&json!(org), &json!(alice.id))
    );
    let more = json!({"description": "moved", "id": created["id"], "org_id": globex, "created_by": bob.id});
    let changed = alice
        .patch(&group_path(&group), more)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&changed["id"], &changed["org_id"]),
        (&json!(group), &json!(org))
    );
    assert_eq!(changed["created_by"], json!(alice.id));
}

#[tokio::test]
async fn every_refusal_for_want_of_a_right_is_recorded_with_who_asked() {
    let Scene {
        server,
        carol,
        bob,
        group,
        ..
    } = scene().await;
    let path = format!("{}/{}", members(&group), carol.id);
    bob.delete(&path).await.expect_problem(403);
    let service = server.service("reader", "members:read").await;
    service.get(&group_path(&group)).await.expect_problem(403);
    let refused: Vec<Value> = server
        .audit()
        .await
        .iter()
        .filter(|record| record.event == "authorization_refused")
        .map(|record| serde_json::from_str(&record.body).unwrap())
        .collect();
    let said = |index: usize, member: &str| refused[index][member].as_str().unwrap().to_owned();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert_eq!(said(0, "actor"), format!("user:{}", bob.id));
    assert_eq!(said(0, "outcome"), "role_too_low");
    assert_eq!(said(1, "actor"), "client:reader");
    assert_eq!(said(1, "outcome"), "insufficient_scope");
}
