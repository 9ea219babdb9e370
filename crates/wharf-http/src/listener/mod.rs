//! Listeners: a bound socket, and the loop that lets its connections in.

mod accept;
mod lobby;
mod tcp;

pub(crate) use accept::Acceptor;
pub(crate) use lobby::Lobby;
pub use tcp::{TcpPatch, TcpSettings};
pub(crate) use tcp::{adopt, bind};
