//! What wharf's own tests share: for each protocol a client that sends exactly what it is told and
//! reads exactly what comes, and hostile peers; a CA and its certificates.
//!
//! Clients go over any bytes: over a [`Peer`], which is a real socket with little patience, or over
//! a stream in memory, where a test may pause the clock and hours pass.
//!
//! Not published. A failing step panics with what was expected: this crate is a test.

#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "every step panics that does not go as it should"
)]

pub mod certificates;
pub mod grpc;
pub mod http1;
pub mod http2;
mod peer;
pub mod tls;
pub mod websocket;

pub use http1::Response;
pub use peer::{Closed, Peer};
