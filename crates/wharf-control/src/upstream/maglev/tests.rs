use proptest::prelude::*;

use super::{LoadBound, Maglev, Node};
use crate::Random;
use crate::upstream::stable_hash;

fn nodes(weights: &[u32]) -> Vec<Node> {
    let named = |(index, &weight): (usize, &u32)| Node {
        hash: stable_hash(format!("10.0.0.{index}:80").as_bytes()),
        weight,
    };
    weights.iter().enumerate().map(named).collect()
}

fn places(maglev: &Maglev) -> Vec<u32> {
    let mut places = vec![0; maglev.shares.len()];
    for &node in &maglev.table {
        places[node as usize] += 1;
    }
    places
}

#[test]
fn without_weight_there_is_no_table() {
    assert!(Maglev::new(&[]).is_none());
    assert!(Maglev::new(&nodes(&[0, 0])).is_none());
}

#[test]
fn the_order_of_the_list_does_not_matter() {
    let mut list = nodes(&[1, 2, 3, 4]);
    let forward = Maglev::new(&list).unwrap();
    list.reverse();
    let backward = Maglev::new(&list).unwrap();
    for key in 0..10_000 {
        assert_eq!(forward.endpoint(key), 3 - backward.endpoint(key));
    }
}

#[test]
fn when_one_of_twenty_goes_few_other_keys_move() {
    let all = nodes(&[1; 20]);
    let (before, after) = (Maglev::new(&all).unwrap(), Maglev::new(&all[..19]).unwrap());
    let moved =
        |&key: &u64| before.endpoint(key) != 19 && before.endpoint(key) != after.endpoint(key);
    let others = (0..u64::from(Maglev::PLACES)).filter(moved).count();
    assert!(others < 65_537 * 4 / 100, "{others}");
}

#[test]
fn a_key_that_everybody_asks_for_is_spread_over_more_than_one() {
    let maglev = Maglev::new(&nodes(&[1; 10])).unwrap();
    let mut held = [0_u32; 10];
    for total in 0..1_000 {
        let chosen = maglev.bounded(42, LoadBound::default(), total, |endpoint| {
            Some(held[endpoint])
        });
        held[chosen.unwrap()] += 1;
    }
    assert_eq!(held.iter().max(), Some(&125));
    assert_eq!(held.iter().filter(|&&held| held > 0).count(), 8);
    assert_eq!(held[maglev.endpoint(42)], 125);
}

#[test]
fn who_may_not_be_asked_is_passed_over_and_the_last_one_is_asked_whatever_it_holds() {
    let maglev = Maglev::new(&nodes(&[1, 1, 1])).unwrap();
    for key in 0..1_000 {
        let only = |endpoint| (endpoint == 2).then_some(1_000);
        assert_eq!(
            maglev.bounded(key, LoadBound::default(), 1_000, only),
            Some(2)
        );
        assert_eq!(maglev.bounded(key, LoadBound::default(), 0, |_| None), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn everybody_has_its_share_of_the_places_but_for_one(
        weights in prop::collection::vec(0..10_u32, 1..60),
    ) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        let maglev = Maglev::new(&nodes(&weights)).unwrap();
        for (places, share) in places(&maglev).into_iter().zip(&maglev.shares) {
            let fair = share * f64::from(Maglev::PLACES);
            prop_assert!((f64::from(places) - fair).abs() <= 1.0 + 1e-6, "{} of {}", places, fair);
        }
    }

    #[test]
    fn nobody_ever_holds_more_than_its_bound(
        weights in prop::collection::vec(1..5_u32, 2..20),
        keys in 1..100_u64,
        seed: u64,
    ) {
        let maglev = Maglev::new(&nodes(&weights)).unwrap();
        let bound = LoadBound::default();
        let mut held = vec![0_u32; weights.len()];
        let mut random = Random::new(seed);
        for total in 0..500_u32 {
            let key = stable_hash(&(random.next_u64() % keys).to_le_bytes());
            let chosen = maglev.bounded(key, bound, total, |endpoint| Some(held[endpoint])).unwrap();
            held[chosen] += 1;
            prop_assert!(held[chosen] <= bound.most(total, maglev.shares[chosen]));
        }
    }
}
