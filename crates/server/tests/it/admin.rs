//! The admin API: who may, who may not, what becomes of a declaration, and that nobody gives what they do not hold.

use reqwest::Method;
use serde_json::{Value, json};
use tokensmith_testkit::{Answer, Service, TestServer};

const BASE: &str = "/api/admin/v1";

async fn admin(server: &TestServer) -> Service {
    server.service("ops", "tokensmith:admin").await
}

fn at(path: &str) -> String {
    format!("{BASE}/{path}")
}

async fn put(by: &Service, path: &str, tag: Option<&str>, body: Value) -> Answer {
    let mut request = by.request(Method::PUT, &at(path)).json(&body);
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    by.send(request).await
}

#[tokio::test]
async fn a_client_is_made_read_changed_and_removed_and_its_secret_is_shown_once() {
    let server = TestServer::start().await;
    let ops = admin(&server).await;
    let body = json!({"client_id": "reports", "client_name": "Reports", "scope": "groups:read"});
    let made = ops.post(&at("clients"), body.clone()).await.expect(201);
    assert_eq!(
        made.header("location"),
        Some("/api/admin/v1/clients/reports")
    );
    let secret = made.text("client_secret");
    let token = async |secret: &str| {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "reports"),
            ("client_secret", secret),
            ("scope", "groups:read"),
        ];
        server.anonymous().form("/oauth/token", &form).await
    };
    // client_secret_basic is what it is registered for.
    token(&secret).await.expect(401);
    let patch = json!({"token_endpoint_auth_method": "client_secret_post"});
    let changed = ops.patch(&at("clients/reports"), patch).await.expect(200);
    assert_ne!(changed.header("etag"), made.header("etag"));
    token(&secret).await.expect(200);
    for answer in [
        &changed,
        &ops.get(&at("clients/reports")).await,
        &ops.get(&at("clients")).await,
    ] {
        assert!(
            !answer.body.contains(&secret) && !answer.body.contains("sha256"),
            "{}",
            answer.body
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    ops.post(&at("clients"), body).await.expect_problem(409);
    let second = ops
        .post(&at("clients/reports/secrets"), json!({}))
        .await
        .expect(201);
    token(&second.text("client_secret")).await.expect(200);
    token(&secret).await.expect(200);
    let first = changed.json()["secrets"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    ops.delete(&at(&format!("clients/reports/secrets/{first}")))
        .await
        .expect(204);
    token(&secret).await.expect(401);
    token(&second.text("client_secret")).await.expect(200);
    let last = at(&format!("clients/reports/secrets/{}", second.text("id")));
    ops.delete(&last).await.expect_problem(409);
    ops.delete(&at("clients/reports")).await.expect(204);
    ops.get(&at("clients/reports")).await.expect_problem(404);
    token(&second.text("client_secret")).await.expect(401);
    let events = server.audit_events().await;
    for event in ["client_registered", "client_changed", "client_removed"] {
        assert!(events.iter().any(|word| word == event), "{event}");
    }
    let audit = server.audit().await;
    assert!(audit.iter().all(|line| !line.body.contains(&secret)));
}

#[tokio::test]
async fn each_kind_of_declaration_lives_through_create_read_patch_replace_and_delete() {
    let server = TestServer::start().await;
    let ops = admin(&server).await;
    for (kind, path, body, patch, key) in [
        (
            "scopes",
            "scopes/docs%3Aread",
            json!({"name": "docs:read"}),
            json!({"description": "Read."}),
            "docs:read",
        ),
        (
            "resources",
            "resources/https%3A%2F%2Fdocs.example.com%2Fapi",
            json!({"identifier": "https://docs.example.com/api", "scopes": ["groups:read"]}),
            json!({"signing_algorithm": "RS256", "access_token_seconds": 120}),
            "https://docs.example.com/api",
        ),
        (
            "permissions",
            "permissions/docs.write",
            json!({"name": "docs.write"}),
            json!({"description": "Write."}),
            "docs.write",
        ),
        (
            "roles",
            "roles/editor",
            json!({"name": "editor"}),
            json!({"permissions": ["tokensmith:read"]}),
            "editor",
        ),
    ] {
        let made = ops.post(&at(kind), body.clone()).await.expect(201);
        let location = made.header("location").unwrap().to_owned();
        assert_eq!(ops.get(&location).await.expect(200).json(), made.json());
        ops.post(&at(kind), body.clone()).await.expect_problem(409);
        let patched = ops.patch(&at(path), patch.clone()).await.expect(200);
        for (name, value) in patch.as_object().unwrap() {
            assert_eq!(&patched.json()[name], value);
        }
        put(&ops, path, None, body.clone())
            .await
            .expect_problem(428);
        put(&ops, path, made.header("etag"), body.clone())
            .await
            .expect_problem(412);
        let replaced = put(&ops, path, patched.header("etag"), body.clone())
            .await
            .expect(200);
        assert_eq!(
            replaced.json(),
            made.json(),
            "what is not named goes back to its default"
        );
        let listed = ops
            .get(&at(&format!("{kind}?limit=200")))
            .await
            .expect(200)
            .json();
        let listed = listed[kind].as_array().unwrap().clone();
        assert!(
            listed
                .iter()
                .any(|one| one.as_object().unwrap().values().any(|value| value == key))
        );
        ops.delete(&at(path)).await.expect(204);
        ops.get(&at(path)).await.expect_problem(404);
        ops.delete(&at(path)).await.expect_problem(404);
    }
}

#[tokio::test]
async fn a_list_is_read_by_pages_within_bounds() {
    let server = TestServer::start().await;
    let ops = admin(&server).await;
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let page = ops
            .get(&at(&format!("scopes?limit=3&after={after}")))
            .await
            .expect(200)
            .json();
        let names = page["scopes"].as_array().unwrap().iter();
        seen.extend(names.map(|scope| scope["name"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (7, &sorted));
    for query in ["limit=0", "limit=201", "limit=x"] {
        ops.get(&at(&format!("scopes?{query}")))
            .await
            .expect_problem(422);
    }
    ops.get(&at("secrets")).await.expect_problem(404);
}

#[tokio::test]
async fn what_is_wrong_is_told_all_at_once_and_changes_nothing() {
    let server = TestServer::start().await;
    let ops = admin(&server).await;
    let before = server.app().store().configuration_epoch().await.unwrap();
    let wrong = json!({
        "client_id": "01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f", "scope": ["groups:read"], "grant_types": ["password"],
        "redirect_uris": ["javascript:alert(1)", "https://x.example.com/cb#f"], "is_admin": true,
        "access_token_seconds": 0, "jwks_uri": "http://127.0.0.1:22",
    });
    let answer = ops.post(&at("clients"), wrong).await.expect_problem(422);
    for part in [
        "client_id",
        "scope",
        "grant_types",
        "javascript",
        "is_admin",
        "access_token_seconds",
        "jwks_uri",
    ] {
        assert!(
            answer.text("detail").contains(part),
            "{part}: {}",
            answer.body
        );
    }
    assert_eq!(
        server.app().store().configuration_epoch().await.unwrap(),
        before
    );
}

#[tokio::test]
async fn what_does_not_fit_together_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let ops = admin(&server).await;
    let before = server.app().store().configuration_epoch().await.unwrap();
    for (kind, body) in [
        (
            "clients",
            json!({"client_id": "public", "token_endpoint_auth_method": "none", "grant_types": ["client_credentials"]}),
        ),
        (
            "clients",
            json!({"client_id": "keys", "token_endpoint_auth_method": "private_key_jwt"}),
        ),
        (
            "clients",
            json!({"client_id": "shared", "token_endpoint_auth_method": "client_secret_jwt"}),
        ),
        ("scopes", json!({"name": "two tokens"})),
        ("scopes", json!({"name": "tokensmith:more"})),
        (
            "scopes",
            json!({"name": "groups:all", "implies": ["tokensmith:admin"]}),
        ),
        ("permissions", json!({"description": "without a name"})),
        ("resources", json!({"identifier": "not a uri"})),
        (
            "resources",
            json!({"identifier": "https://a.example.com", "signing_algorithm": "none"}),
        ),
        ("roles", json!({"name": "r", "permissions": "all"})),
        ("roles", json!([])),
    ] {
        ops.post(&at(kind), body).await.expect_problem(422);
    }
    assert_eq!(
        server.app().store().configuration_epoch().await.unwrap(),
        before
    );
}

#[tokio::test]
async fn what_the_registry_or_the_configuration_does_not_allow_is_409_and_changes_nothing() {
    let server = TestServer::start().await;
    let ops = admin(&server).await;
    let before = server.app().store().configuration_epoch().await.unwrap();
    for (kind, body) in [
        ("scopes", json!({"name": "a", "implies": ["nothing"]})),
        ("roles", json!({"name": "r", "permissions": ["nothing"]})),
        ("clients", json!({"client_id": "c", "scope": "nothing"})),
        // Whoever shares a secret could forge tokens for this server's own APIs.
        (
            "resources",
            json!({"identifier": "https://api.activity.com", "signing_algorithm": "HS256"}),
        ),
        (
            "clients",
            json!({"client_id": "c", "jwks_uri": "https://127.0.0.1:22/"}),
        ),
        (
            "clients",
            json!({"client_id": "c", "jwks_uri": "https://169.254.169.254/"}),
        ),
        ("issuers", json!({"issuer": "https://ci.example.com"})),
        (
            "issuers",
            json!({"issuer": "https://ci.example.com", "jwks_uri": "http://169.254.169.254/"}),
        ),
        (
            "clients",
            json!({"client_id": "c", "resources": ["https://nowhere.example.com"]}),
        ),
    ] {
        ops.post(&at(kind), body).await.expect_problem(409);
    }
    ops.delete(&at("scopes/groups%3Aread"))
        .await
        .expect_problem(409);
    ops.patch(&at("scopes/groups%3Aread"), json!({"name": "other"}))
        .await
        .expect_problem(422);
    assert_eq!(
        server.app().store().configuration_epoch().await.unwrap(),
        before
    );
    assert!(
        server
            .app()
            .store()
            .client(&"c".parse().unwrap())
            .await
            .unwrap()
            .is_none()
    );
}

/// Who calls.
const CALLERS: [&str; 8] = [
    "nobody",
    "user",
    "service",
    "reader",
    "clients",
    "admin",
    "auditor",
    "administrator",
];

/// Method, path, body, and from which caller on it is allowed: `reader`, `clients` or `admin`.
const ROUTES: [(&str, &str, &str, &str); 15] = [
    ("GET", "clients", "", "reader"),
    ("GET", "clients/service", "", "reader"),
    ("GET", "scopes", "", "reader"),
    ("GET", "audit", "", "reader"),
    ("GET", "timeline/USER", "", "reader"),
    (
        "POST",
        "clients",
        r#"{"client_id":"NEW","scope":"openid"}"#,
        "clients",
    ),
    (
        "PATCH",
        "clients/plain",
        r#"{"client_name":"NEW"}"#,
        "clients",
    ),
    ("POST", "clients/plain/secrets", "{}", "clients"),
    ("DELETE", "clients/plain", "", "clients"),
    ("POST", "scopes", r#"{"name":"NEW"}"#, "admin"),
    ("PATCH", "scopes/email", r#"{"description":"NEW"}"#, "admin"),
    ("DELETE", "scopes/members:read", "", "admin"),
    ("POST", "permissions", r#"{"name":"NEW"}"#, "admin"),
    ("POST", "roles", r#"{"name":"NEW"}"#, "admin"),
    (
        "POST",
        "resources",
        r#"{"identifier":"https://NEW.example.com"}"#,
        "admin",
    ),
];

fn is_allowed(caller: &str, from: &str) -> bool {
    match from {
        "reader" => ["reader", "clients", "admin", "auditor", "administrator"].contains(&caller),
        "clients" => ["clients", "admin", "administrator"].contains(&caller),
        _ => ["admin", "administrator"].contains(&caller),
    }
}

async fn house() -> (TestServer, Vec<(&'static str, Option<String>)>, String) {
    let server = TestServer::start().await;
    let ops = admin(&server).await;
    let role = json!({"name": "auditor", "permissions": ["tokensmith:read"]});
    ops.post(&at("roles"), role).await.expect(201);
    let include = json!({"name": "chief-auditor", "includes": ["auditor"]});
    ops.post(&at("roles"), include).await.expect(201);
    let plain = json!({"client_id": "plain", "scope": "openid"});
    ops.post(&at("clients"), plain).await.expect(201);
    let user = server.user("user").await;
    let mut tokens = vec![("nobody", None), ("admin", Some(ops.access_token))];
    for (name, scope) in [
        ("service", "groups:admin"),
        ("reader", "tokensmith:read openid"),
        ("clients", "tokensmith:clients openid"),
    ] {
        tokens.push((name, Some(server.service(name, scope).await.access_token)));
    }
    let auditor = server
        .user_with_roles("auditor", &["chief-auditor", "no-such-role"])
        .await;
    let administrator = server.user_with_roles("administrator", &["admin"]).await;
    let id = user.id.to_string();
    tokens.extend([
        ("user", Some(user.access_token)),
        ("auditor", Some(auditor.access_token)),
        ("administrator", Some(administrator.access_token)),
    ]);
    (server, tokens, id)
}

async fn state(server: &TestServer) -> String {
    let mut all = String::new();
    for kind in tokensmith_store::DeclarationKind::ALL {
        let found = server
            .app()
            .store()
            .declarations(kind, "", 1000)
            .await
            .unwrap();
        all.push_str(&format!("{found:?}"));
    }
    all
}

#[tokio::test]
async fn row_271_every_admin_route_answers_every_caller_as_the_rules_say_and_a_refusal_changes_nothing()
 {
    let (server, tokens, user) = house().await;
    for (number, (method, path, body, from)) in ROUTES.into_iter().enumerate() {
        for caller in CALLERS {
            if is_allowed(caller, from) {
                continue;
            }
            let before = state(&server).await;
            let answer = call(
                &server,
                &tokens,
                caller,
                (method, &path.replace("USER", &user), body, number),
            )
            .await;
            let expected = if caller == "nobody" { 401 } else { 403 };
            let answer = answer.expect_problem(expected);
            assert!(
                answer.header("www-authenticate").is_some(),
                "{caller} {method} {path}"
            );
            assert_eq!(state(&server).await, before, "{caller} {method} {path}");
        }
    }
    let refused = server.audit_events().await;
    assert!(refused.iter().any(|event| event == "authorization_refused"));
    for (number, (method, path, body, from)) in ROUTES.into_iter().enumerate() {
        for caller in CALLERS
            .into_iter()
            .filter(|caller| is_allowed(caller, from))
        {
            let number = number * 100 + caller.len();
            let answer = call(
                &server,
                &tokens,
                caller,
                (method, &path.replace("USER", &user), body, number),
            )
            .await;
            // What can be done once only is done by the first.
            assert!(
                [200, 201, 204, 404].contains(&answer.status),
                "{caller} {method} {path}: {} {}",
                answer.status,
                answer.body
            );
            if method != "DELETE" && !path.contains("plain") {
                assert_ne!(answer.status, 404, "{caller} {method} {path}");
            }
        }
    }
}

async fn call(
    server: &TestServer,
    tokens: &[(&str, Option<String>)],
    caller: &str,
    (method, path, body, number): (&str, &str, &str, usize),
) -> Answer {
    let anonymous = server.anonymous();
    let mut request = anonymous.request(method.parse().unwrap(), &at(path));
    let token = tokens.iter().find(|(name, _)| *name == caller).unwrap();
    if let Some(token) = &token.1 {
        request = request.bearer_auth(token);
    }
    if !body.is_empty() {
        let body: Value =
            serde_json::from_str(&body.replace("NEW", &format!("new{number}{}", caller.len())))
                .unwrap();
        request = request.json(&body);
    }
    anonymous.send(request).await
}

#[tokio::test]
async fn row_116_who_may_only_read_sees_no_secret_and_cannot_write() {
    let server = TestServer::start().await;
    let ops = admin(&server).await;
    let made = ops
        .post(&at("clients"), json!({"client_id": "reports"}))
        .await
        .expect(201);
    let reader = server.service("reader", "tokensmith:read").await;
    for path in ["clients", "clients/reports", "clients/reader", "audit"] {
        let answer = reader.get(&at(path)).await.expect(200);
        for hidden in [
            made.text("client_secret"),
            reader.secret.clone(),
            "argon2".into(),
            "sha256".into(),
            "hash".into(),
        ] {
            assert!(!answer.body.contains(&hidden), "{path}");
        }
    }
    reader
        .post(&at("clients/reports/secrets"), json!({}))
        .await
        .expect_problem(403);
    reader
        .patch(&at("clients/reports"), json!({}))
        .await
        .expect_problem(403);
}

#[tokio::test]
async fn who_manages_clients_gives_and_takes_nothing_beyond_the_own_rights() {
    let server = TestServer::start().await;
    let team = server
        .service("team", "tokensmith:clients groups:write")
        .await;
    let client = |id: &str, scope: &str| json!({"client_id": id, "scope": scope});
    team.post(&at("clients"), client("one", "groups:read"))
        .await
        .expect(201);
    team.post(
        &at("clients"),
        client("two", "groups:write tokensmith:clients"),
    )
    .await
    .expect(201);
    for scope in ["groups:admin", "members:read", "tokensmith:admin"] {
        let refused = team
            .post(&at("clients"), client("three", scope))
            .await
            .expect_problem(403);
        assert!(
            refused.text("type").ends_with("beyond_own_rights"),
            "{scope}"
        );
        team.patch(&at("clients/one"), json!({"scope": scope}))
            .await
            .expect_problem(403);
    }
    for more in [
        json!({"role": "admin"}),
        json!({"resources": ["https://api.example.com"]}),
        json!({"grant_types": ["refresh_token"]}),
        json!({"may_act": "team"}),
        json!({"access_token_seconds": 86_400}),
    ] {
        let answer = team.patch(&at("clients/one"), more).await;
        answer.expect_problem(403);
    }
}

#[tokio::test]
async fn who_manages_clients_touches_no_client_that_holds_more_and_nobody_the_servers_own() {
    let server = TestServer::start().await;
    let ops = admin(&server).await;
    let team = server
        .service("team", "tokensmith:clients groups:write")
        .await;
    let client = |id: &str, scope: &str| json!({"client_id": id, "scope": scope});
    let powerful = ops
        .post(&at("clients"), client("powerful", "groups:admin"))
        .await
        .expect(201);
    let id = powerful.json()["secrets"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    team.post(&at("clients/powerful/secrets"), json!({}))
        .await
        .expect_problem(403);
    team.delete(&at(&format!("clients/powerful/secrets/{id}")))
        .await
        .expect_problem(403);
    team.patch(&at("clients/powerful"), json!({"scope": "groups:read"}))
        .await
        .expect_problem(403);
    team.delete(&at("clients/powerful"))
        .await
        .expect_problem(403);
    team.delete(&at("clients/ops")).await.expect_problem(403);
    for administrator in [&team, &ops] {
        let own = at("clients/tokensmith-account");
        administrator
            .patch(&own, json!({"is_active": false}))
            .await
            .expect_problem(403);
        administrator.delete(&own).await.expect_problem(403);
    }
    let kept = server
        .app()
        .store()
        .client(&"powerful".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (kept.scope.as_str(), kept.secrets.len()),
        ("groups:admin", 1)
    );
}

#[tokio::test]
async fn a_role_that_is_taken_away_counts_from_the_next_request_on() {
    let server = TestServer::start().await;
    let ops = admin(&server).await;
    let role = json!({"name": "auditor", "permissions": ["tokensmith:read"]});
    ops.post(&at("roles"), role).await.expect(201);
    let auditor = server.user_with_roles("auditor", &["auditor"]).await;
    auditor.get(&at("clients")).await.expect(200);
    ops.patch(&at("roles/auditor"), json!({"permissions": []}))
        .await
        .expect(200);
    auditor.get(&at("clients")).await.expect_problem(403);
}

#[tokio::test]
async fn a_lost_update_is_refused_and_two_at_once_have_one_winner() {
    let server = TestServer::start().await;
    let ops = admin(&server).await;
    let path = at("scopes/groups%3Aread");
    let tag = ops
        .get(&path)
        .await
        .expect(200)
        .header("etag")
        .unwrap()
        .to_owned();
    let patch = |number: usize| {
        let body = json!({"description": format!("by {number}")});
        let request = ops.request(Method::PATCH, &path).json(&body);
        ops.send(request.header("if-match", &tag))
    };
    let answers = futures_util::future::join_all((0..6).map(patch)).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(
        won,
        1,
        "{:?}",
        answers
            .iter()
            .map(|answer| answer.status)
            .collect::<Vec<_>>()
    );
    assert!(
        answers
            .iter()
            .all(|answer| [200, 409, 412].contains(&answer.status))
    );
    let merge = ops
        .request(Method::PATCH, &path)
        .header("content-type", "application/merge-patch+json");
    ops.send(merge.body(r#"{"description":null}"#))
        .await
        .expect(200);
    let wrong = ops
        .request(Method::PATCH, &path)
        .header("content-type", "text/plain");
    ops.send(wrong.body("{}")).await.expect_problem(415);
}

#[tokio::test]
async fn a_new_scope_and_resource_count_at_once_at_the_token_endpoint() {
    let server = TestServer::start().await;
    let ops = admin(&server).await;
    ops.post(&at("scopes"), json!({"name": "docs:read"}))
        .await
        .expect(201);
    let resource = json!({"identifier": "https://docs.example.com", "scopes": ["docs:read"], "access_token_seconds": 77});
    ops.post(&at("resources"), resource).await.expect(201);
    let client = json!({
        "client_id": "reports", "scope": "docs:read", "resources": ["https://docs.example.com"],
        "token_endpoint_auth_method": "client_secret_post",
    });
    let secret = ops
        .post(&at("clients"), client)
        .await
        .expect(201)
        .text("client_secret");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "reports"),
        ("client_secret", secret.as_str()),
        ("scope", "docs:read"),
    ];
    let token = server
        .anonymous()
        .form("/oauth/token", &form)
        .await
        .expect(200);
    assert_eq!(token.json()["expires_in"], 77);
    assert_eq!(
        crate::claims_of(&token.text("access_token"))["aud"],
        json!(["https://docs.example.com"])
    );
}

#[tokio::test]
async fn the_timeline_of_a_user_a_session_and_a_family_is_read_by_administrators() {
    let server = TestServer::start().await;
    let reader = server.service("reader", "tokensmith:read").await;
    let alice = server.user("alice").await;
    let family = alice.refresh_token["tkr_".len()..]
        .split('.')
        .next()
        .unwrap()
        .to_owned();
    alice.post("/api/auth/logout", json!({})).await.expect(200);
    let answer = reader
        .get(&at(&format!("timeline/{family}")))
        .await
        .expect(200);
    assert!(
        answer
            .text("verdict")
            .starts_with("The family ended because the user signed out")
    );
    assert!(
        !answer.body.contains(&alice.refresh_token) && !answer.body.contains(&alice.access_token)
    );
    let answer = reader
        .get(&at(&format!("timeline/{}", alice.id)))
        .await
        .expect(200);
    assert_eq!(answer.json()["subject"]["kind"], "user");
    for unknown in ["01930c8e-5b7a-7c3e-8f00-1a2b3c4d5e6f", "x", "%00"] {
        reader
            .get(&at(&format!("timeline/{unknown}")))
            .await
            .expect_problem(404);
    }
    let lines = reader.get(&at("audit?limit=2")).await.expect(200).json();
    assert_eq!(lines["lines"].as_array().unwrap().len(), 2);
    let next = lines["next"].as_str().unwrap();
    let more = reader
        .get(&at(&format!("audit?limit=2&after={next}")))
        .await
        .expect(200)
        .json();
    assert_ne!(more["lines"][0]["id"], lines["lines"][0]["id"]);
    reader.get(&at("audit?after=x")).await.expect_problem(422);
}
