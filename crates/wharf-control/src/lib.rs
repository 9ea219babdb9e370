//! The decisions of wharf, without anything that would have to be waited for.
//!
//! **Responsible for:** how healthy a pool is, which connection to give up when it is full, how
//! fast is too slow, how often is too often, when to try again, how to spread what must not all
//! happen at once, how near memory is to its end, what a client of several servers decides ([`upstream`]), and a server that is
//! asked for too much ([`overload`]). Each is a plain value
//! with plain methods, a few arithmetic operations each.
//!
//! **Refuses to know:** IO, tokio, clocks, protocols, configuration files. `now` is always an
//! argument, a [`Timestamp`], and so is chance, a [`Random`]; nothing here depends on anything but the
//! standard library.
//!
//! **Start reading** at [`Timestamp`], then [`HealthMachine`] (the seed's four states) and
//! [`victims`] (which connection makes room); the rest are small and stand alone.

mod accept_error;
mod backoff;
mod data_rate;
mod deadline;
mod health;
mod jitter;
pub mod overload;
mod pressure;
mod ramp;
mod random;
mod rate;
mod ratio;
mod reclaim;
mod rounding;
mod time;
pub mod upstream;
mod window;

pub use accept_error::AcceptError;
pub use backoff::Backoff;
pub use data_rate::{MinDataRate, RateMeter, TooSlow};
pub use deadline::{Deadline, Wait, earliest};
pub use health::{
    Band, Cause, FlapThresholds, HealthMachine, HealthStatus, HealthThresholds, HealthTransition,
    HealthWindow, UnavailableCause,
};
pub use jitter::{jittered, offset, spread};
pub use pressure::{MemoryLoad, PressureLaw, Rung, share_of};
pub use ramp::Ramp;
pub use random::Random;
pub use rate::TokenBucket;
pub use ratio::SlidingRatio;
pub use reclaim::{
    Candidate, IDLE_FOR_LOWERED, IDLE_LONG_ENOUGH, SILENT_ANY_SOURCE, SILENT_OLD_ENOUGH, Source,
    Standing, victims,
};
pub use time::Timestamp;
pub use window::SlidingWindow;
