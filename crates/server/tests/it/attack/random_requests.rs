//! Thousands of requests that are almost right, to every route: whatever is asked, the answer is not a failure of the
//! server, comes in time, has the form of an error, tells nothing of the inside, and changes nothing of others.
//!
//! The requests follow from a seed, so a failure can be had again; `TOKENSMITH_RANDOM_ROUNDS` asks for more of them.

use tokensmith_store::{GroupId, OrganizationId};
use tokensmith_testkit::{SIGN_IN_PASSWORD, Service, TestServer, User};

use super::{
    almost_right::{Dice, ROUTES, request},
    assert_alive, behind_a_proxy, wire,
};

/// Rounds of each worker; every round begins with people who have not done anything yet.
const ROUNDS: usize = 24;
const REQUESTS_OF_A_ROUND: usize = 40;
const WORKERS: u64 = 4;

#[test]
fn the_list_of_routes_is_that_of_the_router() {
    let sources = [
        include_str!("../../../src/router.rs"),
        include_str!("../../../src/legacy/account.rs"),
        include_str!("../../../src/legacy/mod.rs"),
        include_str!("../../../src/admin/mod.rs"),
        include_str!("../../../src/pages/mod.rs"),
    ];
    let routes: usize = sources
        .iter()
        .map(|source| source.matches(".route(").count())
        .sum();
    assert_eq!(
        routes,
        ROUTES.len(),
        "a new route is sent random requests too: add it to ROUTES of almost_right.rs"
    );
}

/// Who is at hand for one round.
pub(super) struct People {
    pub(super) alice: User,
    pub(super) service: Service,
    spare: User,
    org: String,
    group: String,
    /// Of somebody who takes no part.
    foreign_org: String,
    foreign_group: String,
}

impl People {
    async fn gather(server: &TestServer, victim: &Victim, name: &str) -> Self {
        let alice = server.user(&format!("alice-{name}")).await;
        let spare = server.user(&format!("spare-{name}")).await;
        let org = alice.creates_organization(&format!("Org {name}")).await;
        let group = alice.creates_group(&org, "Group").await;
        // A service with more could change the groups of everybody, which is what such a scope is for.
        let scope = "groups:read members:read";
        let service = server.service(&format!("service-{name}"), scope).await;
        Self {
            alice,
            service,
            spare,
            org,
            group,
            foreign_org: victim.org.clone(),
            foreign_group: victim.group.clone(),
        }
    }

    pub(super) fn fill(&self, dice: &mut Dice, template: &str) -> String {
        let is_foreign = dice.percent(15);
        let (org, group) = if is_foreign {
            (&self.foreign_org, &self.foreign_group)
        } else {
            (&self.org, &self.group)
        };
        template
            .replace("ORG", org)
            .replace("GROUP", group)
            .replace("SPARE", self.spare.id.as_str())
            .replace("EMAIL", &self.alice.email)
            .replace("PASSWORD", SIGN_IN_PASSWORD)
            .replace("REFRESH", &self.alice.refresh_token)
    }
}

/// Somebody whose things nobody may touch.
struct Victim {
    owner: User,
    org: String,
    group: String,
}

impl Victim {
    async fn settle(server: &TestServer) -> Self {
        let owner = server.user("victim").await;
        let org = owner.creates_organization("Victim").await;
        let group = owner.creates_group(&org, "Victims").await;
        Self { owner, org, group }
    }

    async fn state(&self, server: &TestServer) -> String {
        let (org, group): (OrganizationId, GroupId) =
            (self.org.parse().unwrap(), self.group.parse().unwrap());
        let store = server.app().store();
        format!(
            "{:?} {:?} {:?} {:?} {:?}",
            store.user(&self.owner.id).await.unwrap(),
            store.organization(&org).await.unwrap(),
            store.members(&org, "", 100).await.unwrap(),
            store.groups_of_organization(&org, "", 100).await.unwrap(),
            store.group_members(&group, "", 100).await.unwrap(),
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_283_row_285_random_requests_to_every_route_never_make_it_fail_hang_or_tell() {
    let server = behind_a_proxy().await;
    let victim = Victim::settle(&server).await;
    let before = victim.state(&server).await;
    let rounds = std::env::var("TOKENSMITH_RANDOM_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok());
    let rounds = rounds.unwrap_or(ROUNDS);
    let workers = (0..WORKERS).map(|seed| work(&server, &victim, seed, rounds));
    let (mut sent, mut succeeded) = (0, 0);
    for (of_worker, good) in futures_util::future::join_all(workers).await {
        sent += of_worker;
        succeeded += good;
    }
    assert_eq!(sent, WORKERS as usize * rounds * REQUESTS_OF_A_ROUND);
    // Some pass and most do not: requests that are refused at the door would try nothing behind it.
    assert!(
        succeeded * 20 > sent && succeeded * 4 < sent * 3,
        "{succeeded} of {sent} succeeded"
    );
    assert_eq!(victim.state(&server).await, before);
    for user in server.app().store().users("", 10_000).await.unwrap() {
        assert!(user.roles.is_empty() && user.is_active, "{user:?}");
    }
    let (_, faults) = server.app().store().verify_audit().await.unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    assert_alive(&server).await;
}

async fn work(server: &TestServer, victim: &Victim, seed: u64, rounds: usize) -> (usize, usize) {
    let (mut sent, mut succeeded) = (0, 0);
    for round in 0..rounds {
        let people = People::gather(server, victim, &format!("{seed}-{round}")).await;
        let mut dice = Dice(seed << 32 | round as u64);
        for _ in 0..REQUESTS_OF_A_ROUND {
            let request = request(&mut dice, &people);
            let shown = String::from_utf8_lossy(&request)
                .chars()
                .take(3000)
                .collect::<String>();
            let reply = wire::send(server, &request).await;
            let reply = reply.unwrap_or_else(|| panic!("no answer to\n{shown}"));
            reply.assert_fit_for_anybody(&shown);
            sent += 1;
            succeeded += usize::from(reply.status < 300);
        }
    }
    (sent, succeeded)
}
