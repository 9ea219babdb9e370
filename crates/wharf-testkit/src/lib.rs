//! What wharf's own tests share: a client that sends exactly the bytes that it is told, and reads
//! exactly what comes.
//!
//! Not published. A failing step panics with what was expected: this crate is a test.

mod peer;
mod response;

pub use peer::{Closed, Peer};
pub use response::Response;
