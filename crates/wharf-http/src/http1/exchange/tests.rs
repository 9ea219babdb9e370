//! Who owes, and until when: each rule of the exchange on a timeline of its own.

use std::num::NonZeroU64;
use std::time::Duration;

use wharf_control::MinDataRate;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Timestamp {
    Timestamp::after_start(Duration::from_secs(seconds))
}

fn limits() -> Timeouts {
    Timeouts {
        dry_run: wharf_pool::config::DryRun::default(),
        connection: 30 * SECOND,
        headers: 10 * SECOND,
        request: Some(20 * SECOND),
        keep_alive: 75 * SECOND,
        stream_idle: Some(60 * SECOND),
        min_rate: Some(MinDataRate {
            bytes_per_second: NonZeroU64::new(240).unwrap(),
            grace: 5 * SECOND,
        }),
    }
}

fn due(exchange: &Exchange) -> Option<(Wait, u64)> {
    let deadline = exchange.deadline(&limits())?;
    Some((deadline.wait, deadline.at.as_nanos() / 1_000_000_000))
}

/// A connection, opened at 0, whose first request's head was complete at 1.
fn requested(body: bool) -> Exchange {
    let mut exchange = Exchange::new(at(0));
    exchange.head_complete(body, at(1));
    exchange.called(at(1));
    exchange
}

#[test]
fn a_silent_peer_has_until_the_connection_timeout() {
    assert_eq!(due(&Exchange::new(at(0))), Some((Wait::FirstRequest, 30)));
}

#[test]
fn the_first_byte_of_a_head_starts_its_own_time_and_more_bytes_do_not_restart_it() {
    let mut exchange = Exchange::new(at(0));
    exchange.head_begun(at(3));
    exchange.head_begun(at(9));
    assert_eq!(due(&exchange), Some((Wait::Head, 13)));
}

#[test]
fn a_head_begun_late_does_not_outlive_the_connection_timeout() {
    let mut exchange = Exchange::new(at(0));
    exchange.head_begun(at(29));
    assert_eq!(due(&exchange), Some((Wait::FirstRequest, 30)));
}

#[test]
fn the_second_head_has_the_same_time_as_the_first() {
    let mut exchange = requested(false);
    exchange.responded();
    exchange.answered(at(2));
    exchange.head_begun(at(50));
    assert_eq!(due(&exchange), Some((Wait::Head, 60)));
}

#[test]
fn between_requests_the_keep_alive_timeout_runs_from_the_last_answer() {
    let mut exchange = requested(false);
    exchange.responded();
    exchange.answered(at(9));
    assert!(exchange.is_idle());
    assert_eq!(due(&exchange), Some((Wait::NextRequest, 84)));
}

#[test]
fn the_handler_owes_from_the_end_of_the_request() {
    let mut exchange = requested(false);
    assert_eq!(due(&exchange), Some((Wait::Response, 21)));
    exchange.head_begun(at(5));
    assert_eq!(
        due(&exchange),
        Some((Wait::Response, 21)),
        "a pipelined head waits for the answer before it"
    );
    exchange.responded();
    exchange.answered(at(9));
    assert_eq!(due(&exchange), Some((Wait::Head, 19)));

    let mut exchange = requested(true);
    exchange.read_blocked(at(1));
    exchange.body_received(1_000_000, true, at(100));
    assert_eq!(due(&exchange), Some((Wait::Response, 120)));
}

#[test]
fn a_handler_that_does_not_read_its_body_owes_nevertheless() {
    let mut exchange = requested(true);
    assert_eq!(due(&exchange), Some((Wait::Response, 21)));
    exchange.body_received(100, false, at(7));
    assert_eq!(due(&exchange), Some((Wait::Response, 27)));
}

#[test]
fn while_the_body_is_awaited_the_peer_owes_and_not_the_handler() {
    let mut exchange = requested(true);
    exchange.read_blocked(at(2));
    assert_eq!(
        due(&exchange),
        Some((Wait::BodyRate, 7)),
        "silence is too slow after the grace"
    );
    exchange.body_received(10_000, false, at(4));
    exchange.read_blocked(at(4));
    assert_eq!(
        due(&exchange),
        Some((Wait::BodyRate, 11)),
        "what was sent is to its credit, as far as it was waited for"
    );
}

#[test]
fn without_a_minimum_rate_silence_is_judged_by_the_stream_idle_timeout() {
    let mut exchange = requested(true);
    exchange.read_blocked(at(2));
    let no_rate = Timeouts {
        min_rate: None,
        ..limits()
    };
    assert_eq!(
        exchange.deadline(&no_rate),
        Some(Deadline {
            at: at(62),
            wait: Wait::Peer
        })
    );
    exchange.responded();
    assert_eq!(
        exchange.deadline(&no_rate),
        None,
        "the response has begun: it may take its time"
    );
}

#[test]
fn a_quiet_response_is_not_the_peers_silence() {
    let mut exchange = requested(false);
    exchange.responded();
    assert_eq!(due(&exchange), None);
    exchange.unblocked(at(500));
    assert_eq!(due(&exchange), None);
}

#[test]
fn a_reader_that_stops_is_too_slow_after_the_grace() {
    let mut exchange = requested(false);
    exchange.responded();
    exchange.taken(100_000, at(2));
    exchange.write_blocked(at(2));
    exchange.write_blocked(at(4));
    assert_eq!(due(&exchange), Some((Wait::ReadRate, 7)));
}

#[test]
fn what_fills_a_readers_buffers_right_after_the_first_wait_is_no_credit() {
    let mut exchange = requested(false);
    exchange.responded();
    exchange.write_blocked(at(2));
    exchange.taken(1_000_000, at(2));
    assert_eq!(due(&exchange), Some((Wait::ReadRate, 7)));
    exchange.taken(3_000, at(4));
    assert_eq!(
        due(&exchange),
        Some((Wait::ReadRate, 11)),
        "what it takes later is"
    );
}

#[test]
fn a_reader_that_took_its_share_may_pause_until_the_stream_idle_timeout() {
    let mut exchange = requested(false);
    exchange.responded();
    exchange.write_blocked(at(2));
    exchange.taken(1_000_000, at(100));
    assert_eq!(due(&exchange), Some((Wait::Peer, 160)));
    assert!(!exchange.is_idle());
}

#[test]
fn an_answer_whose_tail_is_not_taken_keeps_the_connection_from_being_idle() {
    let mut exchange = requested(false);
    exchange.responded();
    exchange.write_blocked(at(2));
    exchange.answered(at(3));
    assert!(!exchange.is_idle());
    assert_eq!(due(&exchange), Some((Wait::ReadRate, 8)));
    exchange.unblocked(at(4));
    assert_eq!(due(&exchange), Some((Wait::NextRequest, 78)));
}

#[test]
fn a_body_that_nobody_reads_after_the_answer_ends_with_the_keep_alive_timeout() {
    let mut exchange = requested(true);
    exchange.responded();
    exchange.answered(at(2));
    assert_eq!(due(&exchange), Some((Wait::NextRequest, 77)));
}

#[test]
fn a_request_may_have_a_limit_of_its_own_or_none() {
    let mut exchange = requested(false);
    exchange.limit_response(Some(2 * SECOND));
    assert_eq!(due(&exchange), Some((Wait::Response, 3)));
    exchange.limit_response(None);
    assert_eq!(due(&exchange), None);
}

#[test]
fn an_expired_handler_is_told_once_and_waited_for_no_longer() {
    let mut exchange = requested(false);
    assert!(exchange.expire());
    assert!(!exchange.expire() && exchange.is_expired());
    assert_eq!(due(&exchange), None);
}

#[test]
fn pipelined_requests_are_outstanding_until_each_is_answered() {
    let mut exchange = requested(false);
    exchange.head_complete(false, at(1));
    assert_eq!(exchange.outstanding(), 2);
    exchange.responded();
    exchange.answered(at(2));
    assert!(!exchange.is_idle());
    exchange.called(at(2));
    assert_eq!(due(&exchange), Some((Wait::Response, 22)));
}
