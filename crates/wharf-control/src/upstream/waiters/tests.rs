use std::time::Duration;

use proptest::prelude::*;

use super::{CodelSettings, Fate, NoPlace, Waiters, longest_wait};
use crate::Timestamp;

const SERVICE: Duration = Duration::from_millis(10);

fn at(millis: u64) -> Timestamp {
    Timestamp::after_start(Duration::from_millis(millis))
}

fn queue(most: usize) -> Waiters<u32> {
    Waiters::new(most, CodelSettings::default(), at(0))
}

#[test]
fn the_important_go_first_and_among_equals_the_nearest_deadline() {
    let mut queue = queue(9);
    for (value, (importance, deadline)) in
        [(1, 900), (2, 950), (2, 800), (1, 100)].iter().enumerate()
    {
        let value = u32::try_from(value).unwrap();
        queue
            .join(*importance, at(*deadline), value, at(0))
            .unwrap();
    }
    let order: Vec<_> = std::iter::from_fn(|| queue.next(SERVICE, at(1))).collect();
    assert_eq!(
        order,
        [2, 1, 3, 0].map(|value| (value, Fate::Serve)).to_vec()
    );
}

#[test]
fn a_full_queue_takes_only_who_is_more_important_than_the_last() {
    let mut queue = queue(2);
    queue.join(1, at(100), 1, at(0)).unwrap();
    queue.join(1, at(200), 2, at(0)).unwrap();
    assert_eq!(queue.join(1, at(50), 3, at(0)), Err(NoPlace(3)));
    let (_, displaced) = queue.join(2, at(300), 4, at(0)).unwrap();
    assert_eq!(displaced, Some(2));
    assert_eq!(queue.len(), 2);
    let mut none = Waiters::new(0, CodelSettings::default(), at(0));
    assert_eq!(none.join(9, at(1), 5, at(0)), Err(NoPlace(5)));
}

#[test]
fn a_queue_that_becomes_shorter_keeps_who_waits_and_takes_nobody() {
    let mut queue = queue(2);
    queue.join(1, at(100), 1, at(0)).unwrap();
    queue.join(1, at(200), 2, at(0)).unwrap();
    queue.set(1, CodelSettings::default());
    assert_eq!(queue.len(), 2);
    queue.next(SERVICE, at(1)).unwrap();
    assert_eq!(queue.join(1, at(300), 3, at(1)), Err(NoPlace(3)));
    queue.set(2, CodelSettings::default());
    assert!(queue.join(1, at(300), 3, at(1)).is_ok());
}

#[test]
fn who_cannot_be_answered_in_time_is_told_so() {
    let mut queue = queue(9);
    queue.join(1, at(20), 1, at(0)).unwrap();
    queue.join(1, at(21), 2, at(0)).unwrap();
    assert_eq!(queue.next(SERVICE, at(11)), Some((1, Fate::TooLate)));
    assert_eq!(queue.next(SERVICE, at(11)), Some((2, Fate::Serve)));
    assert_eq!(queue.next(SERVICE, at(11)), None);
}

#[test]
fn while_the_queue_stands_the_newest_is_served_and_the_old_are_shed() {
    let mut queue = queue(99);
    for value in 0..20_u32 {
        queue
            .join(1, at(60_000), value, at(u64::from(value)))
            .unwrap();
    }
    // The shortest wait of the first 100 ms is 30 ms.
    assert_eq!(queue.next(SERVICE, at(30)), Some((0, Fate::Serve)));
    assert_eq!(queue.next(SERVICE, at(100)), Some((19, Fate::Shed)));
    queue.join(1, at(60_000), 20, at(101)).unwrap();
    assert_eq!(queue.next(SERVICE, at(102)), Some((20, Fate::Serve)));
    // Someone waited 1 ms: in the next interval it does not stand, and it is the eldest's turn again.
    assert_eq!(queue.next(SERVICE, at(200)), Some((1, Fate::Serve)));
}

#[test]
fn a_third_of_what_is_left_is_spent_waiting() {
    assert_eq!(longest_wait(at(400), at(100)), at(200));
    assert_eq!(longest_wait(at(50), at(100)), at(100));
}

proptest! {
    #[test]
    fn everybody_leaves_once_and_both_orders_hold_the_same(
        steps in prop::collection::vec((0..6_u8, 0..4_u8, 1..500_u64), 1..200),
    ) {
        let mut queue = queue(20);
        let (mut now, mut inside, mut tickets) = (0, Vec::new(), Vec::new());
        for (value, (action, importance, ms)) in (0_u32..).zip(steps) {
            now += ms / 10;
            let mut gone = Vec::new();
            match action {
                0..3 => match queue.join(importance, at(now + ms), value, at(now)) {
                    Ok((ticket, displaced)) => {
                        inside.push(value);
                        tickets.push((ticket, value));
                        gone.extend(displaced);
                    }
                    Err(NoPlace(refused)) => {
                        prop_assert_eq!(refused, value);
                        prop_assert_eq!(queue.len(), 20);
                    }
                },
                3..5 => gone.extend(queue.next(SERVICE, at(now)).map(|(value, _)| value)),
                _ => if let Some((ticket, value)) = tickets.pop() {
                    let left = queue.leave(ticket);
                    prop_assert_eq!(left.is_some(), inside.contains(&value));
                    gone.extend(left);
                }
            }
            for gone in gone {
                let place = inside.iter().position(|&value| value == gone);
                prop_assert!(place.is_some(), "{} left twice", gone);
                inside.swap_remove(place.unwrap());
            }
            prop_assert_eq!(queue.len(), inside.len());
            prop_assert_eq!(queue.newest.len(), queue.waiting.len());
            prop_assert_eq!(queue.is_empty(), inside.is_empty());
        }
    }
}
