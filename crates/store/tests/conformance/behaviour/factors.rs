//! Second factors: added, used up, removed; wrong codes counted; what waits redeemed once.

use tokensmith_store::*;

use crate::{actors::*, ground::*};

const SEALED: &[u8] = b"sealed";

fn digest(of: u8) -> RecoveryDigest {
    RecoveryDigest([of; 32])
}

async fn confirmed(ground: &Ground, user: &UserId, step: i64) -> TotpConfirmation {
    let put = PutTotp {
        user_id: user.clone(),
        sealed_secret: SEALED.to_vec(),
        context: at(NOW),
    };
    ground.store.write(put).await.unwrap();
    let confirm = ConfirmTotp {
        user_id: user.clone(),
        sealed_secret: SEALED.to_vec(),
        step,
        recovery_codes: vec![digest(1), digest(2)],
        mail: None,
        context: at(NOW),
    };
    ground.store.write(confirm).await.unwrap()
}

fn step(user: &UserId, step: i64) -> UseTotpStep {
    UseTotpStep {
        user_id: user.clone(),
        sealed_secret: SEALED.to_vec(),
        step,
        context: at(NOW),
    }
}

async fn attempt(ground: &Ground, user: &UserId, now: Timestamp) -> FactorAttempt {
    let take = TakeFactorAttempt {
        user_id: user.clone(),
        mail: None,
        context: at(now),
    };
    ground.store.write(take).await.unwrap()
}

fn passkey(ground: &Ground, user: &UserId, credential: u8) -> Passkey {
    Passkey {
        id: ground.id(),
        credential_id: vec![credential; 16],
        user_id: user.clone(),
        name: "phone".into(),
        public_key: b"cose".to_vec(),
        sign_count: 0,
        is_backed_up: true,
        created_at: NOW,
        last_used_at: None,
    }
}

async fn add(ground: &Ground, passkey: &Passkey) -> PasskeyAddition {
    let recovery_codes = vec![digest(7)];
    let add = AddPasskey {
        passkey: passkey.clone(),
        most: 2,
        recovery_codes,
        mail: None,
        context: at(NOW),
    };
    ground.store.write(add).await.unwrap()
}

async fn factors(ground: &Ground, user: &UserId) -> SecondFactors {
    ground.store.second_factors(user, None).await.unwrap()
}

fn waiting(user: &UserId) -> PendingSignIn {
    PendingSignIn {
        purpose: PendingPurpose::SecondFactor,
        user_id: Some(user.clone()),
        org_id: None,
        session_id: None,
        authentication: Some(Authentication::password(NOW)),
        challenge: [3; 32],
        created_at: NOW,
        expires_at: NOW + MINUTE,
    }
}

async fn wait(ground: &Ground, pending: &PendingSignIn, digest: PendingDigest) {
    let begin = BeginSignIn {
        digest,
        pending: pending.clone(),
        context: at(NOW),
    };
    ground.store.write(begin).await.unwrap();
}

on_both_engines! {
    async fn an_app_is_confirmed_once_and_each_later_step_is_used_once(ground: &Ground) {
        let alice = ground.user("alice").await;
        assert!(!ground.store.write(step(&alice, 5)).await.unwrap(), "there is none");
        assert_eq!(confirmed(ground, &alice, 5).await, TotpConfirmation::Confirmed { with_recovery_codes: true });
        assert_eq!(confirmed(ground, &alice, 6).await, TotpConfirmation::Refused);
        let put = PutTotp { user_id: alice.clone(), sealed_secret: b"other".to_vec(), context: at(NOW) };
        assert!(!ground.store.write(put).await.unwrap(), "not beside a confirmed one");
        let mut used = Vec::new();
        for number in [5, 6, 6, 5, 8, 7] {
            used.push(ground.store.write(step(&alice, number)).await.unwrap());
        }
        assert_eq!(used, [false, true, false, false, true, false]);
        let other = UseTotpStep { sealed_secret: b"other".to_vec(), ..step(&alice, 9) };
        assert!(!ground.store.write(other).await.unwrap(), "of another secret");
        assert_eq!(ground.audited("mfa.replay").await, 6);
        assert_eq!(factors(ground, &alice).await, SecondFactors { totp: true, recovery_codes: 2, ..SecondFactors::default() });
    }

    async fn of_many_who_use_a_step_or_a_recovery_code_at_once_one_wins(ground: &Ground) {
        let alice = ground.user("alice").await;
        confirmed(ground, &alice, 5).await;
        let tasks: Vec<_> = (0..20).map(|number| {
            let (store, alice) = (std::sync::Arc::clone(&ground.store), alice.clone());
            tokio::spawn(async move {
                if number % 2 == 0 {
                    return store.write(step(&alice, 6)).await.unwrap();
                }
                let code = UseRecoveryCode { user_id: alice, code: digest(1), mail: None, context: at(NOW) };
                store.write(code).await.unwrap().is_some()
            })
        }).collect();
        let mut won = 0;
        for task in tasks {
            won += usize::from(task.await.unwrap());
        }
        assert_eq!(won, 2, "the step once, the code once");
    }

    async fn a_recovery_code_is_its_users_and_counts_down(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        confirmed(ground, &alice, 5).await;
        let used = async |user: &UserId, of| {
            let code = UseRecoveryCode { user_id: user.clone(), code: digest(of), mail: None, context: at(NOW) };
            ground.store.write(code).await.unwrap()
        };
        assert_eq!(used(&bob, 1).await, None);
        assert_eq!(used(&alice, 1).await, Some(1));
        assert_eq!(used(&alice, 1).await, None);
        let replace = ReplaceRecoveryCodes { user_id: alice.clone(), codes: vec![digest(3)], mail: None, context: at(NOW) };
        ground.store.write(replace).await.unwrap();
        assert_eq!((used(&alice, 2).await, used(&alice, 3).await), (None, Some(0)));
    }

    async fn wrong_codes_are_counted_before_they_are_looked_at_and_forgiven_by_a_right_one(ground: &Ground) {
        let alice = ground.user("alice").await;
        confirmed(ground, &alice, 5).await;
        let tasks: Vec<_> = (0..20).map(|_| {
            let (store, user_id) = (std::sync::Arc::clone(&ground.store), alice.clone());
            tokio::spawn(async move {
                store.write(TakeFactorAttempt { user_id, mail: None, context: at(NOW) }).await.unwrap()
            })
        }).collect();
        let mut allowed = 0;
        for task in tasks {
            allowed += usize::from(task.await.unwrap() == FactorAttempt::Allowed);
        }
        assert_eq!(allowed, 5);
        let until = NOW + MINUTE / 2;
        assert_eq!(attempt(ground, &alice, NOW).await, FactorAttempt::Blocked(until));
        assert_eq!(attempt(ground, &alice, until).await, FactorAttempt::Allowed);
        assert_eq!(attempt(ground, &alice, until).await, FactorAttempt::Blocked(until + MINUTE));
        assert!(ground.store.write(step(&alice, 6)).await.unwrap());
        assert_eq!(attempt(ground, &alice, until).await, FactorAttempt::Allowed);
        assert_eq!(ground.audited("mfa.blocked").await, 1);
    }

    async fn a_passkey_is_one_users_and_its_count_must_rise(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        let (one, two, three) = (passkey(ground, &alice, 1), passkey(ground, &alice, 2), passkey(ground, &alice, 3));
        assert_eq!(add(ground, &one).await, PasskeyAddition::Added { with_recovery_codes: true });
        assert_eq!(add(ground, &passkey(ground, &bob, 1)).await, PasskeyAddition::Refused, "the same credential");
        assert_eq!(add(ground, &two).await, PasskeyAddition::Added { with_recovery_codes: false });
        assert_eq!(add(ground, &three).await, PasskeyAddition::Refused, "one too many");
        let store = &ground.store;
        assert_eq!(store.passkey(&one.credential_id).await.unwrap(), Some(one.clone()));
        assert_eq!(store.passkeys(&alice).await.unwrap().len(), 2);
        let mut used = Vec::new();
        for (user, sign_count) in [(&alice, 0), (&alice, 0), (&bob, 4), (&alice, 4), (&alice, 4), (&alice, 3), (&alice, 0)] {
            let use_passkey = UsePasskey { id: one.id.clone(), user_id: user.clone(), sign_count, context: at(NOW) };
            used.push(store.write(use_passkey).await.unwrap());
        }
        assert_eq!(used, [true, true, false, true, false, false, false]);
        let rename = |user: &UserId| RenamePasskey { id: one.id.clone(), user_id: user.clone(), name: "key".into(), context: at(NOW) };
        assert!(!store.write(rename(&bob)).await.unwrap() && store.write(rename(&alice)).await.unwrap());
        let remove = |user: &UserId, of: &Passkey| RemovePasskey { id: of.id.clone(), user_id: user.clone(), mail: None, context: at(NOW) };
        assert!(!store.write(remove(&bob, &one)).await.unwrap() && store.write(remove(&alice, &one)).await.unwrap());
        assert_eq!(factors(ground, &alice).await.recovery_codes, 1, "there is another passkey");
        assert!(store.write(remove(&alice, &two)).await.unwrap());
        assert_eq!(factors(ground, &alice).await, SecondFactors::default());
    }

    async fn a_remembered_device_is_its_users_until_the_last_factor_or_the_password_goes(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        let store = &ground.store;
        let device = DeviceDigest([9; 32]);
        let remember = async |of: [u8; 32]| {
            let remember = RememberDevice { user_id: alice.clone(), device: DeviceDigest(of), expires_at: NOW + HOUR, context: at(NOW) };
            store.write(remember).await.unwrap();
        };
        let known = async |user: &UserId, now| store.device_is_remembered(user, device, now).await.unwrap();
        confirmed(ground, &alice, 5).await;
        remember([9; 32]).await;
        assert!(known(&alice, NOW).await && !known(&bob, NOW).await && !known(&alice, NOW + HOUR).await);
        let remove = RemoveTotp { user_id: alice.clone(), mail: None, context: at(NOW) };
        assert!(store.write(remove).await.unwrap());
        assert!(!known(&alice, NOW).await);
        remember([9; 32]).await;
        wait(ground, &waiting(&alice), PendingDigest([1; 32])).await;
        let old_hash = store.user(&alice).await.unwrap().unwrap().password_hash;
        let change = ChangePassword {
            user_id: alice.clone(),
            old_hash,
            new_hash: PasswordHash::new("$argon2id$other".into()),
            except: None,
            revoked_until: NOW,
            context: at(NOW),
        };
        assert!(store.write(change).await.unwrap().is_some());
        assert!(!known(&alice, NOW).await);
        assert_eq!(store.pending_sign_in(PendingDigest([1; 32]), NOW).await.unwrap(), None);
    }

    async fn what_waits_is_redeemed_once_in_its_time_and_for_its_purpose(ground: &Ground) {
        let alice = ground.user("alice").await;
        let (pending, digest) = (waiting(&alice), PendingDigest([1; 32]));
        wait(ground, &pending, digest).await;
        let store = &ground.store;
        assert_eq!(store.pending_sign_in(digest, NOW).await.unwrap(), Some(pending.clone()));
        assert_eq!(store.pending_sign_in(digest, NOW + MINUTE).await.unwrap(), None);
        let redeem = |purpose, now| RedeemSignIn { digest, purpose, now };
        assert_eq!(store.write(redeem(PendingPurpose::Passkey, NOW)).await.unwrap(), None);
        assert_eq!(store.write(redeem(PendingPurpose::SecondFactor, NOW + MINUTE)).await.unwrap(), None);
        assert_eq!(store.write(redeem(PendingPurpose::SecondFactor, NOW)).await.unwrap(), Some(pending.clone()));
        assert_eq!(store.write(redeem(PendingPurpose::SecondFactor, NOW)).await.unwrap(), None);
        wait(ground, &pending, digest).await;
        let sweep = Sweep { expired: Expired::PendingSignIns, before: NOW + HOUR, limit: 10 };
        assert_eq!(store.write(sweep).await.unwrap(), 1);
    }

    async fn a_rule_is_about_a_user_a_role_or_an_organization(ground: &Ground) {
        let (alice, bob) = (ground.user("alice").await, ground.user("bob").await);
        let org = ground.organization("Activity", &alice).await;
        let store = &ground.store;
        let set = async |kind, subject: &str, is_required| {
            let rule = SetFactorRule { kind, subject: subject.to_owned(), is_required, context: at(NOW) };
            store.write(rule).await.unwrap()
        };
        let asks = async |user: &UserId, org: Option<&OrganizationId>| {
            store.second_factors(user, org).await.unwrap().is_required
        };
        assert!(!asks(&alice, Some(&org)).await);
        // Everybody here has the role `user`; alice owns the organization.
        for (kind, subject, of_alice_there, of_alice, of_bob) in [
            (FactorRuleSubject::User, bob.as_str(), false, false, true),
            (FactorRuleSubject::Role, "user", true, true, true),
            (FactorRuleSubject::Role, "owner", true, false, false),
            (FactorRuleSubject::Organization, org.as_str(), true, false, false),
        ] {
            assert!(set(kind, subject, true).await && !set(kind, subject, true).await);
            assert_eq!(store.factor_rules(9).await.unwrap().len(), 1);
            let asked = (asks(&alice, Some(&org)).await, asks(&alice, None).await, asks(&bob, None).await);
            assert_eq!(asked, (of_alice_there, of_alice, of_bob), "{subject}");
            assert!(set(kind, subject, false).await && !set(kind, subject, false).await);
        }
    }
}
