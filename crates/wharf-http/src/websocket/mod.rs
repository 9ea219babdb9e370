//! WebSocket sessions (RFC 6455), whoever handles them: `axum::extract::ws` does, and so does every
//! handler that takes an upgrade.
//!
//! What a client may send, Pings, and the end of a session are decided here, by the settings of the
//! listener's `websocket` pool ([`WebSocketSettings`](crate::WebSocketSettings)).

// The driver is in `crate::drive`. A request for a session is judged, and its place taken, before its
// handler sees it (`handshake`). After the 101 the bytes go through a `Tap`: it shows both directions
// to a `Session`, which knows what frames they are (`meter`, `outbound`), answers Pings, and says what
// we have to say between two frames of the handler's.

mod control;
mod frame;
mod handshake;
mod meter;
mod origins;
mod outbound;
mod send_queue;
mod session;
mod settings;
mod slow_consumer;
mod tap;
mod violation;

pub(crate) use handshake::{Asked, Refusal, Reserved};
pub use origins::Origins;
pub use send_queue::{Queued, SendQueue};
pub(crate) use session::{PATIENCE, Session};
pub(crate) use settings::Settings;
pub use slow_consumer::SlowConsumer;
pub(crate) use tap::{Ended, Tap};
