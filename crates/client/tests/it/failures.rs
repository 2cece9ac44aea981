//! Row 325: errors, throttling, silence and odd answers. No busy loop, and the old token is served until it expires.

use std::time::{Duration, Instant};

use tokensmith_client::{ServiceTokenManager, TokenErrorKind};
use tokio::time::sleep;

use crate::stub::{Reply, Stub};

/// Asks without a rest and tells the last outcome.
async fn hammer(manager: &ServiceTokenManager, length: Duration) -> Result<String, TokenErrorKind> {
    let started = Instant::now();
    loop {
        let outcome = manager.token().await;
        if started.elapsed() > length {
            return outcome
                .map(|token| token.expose().to_owned())
                .map_err(|error| error.kind().clone());
        }
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn row_325_the_old_token_is_served_until_it_expires_while_the_server_fails() {
    let stub = Stub::start().await;
    stub.replies([Reply::token("3")])
        .then_always(Reply::status(500, "oops"));
    let manager = stub.manager();
    manager.token().await.unwrap();
    let granted = Instant::now();
    assert_eq!(
        hammer(&manager, Duration::from_millis(2850)).await,
        Ok("t1".into())
    );
    assert!(stub.count() >= 2, "a renewal was tried");
    sleep(Duration::from_millis(3050).saturating_sub(granted.elapsed())).await;
    let error = manager.token().await.unwrap_err();
    assert_eq!(*error.kind(), TokenErrorKind::Unavailable { status: 500 });
    assert!(error.retry_after() > Duration::ZERO);
    assert!(
        stub.count() <= 7,
        "{} requests are a busy loop",
        stub.count()
    );
}

#[tokio::test]
async fn row_325_pauses_grow_between_failing_requests() {
    let stub = Stub::start().await;
    stub.then_always(Reply::status(503, ""));
    let manager = stub.manager();
    assert_eq!(
        hammer(&manager, Duration::from_secs(3)).await,
        Err(TokenErrorKind::Unavailable { status: 503 })
    );
    let seen = stub.seen();
    assert!(
        (3..=7).contains(&seen.len()),
        "{} requests in 3 s",
        seen.len()
    );
    for (number, pair) in seen.windows(2).enumerate() {
        let least = Duration::from_millis(125 << number);
        assert!(
            pair[1].at - pair[0].at >= least,
            "pause {number} was shorter than {least:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_recovers_is_asked_again_after_the_pause() {
    let stub = Stub::start().await;
    stub.replies([Reply::status(500, "")]);
    let manager = stub.manager();
    let error = manager.token().await.unwrap_err();
    assert!(error.retry_after() <= Duration::from_millis(250));
    sleep(error.retry_after()).await;
    assert_eq!(manager.token().await.unwrap().expose(), "t2");
}

#[tokio::test]
async fn row_325_retry_after_is_honoured() {
    let stub = Stub::start().await;
    stub.replies([Reply::status(429, "").header("retry-after", "2")]);
    let manager = stub.manager();
    assert_eq!(
        hammer(&manager, Duration::from_millis(1800)).await,
        Err(TokenErrorKind::Unavailable { status: 429 })
    );
    assert_eq!(stub.count(), 1);
    assert_eq!(
        hammer(&manager, Duration::from_millis(500)).await,
        Ok("t2".into())
    );
}

#[tokio::test]
async fn a_refused_client_is_told_why_and_does_not_hammer() {
    let stub = Stub::start().await;
    stub.then_always(Reply::status(
        401,
        r#"{"error":"invalid_client","error_description":"no"}"#,
    ));
    let manager = stub.manager();
    let refused = TokenErrorKind::Refused {
        error: "invalid_client".into(),
    };
    assert_eq!(
        hammer(&manager, Duration::from_millis(1500)).await,
        Err(refused)
    );
    assert_eq!(stub.count(), 1);
}

#[tokio::test]
async fn row_325_lifetimes_of_zero_or_less_are_refused_without_a_busy_loop() {
    for expires_in in ["0", "-1", "\"0\"", "1.5", "true"] {
        let stub = Stub::start().await;
        stub.then_always(Reply::token(expires_in));
        let outcome = hammer(&stub.manager(), Duration::from_millis(700)).await;
        assert!(
            matches!(outcome, Err(TokenErrorKind::Answer(_))),
            "{expires_in}"
        );
        assert!(
            stub.count() <= 4,
            "{} requests for expires_in {expires_in}",
            stub.count()
        );
    }
}

#[tokio::test]
async fn row_325_missing_and_textual_lifetimes_are_usable() {
    for reply in [
        Reply::ok(r#"{"access_token":"t{n}","token_type":"bearer"}"#),
        Reply::token("\"3600\""),
    ] {
        let stub = Stub::start().await;
        stub.then_always(reply);
        assert_eq!(
            hammer(&stub.manager(), Duration::from_millis(300)).await,
            Ok("t1".into())
        );
        assert_eq!(stub.count(), 1);
    }
}

#[tokio::test]
async fn a_lifetime_of_one_second_means_at_most_one_request_a_second() {
    let stub = Stub::start().await;
    stub.then_always(Reply::token("1"));
    hammer(&stub.manager(), Duration::from_millis(2500))
        .await
        .unwrap();
    assert!(stub.count() <= 3, "{} requests", stub.count());
}

#[tokio::test]
async fn a_resource_server_that_refuses_every_token_slows_the_fetching_down() {
    let stub = Stub::start().await;
    let manager = stub.manager();
    let started = Instant::now();
    let mut slowed = false;
    while started.elapsed() < Duration::from_secs(2) {
        match manager.token().await {
            Ok(token) => manager.invalidate(&token),
            Err(error) => slowed |= *error.kind() == TokenErrorKind::RejectedTokens,
        }
        sleep(Duration::from_millis(1)).await;
    }
    assert!(slowed);
    assert!(
        (4..=10).contains(&stub.count()),
        "{} requests",
        stub.count()
    );
}

#[tokio::test]
async fn silence_ends_after_ten_seconds_with_one_request() {
    let stub = Stub::start().await;
    stub.then_always(Reply::token("900").after(Duration::from_secs(60)));
    let started = Instant::now();
    let error = stub.manager().token().await.unwrap_err();
    assert_eq!(*error.kind(), TokenErrorKind::Unreachable);
    assert!(
        (9..12).contains(&started.elapsed().as_secs()),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(stub.count(), 1);
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let stub = Stub::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/oauth/token").parse().unwrap();
    let client = tokensmith_client::ServiceClient::new(
        tokensmith_client::ClientId::parse("c").unwrap(),
        "s",
        tokensmith_client::TokenEndpoint::Url(url),
    );
    let error = ServiceTokenManager::new(client)
        .unwrap()
        .token()
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), TokenErrorKind::Unreachable);
    assert_eq!(stub.count(), 0);
}

#[tokio::test]
async fn html_huge_and_foreign_answers_are_refused() {
    let huge = format!(
        r#"{{"access_token":"t","token_type":"Bearer","x":"{}"}}"#,
        "x".repeat(100_000)
    );
    let replies = [
        (Reply::ok("<html>ok</html>"), false),
        (Reply::ok(&huge), true),
        (
            Reply::ok(r#"{"access_token":"t","token_type":"mac"}"#),
            false,
        ),
    ];
    for (reply, is_cut) in replies {
        let stub = Stub::start().await;
        stub.replies([reply]);
        let error = stub.manager().token().await.unwrap_err();
        assert_eq!(
            *error.kind() == TokenErrorKind::Unreachable,
            is_cut,
            "{error}"
        );
        assert!(
            is_cut || matches!(error.kind(), TokenErrorKind::Answer(_)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_secret_is_not_carried_along_a_redirect() {
    let (stub, other) = (Stub::start().await, Stub::start().await);
    stub.replies([Reply::status(307, "").header("location", format!("{}/oauth/token", other.url))]);
    let error = stub.manager().token().await.unwrap_err();
    assert_eq!(*error.kind(), TokenErrorKind::Unavailable { status: 307 });
    assert_eq!(other.count(), 0);
}
