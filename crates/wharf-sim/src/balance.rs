//! Servers that clients choose among, as in Prequal's evaluation (Wydrowski et al., NSDI 2024).
//!
//! A server shares its processors among its requests: each gets up to one, all together what is free. How
//! much that is changes every few seconds: with its neighbours at work one processor, which is what it is promised, else 1.8 to 3. Work is
//! `max(0, normal(80, 80))` ms, load 1 is a processor's worth for each server, and after 5 s a client gives up.
//!
//! `server` is one of them, `plant` all with their arrivals; `balancer` is who chooses: `laws` those of wharf,
//! `rivals` those that ask the servers.

mod balancer;
mod laws;
mod plant;
mod rivals;
mod server;

pub use balancer::{Balancer, Ended};
pub use laws::{Failures, Law, Laws};
pub use plant::{Report, Scenario, simulate};
pub use rivals::{C3, Oracle, Polled, Prequal};
pub use server::Server;
