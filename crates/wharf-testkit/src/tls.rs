//! TLS: a client that is made as a test needs it, and peers that begin a handshake and stall.

mod client;
pub mod hostile;

pub use client::{Client, TLS12, TLS13, Versions, connect};
