//! Identifiers that may be used once.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

fn used(kind: JtiKind, owner: &str, jti: &str) -> UseJti {
    UseJti {
        kind,
        owner: owner.into(),
        jti: jti.into(),
        expires_at: NOW + MINUTE,
    }
}

on_both_engines! {
    async fn an_identifier_is_used_once_within_its_kind_and_owner(ground: &Ground) {
        let store = &ground.store;
        let different = [
            (JtiKind::ClientAssertion, "web", "abc"),
            (JtiKind::AuthorizationGrant, "web", "abc"),
            (JtiKind::DpopProof, "web", "abc"),
            (JtiKind::ClientAssertion, "Web", "abc"),
            (JtiKind::ClientAssertion, "web", "ABC"),
            (JtiKind::ClientAssertion, "weba", "bc"),
            (JtiKind::ClientAssertion, "we", "babc"),
            (JtiKind::ClientAssertion, "", "webabc"),
        ];
        for expected in [JtiUse::First, JtiUse::Replayed, JtiUse::Replayed] {
            for (kind, owner, jti) in different {
                let outcome = store.write(used(kind, owner, jti)).await.unwrap();
                assert_eq!(outcome, expected, "{kind:?} {owner} {jti}");
            }
        }
    }

    async fn an_identifier_of_any_length_and_text_is_kept_as_a_digest(ground: &Ground) {
        let store = &ground.store;
        for jti in ["", "\0", "ä\u{202e}", &"x".repeat(100_000), "'; DROP TABLE used_jtis; --"] {
            assert_eq!(store.write(used(JtiKind::DpopProof, "key", jti)).await.unwrap(), JtiUse::First);
            assert_eq!(store.write(used(JtiKind::DpopProof, "key", jti)).await.unwrap(), JtiUse::Replayed);
        }
    }

    async fn an_expired_identifier_stays_used_until_it_is_swept(ground: &Ground) {
        let store = &ground.store;
        let once = || UseJti { expires_at: NOW - DAY, ..used(JtiKind::ClientAssertion, "web", "abc") };
        assert_eq!(store.write(once()).await.unwrap(), JtiUse::First);
        assert_eq!(store.write(once()).await.unwrap(), JtiUse::Replayed);
        let sweep = || Sweep { expired: Expired::UsedJtis, before: NOW, limit: 10 };
        assert_eq!(store.write(sweep()).await.unwrap(), 1);
        assert_eq!(store.write(once()).await.unwrap(), JtiUse::First);
    }

    async fn a_sweep_of_identifiers_stops_at_its_limit(ground: &Ground) {
        let store = &ground.store;
        for number in 0..5 {
            store.write(used(JtiKind::DpopProof, "key", &number.to_string())).await.unwrap();
        }
        let sweep = || Sweep { expired: Expired::UsedJtis, before: NOW + DAY, limit: 2 };
        for removed in [2, 2, 1, 0] {
            assert_eq!(store.write(sweep()).await.unwrap(), removed);
        }
    }
}
