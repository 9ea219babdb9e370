//! What a client of several servers decides: whom to ask, whom to leave alone, how many connections
//! to hold, who waits and who is not asked again.
//!
//! | question | answer | formula |
//! |---|---|---|
//! | whom to ask | [`pick`], [`least`], [`least_of_random`] over a cost | [`latency_cost`], [`request_cost`] |
//! | what does one cost | [`PeakEwma`], [`PhantomLoad`], [`SlowStart`] | latency × in flight, a failure is latency |
//! | in turn | [`SmoothRoundRobin`] | nginx's smooth weighted round robin |
//! | the same one again | [`Maglev`], [`LoadBound`] | Maglev with bounded loads |
//! | whom to leave alone | [`Outlier`], [`EjectionBudget`], [`panicking`] | runs and ratios, half-open, capped |
//! | how many connections | [`PoolSize`] | demand × 1.1, trimmed by half of the excess |
//! | who waits, who is dropped | [`Waiters`], [`Codel`] | priority, deadline; LIFO while it is standing |
//! | when not to ask at all | [`Throttle`], [`RetryBudget`] | SRE's throttle, 10 % + 3/s |
//!
//! Endpoints are indices into a list that the caller keeps; `None` for a cost says that one must not
//! be chosen. What several workers share (latency, in flight, ejection) they must share in truth:
//! with private copies twenty workers lose what one had learnt.

mod codel;
mod cost;
mod ejection_budget;
mod latency;
mod load_bound;
mod maglev;
mod outlier;
mod phantom;
mod pick;
mod pool_size;
mod retry_budget;
mod round_robin;
mod slow_start;
mod stable_hash;
mod throttle;
mod trim;
mod waiters;

pub use codel::{Codel, CodelSettings};
pub use cost::{latency_cost, request_cost};
pub use ejection_budget::{EjectionBudget, panicking};
pub use latency::{FAILURE_LEAST, FAILURE_MOST, LATENCY_UNKNOWN, PeakEwma};
pub use load_bound::LoadBound;
pub use maglev::{Maglev, Node};
pub use outlier::{
    Admission, Ejection, EjectionCause, Outcome, Outlier, OutlierSettings, Returned,
};
pub use phantom::PhantomLoad;
pub use pick::{SCAN_UP_TO, least, least_of_random, pick};
pub use pool_size::{PoolSize, PoolSizeSettings, PoolUse};
pub use retry_budget::RetryBudget;
pub use round_robin::SmoothRoundRobin;
pub use slow_start::SlowStart;
pub use stable_hash::stable_hash;
pub use throttle::Throttle;
pub use trim::Trim;
pub use waiters::{Fate, NoPlace, Ticket, Waiters, longest_wait};
