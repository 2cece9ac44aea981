//! The feed of revocations, and a validating service that follows it: from the server's answer to the refusal.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokensmith_oauth2::ClientId;
use tokensmith_resource_server::{
    Clock, FeedBuilder, ResourceServer, RevocationFeed, Revocations, TokenError, WhenLost,
};
use tokensmith_store::{
    AuditContext, ChangeClient, ClientChange, RevocationKind, Revoke, SetUserActive, TokenNames,
};
use tokensmith_testkit::{Answer, TestServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::introspect::{CHAT, Registered, account_resource, client, declare_chat, still_serves};

const HOUR: Duration = Duration::from_secs(3600);

async fn feed(server: &TestServer, client: &Registered, query: &str) -> Answer {
    let anonymous = server.anonymous();
    let path = format!("/oauth/revocations{query}");
    let request = anonymous.request(reqwest::Method::GET, &path);
    anonymous
        .send(request.basic_auth(&client.id, client.secret.as_ref()))
        .await
}

async fn revoke_line(server: &TestServer, kind: RevocationKind, subject: &str) {
    let revoke = Revoke {
        kind,
        subject: subject.to_owned(),
        expires_at: server.now() + HOUR,
        names: TokenNames::default(),
        context: AuditContext::operator(server.now()),
    };
    assert!(server.app().store().write(revoke).await.unwrap());
}

async fn revoke(server: &TestServer, client: &Registered, token: &str) {
    let answer = client
        .form(server, "/oauth/revoke", &[("token", token)])
        .await;
    answer.expect(200);
}

/// Settings that follow this server's feed as `client`, by the server's clock.
pub(crate) fn follower(base: &str, server: &TestServer, client: &Registered) -> FeedBuilder {
    let secret = client.secret.clone().unwrap();
    RevocationFeed::builder(base, &client.id, secret).clock(clock(server))
}

pub(crate) fn clock(server: &TestServer) -> Clock {
    let app = server.app().clone();
    Clock::from_fn(move || app.clock().now().as_seconds().unsigned_abs())
}

/// A validating service for the chat's tokens, once it has its keys and its feed.
async fn service(
    server: &TestServer,
    feed: RevocationFeed,
) -> (ResourceServer, Arc<RevocationFeed>) {
    service_for(server, feed, CHAT).await
}

/// The same for the tokens of another resource.
pub(crate) async fn service_for(
    server: &TestServer,
    feed: RevocationFeed,
    audience: &str,
) -> (ResourceServer, Arc<RevocationFeed>) {
    let feed = Arc::new(feed);
    let issuer = server.app().config().issuer.as_str();
    let service = ResourceServer::builder(issuer, audience)
        .clock(clock(server))
        .revocations(feed.clone())
        .build()
        .unwrap();
    assert!(service.is_ready().await);
    becomes_current(&feed, true).await;
    (service, feed)
}

async fn becomes_current(feed: &RevocationFeed, is_current: bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while feed.is_current() != is_current {
        assert!(
            Instant::now() < end,
            "the feed is current: {}",
            feed.is_current()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// `None` for an accepted token, else the status.
pub(crate) async fn refusal(service: &ResourceServer, token: &str) -> Option<u16> {
    let refusal = service.verify(token).await.err()?;
    Some(refusal.status().as_u16())
}

#[tokio::test]
async fn the_feed_is_for_authenticated_clients_of_a_resource() {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    let chat = client(&server, "chat", false, &[CHAT]).await;
    let answer = feed(&server, &chat, "").await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        answer.json(),
        json!({"revocations": [], "next": 0, "more": false})
    );
    let anonymous = server.anonymous();
    for path in [
        "/oauth/revocations",
        "/oauth/revocations?client_id=chat&client_secret=x",
    ] {
        let request = anonymous.request(reqwest::Method::GET, path);
        let answer = anonymous.send(request).await;
        let answer = answer.expect_oauth_error(401, "invalid_client");
        assert!(
            answer
                .header("www-authenticate")
                .unwrap()
                .starts_with("Basic")
        );
    }
    let wrong = Registered {
        secret: Some("wrong".to_owned()),
        ..chat.clone()
    };
    feed(&server, &wrong, "")
        .await
        .expect_oauth_error(401, "invalid_client");
    let public = Registered {
        secret: Some(String::new()),
        ..client(&server, "public", true, &[CHAT]).await
    };
    feed(&server, &public, "")
        .await
        .expect_oauth_error(401, "invalid_client");
    let other = client(&server, "other", false, &[]).await;
    feed(&server, &other, "")
        .await
        .expect_oauth_error(400, "unauthorized_client");
    assert_eq!(
        server.audit_events().await.last().unwrap(),
        "revocation_feed_refused"
    );
    for query in [
        "?after=-1",
        "?after=x",
        "?wait=1.5",
        "?after=1&after=2",
        "?wait=99999999999999999999",
    ] {
        feed(&server, &chat, query)
            .await
            .expect_oauth_error(400, "invalid_request");
    }
    still_serves(&server, "bob").await;
}

#[tokio::test]
async fn lines_come_in_order_and_in_pages() {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    let chat = client(&server, "chat", false, &[CHAT]).await;
    for number in 0..1001 {
        revoke_line(&server, RevocationKind::Token, &format!("t{number}")).await;
    }
    let first = feed(&server, &chat, "?after=0").await.expect(200).json();
    assert_eq!(first["revocations"].as_array().unwrap().len(), 1000);
    assert_eq!(
        (&first["next"], &first["more"]),
        (&json!(1000), &json!(true))
    );
    let rest = feed(&server, &chat, "?after=1000&wait=20")
        .await
        .expect(200)
        .json();
    let (revoked_at, expires_at) = (
        server.now().as_seconds(),
        (server.now() + HOUR).as_seconds(),
    );
    let line = json!({"id": 1001, "kind": "token", "subject": "t1000", "revoked_at": revoked_at, "expires_at": expires_at});
    assert_eq!(
        rest,
        json!({"revocations": [line], "next": 1001, "more": false})
    );
    // A cursor of another time, for instance of before a restore, begins anew.
    let anew = feed(&server, &chat, "?after=5000&wait=20")
        .await
        .expect(200)
        .json();
    assert_eq!((&anew["next"], &anew["more"]), (&json!(1000), &json!(true)));
}

#[tokio::test]
async fn a_poll_waits_for_a_line_and_no_longer_than_it_was_asked_to() {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    let chat = client(&server, "chat", false, &[CHAT]).await;
    let began = Instant::now();
    let empty = feed(&server, &chat, "?wait=1").await.expect(200).json();
    assert_eq!(empty["revocations"], json!([]));
    assert!(
        (900..5000).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );
    let line = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        revoke_line(&server, RevocationKind::Session, "s").await;
        Instant::now()
    };
    let (answer, revoked) = tokio::join!(feed(&server, &chat, "?wait=20"), line);
    assert!(revoked.elapsed() < Duration::from_secs(1));
    assert_eq!(answer.json()["revocations"][0]["subject"], "s");
}

#[tokio::test]
async fn row_147_a_revoked_token_is_refused_by_a_validating_service_within_a_second() {
    let server = TestServer::start().await;
    declare_chat(&server).await;
    let chat = client(&server, "chat", false, &[CHAT]).await;
    let caller = client(&server, "caller", false, &[CHAT]).await;
    let feed = follower(server.base(), &server, &chat).start().unwrap();
    let (service, _feed) = service(&server, feed).await;
    let untouched = caller.own_token(&server, "groups:read").await;
    let mut delays = Vec::new();
    for _ in 0..50 {
        let token = caller.own_token(&server, "groups:read").await;
        assert_eq!(refusal(&service, &token).await, None);
        revoke(&server, &caller, &token).await;
        let revoked = Instant::now();
        while service.verify(&token).await.is_ok() {
            assert!(revoked.elapsed() < Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        delays.push(revoked.elapsed());
        let refusal = service.verify(&token).await.unwrap_err();
        assert_eq!(refusal.token_error(), Some(TokenError::Revoked));
    }
    assert_eq!(refusal(&service, &untouched).await, None);
    delays.sort();
    println!(
        "delay of 50 revocations: median {:?}, longest {:?}",
        delays[25], delays[49]
    );
    assert!(delays[49] < Duration::from_secs(1), "{:?}", delays[49]);
    still_serves(&server, "bob").await;
}

#[tokio::test]
async fn what_was_revoked_before_a_service_began_and_every_kind_of_it_is_refused() {
    let server = TestServer::start().await;
    let account = account_resource(&server).await;
    let audience = server.app().config().audience().to_owned();
    let (alice, bob, carol) = (
        server.user("alice").await,
        server.user("bob").await,
        server.user("carol").await,
    );
    let caller = client(&server, "caller", false, &[&audience]).await;
    let service_token = caller.own_token(&server, "groups:read").await;
    // A grant, a user, a client.
    let account_client = Registered {
        id: "tokensmith-account".to_owned(),
        secret: None,
    };
    let renewed = server
        .anonymous()
        .renew(&alice.refresh_token, &[])
        .await
        .expect(200);
    revoke(&server, &account_client, &renewed.text("refresh_token")).await;
    let (store, context) = (server.app().store(), AuditContext::operator(server.now()));
    let disable = SetUserActive {
        user_id: bob.id.clone(),
        is_active: false,
        revoked_until: server.now() + HOUR,
        context: context.clone(),
    };
    assert!(store.write(disable).await.unwrap());
    revoke_line(&server, RevocationKind::Client, "caller").await;
    let disable = ChangeClient {
        client_id: ClientId::parse("caller").unwrap(),
        change: ClientChange::Active(false),
        context,
    };
    store.write(disable).await.unwrap();
    let way = Way::to(&server).await;
    way.becomes(Passage::Cut);
    let feed = Arc::new(follower(&way.base, &server, &account).start().unwrap());
    let issuer = server.app().config().issuer.as_str();
    let service = ResourceServer::builder(issuer, audience)
        .clock(clock(&server))
        .revocations(feed.clone())
        .build()
        .unwrap();
    // Before the feed was read to its end nothing is accepted.
    assert_eq!(refusal(&service, &carol.access_token).await, Some(503));
    way.becomes(Passage::Open);
    becomes_current(&feed, true).await;
    assert_eq!(refusal(&service, &carol.access_token).await, None);
    let renewed = renewed.text("access_token");
    for token in [
        &alice.access_token,
        &renewed,
        &bob.access_token,
        &service_token,
    ] {
        assert_eq!(refusal(&service, token).await, Some(401));
    }
    carol.post("/api/auth/logout", json!({})).await.expect(200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(refusal(&service, &carol.access_token).await, Some(401));
}

/// A way to the server that can be cut: connections end, or hang, until it is mended.
struct Way {
    base: String,
    state: watch::Sender<Passage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    Open,
    Cut,
    Hanging,
}

impl Way {
    async fn to(server: &TestServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = server.base().trim_start_matches("http://").to_owned();
        let (state, seen) = watch::channel(Passage::Open);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, server.clone(), seen.clone()));
            }
        });
        Self { base, state }
    }

    fn becomes(&self, passage: Passage) {
        self.state.send_replace(passage);
    }
}

async fn pass(mut near: TcpStream, server: String, mut state: watch::Receiver<Passage>) {
    if *state.borrow() == Passage::Cut {
        return;
    }
    let mut far = TcpStream::connect(server).await.unwrap();
    let (mut out, mut back) = ([0; 4096], [0; 4096]);
    loop {
        let passage = *state.borrow_and_update();
        tokio::select! {
            _ = state.changed() => if *state.borrow() == Passage::Cut { return },
            read = near.read(&mut out), if passage == Passage::Open => match read {
                Ok(n) if n > 0 => far.write_all(&out[..n]).await.unwrap(),
                _ => return,
            },
            read = far.read(&mut back), if passage == Passage::Open => match read {
                Ok(n) if n > 0 => if near.write_all(&back[..n]).await.is_err() { return },
                _ => return,
            },
        }
    }
}

#[tokio::test]
async fn a_lost_feed_refuses_within_its_bound_and_what_it_missed_is_known_when_it_is_found_again() {
    for passage in [Passage::Cut, Passage::Hanging] {
        let server = TestServer::start().await;
        declare_chat(&server).await;
        let chat = client(&server, "chat", false, &[CHAT]).await;
        let caller = client(&server, "caller", false, &[CHAT]).await;
        let way = Way::to(&server).await;
        let feed = follower(&way.base, &server, &chat).lost_after(Duration::from_secs(5));
        let (service, feed) = service(&server, feed.start().unwrap()).await;
        let kept = caller.own_token(&server, "groups:read").await;
        let token = caller.own_token(&server, "groups:read").await;
        assert_eq!(refusal(&service, &token).await, None);
        way.becomes(passage);
        let lost = Instant::now();
        revoke(&server, &caller, &token).await;
        becomes_current(&feed, false).await;
        let bound = Duration::from_millis(5500);
        assert!(lost.elapsed() < bound, "{passage:?} {:?}", lost.elapsed());
        for token in [&kept, &token] {
            assert_eq!(refusal(&service, token).await, Some(503), "{passage:?}");
        }
        way.becomes(Passage::Open);
        becomes_current(&feed, true).await;
        assert_eq!(refusal(&service, &token).await, Some(401), "{passage:?}");
        assert_eq!(refusal(&service, &kept).await, None, "{passage:?}");
    }
}

#[tokio::test]
async fn a_lost_feed_may_fall_back_to_introspection_and_never_to_silence() {
    let server = TestServer::start().await;
    let audience = server.app().config().audience().to_owned();
    // May ask about its own tokens and not read the feed, so the feed is lost from the beginning.
    let asker = client(&server, "asker", false, &[]).await;
    let other = client(&server, "other", false, &[]).await;
    let way = Way::to(&server).await;
    let feed = follower(&way.base, &server, &asker).when_lost(WhenLost::Introspect);
    let service = ResourceServer::builder(server.app().config().issuer.as_str(), audience)
        .clock(clock(&server))
        .revocations(Arc::new(feed.start().unwrap()))
        .build()
        .unwrap();
    let token = asker.own_token(&server, "groups:read").await;
    let kept = asker.own_token(&server, "groups:read").await;
    assert_eq!(refusal(&service, &token).await, None);
    revoke(&server, &asker, &token).await;
    assert_eq!(refusal(&service, &token).await, Some(401));
    assert_eq!(refusal(&service, &kept).await, None);
    let foreign = other.own_token(&server, "groups:read").await;
    assert_eq!(refusal(&service, &foreign).await, Some(401));
    way.becomes(Passage::Cut);
    assert_eq!(refusal(&service, &kept).await, Some(503));
    way.becomes(Passage::Open);
    assert_eq!(refusal(&service, &kept).await, None);
}
