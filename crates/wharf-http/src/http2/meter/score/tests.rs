use std::time::Duration;

use super::{Score, Standing};
use crate::http2::meter::abuse::Http2Abuse;
use crate::http2::meter::abuse::Http2Abuse::{PingFlood, RapidReset, WindowUpdateFlood};
use crate::http2::meter::allowance::ALLOWANCES;
use wharf_control::Timestamp;

fn score() -> Score {
    Score::new(&ALLOWANCES, Timestamp::ZERO)
}

fn at(millis: u64) -> Timestamp {
    Timestamp::after_start(Duration::from_millis(millis))
}

#[test]
fn each_budget_is_fine_then_warned_then_overdrawn() {
    for kind in Http2Abuse::ALL {
        let burst = ALLOWANCES[kind.index()].burst;
        let mut score = score();
        score.charge(kind, burst * 3 / 4 - 1);
        assert_eq!(score.standing(), Standing::Fine, "{kind:?}");
        score.charge(kind, 1);
        assert_eq!(score.standing(), Standing::Warned(kind));
        score.charge(kind, burst / 4);
        assert_eq!(score.standing(), Standing::Warned(kind));
        score.charge(kind, 1);
        assert_eq!(score.standing(), Standing::Abusive(kind));
    }
}

#[test]
fn the_first_warning_and_the_first_verdict_stay() {
    let mut score = score();
    score.charge(PingFlood, 800);
    score.charge(RapidReset, 80);
    score.refill(at(3_600_000));
    assert_eq!(score.standing(), Standing::Warned(PingFlood));
    score.charge(RapidReset, 101);
    score.charge(PingFlood, 1_001);
    assert_eq!(score.standing(), Standing::Abusive(RapidReset));
}

#[test]
fn time_gives_back_what_was_spent_and_no_more() {
    let mut score = score();
    score.charge(PingFlood, 700);
    score.refill(at(7_000));
    score.refill(Timestamp::MAX);
    score.charge(PingFlood, 749);
    assert_eq!(score.standing(), Standing::Fine);
    score.charge(PingFlood, 1);
    assert_eq!(score.standing(), Standing::Warned(PingFlood));
}

#[test]
fn a_clock_that_goes_back_gives_nothing() {
    let mut score = Score::new(&ALLOWANCES, at(60_000));
    score.charge(PingFlood, 700);
    score.refill(at(0));
    score.refill(at(60_000));
    score.charge(PingFlood, 50);
    assert_eq!(score.standing(), Standing::Warned(PingFlood));
}

#[test]
fn what_is_earned_has_a_bound() {
    let mut score = score();
    for _ in 0..10 {
        score.earn(WindowUpdateFlood, u32::MAX);
    }
    score.refill(at(1));
    score.charge(WindowUpdateFlood, 20_000);
    assert_eq!(score.standing(), Standing::Warned(WindowUpdateFlood));
    score.charge(WindowUpdateFlood, 1);
    assert_eq!(score.standing(), Standing::Abusive(WindowUpdateFlood));
}
