//! Token exchange (RFC 8693) as others got it wrong: without permission, wider than the token, with a dead token, with
//! a token of another kind.

use std::time::Duration;

use serde_json::json;
use tokensmith_store::ExchangeRule;

use super::{assert_alive, audited};
use crate::{
    claims_of,
    exchange::{ACCESS_TOKEN, EXCHANGE, House, id, rule, scope},
    introspect::{CHAT, client},
};

/// How many tokens were made by exchange.
async fn exchanged(house: &House) -> usize {
    audited(&house.server, "token_exchanged").await.len()
}

#[tokio::test]
async fn row_118_without_a_rule_for_it_no_client_exchanges_a_token() {
    let house = House::open().await;
    house.exchanged().await;
    assert_eq!(exchanged(&house).await, 1);
    let token = house.subject_token.clone();
    let other = client(&house.server, "other", false, &[CHAT]).await;
    let ask = async || house.exchanges_as(&other, &token, &[]).await;
    // Not for the grant; for the grant without a rule; with rules for other tokens.
    ask().await.expect_oauth_error(400, "unauthorized_client");
    house
        .changes("other", |other| {
            other
                .grant_types
                .push(tokensmith_oauth2::GrantType::TokenExchange);
            other.scope = scope("groups:read");
        })
        .await;
    ask().await.expect_oauth_error(400, "unauthorized_client");
    for wrong in [
        ExchangeRule {
            subject_clients: vec![id("other"), id("Edge"), id("edge2")],
            ..rule()
        },
        ExchangeRule {
            subject_audiences: vec!["https://chat.example/".to_owned()],
            ..rule()
        },
        ExchangeRule {
            subject_clients: Vec::new(),
            ..rule()
        },
        ExchangeRule {
            subject_audiences: Vec::new(),
            ..rule()
        },
    ] {
        house
            .changes("other", |other| other.metadata.token_exchange = vec![wrong])
            .await;
        ask().await.expect_oauth_error(400, "unauthorized_client");
    }
    assert_eq!(exchanged(&house).await, 1);
    let refused = audited(&house.server, "token_refused").await;
    assert!(refused.len() >= 6, "{}", refused.len());
    assert_eq!(refused.last().unwrap()["client_id"], "other");
    assert_alive(&house.server).await;
}

#[tokio::test]
async fn row_119_the_scope_of_an_exchanged_token_never_widens() {
    let house = House::open().await;
    house
        .changes("gateway", |gateway| {
            gateway.scope = scope("groups:admin members:read");
            gateway.metadata.token_exchange[0].scope = scope("groups:admin members:read");
        })
        .await;
    let ask = async |scope: &str| {
        let more = [("scope", scope)];
        house.exchanges(&house.subject_token, &more).await
    };
    ask("groups:read").await.expect(200);
    for wider in [
        "groups:admin",
        "groups:read groups:admin",
        "members:read",
        "openid",
    ] {
        ask(wider).await.expect_oauth_error(400, "invalid_scope");
    }
    // Nor by way of a second exchange, whatever its rule allows.
    let narrow = ask("groups:read").await.expect(200).text("access_token");
    house
        .changes("gateway", |gateway| {
            let rule = &mut gateway.metadata.token_exchange[0];
            rule.subject_clients.push(id("gateway"));
            rule.subject_audiences
                .push(crate::exchange::BILLING.to_owned());
        })
        .await;
    let more = [("scope", "groups:write")];
    let answer = house.exchanges(&narrow, &more).await;
    answer.expect_oauth_error(400, "invalid_scope");
    assert_eq!(exchanged(&house).await, 2);
    assert_alive(&house.server).await;
}

#[tokio::test]
async fn row_120_an_expired_a_revoked_and_a_signed_out_subject_token_is_refused() {
    for end in ["expired", "revoked", "signed out"] {
        let house = House::open().await;
        house.exchanged().await;
        match end {
            "expired" => house.server.advance(Duration::from_secs(900)),
            "revoked" => {
                let form = [("token", house.subject_token.as_str())];
                let revoke = house.edge.form(&house.server, "/oauth/revoke", &form);
                revoke.await.expect(200);
            }
            _ => {
                let logout = house.alice.post("/api/auth/logout", json!({}));
                logout.await.expect(200);
            }
        }
        let answer = house.exchanges(&house.subject_token, &[]).await;
        answer.expect_oauth_error(400, "invalid_grant");
        assert_eq!(exchanged(&house).await, 1, "{end}");
        assert_alive(&house.server).await;
    }
}

#[tokio::test]
async fn row_121_a_token_of_one_kind_is_not_taken_for_another() {
    let house = House::open().await;
    house.exchanged().await;
    let ask = async |token: &str, kind: &str| {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", kind),
        ];
        let answer = house
            .gateway
            .form(&house.server, "/oauth/token", &form)
            .await;
        answer.expect_oauth_error(400, "invalid_request");
    };
    // An ID token is signed by the same key; its `typ` is another.
    let mut claims = claims_of(&house.subject_token);
    claims["aud"] = json!("gateway");
    let records = house.server.app().store().signing_keys().await.unwrap();
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": records[0].kid});
    let key = super::forging::signing_key(&house.server).await;
    let id_token = super::forging::signed_text(&key, &header.to_string(), &claims.to_string());
    ask(&id_token, ACCESS_TOKEN).await;
    ask(&house.refresh_token, ACCESS_TOKEN).await;
    for kind in ["id_token", "refresh_token", "saml2", "saml1", ""] {
        let kind = format!("urn:ietf:params:oauth:token-type:{kind}");
        ask(&house.subject_token, &kind).await;
    }
    ask(
        &house.refresh_token,
        "urn:ietf:params:oauth:token-type:refresh_token",
    )
    .await;
    claims["type"] = json!("refresh");
    ask(&house.signs(&claims), ACCESS_TOKEN).await;
    assert_eq!(exchanged(&house).await, 1);
    assert_alive(&house.server).await;
}
