//! What an upstream promises, against real sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod servers;

mod reuse;
