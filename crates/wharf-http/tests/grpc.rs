//! gRPC: what calls may do, how they end, and how they are counted, over hyper's HTTP/2.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

mod beside;
mod client;
mod cut;
mod figures;
#[cfg(feature = "grpc")]
mod health;
mod messages;
mod refusals;
