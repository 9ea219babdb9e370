//! Servers that are asked for more than they can do, behind a limit of requests in flight.
//!
//! `plant` is the server and its requests, `limiter` who says how many may be in flight: wharf's law, a fixed number, and two laws of
//! others as measures (`rivals`).

mod limiter;
mod plant;
mod rivals;

pub use limiter::{Fixed, Gated, Limiter};
pub use plant::{Distribution, Phase, PhaseReport, Service, simulate};
pub use rivals::{Gradient2, Vegas};
