use std::time::Duration;

use proptest::prelude::*;

use super::Standing::{Busy, Closing, Idle, Silent};
use super::{
    Candidate, IDLE_FOR_LOWERED, IDLE_LONG_ENOUGH, SILENT_ANY_SOURCE, SILENT_OLD_ENOUGH, Source,
    Standing, victims,
};
use crate::Timestamp;

const NOW: Timestamp = Timestamp::from_nanos(3_600_000_000_000);

/// Connections as `(source, standing, age in milliseconds)`, keyed by their place in the list.
fn crowd(connections: &[(u128, Standing, u64)]) -> Vec<Candidate<usize>> {
    let candidate = |(key, &(source, standing, millis)): (usize, &(u128, Standing, u64))| {
        // Ages differ by their place, so that there is exactly one right order.
        let age = Duration::from_millis(millis) + Duration::from_nanos(key as u64);
        let since = Timestamp::from_nanos(NOW.as_nanos() - Timestamp::after_start(age).as_nanos());
        Candidate {
            key,
            source: Source(source),
            standing,
            since,
        }
    };
    connections.iter().enumerate().map(candidate).collect()
}

fn chosen(
    connections: &[(u128, Standing, u64)],
    newcomer: Option<u128>,
    at_most: usize,
) -> Vec<usize> {
    victims(
        crowd(connections).into_iter(),
        newcomer.map(Source),
        NOW,
        at_most,
    )
}

#[test]
fn silent_goes_before_idle_and_the_oldest_first() {
    let connections = [
        (1, Idle, 60_000),
        (2, Silent, 2_000),
        (3, Silent, 5_000),
        (1, Idle, 90_000),
    ];
    assert_eq!(chosen(&connections, Some(9), 9), [2, 1, 3, 0]);
    assert_eq!(chosen(&connections, Some(9), 2), [2, 1]);
    assert_eq!(chosen(&connections, Some(9), 0), [0; 0]);
}

#[test]
fn a_burst_of_honest_connects_does_not_kill_itself() {
    assert_eq!(
        chosen(&[(1, Silent, 99), (2, Silent, 50)], Some(9), 9),
        [0; 0]
    );
    assert_eq!(
        chosen(&[(1, Silent, 100), (2, Silent, 50)], Some(9), 9),
        [0]
    );
}

#[test]
fn idle_connections_go_from_the_source_that_holds_the_most() {
    let connections = [
        (1, Idle, 90_000),
        (2, Idle, 2_000),
        (2, Busy, 0),
        (2, Idle, 3_000),
    ];
    assert_eq!(chosen(&connections, Some(9), 1), [3]);
    // After two, source 2 holds no more than source 1: now the longer time decides.
    assert_eq!(chosen(&connections, Some(9), 9), [3, 1, 0]);
}

#[test]
fn of_equal_sources_the_longest_idle_one_goes() {
    let connections = [
        (1, Idle, 2_000),
        (2, Idle, 4_000),
        (3, Idle, 3_000),
        (4, Idle, 999),
    ];
    assert_eq!(chosen(&connections, Some(9), 1), [1]);
}

#[test]
fn a_flood_pushes_out_only_itself() {
    // Source 1 floods; its connections are idle for a shorter time than those of honest 2 and 3.
    let mut connections = vec![(1, Idle, 1_500); 10];
    connections.extend([(2, Idle, 60_000), (3, Idle, 70_000), (3, Idle, 70_000)]);
    let gone = chosen(&connections, Some(1), 99);
    assert_eq!(gone.len(), 10);
    assert!(gone.iter().all(|&key| key < 10));
    // With work in flight on each of its own there is nothing to be had.
    let busy: Vec<_> = connections
        .iter()
        .map(|&(source, standing, age)| (source, if source == 1 { Busy } else { standing }, age))
        .collect();
    assert_eq!(chosen(&busy, Some(1), 99), [0; 0]);
    // An honest newcomer gets its place from the flood all the same.
    assert!(chosen(&connections, Some(4), 1)[0] < 10);
}

#[test]
fn a_source_at_the_top_begins_with_its_own_silent_ones() {
    let connections = [
        (1, Silent, 200),
        (1, Silent, 300),
        (2, Silent, 30_000),
        (2, Silent, 999),
    ];
    assert_eq!(chosen(&connections[..3], Some(1), 9), [1, 0, 2]);
    assert_eq!(
        chosen(&connections[1..], Some(1), 9),
        [1, 0],
        "the young one of 2 is protected"
    );
    assert_eq!(chosen(&connections, Some(3), 9), [2, 3, 1, 0]);
}

#[test]
fn connections_that_are_closing_still_weigh_on_the_newcomer_but_not_on_the_others() {
    // Source 1 holds three, two of them closing: with the newcomer it would hold four.
    let flood = [
        (1, Closing, 0),
        (1, Closing, 0),
        (1, Busy, 0),
        (2, Idle, 9_000),
        (2, Idle, 9_000),
    ];
    assert_eq!(chosen(&flood, Some(1), 9), [0; 0]);
    let silent = [
        flood[0],
        flood[1],
        (1, Silent, 200),
        (2, Silent, 9_000),
        (2, Busy, 0),
    ];
    assert_eq!(chosen(&silent, Some(1), 9), [2, 3], "its own first");
    // Source 1 gave up two already: now it is the turn of source 2.
    let given = [
        (1, Closing, 0),
        (1, Closing, 0),
        (1, Idle, 9_000),
        (2, Idle, 2_000),
        (2, Busy, 0),
    ];
    assert_eq!(chosen(&given, Some(9), 1), [3]);
}

#[test]
fn a_lowered_limit_levels_all_sources() {
    let connections = [
        (1, Idle, 2_000),
        (1, Idle, 3_000),
        (1, Idle, 4_000),
        (2, Idle, 9_000),
    ];
    assert_eq!(chosen(&connections, None, 9), [2, 1, 3, 0]);
    let paused = [(1, Idle, 499), (1, Idle, 500)];
    assert_eq!(chosen(&paused, None, 9), [1], "sooner than for a newcomer");
    assert_eq!(chosen(&paused, Some(1), 9), [0; 0]);
}

fn any_connection() -> impl Strategy<Value = (u128, Standing, u64)> {
    let standing = prop_oneof![
        2 => Just(Silent), 4 => Just(Idle), 2 => Just(Busy), 1 => Just(Closing)
    ];
    // Few sources, of which one is large, and ages around the limits.
    let source = prop_oneof![1 => Just(0_u128), 2 => 0..6_u128];
    (
        source,
        standing,
        prop_oneof![0..200_u64, 900..1_100_u64, 0..5_000_u64],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_choice_is_that_of_one_after_the_other(
        connections in prop::collection::vec(any_connection(), 0..40),
        newcomer in prop::option::weighted(0.9, 0..7_u128),
        at_most in 0..20_usize,
    ) {
        let chosen = chosen(&connections, newcomer, at_most);
        prop_assert_eq!(chosen, naive(&crowd(&connections), newcomer.map(Source), at_most));
    }

    #[test]
    fn nobody_loses_an_idle_connection_to_a_source_that_would_hold_more(
        connections in prop::collection::vec(any_connection(), 0..40),
        newcomer in 0..7_u128,
        at_most in 0..20_usize,
    ) {
        let chosen = chosen(&connections, Some(newcomer), at_most);
        prop_assert!(chosen.len() <= at_most);
        let would_hold = 1 + connections.iter().filter(|(source, ..)| *source == newcomer).count();
        for (turn, &key) in chosen.iter().enumerate() {
            let (source, standing, age) = connections[key];
            prop_assert!(!chosen[..turn].contains(&key));
            let old_enough = match standing {
                Silent => age >= 100,
                Idle => age >= 1_000,
                Busy | Closing => false,
            };
            prop_assert!(old_enough);
            let holds = connections
                .iter()
                .enumerate()
                .filter(|(other, (of, standing, _))| {
                    *of == source && *standing != Closing && !chosen[..turn].contains(other)
                })
                .count();
            if source != newcomer && (standing == Idle || age < 1_000) {
                prop_assert!(holds >= would_hold);
            }
        }
    }
}

/// The same policy, one victim at a time, all counts anew for each.
fn naive(crowd: &[Candidate<usize>], newcomer: Option<Source>, at_most: usize) -> Vec<usize> {
    let mut left: Vec<Candidate<usize>> = crowd.to_vec();
    let holds = |left: &[Candidate<usize>], source: Source| {
        left.iter()
            .filter(|c| c.source == source && c.standing != Closing)
            .count()
    };
    let share = newcomer.map_or(0, |newcomer| {
        1 + crowd.iter().filter(|c| c.source == newcomer).count()
    });
    let most = crowd
        .iter()
        .map(|c| holds(crowd, c.source))
        .max()
        .unwrap_or(0);
    let at_the_top = newcomer.is_some() && share > most;
    let idle_enough = newcomer.map_or(IDLE_FOR_LOWERED, |_| IDLE_LONG_ENOUGH);

    let mut victims = Vec::new();
    while victims.len() < at_most {
        let own = |c: &Candidate<usize>| newcomer == Some(c.source);
        let rule = |c: &Candidate<usize>| own(c) || holds(&left, c.source) >= share;
        let silent = left
            .iter()
            .filter(|c| c.standing == Silent && NOW - c.since >= SILENT_OLD_ENOUGH)
            .filter(|c| rule(c) || NOW - c.since >= SILENT_ANY_SOURCE)
            .min_by_key(|c| (!(at_the_top && own(c)), c.since));
        let idle = left
            .iter()
            .filter(|c| c.standing == Idle && NOW - c.since >= idle_enough && rule(c))
            .max_by_key(|c| (holds(&left, c.source), NOW - c.since));
        let Some(key) = silent.or(idle).map(|c| c.key) else {
            break;
        };
        left.retain(|c| c.key != key);
        victims.push(key);
    }
    victims
}
