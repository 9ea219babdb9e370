//! What wharf's own tests share: a client that sends exactly the bytes that it is told, and reads
//! exactly what comes; a CA and its certificates.
//!
//! Not published. A failing step panics with what was expected: this crate is a test.

pub mod certificates;
mod peer;
mod response;

pub use peer::{Closed, Peer};
pub use response::Response;
