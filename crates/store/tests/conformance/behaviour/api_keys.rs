//! API keys: made, renewed, revoked and swept.

use tokensmith_oauth2::Scope;
use tokensmith_store::*;

use crate::{actors::*, ground::*};

fn key(id: &str, owner: &ApiKeyOwner) -> ApiKey {
    ApiKey {
        id: id.into(),
        digest: vec![7; 32],
        owner: owner.clone(),
        org_id: None,
        name: "deploy".into(),
        scope: Scope::parse("pages:read").unwrap(),
        resource: "https://api.example".into(),
        created_at: NOW,
        expires_at: NOW + DAY,
        last_used_at: None,
        revoked_at: None,
    }
}

fn create(key: ApiKey, replaces: Option<(String, Timestamp)>) -> CreateApiKey {
    CreateApiKey {
        key,
        replaces,
        context: at(NOW),
    }
}

on_both_engines! {
    async fn a_key_is_made_for_an_active_owner_and_found_by_its_id(ground: &Ground) {
        let owner = ApiKeyOwner::User(ground.user("alice").await);
        let store = &ground.store;
        assert_eq!(store.write(create(key("a", &owner), None)).await.unwrap(), ApiKeyCreation::Created);
        assert_eq!(store.api_key("a").await.unwrap(), Some(key("a", &owner)));
        assert_eq!(store.api_keys_of(&owner, "", 10).await.unwrap(), [key("a", &owner)]);
        assert!(store.api_keys_of(&ApiKeyOwner::User(ground.id()), "", 10).await.unwrap().is_empty());
        let nobody = ApiKeyOwner::User(ground.id());
        assert_eq!(store.write(create(key("b", &nobody), None)).await.unwrap(), ApiKeyCreation::NoSuchOwner);
        assert_eq!(ground.audited("api_key_created").await, 1);
    }

    async fn a_successor_shortens_what_it_replaces_and_never_lengthens_it(ground: &Ground) {
        let owner = ApiKeyOwner::User(ground.user("alice").await);
        let other = ApiKeyOwner::User(ground.user("bob").await);
        let store = &ground.store;
        store.write(create(key("a", &owner), None)).await.unwrap();
        let replaces = |until| Some(("a".to_owned(), until));
        let foreign = create(key("x", &other), replaces(NOW + HOUR));
        assert_eq!(store.write(foreign).await.unwrap(), ApiKeyCreation::NotLive);
        let ends = async || store.api_key("a").await.unwrap().unwrap().expires_at;
        assert_eq!(ends().await, NOW + DAY);
        store.write(create(key("b", &owner), replaces(NOW + HOUR))).await.unwrap();
        assert_eq!(ends().await, NOW + HOUR);
        store.write(create(key("c", &owner), replaces(NOW + DAY))).await.unwrap();
        assert_eq!(ends().await, NOW + HOUR);
    }

    async fn a_key_is_revoked_once_by_its_owner_and_named_in_the_feed(ground: &Ground) {
        let owner = ApiKeyOwner::User(ground.user("alice").await);
        let other = ApiKeyOwner::User(ground.user("bob").await);
        let store = &ground.store;
        store.write(create(key("a", &owner), None)).await.unwrap();
        let revoke = |owner: &ApiKeyOwner| RevokeApiKey {
            id: "a".into(), owner: owner.clone(), revoked_until: NOW + HOUR, context: at(NOW),
        };
        assert!(!store.write(revoke(&other)).await.unwrap());
        assert!(store.write(revoke(&owner)).await.unwrap());
        assert!(!store.write(revoke(&owner)).await.unwrap());
        assert!(!store.api_key("a").await.unwrap().unwrap().is_live(NOW));
        assert!(store.is_revoked(RevocationKind::Token, "a").await.unwrap());
        let again = create(key("b", &owner), Some(("a".into(), NOW + HOUR)));
        assert_eq!(store.write(again).await.unwrap(), ApiKeyCreation::NotLive);
    }

    async fn the_last_use_is_noted_when_it_is_old_and_expired_keys_are_swept(ground: &Ground) {
        let owner = ApiKeyOwner::User(ground.user("alice").await);
        let store = &ground.store;
        store.write(create(key("a", &owner), None)).await.unwrap();
        let noted = async |now: Timestamp| {
            let touch = TouchApiKey { id: "a".into(), now, before: now - MINUTE };
            store.write(touch).await.unwrap();
            store.api_key("a").await.unwrap().unwrap().last_used_at
        };
        assert_eq!(noted(NOW).await, Some(NOW));
        assert_eq!(noted(NOW + MINUTE).await, Some(NOW));
        assert_eq!(noted(NOW + MINUTE + MINUTE).await, Some(NOW + MINUTE + MINUTE));
        let sweep = |before| Sweep { expired: Expired::ApiKeys, before, limit: 10 };
        assert_eq!(store.write(sweep(NOW + DAY)).await.unwrap(), 0);
        assert_eq!(store.write(sweep(NOW + DAY + MINUTE)).await.unwrap(), 1);
    }

    async fn a_disabled_organization_is_told_in_the_feed_once(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let set = |is_active| SetOrganizationActive {
            org_id: org.clone(), is_active, revoked_until: NOW + HOUR, context: at(NOW),
        };
        let store = &ground.store;
        assert!(!store.write(set(true)).await.unwrap());
        assert!(store.write(set(false)).await.unwrap());
        assert!(!store.write(set(false)).await.unwrap());
        assert!(store.is_revoked(RevocationKind::Organization, org.as_str()).await.unwrap());
        assert!(store.membership(&org, &alice).await.unwrap().is_none());
        assert!(store.write(set(true)).await.unwrap());
        assert!(store.membership(&org, &alice).await.unwrap().is_some());
    }
}
