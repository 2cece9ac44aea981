//! Failures and refusals: what the caller reads, what the log and the audit log hold of them.

use reqwest::Method;
use rusqlite::Connection;
use serde_json::json;
use tokensmith_server::config::Database;
use tokensmith_store::AuthMethod;
use tokensmith_testkit::{Answer, SIGN_IN_PASSWORD, TestServer};

use super::{assert_alive, audited, client, log, logged, wire};

/// The database of a server, as an administrator with a shell would open it.
fn database(server: &TestServer) -> Connection {
    let Database::Sqlite(path) = &server.app().config().database else {
        panic!("the test server keeps its records in SQLite");
    };
    Connection::open(path).unwrap()
}

/// Makes rows of clients and users unreadable, as a broken disk would; answers with what mends them.
async fn damage(server: &TestServer) -> String {
    const KEPT: &str = "SELECT 'UPDATE clients SET secrets = ' || quote(secrets) || ' WHERE client_id = ' || quote(client_id) || ';'
        FROM clients WHERE client_id = 'service'";
    const DAMAGE: &str = "UPDATE clients SET secrets = '{damaged' WHERE client_id = 'service';
        UPDATE users SET roles = '{damaged';";
    let database = database(server);
    let kept: String = database.query_row(KEPT, [], |row| row.get(0)).unwrap();
    database.execute_batch(DAMAGE).unwrap();
    server.reload().await;
    format!("{kept} UPDATE users SET roles = '[]';")
}

#[tokio::test]
async fn row_320_a_failure_inside_says_that_it_was_recorded_and_nothing_else() {
    log();
    let server = TestServer::start().await;
    let service = server.service("service", "groups:read").await;
    server.registered("alice@example.com").await;
    let ask = async || {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "service"),
            ("client_secret", &service.secret),
            ("scope", "groups:read"),
        ];
        server.anonymous().form("/oauth/token", &form).await
    };
    let login = async || {
        server
            .anonymous()
            .login("alice@example.com", SIGN_IN_PASSWORD)
            .await
    };
    ask().await.expect(200);
    login().await.expect(200);
    server.fails_on_purpose();
    let mending = damage(&server).await;
    let token = ask().await.expect_oauth_error(500, "server_error");
    let problem = login().await.expect_problem(500);
    for answer in [token, problem] {
        wire::assert_public(&answer.request, &answer.body);
        assert!(
            !answer.body.contains("damaged") && !answer.body.contains("secrets"),
            "{}",
            answer.body
        );
        let id = answer.header("x-correlation-id").unwrap();
        let log = logged();
        let mut lines = log.lines().filter(|line| line.contains(id));
        assert!(
            lines.any(|line| line.contains("\"ERROR\"")),
            "the log joins the answer by its id"
        );
    }
    database(&server).execute_batch(&mending).unwrap();
    server.reload().await;
    ask().await.expect(200);
    login().await.expect(200);
    assert_alive(&server).await;
}

/// Requests that must leave an audit line each: the event, how it ended, and who it is about.
struct Recorded {
    event: &'static str,
    outcome: &'static str,
    member: &'static str,
    who: String,
    answers: Vec<Answer>,
}

fn recorded(
    event: &'static str,
    outcome: &'static str,
    about: (&'static str, &str),
    answers: Vec<Answer>,
) -> Recorded {
    let (member, who) = (about.0, about.1.to_owned());
    Recorded {
        event,
        outcome,
        member,
        who,
        answers,
    }
}

const TIMES: usize = 3;

async fn refused_sign_ins_and_clients(server: &TestServer) -> Vec<Recorded> {
    let anonymous = server.anonymous();
    let alice = server.user("alice").await;
    client(
        server,
        "C1",
        AuthMethod::ClientSecretBasicOrPost,
        Some("a secret"),
    )
    .await;
    let wrong = [
        ("grant_type", "client_credentials"),
        ("client_id", "C1"),
        ("client_secret", "wrong"),
    ];
    let (mut logins, mut clients, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        logins.push(anonymous.login(&alice.email, "wrong").await.expect(401));
        clients.push(anonymous.form("/oauth/token", &wrong).await.expect(401));
        let request = anonymous
            .request(Method::GET, "/api/auth/organizations")
            .bearer_auth("a.b.c");
        tokens.push(anonymous.send(request).await.expect(401));
    }
    vec![
        recorded(
            "login_failure",
            "wrong_password",
            ("user_id", alice.id.as_str()),
            logins,
        ),
        recorded(
            "client_auth_failed",
            "secret_wrong",
            ("client_id", "C1"),
            clients,
        ),
        recorded(
            "token_invalid",
            "token_not_ours",
            ("ip", "127.0.0.1"),
            tokens,
        ),
    ]
}

async fn refused_renewals(server: &TestServer) -> Vec<Recorded> {
    let anonymous = server.anonymous();
    let (carol, bob) = (server.user("carol").await, server.user("bob").await);
    let successor = anonymous
        .renew(&bob.refresh_token, &[])
        .await
        .expect(200)
        .text("refresh_token");
    anonymous.renew(&successor, &[]).await.expect(200);
    let wider = anonymous
        .renew(&carol.refresh_token, &[("scope", "groups:admin")])
        .await
        .expect(400);
    let reused = anonymous.renew(&bob.refresh_token, &[]).await.expect(400);
    let mut foreign = Vec::new();
    for _ in 0..TIMES {
        foreign.push(anonymous.renew("tkr_none", &[]).await.expect(400));
    }
    let account = ("client_id", "tokensmith-account");
    vec![
        recorded(
            "refresh_token_invalid",
            "refresh_token_malformed",
            account,
            foreign,
        ),
        recorded("token_refused", "scope_not_allowed", account, vec![wider]),
        recorded(
            "refresh_token_reuse",
            "family_ended",
            ("user_id", bob.id.as_str()),
            vec![reused],
        ),
    ]
}

#[tokio::test]
async fn row_321_each_refusal_is_recorded_once_with_who_what_when_where_and_why() {
    log();
    let server = TestServer::start().await;
    let attempts = [
        refused_sign_ins_and_clients(&server).await,
        refused_renewals(&server).await,
    ];
    for recorded in attempts.into_iter().flatten() {
        let mut lines = audited(&server, recorded.event).await;
        lines.retain(|line| line["outcome"] == recorded.outcome);
        assert_eq!(
            lines.len(),
            recorded.answers.len(),
            "{}: {lines:?}",
            recorded.event
        );
        for (line, answer) in lines.iter().zip(&recorded.answers) {
            assert_eq!(line[recorded.member], json!(recorded.who), "{line}");
            assert_eq!(
                (&line["ip"], &line["at"]),
                (&json!("127.0.0.1"), &json!(server.now().to_string())),
                "{line}"
            );
            let id = answer.header("x-correlation-id").unwrap();
            assert_eq!(line["correlation_id"], id, "{line}");
            assert!(
                logged().lines().any(|text| text.contains(id)),
                "no log line of {id}"
            );
        }
    }
    assert_alive(&server).await;
}
