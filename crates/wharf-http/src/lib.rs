//! Serves axum routers and tower services, with every connection limited, timed, watched and ended
//! well.
//!
//! Where you wrote `axum::serve(listener, app)`, write [`serve`]`(listener, app)`. For several
//! listeners, their limits and the handle of the running server, see [`Server`].
//!
//! Start reading at `drive.rs`: one function serves a connection from its first byte to its last.
//! `http1/` is what it drives, `listener/` what lets connections in, `drain.rs` how all of it ends.

pub mod admission;
mod app;
mod body;
mod change;
mod codecs;
mod connection;
mod context;
mod descriptors;
mod drain;
mod drive;
mod flight;
pub mod grpc;
mod http1;
mod http2;
mod in_force;
mod info;
mod listener;
mod listening;
mod observer;
mod panics;
mod patience;
mod pools;
mod protocol;
mod proxy;
mod proxy_protocol;
mod running;
#[cfg(test)]
mod seeds;
mod serve;
mod server;
mod settings;
mod shared_wire;
mod tallies;
mod ticker;
pub mod tls;
mod transport;
mod waits;
pub mod websocket;
mod wire;

pub use app::{App, BoxError};
pub use body::RequestBody;
pub use change::ListenerChange;
pub use connection::HttpConnection;
pub use descriptors::max_connections_for;
pub use drain::{DrainReport, DrainSettings};
pub use info::Connected;
pub use listener::{TcpPatch, TcpSettings};
pub use observer::{RequestObserver, RequestRecord, Tag};
pub use protocol::{Protocol, UnknownProtocol};
pub use running::Running;
pub use serve::{Serve, WithGracefulShutdown, serve, serve_io};
pub use server::{ListenerSetup, Server, ServerBuilder, StartError};
pub use settings::{
    GrpcPatch, GrpcSettings, Http2Patch, Http2Settings, HttpPatch, HttpSettings, HttpsPatch,
    HttpsSettings, ProtocolPatch, ProtocolSettings, WebSocketPatch, WebSocketSettings,
};
pub use tallies::{Counts, ListenerTally};
pub use transport::Transport;

pub use wharf_pool as pool;
