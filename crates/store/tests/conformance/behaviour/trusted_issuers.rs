//! Issuers whose tokens stand for clients.

use serde_json::json;
use tokensmith_store::*;

use crate::{actors::*, ground::*};

fn issuer(name: &str) -> TrustedIssuer {
    serde_json::from_value(json!({
        "issuer": "https://ci.test",
        "name": name,
        "jwks_uri": "https://ci.test/jwks",
        "rules": [{"client_id": "deploy", "claims": {"repository": ["acme/app"]}, "scope": "groups:read"}],
    }))
    .unwrap()
}

on_both_engines! {
    async fn an_issuer_is_kept_as_declared(ground: &Ground) {
        let store = &ground.store;
        let epoch = store.configuration_epoch().await.unwrap();
        let declared = issuer("CI");
        assert!((declared.once, declared.is_active, declared.assertion_seconds) == (true, true, 3600));
        let put = |issuer| PutTrustedIssuer { issuer, before: None, context: at(NOW) };
        assert!(store.write(put(declared.clone())).await.unwrap());
        assert!(store.write(put(declared.clone())).await.unwrap());
        assert_eq!(store.trusted_issuers().await.unwrap(), std::slice::from_ref(&declared));
        assert_eq!(store.trusted_issuer("https://ci.test").await.unwrap(), Some(declared));
        assert_eq!(store.trusted_issuer("https://CI.test").await.unwrap(), None);
        assert_eq!(ground.audited("trusted_issuer_changed").await, 2);
        assert!(store.configuration_epoch().await.unwrap() > epoch);
    }

    async fn a_change_of_an_issuer_that_was_changed_since_does_nothing(ground: &Ground) {
        let store = &ground.store;
        let (first, second, third) = (issuer("1"), issuer("2"), issuer("3"));
        let put = |issuer: &TrustedIssuer, before: Option<&TrustedIssuer>| PutTrustedIssuer {
            issuer: issuer.clone(),
            before: before.cloned(),
            context: at(NOW),
        };
        assert!(!store.write(put(&second, Some(&first))).await.unwrap(), "there is none");
        assert!(store.write(put(&first, None)).await.unwrap());
        assert!(store.write(put(&second, Some(&first))).await.unwrap());
        assert!(!store.write(put(&third, Some(&first))).await.unwrap());
        assert_eq!(store.trusted_issuers().await.unwrap(), [second]);
        assert_eq!(ground.audited("trusted_issuer_changed").await, 2);
    }

    async fn a_removed_issuer_is_gone(ground: &Ground) {
        let store = &ground.store;
        let remove = || RemoveTrustedIssuer { issuer: "https://ci.test".into(), context: at(NOW) };
        assert!(!store.write(remove()).await.unwrap());
        let put = PutTrustedIssuer { issuer: issuer("CI"), before: None, context: at(NOW) };
        assert!(store.write(put).await.unwrap());
        assert!(store.write(remove()).await.unwrap());
        assert_eq!(store.trusted_issuers().await.unwrap(), []);
        assert_eq!(ground.audited("trusted_issuer_removed").await, 1);
    }
}
