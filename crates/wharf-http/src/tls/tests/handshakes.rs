use std::num::NonZeroU32;
use std::pin::pin;
use std::time::Duration;

use super::*;
use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};
use wharf_testkit::tls::hostile::stall;

fn at_most(limit: u32) -> NonZeroU32 {
    NonZeroU32::new(limit).unwrap()
}

#[tokio::test]
async fn turns_are_taken_in_the_order_of_arrival() {
    let handshakes = Handshakes::new(at_most(1));
    let first = handshakes.turn().await;
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(handshakes.turn())).collect();
    for wait in &mut waiting {
        assert!(wait.now_or_never().is_none());
    }
    assert_eq!((handshakes.active(), handshakes.waiting()), (1, 5));
    let mut turn = first;
    while !waiting.is_empty() {
        drop(turn);
        // Nobody overtakes, whoever is asked first.
        for later in waiting.iter_mut().skip(1).rev() {
            assert!(later.now_or_never().is_none());
        }
        assert!(handshakes.turn().now_or_never().is_none());
        turn = waiting.remove(0).now_or_never().unwrap();
        assert_eq!(
            (handshakes.active(), handshakes.waiting()),
            (1, waiting.len())
        );
    }
    drop(turn);
    assert_eq!((handshakes.active(), handshakes.waiting()), (0, 0));
}

#[tokio::test]
async fn a_dropped_wait_holds_nothing() {
    let handshakes = Handshakes::new(at_most(1));
    let turn = handshakes.turn().await;
    let mut gone = Box::pin(handshakes.turn());
    let mut next = pin!(handshakes.turn());
    assert!((&mut gone).now_or_never().is_none());
    assert!(next.as_mut().now_or_never().is_none());
    // Given to the first in the queue, who never came to know.
    drop(turn);
    drop(gone);
    assert_eq!(handshakes.waiting(), 1);
    let turn = next.now_or_never().unwrap();
    assert_eq!((handshakes.active(), handshakes.waiting()), (1, 0));
    drop(turn);
    assert_eq!(handshakes.active(), 0);
}

#[tokio::test]
async fn a_raised_limit_lets_in_at_once_and_a_lowered_one_lets_finish_first() {
    let handshakes = Handshakes::new(at_most(1));
    let take = || handshakes.turn().now_or_never();
    let mut turns = vec![take().unwrap()];
    assert!(take().is_none());
    let mut waiting = pin!(handshakes.turn());
    assert!(waiting.as_mut().now_or_never().is_none());
    handshakes.set_limit(at_most(3));
    turns.push(waiting.now_or_never().unwrap());
    turns.push(take().unwrap());
    assert!(take().is_none());
    handshakes.set_limit(at_most(1));
    assert_eq!((handshakes.limit(), handshakes.active()), (at_most(1), 3));
    turns.pop();
    assert!(take().is_none());
    turns.pop();
    assert!(take().is_none());
    turns.pop();
    turns.push(take().unwrap());
    assert!(take().is_none());
    // Down, and up again before any has finished: none is lost and none is made.
    handshakes.set_limit(at_most(4));
    turns.extend([take().unwrap(), take().unwrap(), take().unwrap()]);
    handshakes.set_limit(at_most(2));
    handshakes.set_limit(at_most(3));
    turns.pop();
    assert!(take().is_none());
    turns.pop();
    turns.push(take().unwrap());
    assert!(take().is_none());
    turns.clear();
    let again: Vec<_> = std::iter::from_fn(take).take(10).collect();
    assert_eq!(again.len(), 3);
}

#[tokio::test]
async fn a_limit_lowered_over_a_turn_that_was_given_and_not_taken_holds() {
    let handshakes = Handshakes::new(at_most(2));
    let (one, two) = (handshakes.turn().await, handshakes.turn().await);
    let mut gone = Box::pin(handshakes.turn());
    assert!((&mut gone).now_or_never().is_none());
    drop(two);
    handshakes.set_limit(at_most(1));
    drop(gone);
    assert!(handshakes.turn().now_or_never().is_none());
    drop(one);
    let one = handshakes.turn().now_or_never();
    assert!(one.is_some());
    assert!(handshakes.turn().now_or_never().is_none());
}

/// The first message of a client that then says no more, and where it says it.
async fn staller(acceptor: &Acceptor, client: &Arc<ClientConfig>) -> DuplexStream {
    let (near, mut far) = duplex(64 * 1024);
    stall(client, &mut far).await;
    let acceptor = acceptor.clone();
    tokio::task::spawn_local(async move {
        let accept = acceptor.accept(near, Vec::new());
        drop(timeout(Duration::from_secs(10), accept).await);
    });
    far
}

#[tokio::test(start_paused = true)]
async fn clients_that_stall_after_their_hello_give_way_after_a_second() {
    let ca = Authority::new("ca");
    let handshakes = Handshakes::new(at_most(4));
    let certificates = Certificates::new(certificate(&ca.server(&["localhost"])), vec![]);
    let acceptor = Acceptor::new(&certificates, vec![], ClientAuth::Off, &handshakes).unwrap();
    let client = Client::of(&ca).config();
    let tasks = tokio::task::LocalSet::new();
    let (acceptor, handshakes) = (&acceptor, &handshakes);
    tasks
        .run_until(async move {
            let mut stallers = Vec::new();
            for _ in 0..8 {
                stallers.push(staller(acceptor, &client).await);
            }
            sleep(Duration::from_millis(10)).await;
            assert_eq!((handshakes.active(), handshakes.waiting()), (4, 4));
            let begun = Instant::now();
            talk(acceptor, &client, "localhost").await;
            let waited = begun.elapsed().as_secs_f32();
            // Behind two rounds of four.
            assert!((1.9..2.2).contains(&waited), "{waited}");
            assert_eq!((handshakes.active(), handshakes.waiting()), (0, 0));
        })
        .await;
}

#[tokio::test]
async fn a_handshake_gives_its_turn_back_however_it_ends() {
    let ca = Authority::new("ca");
    let handshakes = Handshakes::new(at_most(1));
    let certificates = Certificates::new(certificate(&ca.server(&["localhost"])), vec![]);
    let alpn = vec![Alpn::Http1];
    let acceptor = Acceptor::new(&certificates, alpn, ClientAuth::Off, &handshakes).unwrap();
    talk(&acceptor, &Client::of(&ca).config(), "localhost").await;
    assert_eq!(handshakes.active(), 0);
    let refused = Client::of(&ca).alpn(&["h2"]).config();
    meet(&acceptor, &refused, "localhost").await.0.unwrap_err();
    assert_eq!(handshakes.active(), 0);
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async {
            let client = Client::of(&ca).config();
            let far = staller(&acceptor, &client).await;
            while handshakes.active() == 0 {
                tokio::task::yield_now().await;
            }
            drop(far);
            talk(&acceptor, &client, "localhost").await;
        })
        .await;
    assert_eq!(handshakes.active(), 0);
}
