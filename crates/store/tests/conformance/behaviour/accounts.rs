//! What people do with their own account.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

fn proof(user: &UserId, kind: ProofKind, token: &str) -> NewProof {
    NewProof {
        kind,
        user_id: user.clone(),
        email: "alice@example.com".into(),
        token_digest: token.into(),
        code_digest: format!("code of {token}").into(),
        tries: 3,
        expires_at: NOW + MINUTE * 30,
        spacing: MINUTE,
    }
}

fn mail(ground: &Ground) -> Mail {
    Mail {
        id: ground.id(),
        template: "test",
        recipient: "alice@example.com".into(),
        sealed: b"sealed".to_vec(),
        expires_at: NOW + DAY,
    }
}

fn token(token: &str) -> ShownProof {
    ShownProof::Token(token.into())
}

fn code(of: &str) -> ShownProof {
    ShownProof::Code(format!("code of {of}").into())
}

async fn send(ground: &Ground, proof: NewProof, now: Timestamp) -> bool {
    let send = SendProof {
        proof,
        mail: mail(ground),
        context: at(now),
    };
    ground.store.write(send).await.unwrap()
}

async fn verify(ground: &Ground, user: &UserId, shown: ShownProof, now: Timestamp) -> bool {
    let verify = VerifyEmail {
        user_id: user.clone(),
        shown,
        context: at(now),
    };
    ground.store.write(verify).await.unwrap()
}

async fn reset(ground: &Ground, user: &UserId, shown: ShownProof) -> Option<SessionsEnded> {
    let reset = ResetPassword {
        user_id: user.clone(),
        shown,
        new_hash: PasswordHash::new("$new".into()),
        revoked_until: NOW + HOUR,
        mail: mail(ground),
        context: at(NOW),
    };
    ground.store.write(reset).await.unwrap()
}

async fn waiting(ground: &Ground) -> i64 {
    ground.store.mail_queue().await.unwrap().waiting
}

async fn delete(ground: &Ground, user: &UserId) -> AccountDeletion {
    let delete = DeleteAccount {
        user_id: user.clone(),
        revoked_until: NOW + HOUR,
        mail: Some(mail(ground)),
        context: at(NOW),
    };
    ground.store.write(delete).await.unwrap()
}

on_both_engines! {
    async fn a_proof_is_spent_once_before_it_ends_and_by_its_user(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        assert!(send(ground, proof(&alice, ProofKind::VerifyEmail, "one"), NOW).await);
        assert!(!verify(ground, &bob, token("one"), NOW).await);
        assert!(!verify(ground, &alice, token("other"), NOW).await);
        assert!(!verify(ground, &alice, token("one"), NOW + MINUTE * 30).await);
        assert!(verify(ground, &alice, token("one"), NOW + MINUTE * 29).await);
        assert!(!verify(ground, &alice, token("one"), NOW + MINUTE * 29).await);
        assert!(!verify(ground, &alice, code("one"), NOW + MINUTE * 29).await);
        let alice = ground.store.user(&alice).await.unwrap().unwrap();
        assert_eq!(alice.email_verified_at, Some(NOW + MINUTE * 29));
    }

    async fn a_code_may_be_tried_only_so_often(ground: &Ground) {
        let alice = ground.user("alice").await;
        send(ground, proof(&alice, ProofKind::VerifyEmail, "one"), NOW).await;
        for _ in 0..3 {
            assert!(!verify(ground, &alice, code("guess"), NOW).await);
        }
        assert!(!verify(ground, &alice, code("one"), NOW).await, "the right one comes too late");
        assert!(verify(ground, &alice, token("one"), NOW).await, "the link is not guessed");
    }

    async fn guesses_at_once_are_as_many_as_any_others(ground: &Ground) {
        let alice = ground.user("alice").await;
        send(ground, proof(&alice, ProofKind::VerifyEmail, "one"), NOW).await;
        let mut guesses = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (store, user_id) = (ground.store.clone(), alice.clone());
            guesses.spawn(async move {
                let guess = VerifyEmail { user_id, shown: code("guess"), context: at(NOW) };
                store.write(guess).await.unwrap()
            });
        }
        assert!(guesses.join_all().await.iter().all(|right| !right));
        assert!(!verify(ground, &alice, code("one"), NOW).await);
    }

    async fn a_newer_proof_ends_the_one_before_and_comes_not_too_soon(ground: &Ground) {
        let alice = ground.user("alice").await;
        assert!(send(ground, proof(&alice, ProofKind::VerifyEmail, "one"), NOW).await);
        assert!(!send(ground, proof(&alice, ProofKind::VerifyEmail, "two"), NOW + MINUTE / 2).await);
        assert_eq!(waiting(ground).await, 1);
        assert!(send(ground, proof(&alice, ProofKind::VerifyEmail, "three"), NOW + MINUTE).await);
        assert_eq!(waiting(ground).await, 2);
        assert!(!verify(ground, &alice, token("one"), NOW + MINUTE).await);
        assert!(!verify(ground, &alice, token("two"), NOW + MINUTE).await);
        assert!(verify(ground, &alice, token("three"), NOW + MINUTE).await);
    }

    async fn a_proof_permits_what_it_is_for_and_nothing_else(ground: &Ground) {
        let alice = ground.user("alice").await;
        send(ground, proof(&alice, ProofKind::VerifyEmail, "one"), NOW).await;
        assert_eq!(reset(ground, &alice, token("one")).await, None);
        send(ground, proof(&alice, ProofKind::ResetPassword, "two"), NOW).await;
        assert!(!verify(ground, &alice, token("two"), NOW).await);
        assert!(verify(ground, &alice, token("one"), NOW).await);
    }

    async fn a_reset_ends_every_session_and_tells_the_user(ground: &Ground) {
        let alice = ground.user("alice").await;
        ground.session(&alice).await;
        send(ground, proof(&alice, ProofKind::ResetPassword, "one"), NOW).await;
        let found = ground.store.account_proof(ProofKind::ResetPassword, b"one", NOW).await.unwrap();
        assert_eq!(found.map(|proof| proof.user_id), Some(alice.clone()));
        let ended = reset(ground, &alice, token("one")).await.unwrap();
        assert_eq!(ended.sessions, 1);
        assert_eq!(waiting(ground).await, 2);
        assert_eq!(reset(ground, &alice, token("one")).await, None);
        let user = ground.store.user(&alice).await.unwrap().unwrap();
        assert_eq!(user.password_hash.unwrap().as_str(), "$new");
        assert_eq!(user.email_verified_at, Some(NOW));
    }

    async fn a_changed_password_or_address_ends_the_proofs_before_it(ground: &Ground) {
        let alice = ground.user("alice").await;
        send(ground, proof(&alice, ProofKind::ResetPassword, "one"), NOW).await;
        let change = ChangePassword {
            user_id: alice.clone(),
            old_hash: Some(PasswordHash::new("$argon2id$alice".into())),
            new_hash: PasswordHash::new("$next".into()),
            except: None,
            revoked_until: NOW,
            context: at(NOW),
        };
        assert!(ground.store.write(change).await.unwrap().is_some());
        assert_eq!(reset(ground, &alice, token("one")).await, None);
        send(ground, proof(&alice, ProofKind::ResetPassword, "two"), NOW + MINUTE).await;
        let new = NewProof { email: "New@Example.com".into(), ..proof(&alice, ProofKind::ChangeEmail, "three") };
        assert!(send(ground, new, NOW).await);
        let change = |shown| ChangeEmail { user_id: alice.clone(), shown, mail: mail(ground), context: at(NOW) };
        assert_eq!(ground.store.write(change(token("two"))).await.unwrap(), EmailChange::Refused);
        assert_eq!(ground.store.write(change(token("three"))).await.unwrap(), EmailChange::Done);
        assert_eq!(reset(ground, &alice, token("two")).await, None);
        let user = ground.store.user_by_login("new@example.com").await.unwrap().unwrap();
        assert_eq!((user.id, user.email.as_str()), (alice, "New@Example.com"));
    }

    async fn an_address_that_was_taken_meanwhile_is_not_taken_again(ground: &Ground) {
        let (alice, _) = (ground.user("alice").await, ground.user("bob").await);
        let new = NewProof { email: "BOB@example.com".into(), ..proof(&alice, ProofKind::ChangeEmail, "one") };
        send(ground, new, NOW).await;
        let change = ChangeEmail { user_id: alice.clone(), shown: token("one"), mail: mail(ground), context: at(NOW) };
        assert_eq!(ground.store.write(change).await.unwrap(), EmailChange::Taken);
        assert_eq!(ground.store.user(&alice).await.unwrap().unwrap().email, "alice@example.com");
    }

    async fn a_registration_sends_a_proof_and_a_second_one_a_notice_now_and_then(ground: &Ground) {
        let register = |now| {
            let user = ground.registration("alice");
            let user = RegisterUser { username: None, context: at(now), ..user };
            RegisterAccount {
                proof: NewProof { token_digest: user.id.as_str().into(), ..proof(&user.id, ProofKind::VerifyEmail, "") },
                notice: NewProof {
                    token_digest: user.id.as_str().into(),
                    ..proof(&user.id, ProofKind::Notice, "")
                },
                user,
                proof_mail: mail(ground),
                notice_mail: mail(ground),
            }
        };
        let write = async |now| ground.store.write(register(now)).await.unwrap();
        assert_eq!(write(NOW).await, UserRegistration::Created);
        assert_eq!(waiting(ground).await, 1);
        for (span, mails) in [(MINUTE, 2), (MINUTE + MINUTE / 2, 2), (MINUTE * 2, 3)] {
            assert_eq!(write(NOW + span).await, UserRegistration::EmailTaken);
            assert_eq!(waiting(ground).await, mails);
        }
        assert_eq!(ground.store.users("", 10).await.unwrap().len(), 1);
    }

    async fn a_deleted_user_leaves_nothing_but_audit_lines(ground: &Ground) {
        let alice = ground.user("alice").await;
        let own = ground.organization("Alone", &alice).await;
        let session = ground.session(&alice).await;
        send(ground, proof(&alice, ProofKind::VerifyEmail, "one"), NOW).await;
        assert_eq!(delete(ground, &alice).await, AccountDeletion::Deleted);
        assert!(ground.store.user(&alice).await.unwrap().is_none());
        assert!(ground.store.session(&session).await.unwrap().is_none());
        assert!(ground.store.organization(&own).await.unwrap().is_none());
        assert_eq!(delete(ground, &alice).await, AccountDeletion::NoSuchUser);
        let lines = ground.store.audit_of_user(alice.as_str(), 100).await.unwrap();
        assert!(lines.iter().any(|line| line.event == "user_deleted"));
        assert!(lines.iter().all(|line| !line.body.contains("alice@")));
    }

    async fn the_last_owner_of_others_cannot_go(ground: &Ground) {
        let alice = ground.user("alice").await;
        let org = ground.organization("Activity", &alice).await;
        let bob = ground.member(&org, "bob", OrganizationRole::Member).await;
        assert_eq!(delete(ground, &alice).await, AccountDeletion::LastOwnerOf(vec!["Activity".into()]));
        assert!(ground.store.user(&alice).await.unwrap().is_some());
        assert_eq!(delete(ground, &bob).await, AccountDeletion::Deleted);
        assert_eq!(delete(ground, &alice).await, AccountDeletion::Deleted);
    }
}
