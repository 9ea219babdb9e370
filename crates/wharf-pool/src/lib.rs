//! Who is connected, how many, and for how long.
//!
//! This crate is the accounting core of wharf: it counts connections against the limits of the
//! process, their listener, their pool and their source, knows what each of them is doing, tells
//! what happens to them, and says how well a pool is. It does not know what a connection speaks,
//! opens no socket and reads no clock.
//!
//! Start reading at [`Pool`]: [`Pool::reserve`] gives a [`Slot`], [`Slot::open`] a
//! [`ConnectionGuard`], and [`Tracked`] puts that into the bytes. Each step consumes the one before,
//! so that nothing is served without being counted, nor counted twice:
//!
//! ```
//! use std::time::Duration;
//! use wharf_pool::config::PoolConfig;
//! use wharf_pool::{
//!     Charge, CloseReason, Endpoints, Outcome, Registry, RejectReason, ScopeLimits, Timestamp,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new(ScopeLimits::default());
//! let mut config = PoolConfig::default();
//! config.common.max_connections = wharf_pool::config::Count::new(1);
//! let pool = registry.get_or_create(&"echo/line".parse()?, config)?;
//! // The crate reads no clock: whoever drives it says what time it is, ten times a second.
//! registry.tick(Timestamp::after_start(Duration::from_secs(1)), Duration::ZERO);
//!
//! let slot = pool.reserve()?;
//! assert_eq!(pool.reserve().unwrap_err(), RejectReason::PoolLimit);
//! let ends = Endpoints::new("192.0.2.7:4711".parse()?, "192.0.2.1:80".parse()?);
//! let guard = slot.open(ends, Charge::Peer, ())?;
//! // The guard goes into whatever owns the bytes; others see and steer the connection by handles.
//! let handle = guard.handle();
//! let request = handle.begin_request(&pool);
//! request.end(Outcome::Success, Duration::from_millis(3));
//! handle.begin_close(CloseReason::Drained);
//!
//! // However the bytes go, their guard goes with them: that is the one event.
//! drop(guard);
//! assert_eq!(pool.active(), 0);
//! assert!(pool.metrics().closed_by_reason.contains(&(CloseReason::Drained, 1)));
//! # Ok(())
//! # }
//! ```
//!
//! `examples/custom_protocol.rs` is a whole server.

mod berth;
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
mod relief;
mod request;
mod shared;
mod slot;
mod source;
mod state;
mod strain;
mod sync;
mod table;
mod tracked;
mod wheel;

pub use berth::Berth;
pub use books::{Occupancy, ScopeLimits};
pub use cidr::{Cidr, InvalidCidr};
pub use connection::{
    ConnId, Connection, ConnectionInfo, Endpoints, Invalid, LocalAddr, PeerAddr, Phase,
};
pub use control::{Command, Control};
pub use guard::ConnectionGuard;
pub use handle::ConnectionHandle;
pub use listener::Listener;
pub use metrics::{Metrics, Outcome, thread_number};
pub use move_reservation::MoveReservation;
pub use names::{InvalidName, ListenerName, PoolName};
pub use pool::{Health, Pool};
pub use reason::{CloseReason, DryRunReason, RejectReason};
pub use registry::{Registry, RegistryError, ServingState};
pub use relief::Relieved;
pub use request::RequestGuard;
pub use shared::Clock;
pub use slot::{Charge, Slot};
pub use source::source_of;
pub use strain::{Share, Strain};
pub use tracked::Tracked;
pub use wharf_control::{HealthStatus, Rung, Source, Timestamp};
pub use wheel::TICK;
