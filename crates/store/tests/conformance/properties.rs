//! Any sequence of operations leaves both engines without a broken invariant, and both give the same answers.

use std::time::Duration;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokensmith_store::{OrganizationRole as Role, *};

use crate::{actors::*, ground::*};

const CASES: u32 = 24;

/// One call, about things by their numbers. Whether they exist yet is left to chance.
#[derive(Clone, Debug)]
enum Step {
    Register(u8),
    SetActive(u8, bool),
    ChangePassword(u8, Option<u8>),
    CreateOrganization(u8, u8),
    AddMember(u8, u8, Role, Option<u8>),
    ChangeRole(u8, u8, Role, Option<u8>),
    RemoveMember(u8, u8, Option<u8>),
    CreateGroup(u8, u8, Option<u8>),
    RemoveGroup(u8, Option<u8>),
    AddToGroup(u8, u8, Option<u8>),
    TakeOut(u8, u8, Option<u8>),
    RegisterClient(u8),
    RemoveClient(u8),
    OpenSession(u8, u8),
    EndSession(u8),
    EndSessionsOf(u8, Option<u8>),
    OpenFamily(u8, u8, u8),
    Rotate(u8, u8, i64),
    MarkUsed(u8, i64),
    EndFamilies(u8),
    Revoke(u8),
    Sweep(usize, u16),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let n = || 0..4_u8;
    let actor = || prop::option::of(0..4_u8);
    let role = || prop_oneof![Just(Role::Owner), Just(Role::Admin), Just(Role::Member)];
    let rotate = (n(), 0..5_i64).prop_map(|(f, g)| Rotate(f, f, g));
    let others = prop_oneof![
        n().prop_map(Register),
        (n(), any::<bool>()).prop_map(|(u, a)| SetActive(u, a)),
        (n(), actor()).prop_map(|(u, s)| ChangePassword(u, s)),
        (n(), n()).prop_map(|(o, u)| CreateOrganization(o, u)),
        (n(), n(), role(), actor()).prop_map(|(o, u, r, a)| AddMember(o, u, r, a)),
        (n(), n(), role(), actor()).prop_map(|(o, u, r, a)| ChangeRole(o, u, r, a)),
        (n(), n(), actor()).prop_map(|(o, u, a)| RemoveMember(o, u, a)),
        (n(), n(), actor()).prop_map(|(g, o, a)| CreateGroup(g, o, a)),
        (n(), actor()).prop_map(|(g, a)| RemoveGroup(g, a)),
        (n(), n(), actor()).prop_map(|(g, u, a)| AddToGroup(g, u, a)),
        (n(), n(), actor()).prop_map(|(g, u, a)| TakeOut(g, u, a)),
        n().prop_map(RegisterClient),
        n().prop_map(RemoveClient),
        (n(), n()).prop_map(|(s, u)| OpenSession(s, u)),
        n().prop_map(EndSession),
        (n(), actor()).prop_map(|(u, s)| EndSessionsOf(u, s)),
        (n(), n(), n()).prop_map(|(f, s, c)| OpenFamily(f, s, c)),
        (n(), 1..4_i64).prop_map(|(f, g)| MarkUsed(f, g)),
        n().prop_map(EndFamilies),
        n().prop_map(Revoke),
        (0..Expired::ALL.len(), 0..200_u16).prop_map(|(e, h)| Sweep(e, h)),
        (0..200_u16).prop_map(Wait),
        (n(), n(), 0..5_i64).prop_map(|(f, c, g)| Rotate(f, c, g)),
    ];
    prop_oneof![1 => rotate, 5 => others]
}

fn id<T: From<uuid::Uuid>>(kind: u128, number: u8) -> T {
    let fixed = 0x0193_0c8e_5b7a_7000_a000_0000_0000_0000;
    uuid::Uuid::from_u128(fixed | kind << 8 | u128::from(number)).into()
}

fn user(number: u8) -> UserId {
    id(1, number)
}

fn session_id(number: u8) -> SessionId {
    id(4, number)
}

/// A world under way, with its clock.
struct World<'a> {
    ground: &'a Ground,
    now: Timestamp,
}

impl World<'_> {
    async fn write<O: Operation>(&self, operation: O) -> String
    where
        O::Outcome: std::fmt::Debug,
    {
        format!(
            "{:?}",
            self.ground.store.write(operation).await.expect("an answer")
        )
    }

    async fn run(&mut self, step: &Step) -> String {
        self.now = self.now + Duration::from_millis(7);
        match step.clone() {
            Step::Wait(hours) => {
                self.now = self.now + HOUR * u32::from(hours) / 10;
                String::new()
            }
            Step::CreateOrganization(..)
            | Step::AddMember(..)
            | Step::ChangeRole(..)
            | Step::RemoveMember(..)
            | Step::CreateGroup(..)
            | Step::RemoveGroup(..)
            | Step::AddToGroup(..)
            | Step::TakeOut(..) => self.organize(step.clone()).await,
            other => self.account(other).await,
        }
    }

    async fn account(&self, step: Step) -> String {
        let (context, revoked_until) = (at(self.now), self.now + HOUR);
        match step {
            Step::Register(n) => {
                let name = format!("user{n}");
                let registration = RegisterUser {
                    id: user(n),
                    ..self.ground.registration(&name)
                };
                if self
                    .ground
                    .store
                    .user(&user(n))
                    .await
                    .expect("an answer")
                    .is_some()
                {
                    return String::new();
                }
                self.write(RegisterUser {
                    context,
                    ..registration
                })
                .await
            }
            Step::SetActive(n, is_active) => {
                self.write(SetUserActive {
                    user_id: user(n),
                    is_active,
                    revoked_until,
                    context,
                })
                .await
            }
            Step::ChangePassword(n, except) => {
                let old_hash = Some(PasswordHash::new(format!("$argon2id$user{n}")));
                let (new_hash, except) = (
                    PasswordHash::new(format!("$new{n}")),
                    except.map(session_id),
                );
                self.write(ChangePassword {
                    user_id: user(n),
                    old_hash,
                    new_hash,
                    except,
                    revoked_until,
                    context,
                })
                .await
            }
            Step::RegisterClient(n) => {
                let client = client(&format!("client{n}"));
                self.write(RegisterClient { client, context }).await
            }
            Step::RemoveClient(n) => {
                let client_id = client_id(&format!("client{n}"));
                self.write(RemoveClient { client_id, context }).await
            }
            other => self.sign_in(other).await,
        }
    }

    async fn sign_in(&self, step: Step) -> String {
        let (context, revoked_until, reason) = (at(self.now), self.now + HOUR, "chance");
        match step {
            Step::OpenSession(s, u) => {
                if self
                    .ground
                    .store
                    .session(&session_id(s))
                    .await
                    .expect("an answer")
                    .is_some()
                {
                    return String::new();
                }
                let open = OpenSession {
                    id: session_id(s),
                    device: format!("device {u}"),
                    context,
                    ..new_session(&user(u), self.now)
                };
                self.write(open).await
            }
            Step::EndSession(s) => {
                self.write(EndSession {
                    id: session_id(s),
                    user_id: None,
                    reason,
                    revoked_until,
                    context,
                })
                .await
            }
            Step::EndSessionsOf(u, s) => {
                let (user_id, except) = (user(u), s.map(session_id));
                self.write(EndSessionsOf {
                    user_id,
                    except,
                    reason,
                    revoked_until,
                    context,
                })
                .await
            }
            Step::Revoke(n) => {
                let (kind, subject) = (RevocationKind::Token, format!("jti-{n}"));
                self.write(Revoke {
                    kind,
                    subject,
                    expires_at: revoked_until,
                    names: TokenNames::default(),
                    context,
                })
                .await
            }
            Step::Sweep(expired, hours) => {
                let before = self.now - HOUR * u32::from(hours);
                self.write(Sweep {
                    expired: Expired::ALL[expired],
                    before,
                    limit: 2,
                })
                .await
            }
            other => self.refresh(other).await,
        }
    }

    async fn refresh(&self, step: Step) -> String {
        let (context, revoked_until) = (at(self.now), self.now + HOUR);
        let family = |number| id::<FamilyId>(5, number);
        match step {
            Step::OpenFamily(f, s, c) => {
                let store = &self.ground.store;
                let known = store.refresh_family(&family(f)).await.expect("an answer");
                let session = store.session(&session_id(s)).await.expect("an answer");
                let (None, Some(session)) = (known, session) else {
                    return String::new();
                };
                let client = client_id(&format!("client{c}"));
                let session = Some((&session.user_id, &session.id));
                let mut opened = self.ground.new_family(&client, session);
                opened.id = family(f);
                opened.expires_at = self.now + DAY;
                opened.idle_expires_at = self.now + HOUR;
                format!("{}", self.ground.open_family(opened, self.now).await)
            }
            Step::Rotate(f, c, presented) => {
                let client_id = client_id(&format!("client{c}"));
                let rotate = RotateRefreshToken {
                    confirmation: None,
                    client_id,
                    ..rotation(&family(f), presented, self.now)
                };
                self.write(rotate).await
            }
            Step::MarkUsed(f, presented) => {
                let jti = format!("jti-{presented}");
                self.write(MarkSuccessorUsed {
                    family: family(f),
                    jti,
                    now: self.now,
                })
                .await
            }
            Step::EndFamilies(n) => {
                let scope = match n {
                    0 => FamilyScope::Family(family(n)),
                    1 => FamilyScope::Session(session_id(n)),
                    2 => FamilyScope::User(user(n)),
                    _ => FamilyScope::Grant(user(n), client_id("client3")),
                };
                let reason = "chance";
                self.write(EndFamilies {
                    scope,
                    reason,
                    revoked_until,
                    context,
                })
                .await
            }
            other => panic!("{other:?} is handled elsewhere"),
        }
    }

    async fn organize(&self, step: Step) -> String {
        let org = |number| id::<OrganizationId>(2, number);
        let done = match step {
            Step::CreateOrganization(o, u) => {
                let known = self.ground.store.organization(&org(o)).await;
                if known.expect("an answer").is_some() {
                    return String::new();
                }
                let create = CreateOrganization {
                    id: org(o),
                    name: format!("Org {}", o % 3),
                    owner: user(u),
                    context: at(self.now),
                };
                return self.write(create).await;
            }
            Step::AddMember(o, u, role, a) => {
                let actor = a.map(user);
                self.ground
                    .add_member(&org(o), &user(u), role, actor.as_ref())
                    .await
            }
            Step::ChangeRole(o, u, role, a) => {
                let actor = a.map(user);
                self.ground
                    .change_role(&org(o), &user(u), role, actor.as_ref())
                    .await
            }
            Step::RemoveMember(o, u, a) => {
                let actor = a.map(user);
                self.ground
                    .remove_member(&org(o), &user(u), actor.as_ref())
                    .await
            }
            other => return self.group(other).await,
        };
        format!("{done:?}")
    }

    async fn group(&self, step: Step) -> String {
        let context = at(self.now);
        let group = |number| id::<GroupId>(3, number);
        match step {
            Step::CreateGroup(g, o, a) => {
                if self
                    .ground
                    .store
                    .group(&group(g))
                    .await
                    .expect("an answer")
                    .is_some()
                {
                    return String::new();
                }
                let (name, actor) = (format!("G{}", g % 2), a.map(user));
                let done = self
                    .ground
                    .create_group(&group(g), &id(2, o), &name, actor.as_ref())
                    .await;
                format!("{done:?}")
            }
            Step::RemoveGroup(g, a) => {
                let (id, actor) = (group(g), a.map(user));
                self.write(RemoveGroup { id, actor, context }).await
            }
            Step::AddToGroup(g, u, a) => {
                let actor = a.map(user);
                let done = self
                    .ground
                    .add_to_group(&group(g), &user(u), actor.as_ref())
                    .await;
                format!("{done:?}")
            }
            Step::TakeOut(g, u, a) => {
                let (group_id, user_id, actor) = (group(g), user(u), a.map(user));
                self.write(RemoveGroupMember {
                    group_id,
                    user_id,
                    actor,
                    context,
                })
                .await
            }
            other => panic!("{other:?} is handled elsewhere"),
        }
    }
}

/// Everybody and everything is there at first, so that most steps mean something.
fn beginning() -> Vec<Step> {
    let each = |make: fn(u8) -> Step| (0..4).map(make);
    each(Step::Register)
        .chain(each(Step::RegisterClient))
        .chain(each(|n| Step::OpenSession(n, n)))
        .chain(each(|n| Step::OpenFamily(n, n, n)))
        .chain((0..2).map(|n| Step::CreateOrganization(n, n)))
        .chain((0..2).map(|n| Step::CreateGroup(n, n, None)))
        .collect()
}

async fn live(ground: &Ground, steps: &[Step]) -> Vec<String> {
    let mut world = World { ground, now: NOW };
    let mut answers = Vec::new();
    for step in beginning().iter().chain(steps) {
        answers.push(format!("{step:?}: {}", world.run(step).await));
    }
    assert_eq!(ground.store.verify().await.expect("an answer"), []);
    answers
}

#[test]
fn both_engines_give_the_same_answers_and_keep_every_invariant() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = Config {
        cases: CASES,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    };
    let steps = prop::collection::vec(step(), 1..80);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        runtime.block_on(async {
            let (lite, full) = (Ground::sqlite().await, Ground::postgresql().await);
            let (one, other) = (live(&lite, &steps).await, live(&full, &steps).await);
            lite.leave().await;
            full.leave().await;
            prop_assert_eq!(one, other);
            Ok(())
        })
    });
    outcome.expect("no sequence breaks a store");
}
