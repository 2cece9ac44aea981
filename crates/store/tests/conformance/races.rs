//! Part two: many callers at once. Exactly one wins, and the final state says so, not only the answers.

use std::{future::Future, sync::Arc, time::Duration};

use tokensmith_store::{OrganizationRole::*, *};
use tokio::sync::Barrier;

use crate::{actors::*, ground::*};

const CALLERS: usize = 50;
const ROUNDS: usize = 5;

/// Lets all start at the same moment and returns what each was answered.
pub(crate) async fn race<T, F>(callers: usize, call: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(callers));
    let calls: Vec<_> = (0..callers)
        .map(|number| {
            let (barrier, call) = (Arc::clone(&barrier), call(number));
            tokio::spawn(async move {
                barrier.wait().await;
                call.await
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(callers);
    for call in calls {
        answers.push(call.await.expect("no panic"));
    }
    answers
}

/// All callers send an operation made by `make`.
pub(crate) async fn race_writes<O: Operation>(
    ground: &Ground,
    callers: usize,
    make: impl Fn(usize) -> O,
) -> Vec<O::Outcome> {
    race(callers, |number| {
        let (store, operation) = (Arc::clone(&ground.store), make(number));
        async move { store.write(operation).await.expect("an answer") }
    })
    .await
}

fn count<T>(answers: &[T], is: impl Fn(&T) -> bool) -> usize {
    answers.iter().filter(|answer| is(answer)).count()
}

on_both_engines! {
    async fn one_of_many_registers_an_address(ground: &Ground) {
        for round in 0..ROUNDS {
            let name = format!("alice{round}");
            let answers = race_writes(ground, CALLERS, |number| RegisterUser {
                username: Some(format!("{name}-{number}")),
                ..ground.registration(&name)
            })
            .await;
            assert_eq!(count(&answers, |a| *a == UserRegistration::Created), 1);
            assert_eq!(count(&answers, |a| *a == UserRegistration::EmailTaken), CALLERS - 1);
        }
        assert_eq!(ground.store.users("", 999).await.unwrap().len(), ROUNDS);
    }

    async fn one_of_many_registers_a_username(ground: &Ground) {
        for round in 0..ROUNDS {
            let answers = race_writes(ground, CALLERS, |number| RegisterUser {
                username: Some(format!("name{round}")),
                ..ground.registration(&format!("r{round}-{number}"))
            })
            .await;
            assert_eq!(count(&answers, |a| *a == UserRegistration::Created), 1);
            assert_eq!(count(&answers, |a| *a == UserRegistration::UsernameTaken), CALLERS - 1);
        }
    }

    async fn one_of_many_spends_a_refresh_token_and_the_rest_get_its_successor(ground: &Ground) {
        let web = ground.client("web").await;
        for _ in 0..ROUNDS {
            let family = ground.family(&web, None).await;
            let answers = race_writes(ground, CALLERS, |number| RotateRefreshToken {
                jti: format!("jti-of-{number}"),
                ..rotation(&family, 1, NOW)
            })
            .await;
            assert_eq!(count(&answers, |a| word(a) == "rotated"), 1);
            assert_eq!(count(&answers, |a| word(a) == "same successor"), CALLERS - 1);
            let stored = ground.store.refresh_family(&family).await.unwrap().unwrap();
            assert_eq!(stored.generation, 2);
            for answer in &answers {
                let (Rotation::Rotated(told) | Rotation::SameSuccessor(told)) = answer else {
                    continue;
                };
                assert_eq!(told.generation, 2, "never two branches");
                assert_eq!(told.current_jti, stored.current_jti);
            }
        }
    }

    async fn without_grace_one_of_many_spends_a_refresh_token_and_the_family_ends(ground: &Ground) {
        let web = ground.client("web").await;
        for _ in 0..ROUNDS {
            let family = ground.family(&web, None).await;
            let answers = race_writes(ground, CALLERS, |_| RotateRefreshToken {
                grace: Duration::ZERO,
                ..rotation(&family, 1, NOW)
            })
            .await;
            assert_eq!(count(&answers, |a| word(a) == "rotated"), 1);
            assert_eq!(count(&answers, |a| word(a) == "replayed"), 1);
            assert_eq!(count(&answers, |a| word(a) == "revoked"), CALLERS - 2);
            let stored = ground.store.refresh_family(&family).await.unwrap().unwrap();
            assert!(!stored.is_live(NOW));
        }
        assert_eq!(ground.audited("refresh_token_reuse").await, ROUNDS);
    }

    async fn an_organization_keeps_one_owner_when_all_leave_at_once(ground: &Ground) {
        for round in 0..ROUNDS {
            let alice = ground.user(&format!("owner{round}")).await;
            let org = ground.organization(&format!("Org {round}"), &alice).await;
            let mut owners = vec![alice];
            for number in 1..10 {
                owners.push(ground.member(&org, &format!("o{round}-{number}"), Owner).await);
            }
            let answers = race_writes(ground, owners.len(), |number| RemoveMember {
                org_id: org.clone(),
                user_id: owners[number].clone(),
                actor: Some(owners[number].clone()),
                revoked_until: NOW + HOUR, context: at(NOW),
            })
            .await;
            assert_eq!(count(&answers, |a| *a == MembershipChange::LastOwner), 1);
            assert_eq!(ground.store.members(&org, "", 99).await.unwrap().len(), 1);
        }
    }

    async fn an_organization_keeps_one_owner_when_owners_demote_each_other(ground: &Ground) {
        for round in 0..ROUNDS {
            let alice = ground.user(&format!("owner{round}")).await;
            let org = ground.organization(&format!("Org {round}"), &alice).await;
            let mut owners = vec![alice];
            for number in 1..10 {
                owners.push(ground.member(&org, &format!("o{round}-{number}"), Owner).await);
            }
            race_writes(ground, CALLERS, |number| ChangeMemberRole {
                org_id: org.clone(),
                user_id: owners[number % 10].clone(),
                role: Member,
                actor: Some(owners[(number + 1) % 10].clone()),
                revoked_until: NOW + HOUR, context: at(NOW),
            })
            .await;
            let members = ground.store.members(&org, "", 99).await.unwrap();
            assert_eq!(members.len(), 10);
            assert!(count(&members, |member| member.membership.role == Owner) >= 1);
        }
    }

    async fn a_demoted_admin_adds_nobody_after_the_demotion_is_answered(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        for round in 0..ROUNDS {
            let admin = ground.member(&org, &format!("admin{round}"), Admin).await;
            let guest = ground.user(&format!("guest{round}")).await;
            let store = Arc::clone(&ground.store);
            let demote = ChangeMemberRole {
                org_id: org.clone(),
                user_id: admin.clone(),
                role: Member,
                actor: None,
                revoked_until: NOW + HOUR, context: at(NOW),
            };
            let demoted = tokio::spawn(async move { store.write(demote).await });
            let early = ground.add_member(&org, &guest, Member, Some(&admin)).await;
            assert!(matches!(early, MembershipChange::Done | MembershipChange::NotAllowed));
            demoted.await.unwrap().unwrap();
            let late = ground.add_member(&org, &guest, Member, Some(&admin)).await;
            assert_eq!(late, MembershipChange::NotAllowed);
        }
    }

    async fn nobody_stays_in_a_group_of_an_organization_they_are_removed_from(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let group = ground.group(&org, "Team").await;
        for round in 0..10 {
            let bob = ground.member(&org, &format!("bob{round}"), Member).await;
            let answers = race(20, |number| {
                let (store, bob) = (Arc::clone(&ground.store), bob.clone());
                let (org_id, group_id) = (org.clone(), group.clone());
                let (actor, context) = (None, at(NOW));
                async move {
                    if number == 10 {
                        let remove = RemoveMember { org_id, user_id: bob, actor, revoked_until: NOW + HOUR, context };
                        return store.write(remove).await.map(|done| format!("{done:?}"));
                    }
                    let add = AddGroupMember { group_id, user_id: bob, actor, context };
                    store.write(add).await.map(|done| format!("{done:?}"))
                }
            })
            .await;
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            assert!(!ground.store.is_group_member(&group, &bob).await.unwrap());
        }
    }

    async fn one_of_many_creates_each_unique_thing(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let bob = ground.user("bob").await;
        let orgs = race_writes(ground, CALLERS, |_| CreateOrganization {
            id: ground.id(),
            name: "Globex".into(),
            owner: alice.clone(),
            context: at(NOW),
        })
        .await;
        assert_eq!(count(&orgs, |a| *a == OrganizationCreation::Created), 1);
        let groups = race_writes(ground, CALLERS, |_| CreateGroup {
            id: ground.id(),
            org_id: org.clone(),
            name: "Team".into(),
            description: String::new(),
            actor: Some(alice.clone()),
            context: at(NOW),
        })
        .await;
        assert_eq!(count(&groups, |a| *a == GroupChange::Done), 1);
        let members = race_writes(ground, CALLERS, |_| AddMember {
            org_id: org.clone(),
            user_id: bob.clone(),
            role: Member,
            actor: Some(alice.clone()),
            context: at(NOW),
        })
        .await;
        assert_eq!(count(&members, |a| *a == MembershipChange::Done), 1);
        let clients = race_writes(ground, CALLERS, |_| RegisterClient {
            client: client("web"),
            context: at(NOW),
        })
        .await;
        assert_eq!(count(&clients, |a| *a == Registered::Created), 1);
    }

    async fn one_of_many_adds_the_next_signing_key(ground: &Ground) {
        for round in 0..ROUNDS as u32 {
            let from = NOW + DAY * round;
            let answers = race_writes(ground, CALLERS, |number| AddSigningKey {
                key: signing_key(&format!("k{round}-{number}"), from),
                unless_signing_after: from - HOUR,
                predecessors_sign_until: from,
                predecessors_published_until: from + HOUR,
                context: at(NOW),
            })
            .await;
            assert_eq!(count(&answers, |added| *added), 1);
        }
        let keys = ground.store.signing_keys().await.unwrap();
        assert_eq!(keys.len(), ROUNDS);
        assert_eq!(count(&keys, |key| key.signs_until.is_none()), 1);
    }

    async fn one_of_many_uses_an_identifier(ground: &Ground) {
        let kinds = [JtiKind::ClientAssertion, JtiKind::AuthorizationGrant, JtiKind::DpopProof];
        for round in 0..ROUNDS {
            for kind in kinds {
                let answers = race_writes(ground, CALLERS, |_| UseJti {
                    kind,
                    owner: "web".into(),
                    jti: format!("jti-{round}"),
                    expires_at: NOW + MINUTE,
                })
                .await;
                assert_eq!(count(&answers, |a| *a == JtiUse::First), 1, "{kind:?}");
                assert_eq!(count(&answers, |a| *a == JtiUse::Replayed), CALLERS - 1, "{kind:?}");
            }
        }
    }

    async fn one_of_many_holds_a_lease(ground: &Ground) {
        for round in 0..ROUNDS as u32 {
            let answers = race_writes(ground, CALLERS, |number| TakeLease {
                name: "sweep",
                holder: format!("node{number}"),
                span: MINUTE,
                now: NOW + MINUTE * round,
            })
            .await;
            assert_eq!(count(&answers, |lease| *lease == Lease::Held), 1, "round {round}");
        }
    }

    async fn one_of_many_changes_a_password(ground: &Ground) {
        let alice = ground.user("alice").await;
        let answers = race_writes(ground, CALLERS, |number| ChangePassword {
            user_id: alice.clone(),
            old_hash: Some(PasswordHash::new("$argon2id$alice".into())),
            new_hash: PasswordHash::new(format!("$new{number}")),
            except: None,
            revoked_until: NOW + HOUR,
            context: at(NOW),
        })
        .await;
        assert_eq!(count(&answers, Option::is_some), 1);
    }

    async fn a_reader_of_the_feed_misses_no_revocation(ground: &Ground) {
        let total = CALLERS * 4;
        let store = Arc::clone(&ground.store);
        let reader = tokio::spawn(async move {
            let (mut cursor, mut seen) = (0, 0);
            while seen < total {
                let lines = store.revocations_since(cursor, 7).await.expect("an answer");
                assert!(lines.iter().all(|line| line.id > cursor));
                seen += lines.len();
                cursor = lines.last().map_or(cursor, |line| line.id);
            }
            seen
        });
        let store = &ground.store;
        for round in 0..4 {
            race(CALLERS, |number| {
                let store = Arc::clone(store);
                async move {
                    let revoke = Revoke {
                        kind: RevocationKind::Token,
                        subject: format!("{round}-{number}"),
                        expires_at: NOW + HOUR,
                        names: TokenNames::default(),
                        context: at(NOW),
                    };
                    assert!(store.write(revoke).await.expect("an answer"));
                }
            })
            .await;
        }
        let seen = tokio::time::timeout(Duration::from_secs(10), reader).await;
        assert_eq!(seen.expect("nothing was missed").unwrap(), total);
    }

    async fn no_session_outlives_the_disabling_of_its_user(ground: &Ground) {
        for round in 0..10 {
            let alice = ground.user(&format!("alice{round}")).await;
            race(20, |number| {
                let (store, user_id, id) = (Arc::clone(&ground.store), alice.clone(), ground.id());
                async move {
                    let context = at(NOW);
                    if number == 10 {
                        let disable = SetUserActive { user_id, is_active: false, revoked_until: NOW, context };
                        return store.write(disable).await;
                    }
                    let open = OpenSession { id, context, ..new_session(&user_id, NOW) };
                    store.write(open).await.map(|opening| opening != SessionOpening::Refused)
                }
            })
            .await;
            assert!(ground.store.sessions_of(&alice, NOW, 99).await.unwrap().is_empty());
        }
    }

    async fn no_refresh_token_outlives_the_end_of_its_session(ground: &Ground) {
        let alice = ground.user("alice").await;
        let web = ground.client("web").await;
        for _ in 0..10 {
            let session = ground.session(&alice).await;
            let old = ground.family(&web, Some((&alice, &session))).await;
            let families: Vec<_> = (0..20).map(|_| ground.new_family(&web, Some((&alice, &session)))).collect();
            race(20, |number| {
                let (store, session) = (Arc::clone(&ground.store), session.clone());
                let (family, old, context) = (families[number].clone(), old.clone(), at(NOW));
                async move {
                    match number {
                        10 => {
                            let (reason, revoked_until) = ("logout", NOW + HOUR);
                            let end = EndSession { id: session, user_id: None, reason, revoked_until, context };
                            store.write(end).await.map(drop)
                        }
                        0..5 => store.write(rotation(&old, 1, NOW)).await.map(drop),
                        _ => store.write(OpenFamily { family, context }).await.map(drop),
                    }
                }
            })
            .await
            .into_iter()
            .for_each(|answer| answer.expect("an answer"));
            for id in families.iter().map(|family| &family.id).chain([&old]) {
                let family = ground.store.refresh_family(id).await.unwrap();
                assert!(family.is_none_or(|family| !family.is_live(NOW)));
            }
        }
    }

    async fn the_audit_chain_stays_whole_under_many_writers(ground: &Ground) {
        race(CALLERS, |number| {
            let store = Arc::clone(&ground.store);
            async move {
                for turn in 0..10 {
                    let append = AppendAudit {
                        context: at(NOW),
                        event: AuditEvent::new("token_issued").field("n", number * 10 + turn),
                        durability: Durability::CrashSafe,
                    };
                    store.write(append).await.expect("an answer");
                }
            }
        })
        .await;
        let (records, faults) = ground.store.verify_audit().await.unwrap();
        assert_eq!((records, faults), (CALLERS as u64 * 10, Vec::new()));
    }

    async fn a_check_of_the_log_finds_nothing_wrong_while_it_is_written(ground: &Ground) {
        let store = Arc::clone(&ground.store);
        let writers = tokio::spawn(race(8, move |_| {
            let store = Arc::clone(&store);
            async move {
                for _ in 0..100 {
                    let append = AppendAudit {
                        context: at(NOW),
                        event: AuditEvent::new("token_issued"),
                        durability: Durability::CrashSafe,
                    };
                    store.write(append).await.expect("an answer");
                }
            }
        }));
        while !writers.is_finished() {
            assert_eq!(ground.store.verify_audit().await.unwrap().1, []);
        }
        writers.await.unwrap();
    }
}
