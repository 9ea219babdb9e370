//! The control laws of wharf, held against published results in virtual time.
//!
//! **Responsible for:** plants (servers, queues, pools of connections) made of arrivals and service
//! times, in which the very code of `wharf-control` decides; studies that repeat tables of the literature; the text of
//! those tables. The same seed gives the same numbers, on any machine.
//!
//! **Refuses to know:** clocks, threads, sockets. A plant is a model: that a law holds in it says that the
//! law is right, not that a server is.
//!
//! **Start reading** at [`calendar`] (the events of a plant), then [`studies`]. What is not a law of wharf but
//! its rival in a table (a static limit, another project's rule) is here too, and only here.
#![expect(
    clippy::cast_precision_loss,
    reason = "counts of a simulation are far below 2^53"
)]

pub mod balance;
pub mod calendar;
pub mod chance;
pub mod limit;
pub mod quantiles;
pub mod studies;
pub mod table;
