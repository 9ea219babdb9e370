//! WebSocket: sessions that say each frame as they are told, over HTTP/1 and HTTP/2, and frames that
//! no honest client sends.

mod frame;
pub mod hostile;
mod session;
mod stream;

pub use frame::{BINARY, CLOSE, PING, PONG, TEXT, close, masked, masked_with};
pub use session::Session;
pub use stream::{Stream, connect};
