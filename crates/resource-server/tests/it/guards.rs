//! Scope, permission and role guards, optional callers, and the responses of RFC 6750.

use serde_json::json;
use tokensmith_resource_server::ScopeHierarchy;

use crate::issuer::{Issuer, NOW, USER};
use crate::protected::{Reply, app, assert_ok, get_with, get_without};

fn hierarchy() -> ScopeHierarchy {
    ScopeHierarchy::new([
        ("groups:admin", vec!["groups:write"]),
        ("groups:write", vec!["groups:read"]),
    ])
    .unwrap()
}

#[tokio::test]
async fn without_a_token_the_challenge_is_bare() {
    let issuer = Issuer::start().await;
    let reply = get_without(&app(issuer.server()), "/me").await;
    assert_eq!(
        (reply.status, reply.challenge.as_deref()),
        (401, Some("Bearer"))
    );
    let problem = json!({"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "an access token is required"});
    assert_eq!(reply.json(), problem);
}

#[tokio::test]
async fn a_configured_metadata_address_stands_in_every_challenge() {
    let issuer = Issuer::start().await;
    let url = "https://api.activity.com/.well-known/oauth-protected-resource";
    let app = app(issuer.builder().resource_metadata_url(url).build().unwrap());
    let challenge = |reply: Reply| reply.challenge.unwrap();
    let bare = challenge(get_without(&app, "/me").await);
    assert_eq!(bare, format!(r#"Bearer resource_metadata="{url}""#));
    assert!(
        challenge(get_with(&app, "/me", "x").await)
            .ends_with(&format!(r#"resource_metadata="{url}""#))
    );
}

#[tokio::test]
async fn a_missing_scope_is_named_in_the_challenge() {
    let issuer = Issuer::start().await;
    let reply = get_with(
        &app(issuer.server()),
        "/groups",
        &issuer.token(&issuer.service_claims("members:read")),
    )
    .await;
    let challenge = r#"Bearer error="insufficient_scope", scope="groups:read""#;
    assert_eq!(
        (reply.status, reply.challenge.as_deref()),
        (403, Some(challenge))
    );
    assert_eq!(reply.json()["detail"], "the scope groups:read is required");
    assert_eq!(reply.json()["error"], "insufficient_scope");
}

#[tokio::test]
async fn a_declared_hierarchy_implies_downwards_only() {
    let issuer = Issuer::start().await;
    let app = app(issuer
        .builder()
        .scope_hierarchy(hierarchy())
        .build()
        .unwrap());
    for scope in [
        "groups:read",
        "groups:write",
        "groups:admin",
        "members:read groups:admin",
    ] {
        assert_ok(
            &get_with(
                &app,
                "/groups",
                &issuer.token(&issuer.service_claims(scope)),
            )
            .await,
        );
    }
    for scope in [
        "groups",
        "groups:read:all",
        "groups:readx",
        "members:read",
        "Groups:read",
        "groups:*",
    ] {
        let reply = get_with(
            &app,
            "/groups",
            &issuer.token(&issuer.service_claims(scope)),
        )
        .await;
        assert_eq!(reply.status, 403, "{scope}");
    }
}

#[tokio::test]
async fn without_a_declared_hierarchy_nothing_is_implied() {
    let issuer = Issuer::start().await;
    let reply = get_with(
        &app(issuer.server()),
        "/groups",
        &issuer.token(&issuer.service_claims("groups:admin")),
    )
    .await;
    assert_eq!(reply.status, 403);
}

#[tokio::test]
async fn any_of_several_scopes_is_enough_and_the_first_is_named() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    for scope in ["members:read", "groups:read"] {
        assert_ok(
            &get_with(
                &app,
                "/members",
                &issuer.token(&issuer.service_claims(scope)),
            )
            .await,
        );
    }
    let reply = get_with(
        &app,
        "/members",
        &issuer.token(&issuer.service_claims("chat")),
    )
    .await;
    assert_eq!(
        reply.challenge.unwrap(),
        r#"Bearer error="insufficient_scope", scope="members:read""#
    );
}

#[tokio::test]
async fn a_token_without_scope_has_none() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    assert_eq!(
        get_with(&app, "/groups", &issuer.token_with("scope", None))
            .await
            .status,
        403
    );
    assert_eq!(
        get_with(
            &app,
            "/groups",
            &issuer.token_with("scope", Some(json!("")))
        )
        .await
        .status,
        403
    );
}

#[tokio::test]
async fn scopes_as_a_list_and_a_single_role_are_read() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let mut claims = issuer.service_claims("");
    claims.as_object_mut().unwrap().remove("scope");
    claims["scopes"] = json!(["read", "admin"]);
    let without_role = get_with(&app, "/role", &issuer.token(&claims)).await;
    assert_eq!(
        (without_role.status, without_role.challenge.as_deref()),
        (403, None)
    );
    claims["role"] = json!("admin");
    assert_ok(&get_with(&app, "/role", &issuer.token(&claims)).await);
    claims["scopes"] = json!(["read"]);
    assert_eq!(
        get_with(&app, "/role", &issuer.token(&claims)).await.status,
        403
    );
}

#[tokio::test]
async fn roles_and_permissions_match_whole_words() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    for (path, claim, held, status) in [
        ("/any-role", "roles", json!(["owner"]), 200),
        ("/any-role", "roles", json!(["member", "admin"]), 200),
        ("/any-role", "roles", json!(["administrator"]), 403),
        ("/any-role", "roles", json!(["Admin"]), 403),
        ("/any-role", "roles", json!([]), 403),
        ("/permission", "permissions", json!(["orders.cancel"]), 200),
        (
            "/permission",
            "permissions",
            json!(["orders.*", "orders"]),
            403,
        ),
        (
            "/any-permission",
            "permissions",
            json!(["orders.read"]),
            200,
        ),
        (
            "/any-permission",
            "permissions",
            json!(["orders.write"]),
            403,
        ),
    ] {
        let reply = get_with(&app, path, &issuer.token_with(claim, Some(held.clone()))).await;
        assert_eq!(reply.status, status, "{path} {held}");
    }
}

#[tokio::test]
async fn users_and_services_are_kept_apart() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let (user, service) = (
        issuer.token(&issuer.claims()),
        issuer.token(&issuer.service_claims("groups:read")),
    );
    assert_ok(&get_with(&app, "/user", &user).await);
    assert_ok(&get_with(&app, "/service", &service).await);
    assert_eq!(
        get_with(&app, "/user", &service).await.json()["detail"],
        "only a user may do this"
    );
    assert_eq!(
        get_with(&app, "/service", &user).await.json()["detail"],
        "only a service may do this"
    );
}

#[tokio::test]
async fn an_optional_caller_may_be_absent_but_not_wrong() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    assert_eq!(get_without(&app, "/greeting").await.text, "stranger");
    assert_eq!(
        get_with(&app, "/greeting", &issuer.token(&issuer.claims()))
            .await
            .text,
        USER
    );
    assert_eq!(get_with(&app, "/greeting", "x").await.status, 401);
    assert_eq!(get_with(&app, "/greeting", "").await.status, 401);
}

#[tokio::test]
async fn a_sign_in_that_does_not_reach_far_enough_is_told_what_would() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let signed_in = |acr: Option<&str>, ago: Option<u64>| {
        let mut claims = issuer.claims();
        if let Some(acr) = acr {
            claims["acr"] = json!(acr);
        }
        if let Some(ago) = ago {
            claims["auth_time"] = json!(NOW - ago);
        }
        issuer.token(&claims)
    };
    for ago in [0, 300] {
        assert_ok(&get_with(&app, "/transfer", &signed_in(Some("aal2"), Some(ago))).await);
    }
    for (acr, ago) in [
        (Some("aal1"), Some(0)),
        (Some("AAL2"), Some(0)),
        (None, Some(0)),
        (Some("aal2"), Some(301)),
        (Some("aal2"), None),
    ] {
        let reply = get_with(&app, "/transfer", &signed_in(acr, ago)).await;
        let challenge = r#"Bearer error="insufficient_user_authentication", error_description="the user must sign in again, or with more factors", acr_values="aal2", max_age="300""#;
        let found = (reply.status, reply.challenge.as_deref());
        assert_eq!(found, (401, Some(challenge)), "{acr:?} {ago:?}");
        assert_eq!(reply.json()["error"], "insufficient_user_authentication");
    }
    let service = issuer.token(&issuer.service_claims("groups:read"));
    assert_eq!(get_with(&app, "/transfer", &service).await.status, 401);
}
