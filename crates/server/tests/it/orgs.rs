//! Organizations and their members.

use serde_json::json;
use tokensmith_store::{OrganizationId, OrganizationRole};
use tokensmith_testkit::{TestServer, User};

const ORGS: &str = "/api/auth/organizations";

fn members(org: &str) -> String {
    format!("{ORGS}/{org}/members")
}

fn member(org: &str, user: &User) -> String {
    format!("{ORGS}/{org}/members/{}", user.id)
}

async fn role(server: &TestServer, org: &str, user: &User) -> Option<OrganizationRole> {
    let org: OrganizationId = org.parse().unwrap();
    let membership = server
        .app()
        .store()
        .membership(&org, &user.id)
        .await
        .unwrap();
    membership.map(|membership| membership.role)
}

#[tokio::test]
async fn who_creates_an_organization_owns_it_and_sees_it() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let created = alice
        .post(ORGS, json!({"name": "Activity"}))
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&created["name"], &created["role"]),
        (&json!("Activity"), &json!("owner"))
    );
    assert_eq!(created["created_at"], "2026-11-20T18:00:00.000Z");
    assert_eq!(created["created_by"], json!(alice.id));
    let id = created["id"].as_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    assert_eq!(
        alice.get(&format!("{ORGS}/{id}")).await.expect(200).json(),
        created
    );
    let list = alice.get(ORGS).await.expect(200).json();
    assert_eq!(list, json!({"organizations": [created], "next": null}));
    for same in ["Activity", "ACTIVITY", " activity "] {
        alice
            .post(ORGS, json!({"name": same}))
            .await
            .expect_problem(409);
    }
}

#[tokio::test]
async fn members_are_added_by_id_or_address_and_listed_with_their_roles() {
    let server = TestServer::start().await;
    let (alice, bob, carol) = (
        server.user("alice").await,
        server.user("bob").await,
        server.user("carol").await,
    );
    let org = alice.creates_organization("Activity").await;
    let added = alice.adds(&org, &bob, "admin").await.expect(201).json();
    assert_eq!(
        added,
        json!({"org_id": org, "user_id": bob.id, "role": "admin"})
    );
    let body = json!({"email": "CAROL@example.com"});
    let added = bob.post(&members(&org), body).await.expect(201).json();
    assert_eq!(added["role"], "member");
    let list = carol.get(&members(&org)).await.expect(200).json();
    let mut seen: Vec<_> = list["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| {
            (
                member["email"].as_str().unwrap(),
                member["role"].as_str().unwrap(),
            )
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            ("alice@example.com", "owner"),
            ("bob@example.com", "admin"),
            ("carol@example.com", "member")
        ]
    );
    let members = list["members"].as_array().unwrap().iter();
    let by_bob = members.filter(|member| member["added_by"] == json!(bob.id));
    assert_eq!(by_bob.count(), 1);
    alice.adds(&org, &bob, "member").await.expect_problem(409);
    assert_eq!(
        role(&server, &org, &bob).await,
        Some(OrganizationRole::Admin)
    );
}

#[tokio::test]
async fn a_body_that_names_no_user_or_no_role_is_refused() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    let nobody = "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f";
    let mut sentences = Vec::new();
    for unknown in [
        json!({"user_id": nobody}),
        json!({"email": "nobody@example.com"}),
        json!({"email": "nobody"}),
    ] {
        sentences.push(
            alice
                .post(&members(&org), unknown)
                .await
                .expect_problem(422)
                .body,
        );
    }
    sentences.dedup();
    assert_eq!(sentences.len(), 1);
    for bad in [
        json!({}),
        json!({"user_id": nobody, "email": "a@example.com"}),
        json!({"user_id": "' OR 1=1--"}),
        json!({"user_id": nobody, "role": "superuser"}),
        json!({"user_id": nobody, "role": 3}),
    ] {
        alice.post(&members(&org), bad).await.expect_problem(422);
    }
}

#[tokio::test]
async fn who_asks_for_many_unknown_addresses_is_slowed_down() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    let mut statuses = Vec::new();
    for number in 0..21 {
        let body = json!({"email": format!("nobody{number}@example.com")});
        statuses.push(alice.post(&members(&org), body).await.status);
    }
    assert_eq!(statuses[..20], [422; 20]);
    assert_eq!(statuses[20], 429);
}

#[tokio::test]
async fn the_last_owner_can_be_neither_removed_nor_demoted() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let org = alice.creates_organization("Activity").await;
    alice.adds(&org, &bob, "admin").await.expect(201);
    alice
        .delete(&member(&org, &alice))
        .await
        .expect_problem(409);
    for lower in ["admin", "member"] {
        alice
            .patch(&member(&org, &alice), json!({"role": lower}))
            .await
            .expect_problem(409);
    }
    alice
        .patch(&member(&org, &bob), json!({"role": "owner"}))
        .await
        .expect(200);
    alice.delete(&member(&org, &alice)).await.expect(204);
    bob.delete(&member(&org, &bob)).await.expect_problem(409);
}

#[tokio::test]
async fn two_owners_who_leave_at_once_do_not_both_succeed() {
    for _ in 0..10 {
        let server = TestServer::start().await;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let org = alice.creates_organization("Activity").await;
        alice.adds(&org, &bob, "owner").await.expect(201);
        let paths = (member(&org, &alice), member(&org, &bob));
        let (first, second) = tokio::join!(alice.delete(&paths.0), bob.delete(&paths.1));
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 409]);
    }
}

#[tokio::test]
async fn only_owners_make_and_unmake_owners() {
    let server = TestServer::start().await;
    let (alice, bob, carol) = (
        server.user("alice").await,
        server.user("bob").await,
        server.user("carol").await,
    );
    let org = alice.creates_organization("Activity").await;
    alice.adds(&org, &bob, "admin").await.expect(201);
    bob.adds(&org, &carol, "owner").await.expect_problem(403);
    bob.adds(&org, &carol, "member").await.expect(201);
    for user in [&carol, &bob] {
        bob.patch(&member(&org, user), json!({"role": "owner"}))
            .await
            .expect_problem(403);
    }
    bob.patch(&member(&org, &alice), json!({"role": "member"}))
        .await
        .expect_problem(403);
    bob.delete(&member(&org, &alice)).await.expect_problem(403);
    bob.patch(&member(&org, &carol), json!({"role": "admin"}))
        .await
        .expect(200);
    bob.delete(&member(&org, &carol)).await.expect(204);
    assert_eq!(
        role(&server, &org, &alice).await,
        Some(OrganizationRole::Owner)
    );
    assert_eq!(role(&server, &org, &carol).await, None);
}

#[tokio::test]
async fn row_278_a_role_that_was_taken_away_is_gone_for_tokens_issued_before() {
    let server = TestServer::start().await;
    let (alice, bob, carol) = (
        server.user("alice").await,
        server.user("bob").await,
        server.user("carol").await,
    );
    let org = alice.creates_organization("Activity").await;
    alice.adds(&org, &bob, "admin").await.expect(201);
    let bob = bob.signed_in_again(&server).await;
    assert_eq!(
        crate::claims_of(&bob.access_token)["roles"],
        json!(["admin"])
    );
    let group = bob.creates_group(&org, "Admins of old").await;
    alice
        .patch(&member(&org, &bob), json!({"role": "member"}))
        .await
        .expect(200);
    bob.adds(&org, &carol, "member").await.expect_problem(403);
    bob.get(&format!("/api/auth/groups/{group}"))
        .await
        .expect_problem(404);
    alice.delete(&member(&org, &bob)).await.expect(204);
    bob.get(&format!("{ORGS}/{org}")).await.expect_problem(404);
    bob.get(&members(&org)).await.expect_problem(404);
}

#[tokio::test]
async fn a_member_may_leave_and_leaves_the_groups_too() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let org = alice.creates_organization("Activity").await;
    alice.adds(&org, &bob, "member").await.expect(201);
    let group = alice.creates_group(&org, "Everybody").await;
    alice.adds_to_group(&group, &bob).await.expect(201);
    bob.delete(&member(&org, &bob)).await.expect(204);
    let list = alice
        .get(&format!("/api/auth/groups/{group}/members"))
        .await
        .expect(200);
    assert_eq!(list.json()["members"], json!([]));
    bob.delete(&member(&org, &bob)).await.expect_problem(404);
}

#[tokio::test]
async fn lists_come_in_pages_that_neither_repeat_nor_skip() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let mut created = Vec::new();
    for number in 0..7 {
        created.push(
            alice
                .creates_organization(&format!("Organization {number}"))
                .await,
        );
    }
    created.sort();
    let (mut seen, mut path) = (Vec::new(), format!("{ORGS}?limit=3"));
    loop {
        let page = alice.get(&path).await.expect(200).json();
        let ids = page["organizations"].as_array().unwrap().iter();
        seen.extend(ids.map(|org| org["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("{ORGS}?limit=3&after={next}");
    }
    assert_eq!(seen, created);
    for bad in [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=1&limit=2",
        "after=%zz",
        "after=%00",
    ] {
        alice
            .get(&format!("{ORGS}?{bad}"))
            .await
            .expect_problem(422);
    }
}

#[tokio::test]
async fn row_275_an_organization_takes_nothing_but_its_name() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    let id = "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f";
    let body = json!({"name": "Activity", "id": id, "created_by": bob.id, "owner": bob.id, "is_active": false, "role": "member"});
    let created = alice.post(ORGS, body).await.expect(201).json();
    assert_ne!(created["id"], id);
    assert_eq!(created["created_by"], json!(alice.id));
    assert_eq!(
        (&created["is_active"], &created["role"]),
        (&json!(true), &json!("owner"))
    );
    let org = created["id"].as_str().unwrap();
    let body = json!({"role": "member", "user_id": alice.id, "org_id": id, "added_at": 0});
    alice.adds(org, &bob, "member").await.expect(201);
    alice.patch(&member(org, &bob), body).await.expect(200);
    assert_eq!(
        role(&server, org, &alice).await,
        Some(OrganizationRole::Owner)
    );
}

#[tokio::test]
async fn switching_gives_tokens_for_another_organization_in_the_same_session_and_ends_the_former() {
    let server = TestServer::start().await;
    let alice = server.user("alice").await;
    let first = alice.creates_organization("Activity").await;
    server.advance(std::time::Duration::from_secs(1));
    let second = alice.creates_organization("Other").await;
    let stranger = server.user("stranger").await;
    let alice = alice.signed_in_again(&server).await;
    let path = |org: &str| format!("/api/auth/organizations/{org}/switch");
    stranger
        .post(&path(&second), json!({}))
        .await
        .expect_problem(404);
    let answer = alice.post(&path(&second), json!({})).await.expect(200);
    assert_eq!(answer.text("org_id"), second);
    let (before, after) = (
        crate::claims_of(&alice.access_token),
        crate::claims_of(&answer.text("access_token")),
    );
    assert_eq!(
        (&before["org_id"], &after["org_id"]),
        (&json!(first), &json!(second))
    );
    assert_eq!(before["sid"], after["sid"]);
    alice.get("/api/oauth2/me").await.expect_problem(401);
    server
        .anonymous()
        .renew(&alice.refresh_token, &[])
        .await
        .expect(400);
    let renewed = server
        .anonymous()
        .renew(&answer.text("refresh_token"), &[])
        .await
        .expect(200);
    assert_eq!(
        crate::claims_of(&renewed.text("access_token"))["org_id"],
        json!(second)
    );
}

#[tokio::test]
async fn row_277_the_tokens_of_a_disabled_organization_end_and_stay_ended() {
    let server = TestServer::start().await;
    let admin = server.user_with_roles("root", &["admin"]).await;
    let alice = server.user("alice").await;
    let org = alice.creates_organization("Activity").await;
    let alice = alice.signed_in_again(&server).await;
    let path = format!("/api/admin/v1/organizations/{org}");
    alice
        .patch(&path, json!({"is_active": false}))
        .await
        .expect_problem(403);
    admin
        .patch(&path, json!({"is_active": "no"}))
        .await
        .expect_problem(422);
    admin
        .patch(&path, json!({"is_active": false}))
        .await
        .expect(200);
    alice.get("/api/oauth2/me").await.expect_problem(401);
    server
        .anonymous()
        .renew(&alice.refresh_token, &[])
        .await
        .expect_oauth_error(400, "invalid_grant");
    let outside = alice.signed_in_again(&server).await;
    assert_eq!(
        crate::claims_of(&outside.access_token)["org_id"],
        json!(null)
    );
    outside
        .get(&format!("/api/auth/organizations/{org}"))
        .await
        .expect_problem(404);
    admin
        .patch(&path, json!({"is_active": true}))
        .await
        .expect(200);
    server
        .anonymous()
        .renew(&alice.refresh_token, &[])
        .await
        .expect_oauth_error(400, "invalid_grant");
    outside
        .get(&format!("/api/auth/organizations/{org}"))
        .await
        .expect(200);
    let unknown = "/api/admin/v1/organizations/01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f";
    admin
        .patch(unknown, json!({"is_active": true}))
        .await
        .expect_problem(404);
}

async fn invites(manager: &User, org: &str, email: &str, role: &str) -> tokensmith_testkit::Answer {
    let path = format!("{ORGS}/{org}/invitations");
    manager
        .post(&path, json!({"email": email, "role": role}))
        .await
}

/// The code of the newest mail to an address.
async fn code(server: &TestServer, address: &str, count: usize) -> String {
    let mails = server.mail_to(address, count).await;
    let text = mails.last().unwrap()["text"].as_str().unwrap().to_owned();
    let mut words = text.split_whitespace();
    words
        .find(|word| {
            word.len() == 43
                && word
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        })
        .unwrap_or_else(|| panic!("no code in {text}"))
        .to_owned()
}

async fn accepts(user: &User, token: &str) -> tokensmith_testkit::Answer {
    user.post("/api/auth/invitations/accept", json!({"token": token}))
        .await
}

#[tokio::test]
async fn an_invitation_is_good_once_and_for_its_address_alone() {
    let server = TestServer::start().await;
    let owner = server.user("owner").await;
    let org = owner.creates_organization("Activity").await;
    let invited = invites(&owner, &org, "Bob@Example.com", "member")
        .await
        .expect(201);
    assert!(!invited.body.contains("token"));
    let token = code(&server, "Bob@Example.com", 1).await;
    let (bob, mallory) = (server.user("bob").await, server.user("mallory").await);
    accepts(&mallory, &token).await.expect_problem(404);
    accepts(&bob, "x").await.expect_problem(404);
    bob.post("/api/auth/invitations/accept", json!({"token": [token]}))
        .await
        .expect_problem(422);
    let joined = accepts(&bob, &token).await.expect(200);
    assert_eq!(joined.json(), json!({"org_id": org, "role": "member"}));
    assert_eq!(
        role(&server, &org, &bob).await,
        Some(OrganizationRole::Member)
    );
    accepts(&bob, &token).await.expect_problem(404);
    invites(&owner, &org, "bob@example.com", "member")
        .await
        .expect_problem(409);
    let open = owner
        .get(&format!("{ORGS}/{org}/invitations"))
        .await
        .expect(200);
    assert_eq!(open.json()["invitations"], json!([]));
}

#[tokio::test]
async fn an_invitation_ends_when_it_is_taken_back_replaced_expired_or_its_sender_may_no_longer_invite()
 {
    let server = TestServer::start().await;
    let owner = server.user("owner").await;
    let org = owner.creates_organization("Activity").await;
    let (admin, bob) = (server.user("admin").await, server.user("bob").await);
    owner.adds(&org, &admin, "admin").await.expect(201);
    let email = "bob@example.com";
    // Only owners make owners.
    invites(&admin, &org, email, "owner")
        .await
        .expect_problem(403);
    let first = invites(&admin, &org, email, "member").await.expect(201);
    let replaced = code(&server, email, 1).await;
    invites(&admin, &org, email, "admin").await.expect(201);
    let by_admin = code(&server, email, 2).await;
    accepts(&bob, &replaced).await.expect_problem(404);
    let path = format!("{ORGS}/{org}/invitations/{}", first.text("id"));
    owner.delete(&path).await.expect_problem(404);
    owner
        .patch(&member(&org, &admin), json!({"role": "member"}))
        .await
        .expect(200);
    accepts(&bob, &by_admin).await.expect_problem(404);
    let third = invites(&owner, &org, email, "member").await.expect(201);
    let taken_back = code(&server, email, 3).await;
    owner
        .delete(&format!("{ORGS}/{org}/invitations/{}", third.text("id")))
        .await
        .expect(204);
    accepts(&bob, &taken_back).await.expect_problem(404);
    invites(&owner, &org, email, "member").await.expect(201);
    let expired = code(&server, email, 4).await;
    server.advance(std::time::Duration::from_secs(7 * 24 * 3600));
    let bob = bob.signed_in_again(&server).await;
    accepts(&bob, &expired).await.expect_problem(404);
    assert_eq!(role(&server, &org, &bob).await, None);
    let owner = owner.signed_in_again(&server).await;
    for bad in ["", "bob", "a@b@c", "bob@example.com\n"] {
        invites(&owner, &org, bad, "member")
            .await
            .expect_problem(422);
    }
    invites(&owner, &org, email, "emperor")
        .await
        .expect_problem(422);
}
