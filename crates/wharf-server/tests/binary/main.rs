//! The real binary, from the outside: one file for each promise.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are not in #[test] functions, and should fail as loudly"
)]

mod admin;
mod config;
mod demo;
mod descriptors;
mod drain;
mod gateway;
mod logs;
mod reload;
mod wharf;
