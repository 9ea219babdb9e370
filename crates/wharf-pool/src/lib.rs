//! Who is connected, how many, and for how long.
//!
//! This crate is the accounting core of wharf: it counts connections against the limits of the
//! process, their listener, their pool and their source, knows what each of them is doing, tells
//! what happens to them, and says how well a pool is. It does not know what a connection speaks,
//! opens no socket and reads no clock.
//!
//! Start reading at [`Pool`]: [`Pool::reserve`] gives a [`Slot`], [`Slot::open`] a
//! [`ConnectionGuard`], and [`Tracked`] puts that into the bytes. Each step consumes the one before,
//! so that nothing is served without being counted, nor counted twice. `examples/custom_protocol.rs`
//! is a whole server.

mod books;
mod cidr;
pub mod config;
mod connection;
mod control;
mod entry;
pub mod events;
mod guard;
mod handle;
mod listener;
pub mod metrics;
mod move_reservation;
mod names;
mod place;
mod pool;
mod reason;
mod reclaim;
mod registry;
mod request;
mod shared;
mod slot;
mod source;
mod state;
mod table;
mod tracked;
mod wheel;

pub use books::{Occupancy, ScopeLimits};
pub use cidr::{Cidr, InvalidCidr};
pub use connection::{
    ConnId, Connection, ConnectionInfo, Endpoints, Invalid, LocalAddr, PeerAddr, Phase,
};
pub use control::{Command, Control};
pub use guard::ConnectionGuard;
pub use handle::ConnectionHandle;
pub use listener::Listener;
pub use metrics::{Metrics, Outcome};
pub use move_reservation::MoveReservation;
pub use names::{InvalidName, ListenerName, PoolName};
pub use pool::{Health, Pool};
pub use reason::{CloseReason, RejectReason};
pub use registry::{Registry, RegistryError, ServingState};
pub use request::RequestGuard;
pub use shared::Clock;
pub use slot::{Charge, Slot};
pub use source::source_of;
pub use tracked::Tracked;
pub use wharf_control::{HealthStatus, Source, Timestamp};
pub use wheel::TICK;
