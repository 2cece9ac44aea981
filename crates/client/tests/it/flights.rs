//! One flight for any number of callers, renewal in the background, invalidation, callers that go away.

use std::time::{Duration, Instant};

use tokensmith_client::{AccessToken, ServiceTokenManager};
use tokio::{task::JoinSet, time::sleep};

use crate::stub::{Reply, Stub};

async fn callers(manager: &ServiceTokenManager, count: usize) -> Vec<AccessToken> {
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let manager = manager.clone();
        calls.spawn(async move { manager.token().await.unwrap() });
    }
    calls.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_first_callers_share_one_request() {
    let stub = Stub::start().await;
    stub.replies([Reply::token("900").after(Duration::from_millis(200))]);
    let tokens = callers(&stub.manager(), 100).await;
    assert!(tokens.iter().all(|token| token.expose() == "t1"));
    assert_eq!(stub.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_325_a_hundred_callers_at_80_percent_cause_one_renewal_and_none_waits() {
    let stub = Stub::start().await;
    stub.replies([
        Reply::token("2"),
        Reply::token("900").after(Duration::from_millis(300)),
    ]);
    let manager = stub.manager();
    manager.token().await.unwrap();
    sleep(Duration::from_millis(1650)).await;
    let started = Instant::now();
    let tokens = callers(&manager, 100).await;
    assert!(
        started.elapsed() < Duration::from_millis(200),
        "somebody waited for the renewal"
    );
    assert!(
        tokens.iter().all(|token| token.expose() == "t1"),
        "the old token is served meanwhile"
    );
    sleep(Duration::from_millis(400)).await;
    assert_eq!(manager.token().await.unwrap().expose(), "t2");
    assert_eq!(stub.count(), 2);
}

#[tokio::test]
async fn a_token_in_use_is_renewed_at_80_percent_without_a_caller() {
    let stub = Stub::start().await;
    stub.replies([Reply::token("2")]);
    let manager = stub.manager();
    manager.token().await.unwrap();
    sleep(Duration::from_millis(1400)).await;
    assert_eq!(stub.count(), 1, "not before 80 %");
    sleep(Duration::from_millis(400)).await;
    assert_eq!(stub.count(), 2);
    assert_eq!(manager.token().await.unwrap().expose(), "t2");
}

#[tokio::test]
async fn a_token_that_nobody_asks_for_is_renewed_once_and_then_left_to_expire() {
    let stub = Stub::start().await;
    stub.then_always(Reply::token("1"));
    let manager = stub.manager();
    manager.token().await.unwrap();
    sleep(Duration::from_millis(3500)).await;
    assert_eq!(stub.count(), 2);
    assert_eq!(manager.token().await.unwrap().expose(), "t3");
}

#[tokio::test]
async fn a_dropped_manager_renews_nothing() {
    let stub = Stub::start().await;
    stub.then_always(Reply::token("1"));
    let manager = stub.manager();
    manager.token().await.unwrap();
    drop(manager);
    sleep(Duration::from_millis(1300)).await;
    assert_eq!(stub.count(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_nobody_elses_flight() {
    let stub = Stub::start().await;
    stub.replies([Reply::token("900").after(Duration::from_millis(300))]);
    let manager = stub.manager();
    let first = tokio::spawn({
        let manager = manager.clone();
        async move { manager.token().await }
    });
    sleep(Duration::from_millis(100)).await;
    let second = manager.token();
    first.abort();
    assert_eq!(second.await.unwrap().expose(), "t1");
    assert_eq!(stub.count(), 1);
}

#[tokio::test]
async fn a_flight_whose_only_caller_went_away_still_lands() {
    let stub = Stub::start().await;
    stub.replies([Reply::token("900").after(Duration::from_millis(200))]);
    let manager = stub.manager();
    let gone = tokio::time::timeout(Duration::from_millis(50), manager.token()).await;
    assert!(gone.is_err());
    sleep(Duration::from_millis(300)).await;
    assert_eq!(manager.token().await.unwrap().expose(), "t1");
    assert_eq!(stub.count(), 1);
}

#[tokio::test]
async fn only_the_held_token_can_be_invalidated() {
    let stub = Stub::start().await;
    let manager = stub.manager();
    let first = manager.token().await.unwrap();
    manager.invalidate(&first);
    let second = manager.token().await.unwrap();
    assert_ne!(first, second);
    manager.invalidate(&first);
    assert_eq!(manager.token().await.unwrap(), second);
    assert_eq!(stub.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_callers_that_got_401_cause_one_new_request() {
    let stub = Stub::start().await;
    let manager = stub.manager();
    let refused = manager.token().await.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (manager, refused) = (manager.clone(), refused.clone());
        calls.spawn(async move {
            manager.invalidate(&refused);
            manager.token().await.unwrap().expose().to_owned()
        });
    }
    assert!(calls.join_all().await.iter().all(|token| token == "t2"));
    assert_eq!(stub.count(), 2);
}

#[test]
fn a_flight_that_died_with_its_runtime_is_replaced() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let (servers, first, second) = (runtime(), runtime(), runtime());
    let stub = servers.block_on(Stub::start());
    stub.replies([Reply::token("900").after(Duration::from_secs(5))]);
    let manager = stub.manager();
    first.block_on(async {
        let _ = tokio::time::timeout(Duration::from_millis(100), manager.token()).await;
    });
    first.shutdown_background();
    let token = second.block_on(manager.token()).unwrap();
    assert_eq!(token.expose(), "t2");
}
