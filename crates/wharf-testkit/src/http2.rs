//! HTTP/2: an honest client, one that says each frame as it is told, and peers that flood.

mod client;
mod frame;
pub mod hostile;
mod raw;

pub use client::{Answer, Begun, Client, asked};
pub use frame::{ACK, END_HEADERS, END_STREAM, Frame, GET, Kind, POST, PREFACE, block, frame};
pub use raw::Raw;
