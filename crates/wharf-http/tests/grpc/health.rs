//! `grpc.health.v1.Health`: who asks is told, and who watches is told in time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};
use wharf_http::grpc::{Code, Health, only};
use wharf_http::pool::config::PoolConfig;
use wharf_http::pool::{Registry, ScopeLimits, ServingState, Timestamp};
use wharf_testkit::grpc::framed;

use super::client::*;

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;
const SERVICE_UNKNOWN: u8 = 3;

/// A request that names `service`.
fn asks(service: &str) -> Bytes {
    let length = u8::try_from(service.len()).unwrap();
    framed(&[&[0x0a, length], service.as_bytes()].concat())
}

/// The status in a reply.
fn said(reply: &[u8]) -> u8 {
    match reply {
        [0, 0, 0, 0, 2, 0x08, status] => *status,
        _ => panic!("no reply: {reply:?}"),
    }
}

async fn client(health: &Health) -> Client {
    Client::of(only(health.service())).await
}

async fn check(client: &mut Client, service: &str) -> Result<u8, Code> {
    let answer = client
        .call("/grpc.health.v1.Health/Check", vec![asks(service)])
        .await;
    match answer.code() {
        Some(Code::Ok) => Ok(said(&answer.data)),
        code => Err(code.unwrap()),
    }
}

struct Watch(http::Response<Incoming>);

impl Watch {
    async fn of(client: &mut Client, service: &str) -> Self {
        let body = Full::new(asks(service)).map_err(|never| match never {});
        Self(
            client
                .begin(request("/grpc.health.v1.Health/Watch", body))
                .await,
        )
    }

    /// What it is told next, within 100 ms.
    async fn told(&mut self) -> u8 {
        let frame = timeout(Duration::from_millis(100), self.0.body_mut().frame()).await;
        let frame = frame.expect("told in time").unwrap().unwrap();
        said(&frame.into_data().expect("not the end"))
    }

    async fn is_told_nothing(&mut self) -> bool {
        let frame = timeout(Duration::from_millis(50), self.0.body_mut().frame());
        frame.await.is_err()
    }
}

#[tokio::test]
async fn a_check_is_answered_with_what_was_set() {
    let health = Health::new();
    let mut client = client(&health).await;
    assert_eq!(check(&mut client, "").await, Ok(SERVING));
    assert_eq!(check(&mut client, "a.A").await, Err(Code::NotFound));
    health.set_serving("a.A");
    assert_eq!(check(&mut client, "a.A").await, Ok(SERVING));
    health.set_not_serving("a.A");
    assert_eq!(check(&mut client, "a.A").await, Ok(NOT_SERVING));
    assert_eq!(check(&mut client, "").await, Ok(SERVING));
    health.forget("a.A");
    assert_eq!(check(&mut client, "a.A").await, Err(Code::NotFound));
}

#[tokio::test]
async fn a_watcher_is_told_each_change_and_nothing_else() {
    let health = Health::new();
    let mut client = client(&health).await;
    let mut watch = Watch::of(&mut client, "a.A").await;
    assert_eq!(watch.told().await, SERVICE_UNKNOWN);
    health.set_serving("a.A");
    assert_eq!(watch.told().await, SERVING);
    health.set_serving("a.A");
    health.set_not_serving("b.B");
    assert!(watch.is_told_nothing().await);
    health.set_not_serving("a.A");
    assert_eq!(watch.told().await, NOT_SERVING);
    health.forget("a.A");
    assert_eq!(watch.told().await, SERVICE_UNKNOWN);
}

#[tokio::test]
async fn a_name_that_is_too_long_is_not_kept() {
    let mut client = client(&Health::new()).await;
    let answer = client
        .call("/grpc.health.v1.Health/Watch", vec![message(1025)])
        .await;
    assert_eq!(answer.code(), Some(Code::OutOfRange));
}

#[tokio::test]
async fn watchers_are_told_of_a_drain_before_it_goes_on_and_leave_when_it_waits() {
    let registry = Registry::<()>::new(ScopeLimits::default());
    registry.set_state(ServingState::Serving);
    let health = Health::new();
    let _following = health.follow(&registry);
    health.set_serving("a.A");
    let mut client = client(&health).await;
    let mut whole = Watch::of(&mut client, "").await;
    let mut one = Watch::of(&mut client, "a.A").await;
    assert_eq!((whole.told().await, one.told().await), (SERVING, SERVING));

    registry.set_state(ServingState::Draining);
    registry.tell_drain("delay");
    let begun = Instant::now();
    assert_eq!(
        (whole.told().await, one.told().await),
        (NOT_SERVING, NOT_SERVING)
    );
    assert!(begun.elapsed() < Duration::from_millis(100));
    // They are not talked into believing otherwise, and may stay for now.
    health.set_serving("a.A");
    registry.tell_drain("closing_listeners");
    assert!(one.is_told_nothing().await);
    assert_eq!(check(&mut client, "a.A").await, Ok(NOT_SERVING));

    registry.tell_drain("finishing");
    for watch in [whole, one] {
        let answer = timeout(Duration::from_millis(100), rest(watch.0))
            .await
            .unwrap();
        assert_eq!(answer.code(), Some(Code::Unavailable));
    }
    // Who comes late is told, and sent away.
    let mut late = Watch::of(&mut client, "a.A").await;
    assert_eq!(late.told().await, NOT_SERVING);
    assert_eq!(rest(late.0).await.code(), Some(Code::Unavailable));
}

#[tokio::test]
async fn watchers_are_told_when_no_pool_takes_work() {
    let registry = Registry::<()>::new(ScopeLimits::default());
    let pool = "web/grpc".parse().unwrap();
    registry
        .get_or_create(&pool, PoolConfig::default())
        .unwrap();
    let health = Health::new();
    let _following = health.follow(&registry);
    let mut client = client(&health).await;
    let mut watch = Watch::of(&mut client, "").await;
    assert_eq!(watch.told().await, SERVING);
    let mut second = 0;
    let mut tick = || {
        second += 1;
        let now = Timestamp::after_start(Duration::from_secs(second));
        registry.tick(now, Duration::ZERO);
    };
    // It starts: for pools that is not to take work.
    (0..3).for_each(|_| tick());
    assert_eq!(watch.told().await, NOT_SERVING);
    registry.set_state(ServingState::Serving);
    (0..60).for_each(|_| tick());
    assert_eq!(watch.told().await, SERVING);
}

#[tokio::test]
async fn following_ends_with_its_guard() {
    let registry = Registry::<()>::new(ScopeLimits::default());
    let health = Health::new();
    drop(health.follow(&registry));
    registry.tell_drain("delay");
    let mut client = client(&health).await;
    assert_eq!(check(&mut client, "").await, Ok(SERVING));
}
