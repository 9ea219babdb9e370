//! What an upstream promises, against real sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod servers;

mod blame;
mod discovery;
mod dns;
mod grpc;
mod hedging;
mod hostile;
mod http2;
mod lives;
mod queue;
mod reuse;
mod standing;
mod storm;
mod timeouts;
mod tls;
mod tunnels;
