//! WebSocket sessions (RFC 6455), whoever handles them. The driver is in `crate::drive`.
//!
//! [`handshake`] judges a request for a session before its handler sees it, and takes the session's
//! place. After the 101 the bytes go through a [`Tap`]: it shows both directions to a [`Session`],
//! which knows what frames they are ([`meter`], [`outbound`]), answers Pings, and says what we have to
//! say between two frames of the handler's.

mod control;
mod frame;
mod handshake;
mod meter;
mod origins;
mod outbound;
mod session;
mod settings;
mod slow_consumer;
mod tap;
mod violation;

pub(crate) use handshake::{Asked, Refusal, Reserved};
pub use origins::Origins;
pub(crate) use session::{PATIENCE, Session};
pub(crate) use settings::Settings;
pub use slow_consumer::SlowConsumer;
pub(crate) use tap::{Ended, Tap};
