use std::time::Duration;

use proptest::prelude::*;

use super::{ConcurrencyLimit, ConcurrencySettings, Verdict};
use crate::overload::LimitWindow;
use crate::{Random, Timestamp};

const MS: Duration = Duration::from_millis(1);

/// A window at the limit, of steady throughput.
fn window(limit: &ConcurrencyLimit, p50: u32) -> LimitWindow {
    LimitWindow {
        p50: p50 * MS,
        p90: 2 * p50 * MS,
        throughput: 1_600.0,
        most_in_flight: limit.limit(),
        failed: 0.0,
        lag: None,
    }
}

struct Server {
    limit: ConcurrencyLimit,
    random: Random,
    now: Timestamp,
}

impl Server {
    fn new(settings: ConcurrencySettings) -> Self {
        Self {
            limit: ConcurrencyLimit::new(settings, Timestamp::ZERO),
            random: Random::new(1),
            now: Timestamp::ZERO,
        }
    }

    fn meet(&mut self, window: LimitWindow) -> Verdict {
        self.now = self.now.after(200 * MS);
        self.limit.on_window(&window, &mut self.random, self.now)
    }
}

#[test]
fn without_a_queue_there_is_room_and_with_one_the_limit_falls_by_a_fifth_at_most() {
    let mut server = Server::new(ConcurrencySettings::default());
    let steady = window(&server.limit, 10);
    assert_eq!(server.meet(steady), Verdict::Room);
    assert_eq!(server.limit.limit(), 22);
    let slow = window(&server.limit, 40);
    assert_eq!(server.meet(slow), Verdict::Queueing);
    assert_eq!(server.limit.limit(), 17);
}

#[test]
fn what_the_limit_does_not_hold_back_does_not_change_it() {
    let mut server = Server::new(ConcurrencySettings::default());
    for latency in [10, 500, 1, 70] {
        let mut window = window(&server.limit, latency);
        window.most_in_flight = 15;
        assert_eq!(server.meet(window), Verdict::Hold);
    }
    assert_eq!(server.limit.limit(), 20);
}

#[test]
fn longer_latency_with_as_much_more_done_is_growth() {
    let mut server = Server::new(ConcurrencySettings::default());
    let mut verdicts = Vec::new();
    for n in 0..20 {
        let mut window = window(&server.limit, 10 + 10 * n);
        window.throughput = 100.0 * f64::from(window.most_in_flight);
        verdicts.push(server.meet(window));
    }
    assert_eq!(verdicts.last(), Some(&Verdict::Growing));
    assert!(server.limit.limit() > 20);
}

#[test]
fn failures_lag_and_a_ceiling_brake_in_this_order() {
    let ceiling = Some(50 * MS);
    let mut server = Server::new(ConcurrencySettings {
        ceiling,
        initial: 100,
        ..ConcurrencySettings::default()
    });
    let mut window = window(&server.limit, 60);
    window.failed = 0.2;
    window.lag = Some(30 * MS);
    assert_eq!(server.meet(window), Verdict::Failing);
    assert_eq!(server.limit.limit(), 90);
    window.failed = 0.0;
    assert_eq!(server.meet(window), Verdict::Lagging);
    assert_eq!(server.limit.limit(), 81);
    window.lag = None;
    assert_eq!(server.meet(window), Verdict::OverCeiling);
    assert_eq!(server.limit.limit(), 56);
}

#[test]
fn every_ten_seconds_a_moment_with_half_the_limit_measures_anew() {
    let mut server = Server::new(ConcurrencySettings::default());
    let mut probes = 0;
    for _ in 0..300 {
        let before = server.limit.limit();
        let steady = window(&server.limit, 10);
        if server.meet(steady) == Verdict::Probing {
            probes += 1;
        } else if server.limit.epoch() == server.now {
            assert!(server.limit.limit() <= before / 2 + 20);
        }
    }
    assert!((4..=6).contains(&probes), "{probes} in a minute");
}

#[test]
fn where_requests_take_a_second_a_probe_takes_one_too_and_is_as_much_rarer() {
    let mut server = Server::new(ConcurrencySettings::default());
    let mut probes = Vec::new();
    for _ in 0..1_500 {
        let slow = window(&server.limit, 1_000);
        let probing = server.meet(slow) == Verdict::Probing;
        if probing && !matches!(probes.last(), Some((_, end)) if server.now - *end <= 200 * MS) {
            probes.push((server.now, server.now));
        } else if probing && let Some((_, end)) = probes.last_mut() {
            *end = server.now;
        }
    }
    assert!(
        (5..=8).contains(&probes.len()),
        "{probes:?} in five minutes"
    );
    for (begin, end) in probes {
        assert_eq!(end - begin, 800 * MS);
    }
}

#[test]
fn a_probe_ends_on_time_though_nothing_else_does() {
    let mut server = Server::new(ConcurrencySettings::default());
    while server.limit.epoch() == Timestamp::ZERO {
        let steady = window(&server.limit, 10);
        server.meet(steady);
    }
    let (begun, within) = (server.now, server.limit.limit());
    assert!(
        !server
            .limit
            .on_time(&mut server.random, begun.after(199 * MS))
    );
    assert!(
        server
            .limit
            .on_time(&mut server.random, begun.after(200 * MS))
    );
    assert!(server.limit.limit() > within);
    assert!(
        !server
            .limit
            .on_time(&mut server.random, begun.after(300 * MS))
    );
}

#[test]
fn in_a_lull_nothing_is_probed() {
    let mut server = Server::new(ConcurrencySettings::default());
    for _ in 0..300 {
        let mut window = window(&server.limit, 10);
        window.most_in_flight = 1;
        assert_eq!(server.meet(window), Verdict::Hold);
    }
    assert_eq!(server.limit.epoch(), Timestamp::ZERO);
}

#[test]
fn whoever_is_stranded_at_the_least_measures_anew_after_a_second() {
    let mut server = Server::new(ConcurrencySettings::default());
    let steady = window(&server.limit, 10);
    server.meet(steady);
    let mut windows = 0;
    while server.limit.epoch() == Timestamp::ZERO {
        let slow = window(&server.limit, 1_000);
        server.meet(slow);
        windows += 1;
    }
    assert!(windows < 30, "{windows}");
    // The probe takes a second too.
    for _ in 0..7 {
        let slow = window(&server.limit, 1_000);
        server.meet(slow);
    }
    assert!(server.limit.limit() > 2, "the new base is what is now");
}

proptest! {
    #[test]
    fn the_limit_stays_in_its_bounds_whatever_is_measured(
        least in 0..50_u32, most in 0..500_u32, initial in 0..1_000_u32,
        windows in prop::collection::vec(
            (0..5_000_u32, 0.0..1e6_f64, 0..1_000_u32, 0.0..1.0_f64, prop::option::of(0..500_u32)),
            0..200,
        ),
    ) {
        let ceiling = (least % 2 == 0).then_some(100 * MS);
        let mut server = Server::new(ConcurrencySettings { least, most, initial, ceiling });
        for (p50, throughput, most_in_flight, failed, lag) in windows {
            server.meet(LimitWindow {
                p50: p50 * MS,
                p90: 2 * p50 * MS,
                throughput,
                most_in_flight,
                failed,
                lag: lag.map(|lag| lag * MS),
            });
            let limit = server.limit.limit();
            prop_assert!(limit >= least.max(1) && limit <= most.max(least).max(1));
        }
    }
}
