//! Clients, scopes, resources, signing keys: what nodes keep in memory, and the epoch that tells them to look again.

use tokensmith_oauth2::Scope;
use tokensmith_store::*;

use crate::{actors::*, ground::*};

fn add(key: SigningKeyRecord) -> AddSigningKey {
    AddSigningKey {
        unless_signing_after: key.signs_from - HOUR,
        predecessors_sign_until: key.signs_from,
        predecessors_published_until: key.signs_from + HOUR,
        key,
        context: at(NOW),
    }
}

on_both_engines! {
    async fn a_client_is_registered_once_and_read_back_whole(ground: &Ground) {
        let web = ground.client("web").await;
        let found = ground.store.client(&web).await.unwrap().expect("it is there");
        assert_eq!(format!("{found:?}"), format!("{:?}", client("web")));
        let again = RegisterClient { client: client("web"), context: at(NOW) };
        assert_eq!(ground.store.write(again).await.unwrap(), Registered::Exists);
        assert!(ground.store.client(&client_id("WEB")).await.unwrap().is_none(), "compared by code points");
        ground.client("app").await;
        let page = ground.store.clients("", 1).await.unwrap();
        assert_eq!(page[0].client_id, client_id("app"));
        assert_eq!(ground.store.clients("app", 9).await.unwrap().len(), 1);
    }

    async fn a_client_that_is_allowed_nothing_is_read_back_too(ground: &Ground) {
        let nothing = Client { scope: Scope::empty(), ..client("nothing") };
        let register = RegisterClient { client: nothing, context: at(NOW) };
        assert_eq!(ground.store.write(register).await.unwrap(), Registered::Created);
        let found = ground.store.client(&client_id("nothing")).await.unwrap();
        assert!(found.expect("it is there").scope.is_empty());
    }

    async fn every_change_of_configuration_moves_the_epoch(ground: &Ground) {
        let store = &ground.store;
        let mut last = store.configuration_epoch().await.unwrap();
        let mut moved = async |what: &str| {
            let now = store.configuration_epoch().await.unwrap();
            assert!(now > last, "{what}");
            last = now;
        };
        let web = ground.client("web").await;
        moved("registered").await;
        store.write(PutClient { client: client("web"), context: at(NOW) }).await.unwrap();
        moved("put").await;
        let disable = ChangeClient { client_id: web.clone(), change: ClientChange::Active(false), context: at(NOW) };
        assert!(store.write(disable).await.unwrap());
        moved("disabled").await;
        let scope = ScopeDeclaration { name: "a:b".into(), description: String::new(), implies: vec!["a:c".into()] };
        store.write(PutScope { scope: scope.clone(), context: at(NOW) }).await.unwrap();
        moved("scope").await;
        assert_eq!(store.scopes().await.unwrap(), [scope]);
        let resource = Resource {
            identifier: "https://api.example.com".into(),
            name: "API".into(),
            scopes: vec!["a:b".into()],
            signing_algorithm: None,
            access_token_seconds: Some(60),
            user_claims: None,
            created_at: NOW,
        };
        for _ in 0..2 {
            store.write(PutResource { resource: resource.clone(), context: at(NOW) }).await.unwrap();
            moved("resource").await;
        }
        assert_eq!(store.resources().await.unwrap(), [resource]);
        assert!(store.write(RemoveClient { client_id: web.clone(), context: at(NOW) }).await.unwrap());
        moved("removed").await;
        assert!(!store.write(RemoveClient { client_id: web, context: at(NOW) }).await.unwrap());
        assert!(store.write(add(signing_key("k1", NOW))).await.unwrap());
        moved("key").await;
    }

    async fn secrets_are_replaced_only_as_the_caller_saw_them(ground: &Ground) {
        let web = ground.client("web").await;
        let before = client("web").secrets;
        let replace = |before: &[ClientSecret]| ChangeClient {
            client_id: web.clone(),
            change: ClientChange::Secrets { before: before.to_vec(), after: Vec::new() },
            context: at(NOW),
        };
        assert!(!ground.store.write(replace(&[])).await.unwrap());
        assert!(ground.store.write(replace(&before)).await.unwrap());
        assert!(!ground.store.write(replace(&before)).await.unwrap());
        assert!(ground.store.client(&web).await.unwrap().unwrap().secrets.is_empty());
    }

    async fn a_new_key_gives_its_predecessors_an_end(ground: &Ground) {
        let store = &ground.store;
        assert!(store.write(add(signing_key("k1", NOW))).await.unwrap());
        assert!(!store.write(add(signing_key("k1b", NOW))).await.unwrap(), "there is one already");
        assert!(store.write(add(signing_key("k2", NOW + DAY))).await.unwrap());
        let keys = store.signing_keys().await.unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!((keys[0].kid.as_str(), keys[0].signs_until), ("k1", Some(NOW + DAY)));
        assert_eq!(keys[0].published_until, Some(NOW + DAY + HOUR));
        assert_eq!((keys[1].kid.as_str(), keys[1].signs_until), ("k2", None));
    }

    async fn the_longest_life_of_a_token_is_what_anybody_asks_for(ground: &Ground) {
        let store = &ground.store;
        assert_eq!(store.longest_access_token().await.unwrap(), 0);
        let mut asking = client("asking");
        asking.access_token_seconds = Some(600);
        store.write(PutClient { client: asking.clone(), context: at(NOW) }).await.unwrap();
        assert_eq!(store.longest_access_token().await.unwrap(), 600);
        let resource = Resource {
            identifier: "https://long.example".into(),
            name: "Long".into(),
            scopes: Vec::new(),
            signing_algorithm: None,
            access_token_seconds: Some(7200),
            user_claims: None,
            created_at: NOW,
        };
        store.write(PutResource { resource, context: at(NOW) }).await.unwrap();
        assert_eq!(store.longest_access_token().await.unwrap(), 7200);
        asking.access_token_seconds = Some(9000);
        store.write(PutClient { client: asking, context: at(NOW) }).await.unwrap();
        assert_eq!(store.longest_access_token().await.unwrap(), 9000);
    }

    async fn a_retired_key_is_gone_at_once(ground: &Ground) {
        let store = &ground.store;
        store.write(add(signing_key("k1", NOW))).await.unwrap();
        let retire = || RetireSigningKey { kid: "k1".into(), context: at(NOW) };
        assert!(store.write(retire()).await.unwrap());
        assert!(!store.write(retire()).await.unwrap());
        let key = store.signing_keys().await.unwrap().remove(0);
        assert_eq!((key.sealed_private, key.published_until), (None, Some(NOW)));
    }

    async fn a_lease_given_back_may_be_taken(ground: &Ground) {
        let take = |holder: &str| TakeLease { name: "sweep", holder: holder.into(), span: MINUTE, now: NOW };
        let store = &ground.store;
        assert_eq!(store.write(take("a")).await.unwrap(), Lease::Held);
        assert_eq!(store.write(take("b")).await.unwrap(), Lease::Taken);
        assert_eq!(store.write(take("a")).await.unwrap(), Lease::Held, "prolonged");
        store.write(ReleaseLease { name: "sweep", holder: "b".into() }).await.unwrap();
        assert_eq!(store.write(take("b")).await.unwrap(), Lease::Taken);
        store.write(ReleaseLease { name: "sweep", holder: "a".into() }).await.unwrap();
        assert_eq!(store.write(take("b")).await.unwrap(), Lease::Held);
    }
}
