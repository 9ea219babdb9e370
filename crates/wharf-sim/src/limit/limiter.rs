//! [`Limiter`]: who says how many requests may be in flight.

use wharf_control::overload::{ConcurrencyLimit, ConcurrencySettings, LimitRecorder};
use wharf_control::{Random, Timestamp};

/// A limit of requests in flight and what it learns from.
pub trait Limiter {
    /// How many may be in flight.
    fn limit(&self) -> u32;

    /// A request was begun; with it so many are in flight.
    fn begun(&mut self, _in_flight: u32) {}

    /// A request that began then has been answered; so many are left.
    fn ended(&mut self, _begun: Timestamp, _in_flight: u32, _now: Timestamp) {}
}

/// The same number always: frozen, or the most or least that an adaptive limit might be.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(pub u32);

impl Limiter for Fixed {
    fn limit(&self) -> u32 {
        self.0
    }
}

/// wharf's law: a gradient that is gated by elasticity.
#[derive(Clone, Debug)]
pub struct Gated {
    limit: ConcurrencyLimit,
    recorder: LimitRecorder,
    random: Random,
}

impl Gated {
    /// The law with a first limit.
    pub fn new(initial: u32) -> Self {
        let settings = ConcurrencySettings {
            initial,
            ..ConcurrencySettings::default()
        };
        Self {
            limit: ConcurrencyLimit::new(settings, Timestamp::ZERO),
            recorder: LimitRecorder::new(Timestamp::ZERO),
            random: Random::new(5),
        }
    }
}

impl Limiter for Gated {
    fn limit(&self) -> u32 {
        self.limit.limit()
    }

    fn begun(&mut self, in_flight: u32) {
        self.recorder.in_flight(in_flight);
    }

    fn ended(&mut self, begun: Timestamp, in_flight: u32, now: Timestamp) {
        self.recorder.ended(begun, self.limit.epoch(), true, now);
        if let Some(window) = self.recorder.close(in_flight, now) {
            self.limit.on_window(&window, &mut self.random, now);
        }
    }
}
