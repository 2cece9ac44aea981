//! Requests that are almost right: one to a route of the server, with none, one or several things wrong.

use serde_json::{Value, json};

use super::{random_requests::People, wire::percent};

/// Every path of the router with what it takes.
pub(super) const ROUTES: &[(&str, &[&str], Body)] = &[
    (
        "/.well-known/oauth-authorization-server",
        &["GET"],
        Body::Nothing,
    ),
    ("/.well-known/openid-configuration", &["GET"], Body::Nothing),
    ("/.well-known/jwks.json", &["GET"], Body::Nothing),
    ("/oauth/token", &["POST"], Body::Form),
    ("/oauth/introspect", &["POST"], Body::TokenForm),
    ("/oauth/revoke", &["POST"], Body::TokenForm),
    ("/oauth/revocations", &["GET"], Body::Nothing),
    (
        "/.well-known/authzen-configuration",
        &["GET"],
        Body::Nothing,
    ),
    (
        "/access/v1/evaluation",
        &["POST"],
        Body::Json(
            r#"{"subject":{"type":"user","id":"SPARE"},"action":{"name":"read"},"resource":{"type":"page","id":"1"}}"#,
        ),
    ),
    (
        "/access/v1/evaluations",
        &["POST"],
        Body::Json(
            r#"{"subject":{"type":"user","id":"SPARE"},"evaluations":[{"action":{"name":"read"},"resource":{"type":"page","id":"1"}}],"options":{"evaluations_semantic":"execute_all"}}"#,
        ),
    ),
    (
        "/api/auth/organizations/ORG/switch",
        &["POST"],
        Body::Nothing,
    ),
    (
        "/api/admin/v1/organizations/ORG",
        &["PATCH"],
        Body::Json(r#"{"is_active":true}"#),
    ),
    (
        "/api/auth/api-keys",
        &["GET", "POST"],
        Body::Json(r#"{"name":"key","scope":"openid","expires_in_days":1}"#),
    ),
    ("/api/auth/api-keys/SPARE", &["DELETE"], Body::Nothing),
    (
        "/api/auth/api-keys/SPARE/rotate",
        &["POST"],
        Body::Json(r#"{"overlap_seconds":5}"#),
    ),
    (
        "/api/auth/organizations/ORG/invitations",
        &["GET", "POST"],
        Body::Json(r#"{"email":"invited@example.com","role":"member"}"#),
    ),
    (
        "/api/auth/organizations/ORG/invitations/SPARE",
        &["DELETE"],
        Body::Nothing,
    ),
    (
        "/api/auth/invitations/accept",
        &["POST"],
        Body::Json(r#"{"token":"REFRESH"}"#),
    ),
    ("/health", &["GET"], Body::Nothing),
    ("/ready", &["GET"], Body::Nothing),
    ("/metrics", &["GET"], Body::Nothing),
    ("/api/oauth2/stats", &["GET"], Body::Nothing),
    ("/api/oauth2/config", &["GET"], Body::Nothing),
    ("/api/oauth2/providers", &["GET"], Body::Nothing),
    ("/api/oauth2/cleanup-tokens", &["POST"], Body::Nothing),
    ("/api/oauth2/audit-logs", &["GET"], Body::Nothing),
    ("/api/oauth2/security-analysis", &["GET"], Body::Nothing),
    ("/api/oauth2/health", &["GET"], Body::Nothing),
    ("/openapi.json", &["GET"], Body::Nothing),
    ("/docs", &["GET"], Body::Nothing),
    ("/docs/page.js", &["GET"], Body::Nothing),
    ("/docs/page.css", &["GET"], Body::Nothing),
    (
        "/auth/login",
        &["POST"],
        Body::Json(r#"{"email":"EMAIL","password":"PASSWORD","org_id":"ORG"}"#),
    ),
    (
        "/api/auth/login",
        &["POST"],
        Body::Json(r#"{"email":"EMAIL","password":"PASSWORD"}"#),
    ),
    (
        "/api/auth/register",
        &["POST"],
        Body::Json(
            r#"{"email":"new@example.com","password":"PASSWORD","username":"new","org_name":"New"}"#,
        ),
    ),
    (
        "/api/auth/verify-code",
        &["POST"],
        Body::Json(r#"{"email":"EMAIL","code":"1234 5678"}"#),
    ),
    (
        "/api/auth/resend-code",
        &["POST"],
        Body::Json(r#"{"email":"EMAIL"}"#),
    ),
    (
        "/api/auth/request-password-reset",
        &["POST"],
        Body::Json(r#"{"email":"EMAIL"}"#),
    ),
    (
        "/api/auth/reset-password",
        &["POST"],
        Body::Json(r#"{"token":"REFRESH","new_password":"a new PASSWORD"}"#),
    ),
    (
        "/api/auth/account/email",
        &["POST"],
        Body::Json(r#"{"email":"other@example.com","password":"wrong"}"#),
    ),
    (
        "/api/auth/account/deactivate",
        &["POST"],
        Body::Json(r#"{"password":"wrong"}"#),
    ),
    (
        "/api/auth/account/delete",
        &["POST"],
        Body::Json(r#"{"password":"wrong"}"#),
    ),
    ("/api/auth/account/export", &["GET"], Body::Nothing),
    (
        "/api/oauth2/change-password",
        &["POST"],
        Body::Json(r#"{"current_password":"wrong","new_password":"a new PASSWORD"}"#),
    ),
    (
        "/api/auth/refresh",
        &["POST"],
        Body::Json(r#"{"refresh_token":"REFRESH"}"#),
    ),
    ("/api/auth/logout", &["POST"], Body::Nothing),
    ("/api/auth/sessions", &["GET", "DELETE"], Body::Nothing),
    ("/api/auth/sessions/SPARE", &["DELETE"], Body::Nothing),
    (
        "/api/oauth2/login",
        &["POST"],
        Body::Json(r#"{"username":"EMAIL","password":"PASSWORD"}"#),
    ),
    (
        "/api/oauth2/refresh",
        &["POST"],
        Body::Json(r#"{"refresh_token":"REFRESH"}"#),
    ),
    ("/api/oauth2/logout", &["POST"], Body::Nothing),
    ("/api/oauth2/sessions", &["GET", "DELETE"], Body::Nothing),
    ("/api/oauth2/sessions/SPARE", &["DELETE"], Body::Nothing),
    (
        "/api/oauth2/revoke",
        &["POST"],
        Body::Json(r#"{"token":"REFRESH"}"#),
    ),
    (
        "/api/auth/login/2fa",
        &["POST"],
        Body::Json(r#"{"pre_auth_token":"REFRESH","code":"123456","remember_device":true}"#),
    ),
    (
        "/api/auth/login/2fa/options",
        &["POST"],
        Body::Json(r#"{"pre_auth_token":"REFRESH"}"#),
    ),
    (
        "/api/auth/login/2fa/setup",
        &["POST"],
        Body::Json(r#"{"pre_auth_token":"REFRESH"}"#),
    ),
    (
        "/api/auth/reauthenticate",
        &["POST"],
        Body::Json(r#"{"password":"PASSWORD","code":null}"#),
    ),
    ("/api/auth/2fa", &["GET"], Body::Nothing),
    ("/api/auth/2fa/setup", &["POST"], Body::Nothing),
    (
        "/api/auth/2fa/verify",
        &["POST"],
        Body::Json(r#"{"code":"123456"}"#),
    ),
    ("/api/auth/2fa/disable", &["POST"], Body::Nothing),
    ("/api/auth/2fa/recovery-codes", &["GET"], Body::Nothing),
    (
        "/api/auth/passkeys",
        &["GET", "POST"],
        Body::Json(
            r#"{"ceremony_token":"REFRESH","name":"Phone","passkey":{"id":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}}"#,
        ),
    ),
    ("/api/auth/passkeys/options", &["POST"], Body::Nothing),
    (
        "/api/auth/passkeys/sign-in",
        &["POST"],
        Body::Json(
            r#"{"pre_auth_token":"REFRESH","passkey":{"id":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA","userHandle":"AA"}}}"#,
        ),
    ),
    (
        "/api/auth/passkeys/sign-in/options",
        &["POST"],
        Body::Nothing,
    ),
    (
        "/api/auth/passkeys/SPARE",
        &["PATCH", "DELETE"],
        Body::Json(r#"{"name":"Phone"}"#),
    ),
    ("/token", &["POST"], Body::SignInForm),
    (
        "/refresh",
        &["POST"],
        Body::Json(r#"{"refresh_token":"REFRESH"}"#),
    ),
    (
        "/revoke",
        &["POST"],
        Body::Json(r#"{"access_token":"REFRESH"}"#),
    ),
    ("/protected", &["GET"], Body::Nothing),
    ("/admin-only", &["GET"], Body::Nothing),
    (
        "/api/auth/organizations",
        &["GET", "POST"],
        Body::Json(r#"{"name":"Another"}"#),
    ),
    ("/api/auth/organizations/ORG", &["GET"], Body::Nothing),
    (
        "/api/auth/organizations/ORG/members",
        &["GET", "POST"],
        Body::Json(r#"{"user_id":"SPARE","role":"member"}"#),
    ),
    (
        "/api/auth/organizations/ORG/members/SPARE",
        &["PATCH", "DELETE"],
        Body::Json(r#"{"role":"admin"}"#),
    ),
    (
        "/api/auth/organizations/ORG/members/SPARE/roles",
        &["GET", "POST"],
        Body::Json(r#"{"role":"reader"}"#),
    ),
    (
        "/api/auth/organizations/ORG/members/SPARE/roles/reader",
        &["DELETE"],
        Body::Nothing,
    ),
    ("/api/oauth2/me", &["GET"], Body::Nothing),
    (
        "/api/admin/v1/users/SPARE/roles",
        &["GET", "POST"],
        Body::Json(r#"{"role":"reader"}"#),
    ),
    (
        "/api/admin/v1/users/SPARE/roles/reader",
        &["DELETE"],
        Body::Nothing,
    ),
    (
        "/api/auth/organizations/ORG/groups",
        &["GET", "POST"],
        Body::Json(r#"{"name":"Another","description":"text"}"#),
    ),
    (
        "/api/auth/groups/GROUP",
        &["GET", "PATCH", "DELETE"],
        Body::Json(r#"{"name":"Changed","description":null}"#),
    ),
    (
        "/api/auth/groups/GROUP/members",
        &["GET", "POST"],
        Body::Json(r#"{"user_id":"SPARE"}"#),
    ),
    (
        "/api/auth/groups/GROUP/members/SPARE",
        &["DELETE"],
        Body::Nothing,
    ),
    (
        "/api/admin/v1/clients",
        &["GET", "POST"],
        Body::Json(r#"{"client_id":"new","scope":"openid"}"#),
    ),
    (
        "/api/admin/v1/scopes/groups:read",
        &["GET", "PUT", "PATCH", "DELETE"],
        Body::Json(r#"{"name":"groups:read","description":"text","implies":[]}"#),
    ),
    (
        "/api/admin/v1/clients/service/secrets",
        &["POST"],
        Body::Json(r#"{"keep_old_seconds":5}"#),
    ),
    (
        "/api/admin/v1/clients/service/secrets/SPARE",
        &["DELETE"],
        Body::Nothing,
    ),
    ("/api/admin/v1/timeline/ORG", &["GET"], Body::Nothing),
    ("/api/admin/v1/audit", &["GET"], Body::Nothing),
    ("/", &["GET"], Body::Nothing),
    ("/sign-in", &["GET", "POST"], Body::PageForm),
    ("/sign-in/code", &["GET", "POST"], Body::PageForm),
    ("/sign-in/enrol", &["GET", "POST"], Body::PageForm),
    ("/sign-in/passkey", &["GET", "POST"], Body::PageForm),
    ("/sign-out", &["POST"], Body::PageForm),
    ("/register", &["GET", "POST"], Body::PageForm),
    ("/forgot", &["GET", "POST"], Body::PageForm),
    ("/reset", &["GET", "POST"], Body::PageForm),
    ("/verify", &["GET", "POST"], Body::PageForm),
    ("/account/password", &["GET", "POST"], Body::PageForm),
    ("/account", &["GET"], Body::Nothing),
    ("/account/factors", &["GET", "POST"], Body::PageForm),
    ("/account/devices", &["GET", "POST"], Body::PageForm),
    ("/account/activity", &["GET"], Body::Nothing),
    ("/assets/style.css", &["GET"], Body::Nothing),
    ("/logos/ORG", &["GET"], Body::Nothing),
];

#[derive(Clone, Copy)]
pub(super) enum Body {
    Nothing,
    Form,
    /// The form of introspection and revocation.
    TokenForm,
    /// The form of the older machine-to-machine service.
    SignInForm,
    /// A form of the pages.
    PageForm,
    Json(&'static str),
}

/// Numbers that follow from a seed (SplitMix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// One of the routes; those that take a body more often than those that always answer the same, or end the session.
fn route(dice: &mut Dice) -> &'static (&'static str, &'static [&'static str], Body) {
    let route = &ROUTES[dice.below(ROUTES.len())];
    let is_dull = !route.0.contains("ORG") && matches!(route.2, Body::Nothing);
    if is_dull && dice.percent(80) {
        self::route(dice)
    } else {
        route
    }
}

/// A request to one of the routes with none, one or several things wrong.
pub(super) fn request(dice: &mut Dice, people: &People) -> Vec<u8> {
    let (path, methods, kind) = route(dice);
    let method = if dice.percent(85) {
        dice.one(methods)
    } else {
        dice.one(&METHODS)
    };
    let mut target = people.fill(dice, path);
    if dice.percent(20) {
        target = odd_path(dice, target);
    }
    if dice.percent(15) {
        target = format!(
            "{target}?{}",
            odd_form(
                dice,
                &[("limit", "5"), ("after", "x"), ("access_token", "y")]
            )
        );
    }
    let (content_type, body) = body(dice, people, *kind);
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
            .into_bytes();
    fields(dice, content_type, &mut head);
    authorization(dice, people, *kind, &mut head);
    if dice.percent(5) {
        head.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        head.extend(chunked(dice, &body));
        return head;
    }
    if !body.is_empty() || dice.percent(50) {
        head.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    head.extend(b"\r\n");
    head.extend(body);
    head
}

/// The body in chunks, now and then with a broken one.
fn chunked(dice: &mut Dice, body: &[u8]) -> Vec<u8> {
    let mut chunks = Vec::new();
    for chunk in body.chunks(1 + dice.below(20_000)) {
        let length = format!("{:x}\r\n", chunk.len());
        let broken = dice.percent(10);
        chunks.extend(
            if broken {
                dice.one(&["zz\r\n", "-1\r\n", "fffffffffffffffff\r\n"])
            } else {
                &length
            }
            .bytes(),
        );
        chunks.extend(chunk);
        chunks.extend(b"\r\n");
    }
    chunks.extend(b"0\r\n\r\n");
    chunks
}

const METHODS: [&str; 12] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get",
    "X-Y_Z", "QUERY",
];

const SQL: [&str; 6] = [
    "' OR 1=1--",
    "\"); DROP TABLE users;--",
    "'; select pg_sleep(5);--",
    "${7*7}",
    "{{7*7}}",
    "../../etc/passwd",
];

/// Texts that are hard on parsers, comparisons and people.
const TEXTS: [&str; 22] = [
    "",
    " ",
    "\0",
    "a\0b",
    "\r\nSet-Cookie: a=b",
    "\u{1b}[31m",
    "\u{202e}gpj",
    "\u{feff}",
    "\u{200b}",
    "\u{421}1",
    "\u{ff41}",
    "e\u{301}",
    "\u{fdfa}",
    "💥",
    "\u{10ffff}",
    "null",
    "undefined",
    "true",
    "-1",
    "1e999",
    "%00",
    "%c0%af",
];

fn odd_text(dice: &mut Dice, good: &str) -> String {
    match dice.below(10) {
        0 => dice.one(&SQL).to_owned(),
        1 | 2 => dice.one(&TEXTS).to_owned(),
        3 => format!("{good}{}", dice.one(&TEXTS)),
        4 => good.to_uppercase(),
        5 => good.chars().rev().collect(),
        6 => good.repeat(1 + dice.below(40)),
        7 => "x".repeat(1 << dice.below(17)),
        8 => good.chars().take(good.chars().count() / 2).collect(),
        _ => "é".repeat(1 + dice.below(300)),
    }
}

fn odd_path(dice: &mut Dice, path: String) -> String {
    let at = dice.below(path.len());
    let (start, end) = path.split_at(at);
    match dice.below(14) {
        0 => format!("{path}/"),
        1 => path.replace('/', "//"),
        2 => format!("{start}{}{}", percent(&end[..1]), &end[1..]),
        3 => percent(&path).replacen("%2f", "/", 1),
        4 => format!("{start}%00{end}"),
        5 => format!("{start}..%2f..%2f{end}"),
        6 => format!("/x/..{path}"),
        7 => format!("{path};jsessionid=1"),
        8 => format!("{start}%zz{end}"),
        9 => format!("{path}/{}", "a".repeat(9000)),
        10 => format!("http://evil.test{path}"),
        11 => format!("{path}%20"),
        12 => format!("{path}/{}", percent(dice.one(&SQL))),
        _ => path.to_uppercase(),
    }
}

fn odd_form(dice: &mut Dice, good: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> = good
        .iter()
        .map(|(name, value)| format!("{}={}", percent(name), percent(value)))
        .collect();
    for _ in 0..1 + dice.below(2) {
        let at = dice.below(pairs.len());
        let (name, value) = good[at % good.len()];
        match dice.below(11) {
            0 => pairs.push(pairs[at].clone()),
            1 => drop(pairs.remove(at)),
            2..=4 => pairs[at] = format!("{name}={}", percent(&odd_text(dice, value))),
            5 => pairs[at] = format!("{}={}", percent(&odd_text(dice, name)), percent(value)),
            6 => pairs[at] = format!("{name}=%zz"),
            7 => pairs[at] = format!("{name}=%ff%fe"),
            8 => pairs[at] = name.to_owned(),
            9 => pairs.extend((0..70).map(|number| format!("p{number}=1"))),
            _ => pairs.extend(["=", "", "=x", "a==b", "resource=urn%3Ax"].map(str::to_owned)),
        }
        if pairs.is_empty() {
            pairs.push("a=b".to_owned());
        }
    }
    pairs.join("&")
}

fn page_form(dice: &mut Dice, people: &People) -> Vec<u8> {
    let good = [
        ("form_token", "A"),
        ("email", people.alice.email.as_str()),
        ("password", "PASSWORD"),
        ("session", people.alice.id.as_str()),
    ];
    odd_form(dice, &good).into_bytes()
}

fn body(dice: &mut Dice, people: &People, kind: Body) -> (&'static str, Vec<u8>) {
    const FORM: &str = "application/x-www-form-urlencoded";
    let body = match kind {
        Body::Nothing if dice.percent(80) => return (FORM, Vec::new()),
        Body::Nothing => return ("application/json", odd_bytes(dice, b"{\"a\":1}")),
        Body::Form => {
            let service = [
                ("grant_type", "client_credentials"),
                ("client_id", people.service.client_id.as_str()),
                ("client_secret", &people.service.secret),
                ("scope", "groups:read"),
            ];
            let renewal = [
                ("grant_type", "refresh_token"),
                ("client_id", "tokensmith-account"),
                ("refresh_token", people.alice.refresh_token.as_str()),
                ("scope", "openid"),
            ];
            let good = if dice.percent(60) { service } else { renewal };
            let changed = if dice.percent(85) {
                odd_form(dice, &good)
            } else {
                tokensmith_oauth2::form::encode(good)
            };
            (FORM, changed.into_bytes())
        }
        Body::TokenForm => {
            let tokens = [
                &people.alice.refresh_token,
                &people.alice.access_token,
                &people.service.access_token,
            ];
            let good = [
                ("token", dice.one(&tokens).as_str()),
                ("token_type_hint", "access_token"),
                ("client_id", people.service.client_id.as_str()),
                ("client_secret", &people.service.secret),
            ];
            let changed = if dice.percent(85) {
                odd_form(dice, &good)
            } else {
                tokensmith_oauth2::form::encode(good)
            };
            (FORM, changed.into_bytes())
        }
        Body::SignInForm => {
            let good = [
                ("grant_type", "password"),
                ("username", people.service.client_id.as_str()),
                ("password", &people.service.secret),
            ];
            (FORM, odd_form(dice, &good).into_bytes())
        }
        Body::PageForm => (FORM, page_form(dice, people)),
        Body::Json(template) => {
            let good: Value = serde_json::from_str(&people.fill(dice, template)).unwrap();
            let changed = if dice.percent(75) {
                odd_json(dice, good)
            } else {
                good.to_string()
            };
            ("application/json", changed.into_bytes())
        }
    };
    if dice.percent(8) {
        (body.0, odd_bytes(dice, &body.1))
    } else {
        body
    }
}

fn odd_bytes(dice: &mut Dice, good: &[u8]) -> Vec<u8> {
    let at = dice.below(good.len().max(1));
    match dice.below(6) {
        0 => Vec::new(),
        1 => good[..at.min(good.len())].to_vec(),
        2 => [good, b"\xff\xfe"].concat(),
        3 => [b"\xef\xbb\xbf", good].concat(),
        4 => (0..200).map(|_| dice.next() as u8).collect(),
        _ => [&b"["[..]; 20_000].concat(),
    }
}

fn odd_json(dice: &mut Dice, good: Value) -> String {
    let mut members: Vec<(String, String)> = good
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect();
    let at = dice.below(members.len());
    let text = good[&members[at].0].as_str().unwrap_or_default().to_owned();
    match dice.below(12) {
        0..4 => members[at].1 = odd_value(dice),
        4..7 => members[at].1 = json!(odd_text(dice, &text)).to_string(),
        7 => drop(members.remove(at)),
        8 => members.push(members[at].clone()),
        9 => members[at].0 = odd_text(dice, &members[at].0.clone()),
        10 => members.extend(
            [
                "role",
                "roles",
                "is_admin",
                "id",
                "org_id",
                "is_active",
                "created_at",
                "__proto__",
            ]
            .map(|name| (name.to_owned(), "\"admin\"".to_owned())),
        ),
        _ => return odd_value(dice),
    }
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{}:{value}", json!(name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn odd_value(dice: &mut Dice) -> String {
    let values = [
        "null",
        "true",
        "0",
        "-1",
        "1.5",
        "1e400",
        "9223372036854775808",
        "[]",
        "[null]",
        "{}",
        "{\"a\":1}",
        "\"\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "[\"x\",\"y\"]",
        "{\"$ne\":null}",
        "NaN",
        "'x'",
        "\"a\" \"b\"",
        "",
    ];
    match dice.below(10) {
        0 => format!("{}1{}", "[".repeat(300), "]".repeat(300)),
        1 => format!("\"{}\"", "x".repeat(100_000)),
        _ => dice.one(&values).to_owned(),
    }
}

fn fields(dice: &mut Dice, content_type: &str, head: &mut Vec<u8>) {
    let mut add = |name: &str, value: &str| head.extend(format!("{name}: {value}\r\n").bytes());
    // So that no limit of one address is reached.
    add(
        "X-Forwarded-For",
        &format!(
            "10.{}.{}.{}",
            dice.below(256),
            dice.below(256),
            dice.below(256)
        ),
    );
    match dice.below(12) {
        0 => {}
        1 => add("Content-Type", dice.one(&CONTENT_TYPES)),
        2 => add("Content-Type", &format!("{content_type}; charset=utf-8")),
        _ => add("Content-Type", content_type),
    }
    for _ in 0..dice.below(3) {
        let (name, value) = OTHERS[dice.below(OTHERS.len())];
        add(name, value);
    }
    if dice.percent(1) {
        add("X-Long", &"x".repeat(17 << 10));
    }
    if dice.percent(1) {
        (0..120).for_each(|number| add(&format!("X-{number}"), "y"));
    }
    if dice.percent(3) {
        head.extend(b"X-Bytes: \xff\xfe\x80\r\n");
    }
    if dice.percent(2) {
        head.extend(b"No colon here\r\n");
    }
}

/// Mostly the right token where one is needed and none where none is.
fn authorization(dice: &mut Dice, people: &People, kind: Body, head: &mut Vec<u8>) {
    if matches!(kind, Body::Form | Body::TokenForm) && dice.percent(85) {
        return;
    }
    let (alice, service) = (&people.alice.access_token, &people.service.access_token);
    let value = match dice.below(14) {
        0..8 => format!("Bearer {alice}"),
        8 | 9 => format!("Bearer {service}"),
        10 => dice.one(&AUTHORIZATIONS).to_owned(),
        11 => format!("Bearer {alice}{}", dice.one(&["x", " ", ".", "=", ""])),
        12 => return,
        _ => return head.extend(b"Authorization: \xff\xfe\r\n"),
    };
    head.extend(format!("Authorization: {value}\r\n").bytes());
}

const CONTENT_TYPES: [&str; 12] = [
    "",
    "text/plain",
    "application/json; charset=utf-16",
    "application/problem+json",
    "multipart/form-data; boundary=x",
    "APPLICATION/JSON",
    "application/json, text/plain",
    "application/x-www-form-urlencoded;",
    "*/*",
    "application/xml",
    "application/x-www-form-urlencoded\t",
    "é",
];

const AUTHORIZATIONS: [&str; 12] = [
    "",
    "Bearer",
    "Bearer ",
    "Bearer a.b.c",
    "Bearer eyJhbGciOiJub25lIn0.e30.",
    "Basic",
    "Basic YTpi",
    "Basic !!!",
    "Basic YQ==",
    "Digest x",
    "bearer \t",
    "Basic dG9rZW5zbWl0aC1hY2NvdW50Og==",
];

const OTHERS: [(&str, &str); 18] = [
    ("X-Correlation-ID", "seen-1"),
    ("X-Correlation-ID", "a b\"c"),
    ("X-Correlation-ID", ""),
    ("Cookie", "session=x; __Host-y=z"),
    ("Accept", "text/html"),
    ("Accept", "nonsense"),
    ("Origin", "https://evil.test"),
    ("Range", "bytes=0-1"),
    ("If-None-Match", "*"),
    ("Content-Encoding", "gzip"),
    ("Upgrade", "websocket"),
    ("Upgrade", "h2c"),
    ("Expect", "100-continue"),
    ("Expect", "nonsense"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("Forwarded", "for=\"[::1\""),
    ("Te", "trailers"),
    ("Traceparent", "00-zz"),
];
