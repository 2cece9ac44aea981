//! The registry as declarations: changed together or not at all, only as the caller saw them, never contradicting
//! itself.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

fn scope(name: &str, implies: &[&str]) -> Declaration {
    Declaration::Scope(ScopeDeclaration {
        name: name.into(),
        description: String::new(),
        implies: implies.iter().map(|&name| name.into()).collect(),
    })
}

fn permission(name: &str) -> Declaration {
    Declaration::Permission(Permission {
        name: name.into(),
        description: "d".into(),
    })
}

fn role(name: &str, permissions: &[&str], includes: &[&str]) -> Declaration {
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Declaration::Role(Role {
        name: name.into(),
        description: String::new(),
        permissions: list(permissions),
        includes: list(includes),
    })
}

fn resource(identifier: &str, scopes: &[&str]) -> Declaration {
    Declaration::Resource(Resource {
        identifier: identifier.into(),
        name: "API".into(),
        scopes: scopes.iter().map(|&name| name.to_owned()).collect(),
        signing_algorithm: Some("RS256".into()),
        access_token_seconds: Some(60),
        user_claims: None,
        created_at: NOW,
    })
}

fn issuer(identifier: &str) -> Declaration {
    let record =
        serde_json::json!({"issuer": identifier, "jwks_uri": "https://ci.example.com/keys"});
    Declaration::Issuer(Box::new(serde_json::from_value(record).expect("an issuer")))
}

fn client_of(id: &str) -> Declaration {
    let mut client = client(id);
    client.scope = "read".parse().expect("a scope");
    Declaration::Client(Box::new(client))
}

fn to(before: Option<Declaration>, after: Option<Declaration>) -> DeclarationChange {
    DeclarationChange {
        before,
        after,
        members: vec!["description".into()],
    }
}

fn add(after: Declaration) -> DeclarationChange {
    to(None, Some(after))
}

impl Ground {
    async fn declare(&self, changes: Vec<DeclarationChange>) -> Declared {
        let change = ChangeDeclarations {
            changes,
            built_in: vec!["https://built.in".into(), "openid".into()],
            revoked_until: NOW + HOUR,
            context: at(NOW),
        };
        self.store.write(change).await.expect("an answer")
    }
}

fn everything() -> Vec<Declaration> {
    vec![
        scope("read", &[]),
        scope("write", &["read"]),
        resource("https://api.example.com", &["read", "write"]),
        permission("documents.read"),
        role("viewer", &["documents.read"], &[]),
        role("editor", &[], &["viewer"]),
        client_of("web"),
        issuer("https://ci.example.com"),
    ]
}

on_both_engines! {
    async fn a_whole_registry_is_declared_in_any_order_read_back_and_removed(ground: &Ground) {
        let store = &ground.store;
        let backwards: Vec<_> = everything().into_iter().rev().map(add).collect();
        let epoch = store.configuration_epoch().await.unwrap();
        assert_eq!(ground.declare(backwards).await, Declared::Done);
        assert!(store.configuration_epoch().await.unwrap() > epoch);
        for declared in everything() {
            let found = store.declaration(declared.kind(), declared.key()).await.unwrap();
            assert_eq!(found.as_ref(), Some(&declared));
            let page = store.declarations(declared.kind(), "", 10).await.unwrap();
            assert!(page.contains(&declared));
        }
        let first = store.declarations(DeclarationKind::Scope, "", 1).await.unwrap();
        assert_eq!(first, [scope("read", &[])]);
        assert_eq!(store.declarations(DeclarationKind::Scope, "read", 9).await.unwrap(), [scope("write", &["read"])]);
        let gone: Vec<_> = everything().into_iter().map(|declared| to(Some(declared), None)).collect();
        assert_eq!(ground.declare(gone).await, Declared::Done);
        for declared in everything() {
            assert_eq!(store.declaration(declared.kind(), declared.key()).await.unwrap(), None);
        }
        assert!(store.is_revoked(RevocationKind::Client, "web").await.unwrap(), "its access tokens end, too");
        assert_eq!((ground.audited("role_declared").await, ground.audited("role_removed").await), (2, 2));
        assert_eq!((ground.audited("client_registered").await, ground.audited("client_removed").await), (1, 1));
    }

    async fn what_is_not_as_the_caller_saw_it_changes_nothing(ground: &Ground) {
        assert_eq!(ground.declare(vec![add(scope("read", &[]))]).await, Declared::Done);
        let again = vec![add(scope("write", &["read"])), add(scope("read", &[]))];
        assert_eq!(ground.declare(again).await, Declared::ChangedMeanwhile(vec!["scope read".into()]));
        assert_eq!(ground.store.scopes().await.unwrap().len(), 1, "not even the other one");
        let stale = to(Some(scope("read", &["openid"])), None);
        assert!(matches!(ground.declare(vec![stale]).await, Declared::ChangedMeanwhile(_)));
        let absent = to(Some(scope("other", &[])), Some(scope("other", &["read"])));
        assert!(matches!(ground.declare(vec![absent]).await, Declared::ChangedMeanwhile(_)));
        assert_eq!(ground.audited("scope_declared").await, 1);
    }

    async fn a_reference_to_what_is_not_there_is_refused_with_every_reason(ground: &Ground) {
        let refused = ground.declare(vec![
            add(scope("write", &["read"])),
            add(resource("https://api.example.com", &["nothing"])),
            add(role("editor", &["documents.write"], &["viewer"])),
        ]).await;
        let Declared::Refused(reasons) = refused else { panic!("{refused:?}") };
        assert_eq!(reasons.len(), 4, "{reasons:?}");
        assert!(reasons.contains(&"The scope write names the scope read, which is not declared.".to_owned()));
        assert!(ground.store.scopes().await.unwrap().is_empty());
        let built_in = add(scope("a", &["openid"]));
        assert_eq!(ground.declare(vec![built_in]).await, Declared::Done);
    }

    async fn roles_may_not_go_in_a_circle(ground: &Ground) {
        let circle = vec![add(role("a", &[], &["b"])), add(role("b", &[], &["c"])), add(role("c", &[], &["a"]))];
        assert!(matches!(ground.declare(circle).await, Declared::Refused(_)));
        assert!(matches!(ground.declare(vec![add(role("a", &[], &["a"]))]).await, Declared::Refused(_)));
        let straight = vec![add(role("a", &[], &["b"])), add(role("b", &[], &[]))];
        assert_eq!(ground.declare(straight).await, Declared::Done);
    }

    async fn what_is_still_named_stays(ground: &Ground) {
        let store = &ground.store;
        assert_eq!(ground.declare(everything().into_iter().map(add).collect()).await, Declared::Done);
        let user = RegisterUser { roles: vec!["editor".into()], ..ground.registration("alice") };
        assert_eq!(store.write(user).await.unwrap(), UserRegistration::Created);
        for (gone, by) in [
            (scope("write", &["read"]), "the resource https://api.example.com"),
            (scope("read", &[]), "the client web"),
            (resource("https://api.example.com", &["read", "write"]), "the client web"),
            (permission("documents.read"), "the role viewer"),
            (role("viewer", &["documents.read"], &[]), "the role editor"),
            (role("editor", &[], &["viewer"]), "the user alice@example.com"),
        ] {
            let refused = ground.declare(vec![to(Some(gone.clone()), None)]).await;
            let Declared::Refused(reasons) = refused else { panic!("{gone:?}: {refused:?}") };
            assert!(reasons.iter().any(|reason| reason.ends_with(&format!("still named by {by}."))), "{reasons:?}");
        }
        let whole = |kind| store.declarations(kind, "", 10);
        assert_eq!(whole(DeclarationKind::Scope).await.unwrap().len(), 2);
        // A client that gives the scope up in the same change no longer counts.
        let mut without = client("web");
        (without.scope, without.resources) = (tokensmith_oauth2::Scope::empty(), Vec::new());
        let both = vec![
            to(Some(resource("https://api.example.com", &["read", "write"])), None),
            to(Some(client_of("web")), Some(Declaration::Client(Box::new(without)))),
        ];
        assert_eq!(ground.declare(both).await, Declared::Done);
    }

    async fn of_two_changes_of_one_record_at_once_one_wins(ground: &Ground) {
        assert_eq!(ground.declare(vec![add(scope("read", &[]))]).await, Declared::Done);
        let tries = (0..8).map(|number| {
            let after = scope("read", &[]);
            let Declaration::Scope(mut after) = after else { panic!("a scope") };
            after.description = format!("by {number}");
            ground.declare(vec![to(Some(scope("read", &[])), Some(Declaration::Scope(after)))])
        });
        let outcomes = futures_util::future::join_all(tries).await;
        let won = outcomes.iter().filter(|outcome| **outcome == Declared::Done).count();
        assert_eq!(won, 1, "{outcomes:?}");
    }
}
