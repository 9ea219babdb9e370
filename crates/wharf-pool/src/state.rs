//! [`State`]: where a connection stands, how much is in flight, and since when, in one word.
//!
//! One word, because the three are judged together: an end and a begin on two workers, each in its
//! own variable, could leave a busy connection marked idle, and reclaim would close it.

use wharf_control::Timestamp;

use crate::Phase;
use crate::sync::{AtomicU64, Ordering};

/// The state of one connection as it was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) in_flight: u32,
    /// Since when the phase holds, to the millisecond.
    pub(crate) since: Timestamp,
}

/// The state that is in force; changed in one function.
#[derive(Debug)]
pub(crate) struct StateCell(AtomicU64);

impl StateCell {
    pub(crate) fn new(phase: Phase, now: Timestamp) -> Self {
        Self(AtomicU64::new(
            State {
                phase,
                in_flight: 0,
                since: now,
            }
            .pack(),
        ))
    }

    pub(crate) fn load(&self) -> State {
        State::unpack(self.0.load(Ordering::Relaxed))
    }

    /// A request begins.
    pub(crate) fn begin(&self, now: Timestamp) {
        self.change(|state| {
            let busy = State {
                in_flight: state.in_flight + 1,
                ..state
            };
            match state.phase {
                Phase::Active | Phase::Closing => busy,
                Phase::Detecting | Phase::Opening | Phase::Idle => {
                    busy.entering(Phase::Active, now)
                }
            }
        });
    }

    /// A request is over.
    pub(crate) fn end(&self, now: Timestamp) {
        self.change(|state| {
            let less = State {
                in_flight: state.in_flight.saturating_sub(1),
                ..state
            };
            match (less.in_flight, state.phase) {
                (0, Phase::Active) => less.entering(Phase::Idle, now),
                _ => less,
            }
        });
    }

    /// It is known what the peer speaks.
    pub(crate) fn detected(&self, now: Timestamp) {
        self.change(|state| match state.phase {
            Phase::Detecting => state.entering(Phase::Opening, now),
            Phase::Opening | Phase::Active | Phase::Idle | Phase::Closing => state,
        });
    }

    /// The peer has done its part of the opening, and has asked for nothing yet.
    pub(crate) fn greeted(&self, now: Timestamp) {
        self.change(|state| match state.phase {
            Phase::Detecting | Phase::Opening => state.entering(Phase::Idle, now),
            Phase::Active | Phase::Idle | Phase::Closing => state,
        });
    }

    /// It has begun to end. Nothing leads out of that phase.
    pub(crate) fn closing(&self, now: Timestamp) {
        self.change(|state| match state.phase {
            Phase::Closing => state,
            Phase::Detecting | Phase::Opening | Phase::Active | Phase::Idle => {
                state.entering(Phase::Closing, now)
            }
        });
    }

    /// The one place where a state changes. Relaxed: the word says nothing about other memory.
    fn change(&self, next: impl Fn(State) -> State) {
        let changed = |word| Some(next(State::unpack(word)).pack());
        // The closure never declines, so there is no error.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
    }
}

/// From the lowest bit: the phase, what is in flight (two million), the milliseconds (34 years).
const PHASE_BITS: u32 = 3;
const IN_FLIGHT_BITS: u32 = 21;
const NANOS_PER_MILLI: u64 = 1_000_000;

impl State {
    fn entering(self, phase: Phase, now: Timestamp) -> Self {
        Self {
            phase,
            since: now,
            ..self
        }
    }

    fn pack(self) -> u64 {
        let in_flight = u64::from(self.in_flight).min((1 << IN_FLIGHT_BITS) - 1);
        let millis = self.since.as_nanos() / NANOS_PER_MILLI;
        self.phase as u64 | in_flight << PHASE_BITS | millis << (PHASE_BITS + IN_FLIGHT_BITS)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "both are masked to fewer bits"
    )]
    fn unpack(word: u64) -> Self {
        Self {
            phase: Phase::ALL[word as usize & ((1 << PHASE_BITS) - 1)],
            in_flight: (word >> PHASE_BITS) as u32 & ((1 << IN_FLIGHT_BITS) - 1),
            since: Timestamp::from_nanos((word >> (PHASE_BITS + IN_FLIGHT_BITS)) * NANOS_PER_MILLI),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * NANOS_PER_MILLI)
    }

    fn stands(cell: &StateCell) -> (Phase, u32, u64) {
        let State {
            phase,
            in_flight,
            since,
        } = cell.load();
        (phase, in_flight, since.as_nanos() / NANOS_PER_MILLI)
    }

    #[test]
    fn a_connection_is_active_exactly_while_something_is_in_flight() {
        let cell = StateCell::new(Phase::Detecting, at(1));
        cell.detected(at(2));
        assert_eq!(stands(&cell), (Phase::Opening, 0, 2));
        cell.begin(at(3));
        cell.begin(at(4));
        cell.end(at(5));
        assert_eq!(stands(&cell), (Phase::Active, 1, 3));
        cell.end(at(6));
        assert_eq!(stands(&cell), (Phase::Idle, 0, 6));
        cell.detected(at(7));
        cell.greeted(at(7));
        assert_eq!(stands(&cell), (Phase::Idle, 0, 6));
    }

    #[test]
    fn nothing_leads_out_of_closing() {
        let cell = StateCell::new(Phase::Opening, at(0));
        cell.begin(at(1));
        cell.closing(at(2));
        cell.end(at(3));
        cell.begin(at(4));
        cell.greeted(at(5));
        cell.closing(at(6));
        assert_eq!(stands(&cell), (Phase::Closing, 1, 2));
    }

    #[test]
    fn begins_and_ends_on_two_threads_leave_it_idle() {
        let cell = StateCell::new(Phase::Idle, at(0));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        cell.begin(at(1));
                        assert_eq!(cell.load().phase, Phase::Active);
                        cell.end(at(1));
                    }
                });
            }
        });
        assert_eq!(stands(&cell), (Phase::Idle, 0, 1));
    }

    proptest! {
        #[test]
        fn a_state_is_read_as_it_was_written(
            phase in 0..Phase::ALL.len(),
            in_flight in 0_u32..1 << IN_FLIGHT_BITS,
            millis in 0_u64..1 << 40,
        ) {
            let state = State { phase: Phase::ALL[phase], in_flight, since: at(millis) };
            prop_assert_eq!(State::unpack(state.pack()), state);
        }
    }
}
