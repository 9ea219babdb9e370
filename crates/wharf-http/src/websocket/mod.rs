//! WebSocket sessions (RFC 6455), whoever handles them: [`WebSocketUpgrade`] is wharf's own extractor,
//! over HTTP/1 and HTTP/2 (RFC 8441); over HTTP/1 `axum::extract::ws` does as well, and so does every
//! handler that takes an upgrade.
//!
//! What a client may send, Pings, and the end of a session are decided here, by the settings of the
//! listener's `websocket` pool ([`WebSocketSettings`](crate::WebSocketSettings)).
//!
//! ```
//! use axum::response::IntoResponse;
//! use wharf_http::websocket::{Message, WebSocket, WebSocketUpgrade};
//!
//! async fn echo(upgrade: WebSocketUpgrade) -> impl IntoResponse {
//!     upgrade.on_upgrade(async |mut session: WebSocket| {
//!         while let Some(Ok(message)) = session.recv().await {
//!             if session.send(message).await.is_err() {
//!                 break;
//!             }
//!         }
//!     })
//! }
//! ```

// The driver is in `crate::drive`. A request for a session is judged, and its place taken, before its
// handler sees it (`handshake`). After the 101 the bytes go through a `Tap`: it shows both directions
// to a `Session`, which knows what frames they are (`meter`, `outbound`), answers Pings, and says what
// we have to say between two frames of the handler's. A handler of our own (`socket`) is on top of the
// same tap: it gets messages (`assembly`), and what it sends is framed and queued there (`outgoing`).

mod assembly;
#[cfg(feature = "axum")]
mod axum;
mod bytes;
mod client_key;
mod control;
mod error;
mod frame;
mod handshake;
mod invitation;
mod message;
mod meter;
mod no_body;
#[cfg(test)]
mod oracle;
mod origins;
mod outbound;
mod outgoing;
mod port;
mod receiver;
mod rejection;
mod seat;
mod send_queue;
mod sender;
mod session;
mod settings;
mod slow_consumer;
mod socket;
mod tap;
mod upgrade;
mod violation;

pub use bytes::WebSocketBytes;
pub use client_key::ClientKey;
pub use error::WebSocketError;
pub(crate) use handshake::{Asked, Refusal, Reserved, book};
pub(crate) use invitation::{Invitation, Way};
pub use message::{CloseCode, CloseFrame, Message, Utf8Bytes};
pub use no_body::NoBody;
pub use origins::Origins;
pub(crate) use port::{Port, Visit};
pub use receiver::WebSocketReceiver;
pub use rejection::WebSocketRejection;
pub(crate) use seat::Seat;
pub use send_queue::Queued;
pub use sender::{Pusher, WebSocketSender};
pub(crate) use session::{PATIENCE, Session};
pub(crate) use settings::Settings;
pub use slow_consumer::SlowConsumer;
pub use socket::WebSocket;
pub(crate) use tap::{Ended, Tap};
pub use upgrade::WebSocketUpgrade;
