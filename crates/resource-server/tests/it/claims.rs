//! Themes 01 and 21: what the claims of a well-signed token may say.

use serde_json::{Value, json};

use crate::issuer::{AUDIENCE, Issuer, NOW, USER};
use crate::protected::{app, assert_ok, get_with};

const MALFORMED: &str = "the token claims are malformed";
const ISSUER: &str = "the token comes from another issuer";
const FOREIGN: &str = "the token is for another audience";

async fn refused(issuer: &Issuer, name: &str, values: &[Option<Value>], detail: &str) {
    let app = app(issuer.server());
    assert_ok(&get_with(&app, "/me", &issuer.token(&issuer.claims())).await);
    for value in values {
        let reply = get_with(&app, "/me", &issuer.token_with(name, value.clone())).await;
        reply.assert_invalid_token(detail);
    }
}

#[tokio::test]
async fn row_018_expiry_is_a_number_in_the_future() {
    let issuer = Issuer::start().await;
    refused(
        &issuer,
        "exp",
        &[
            Some(json!("9999999999")),
            None,
            Some(json!(null)),
            Some(json!(-1)),
        ],
        MALFORMED,
    )
    .await;
    refused(
        &issuer,
        "exp",
        &[Some(json!(NOW)), Some(json!(0))],
        "the token is expired",
    )
    .await;
}

#[tokio::test]
async fn row_028_the_issuer_is_one_exact_string() {
    let issuer = Issuer::start().await;
    let list = json!([issuer.url, "https://evil.test"]);
    refused(
        &issuer,
        "iss",
        &[Some(list), Some(json!([issuer.url])), None],
        MALFORMED,
    )
    .await;
    let near = [
        format!("{}/", issuer.url),
        issuer.url.to_uppercase(),
        format!(" {}", issuer.url),
        String::new(),
    ];
    let near: Vec<Option<Value>> = near.into_iter().map(|iss| Some(json!(iss))).collect();
    refused(&issuer, "iss", &near, ISSUER).await;
}

#[tokio::test]
async fn row_029_the_audience_holds_our_exact_identifier() {
    let issuer = Issuer::start().await;
    refused(
        &issuer,
        "aud",
        &[
            None,
            Some(json!(null)),
            Some(json!([AUDIENCE, 1])),
            Some(json!({})),
        ],
        MALFORMED,
    )
    .await;
    let foreign = [
        json!([]),
        json!("other"),
        json!(format!("{AUDIENCE}-evil")),
        json!("https://api.activity"),
        json!(format!("{AUDIENCE}/")),
        json!(["other", format!("{AUDIENCE}.evil.test")]),
        json!(""),
    ];
    refused(&issuer, "aud", &foreign.map(Some), FOREIGN).await;
    let app = app(issuer.server());
    for aud in [json!(AUDIENCE), json!(["other", AUDIENCE])] {
        assert_ok(&get_with(&app, "/me", &issuer.token_with("aud", Some(aud))).await);
    }
}

#[tokio::test]
async fn row_326_iat_and_nbf_half_a_minute_ahead_are_accepted_and_five_minutes_are_not() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    for name in ["iat", "nbf"] {
        assert_ok(&get_with(&app, "/me", &issuer.token_with(name, Some(json!(NOW + 30)))).await);
        let reply = get_with(
            &app,
            "/me",
            &issuer.token_with(name, Some(json!(NOW + 300))),
        )
        .await;
        reply.assert_invalid_token("the token is not valid yet");
    }
}

#[tokio::test]
async fn row_310_a_token_bound_to_a_key_is_refused_as_a_bearer_token() {
    let issuer = Issuer::start().await;
    let bound = json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"});
    let detail = "the token is bound to a key and may not be used as a bearer token";
    refused(&issuer, "cnf", &[Some(bound)], detail).await;
    let bound = json!({"x5t#S256": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"});
    let detail = "the token is bound to a certificate and may not be used as a bearer token";
    refused(&issuer, "cnf", &[Some(bound)], detail).await;
    let not_understood = [
        json!({"jkt": "a"}),
        json!({"kid": "a"}),
        json!({}),
        json!(null),
        json!(""),
    ];
    let detail = "the token claims are malformed";
    refused(&issuer, "cnf", &not_understood.map(Some), detail).await;
}

#[tokio::test]
async fn every_claim_of_a_wrong_type_is_refused_and_none_is_read_as_absent() {
    let issuer = Issuer::start().await;
    for name in [
        "jti",
        "client_id",
        "scope",
        "email",
        "org_id",
        "sid",
        "role",
        "type",
        "sub",
    ] {
        let wrong = [
            json!(null),
            json!(1),
            json!(false),
            json!(["a"]),
            json!({"a": "b"}),
        ];
        refused(&issuer, name, &wrong.map(Some), MALFORMED).await;
    }
    for name in ["roles", "permissions", "scopes"] {
        let wrong = [
            json!(null),
            json!("admin"),
            json!([1]),
            json!({"0": "admin"}),
            json!(true),
        ];
        refused(&issuer, name, &wrong.map(Some), MALFORMED).await;
    }
}

#[tokio::test]
async fn a_uuid_is_a_user_and_a_client_id_is_a_service() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let user = get_with(&app, "/me", &issuer.token(&issuer.claims()))
        .await
        .json();
    assert_eq!(
        user,
        json!({"user": USER, "email": "alice.admin@example.com", "org_id": "org-1", "sid": "session-1"})
    );
    let service = get_with(&app, "/me", &issuer.token(&issuer.service_claims("a")))
        .await
        .json();
    assert_eq!(service, json!({"service": "chat-api-service"}));
}

#[tokio::test]
async fn a_service_without_its_client_id_or_with_another_is_refused() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    let mut claims = issuer.service_claims("groups:read");
    claims["client_id"] = json!("other");
    get_with(&app, "/me", &issuer.token(&claims))
        .await
        .assert_invalid_token("the token names no valid subject");
    claims.as_object_mut().unwrap().remove("client_id");
    get_with(&app, "/me", &issuer.token(&claims))
        .await
        .assert_invalid_token("the token names no valid subject");
}

#[tokio::test]
async fn a_client_id_that_looks_like_a_uuid_is_neither_user_nor_service() {
    let issuer = Issuer::start().await;
    let app = app(issuer.server());
    for sub in [
        USER.to_uppercase(),
        USER.replace('-', ""),
        format!("urn:uuid:{USER}"),
    ] {
        let mut claims = issuer.service_claims("groups:read");
        claims["sub"] = json!(sub);
        claims["client_id"] = json!(sub);
        get_with(&app, "/me", &issuer.token(&claims))
            .await
            .assert_invalid_token("the token names no valid subject");
    }
}
