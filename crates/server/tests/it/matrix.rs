//! Every route of organizations and groups against every kind of caller, generated: who may, who may not, and for
//! whom nothing is there. Also that a refused call changed nothing.

use reqwest::Method;
use serde_json::Value;
use tokensmith_store::{GroupId, OrganizationId};
use tokensmith_testkit::{Answer, Service, TestServer, User};

use crate::roles;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Nobody,
    Owner,
    Admin,
    /// In the organization and in the group.
    GroupMember,
    /// In the organization alone.
    Member,
    /// Owner of another organization.
    Stranger,
    /// A service without any scope of this server.
    Service,
    /// A service with every scope there is.
    PowerfulService,
}

const ROLES: [Role; 8] = [
    Role::Nobody,
    Role::Owner,
    Role::Admin,
    Role::GroupMember,
    Role::Member,
    Role::Stranger,
    Role::Service,
    Role::PowerfulService,
];

/// Who may call a route, and what the others are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Any user.
    Users,
    /// Members of the organization; for others it is not there.
    Members,
    /// Owners and admins; 403 for members, not there for others.
    Managers,
    /// Whoever sees the group, and services with the scope.
    GroupSeen,
    /// Owners and admins, 403 for members of the group, and services with the scope.
    GroupManaged,
    /// Members of the organization, and services with the scope.
    GroupsListed,
    /// Owners and admins, 403 for members, and services with the scope.
    GroupsCreated,
}

impl Rule {
    fn status(self, role: Role) -> u16 {
        use Role::{Admin, GroupMember, Member, Nobody, Owner, PowerfulService, Service, Stranger};
        match (self, role) {
            (_, Nobody) => 401,
            (Self::Users | Self::Members | Self::Managers, Service | PowerfulService) => 403,
            (_, Service) => 403,
            (_, PowerfulService | Owner | Admin) | (Self::Users, _) => 200,
            (_, Stranger) => 404,
            (Self::Members | Self::GroupsListed, _) | (Self::GroupSeen, GroupMember) => 200,
            (Self::GroupSeen | Self::GroupManaged, Member) => 404,
            (Self::Managers | Self::GroupsCreated | Self::GroupManaged, _) => 403,
        }
    }
}

/// Method, path, body and rule. `SPARE` is a member of the organization alone, `INSIDER` a member of the group.
const ROUTES: &[(&str, &str, &str, Rule)] = &[
    ("GET", "/api/auth/organizations", "", Rule::Users),
    ("GET", "ORG", "", Rule::Members),
    ("POST", "ORG/switch", "", Rule::Members),
    ("GET", "ORG/invitations", "", Rule::Managers),
    (
        "POST",
        "ORG/invitations",
        r#"{"email": "invited@example.com"}"#,
        Rule::Managers,
    ),
    ("DELETE", "ORG/invitations/INVITED", "", Rule::Managers),
    ("GET", "ORG/members", "", Rule::Members),
    (
        "POST",
        "ORG/members",
        r#"{"email": "outsider@example.com"}"#,
        Rule::Managers,
    ),
    (
        "PATCH",
        "ORG/members/SPARE",
        r#"{"role": "member"}"#,
        Rule::Managers,
    ),
    ("GET", "ORG/members/SPARE/roles", "", Rule::Members),
    (
        "POST",
        "ORG/members/SPARE/roles",
        r#"{"role": "empty"}"#,
        Rule::Managers,
    ),
    ("DELETE", "ORG/members/SPARE/roles/had", "", Rule::Managers),
    ("DELETE", "ORG/members/SPARE", "", Rule::Managers),
    ("GET", "ORG/groups", "", Rule::GroupsListed),
    (
        "POST",
        "ORG/groups",
        r#"{"name": "Another"}"#,
        Rule::GroupsCreated,
    ),
    ("GET", "GROUP", "", Rule::GroupSeen),
    ("GET", "GROUP/members", "", Rule::GroupSeen),
    (
        "PATCH",
        "GROUP",
        r#"{"description": "changed"}"#,
        Rule::GroupManaged,
    ),
    (
        "POST",
        "GROUP/members",
        r#"{"user_id": "SPARE"}"#,
        Rule::GroupManaged,
    ),
    ("DELETE", "GROUP/members/INSIDER", "", Rule::GroupManaged),
    ("DELETE", "GROUP", "", Rule::GroupManaged),
];

struct Route {
    method: Method,
    path: String,
    body: Option<Value>,
    rule: Rule,
}

struct House {
    server: TestServer,
    users: Vec<(Role, User)>,
    services: Vec<(Role, Service)>,
    org: String,
    group: String,
    invitation: String,
    /// A member of the organization who is in no group.
    spare: User,
}

const POWERFUL: &str = "groups:admin groups:write groups:read members:read openid profile email";

async fn house() -> House {
    let server = TestServer::start().await;
    let owner = server.user("owner").await;
    let org = owner.creates_organization("Activity").await;
    let group = owner.creates_group(&org, "Group").await;
    let mut users = Vec::new();
    for (role, name, word) in [
        (Role::Admin, "admin", "admin"),
        (Role::GroupMember, "group-member", "member"),
        (Role::Member, "member", "member"),
    ] {
        let user = server.user(name).await;
        owner.adds(&org, &user, word).await.expect(201);
        users.push((role, user));
    }
    owner.adds_to_group(&group, &users[1].1).await.expect(201);
    let path = format!("/api/auth/organizations/{org}/invitations");
    let invited = owner.post(&path, serde_json::json!({"email": "asked@example.com"}));
    let invitation = invited.await.expect(201).text("id");
    let spare = server.user("spare").await;
    owner.adds(&org, &spare, "member").await.expect(201);
    for role in ["empty", "had"] {
        roles::declare(&server, role, &[], &[]).await;
    }
    roles::assign(&server, &spare, Some(&org), "had").await;
    let stranger = server.user("stranger").await;
    stranger.creates_organization("Globex").await;
    users.extend([(Role::Owner, owner), (Role::Stranger, stranger)]);
    let services = vec![
        (Role::Service, server.service("service", "openid").await),
        (
            Role::PowerfulService,
            server.service("powerful-service", POWERFUL).await,
        ),
    ];
    House {
        server,
        users,
        services,
        org,
        group,
        invitation,
        spare,
    }
}

impl House {
    fn routes(&self) -> Vec<Route> {
        let filled = |template: &str| {
            template
                .replace("ORG", &format!("/api/auth/organizations/{}", self.org))
                .replace("GROUP", &format!("/api/auth/groups/{}", self.group))
                .replace("INVITED", &self.invitation)
                .replace("SPARE", self.spare.id.as_str())
                .replace("INSIDER", self.user(Role::GroupMember).id.as_str())
        };
        let routes = ROUTES.iter().map(|(method, path, body, rule)| Route {
            method: method.parse().unwrap(),
            path: filled(path),
            body: (!body.is_empty()).then(|| serde_json::from_str(&filled(body)).unwrap()),
            rule: *rule,
        });
        routes.collect()
    }

    fn user(&self, role: Role) -> &User {
        &self
            .users
            .iter()
            .find(|(other, _)| *other == role)
            .unwrap()
            .1
    }

    async fn call(&self, role: Role, route: &Route) -> Answer {
        let anonymous = self.server.anonymous();
        let users = self
            .users
            .iter()
            .map(|(other, user)| (*other, &user.access_token));
        let services = self
            .services
            .iter()
            .map(|(other, service)| (*other, &service.access_token));
        let token = users
            .chain(services)
            .find(|(other, _)| *other == role)
            .map(|(_, token)| token);
        let mut request = anonymous.request(route.method.clone(), &route.path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &route.body {
            request = request.json(body);
        }
        anonymous.send(request).await
    }

    /// Everything of the organization that a route could change.
    async fn state(&self) -> String {
        let org: OrganizationId = self.org.parse().unwrap();
        let group: GroupId = self.group.parse().unwrap();
        let store = self.server.app().store();
        format!(
            "{:?} {:?} {:?} {:?} {:?}",
            store.organization(&org).await.unwrap(),
            store.members(&org, "", 100).await.unwrap(),
            store.groups_of_organization(&org, "", 100).await.unwrap(),
            store
                .invitations(&org, self.server.now(), "", 100)
                .await
                .unwrap(),
            store.group_members(&group, "", 100).await.unwrap(),
        )
    }
}

#[tokio::test]
async fn row_257_row_261_every_route_answers_every_caller_as_the_rules_say_and_a_refusal_changes_nothing()
 {
    let routes = house().await.routes().len();
    for number in 0..routes {
        let house = house().await;
        house.server.registered("outsider@example.com").await;
        let route = house.routes().swap_remove(number);
        let before = house.state().await;
        let (refused, allowed): (Vec<Role>, Vec<Role>) = ROLES
            .into_iter()
            .partition(|role| route.rule.status(*role) != 200);
        for role in refused {
            let own =
                role == Role::GroupMember && route.path.ends_with(house.user(role).id.as_str());
            if own {
                // A member may leave; see the test of groups.
                continue;
            }
            let answer = house.call(role, &route).await;
            let expected = route.rule.status(role);
            assert_eq!(
                answer.status, expected,
                "{role:?} {} {}: {}",
                route.method, route.path, answer.body
            );
            let answer = answer.expect_problem(expected);
            let challenges = expected == 401 || answer.text("type").ends_with("insufficient_scope");
            assert_eq!(
                answer.header("www-authenticate").is_some(),
                challenges,
                "{role:?}"
            );
        }
        assert_eq!(
            house.state().await,
            before,
            "{} {}",
            route.method,
            route.path
        );
        let mut first = true;
        for role in allowed {
            let answer = house.call(role, &route).await;
            // What can be done once only is done by the first; for the others it is done already.
            let good = (200..300).contains(&answer.status)
                || (!first && [404, 409].contains(&answer.status));
            assert!(
                good,
                "{role:?} {} {}: {} {}",
                route.method, route.path, answer.status, answer.body
            );
            first = false;
        }
    }
}

#[tokio::test]
async fn row_271_without_a_token_every_route_answers_401_with_a_challenge() {
    let house = house().await;
    let anonymous = house.server.anonymous();
    for route in house.routes() {
        let bare = house.call(Role::Nobody, &route).await.expect_problem(401);
        assert_eq!(bare.header("www-authenticate"), Some("Bearer"));
        for token in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
            let request = anonymous.request(route.method.clone(), &route.path);
            let answer = anonymous
                .send(request.bearer_auth(token))
                .await
                .expect_problem(401);
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer"), "{challenge}");
        }
    }
}

#[tokio::test]
async fn row_285_ids_that_are_none_name_nothing() {
    let house = house().await;
    let owner = house.user(Role::Owner);
    let upper = house.org.to_uppercase();
    let bare = house.org.replace('-', "");
    for id in [
        "1",
        "null",
        "%00",
        "%27%20OR%201=1--",
        "..%2f..%2fetc%2fpasswd",
        "%F0%9F%92%A5",
        "%ff",
        "01930c8e",
        &upper,
        &bare,
        "urn:uuid:01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f",
    ] {
        for path in [
            format!("/api/auth/organizations/{id}"),
            format!("/api/auth/organizations/{id}/members"),
            format!("/api/auth/organizations/{id}/groups"),
            format!("/api/auth/groups/{id}"),
            format!("/api/auth/groups/{id}/members"),
        ] {
            owner.get(&path).await.expect_problem(404);
        }
        let member = format!("/api/auth/organizations/{}/members/{id}", house.org);
        owner.delete(&member).await.expect_problem(404);
        let member = format!("/api/auth/groups/{}/members/{id}", house.group);
        owner.delete(&member).await.expect_problem(404);
    }
}

#[tokio::test]
async fn no_route_of_an_organization_or_a_group_is_missing_here() {
    let server = TestServer::start().await;
    let routes = tokensmith_server::router::routes(server.app().clone());
    let known: Vec<&str> = ROUTES.iter().map(|(_, path, ..)| *path).collect();
    let form = |path: &str| {
        path.replace("/api/auth/organizations/{org_id}", "ORG")
            .replace("/api/auth/groups/{group_id}", "GROUP")
    };
    let is_of = |path: &&String| {
        path.starts_with("/api/auth/organizations") || path.starts_with("/api/auth/groups")
    };
    for path in routes.paths().iter().filter(is_of) {
        let parts: Vec<String> = form(path).split('/').map(str::to_owned).collect();
        let same = |known: &&&str| {
            let others: Vec<&str> = known.split('/').collect();
            let pairs = || parts.iter().zip(&others);
            others.len() == parts.len()
                && pairs().all(|(part, other)| part.starts_with('{') || part == other)
        };
        let found: Vec<_> = known.iter().filter(same).collect();
        assert!(!found.is_empty(), "the matrix does not know {path}");
        // Every method the path takes is one of the matrix.
        let answer = server.anonymous();
        let concrete = form(path);
        let concrete = concrete
            .replace(
                "ORG",
                "/api/auth/organizations/01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f",
            )
            .replace(
                "GROUP",
                "/api/auth/groups/01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f",
            );
        let request = answer.request(Method::OPTIONS, &concrete);
        let answer = answer.send(request).await.expect(405);
        let allowed = answer.header("allow").unwrap().to_owned();
        for method in allowed
            .split(',')
            .map(str::trim)
            .filter(|one| *one != "HEAD")
        {
            let is_known = ROUTES
                .iter()
                .any(|(known, path, ..)| *known == method && same(&path));
            // Making one is for every user and has a test of its own.
            let is_open = (method, path.as_str()) == ("POST", "/api/auth/organizations");
            assert!(
                is_known || is_open,
                "the matrix does not know {method} {path}"
            );
        }
    }
}
