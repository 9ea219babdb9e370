//! Connections to other servers, as a pool: made, used again, chosen among, left alone, and accounted for.
//!
//! An [`Upstream`] is several servers that are asked as if they were one. [`Upstream::send`] chooses an
//! endpoint, leases a connection to it, and gives back an answer whose body keeps the lease until its end:
//!
//! ```no_run
//! use wharf_upstream::{SendBody, SendOptions, Upstream, UpstreamSetup};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoints = ["http://127.0.0.1:3001".parse()?, "http://127.0.0.1:3002".parse()?];
//! let upstream = Upstream::start(UpstreamSetup::new("api".parse()?, endpoints))?;
//! let request = http::Request::get("/hello").body(SendBody::default())?;
//! let answer = upstream.send(request, &SendOptions::default()).await?;
//! assert!(answer.status().is_success());
//! # Ok(())
//! # }
//! ```
//!
//! What happens to a request, in order:
//!
//! 1. **Choice** ([`Balance`]). By default the endpoint with the least latency × requests in flight. What one
//!    worker learns all know. Endpoints that fail are left alone and tried again ([`OutlierSettings`],
//!    [`HealthCheckSettings`]), unless so many fail that the rest could not carry the load.
//! 2. **Lease.** The connection that was used last and takes a request: one of HTTP/1, or one of HTTP/2 with
//!    room for a stream. Without one the request waits in a bounded queue, by importance and deadline, and
//!    connections are begun as the demand asks for ([`PoolSettings`]).
//! 3. **Connection**, if one is missing: the addresses of the name in turn (RFC 8305), TLS with ALPN, one attempt
//!    at a time where it will carry many requests, back-off with jitter after failures. It takes a slot of the
//!    pool before its socket is opened and gives it back after its socket is closed: an upstream's pool is a
//!    [`wharf_pool::Pool`] like a listener's.
//! 4. **Exchange.** The time of a slow caller is not the endpoint's. [`SendError`] says what was sent; what
//!    cannot have been seen, or does nothing twice, may be sent again ([`SendOptions::retries`]) within a budget.
//!    A connection that was dead before the request costs nothing but time. Where the answer to a safe request
//!    is long in coming, another endpoint may be asked too ([`SendOptions::hedge_after`]).
//! 5. **Answer.** Its status, or the status of a gRPC call in its trailers, judges the endpoint. When its body
//!    ends the lease goes back; a body that is dropped before gives the connection up (HTTP/1) or resets
//!    the stream. After a 101 the bytes are the caller's, and count until he drops them.
//!
//! The laws (cost, ejection, sizes, queue, retries) are those of [`wharf_control::upstream`], where they were
//! held against published results. The library reads no file: certificates come as a [`rustls::ClientConfig`].

mod address;
mod aim;
mod attempts;
mod balance;
mod body;
mod change;
mod check;
mod clock;
mod close;
mod connect;
mod connection;
mod context;
mod discovery;
mod drive;
mod endpoint;
mod error;
mod exchange;
mod flight;
mod hedge;
mod options;
mod policy;
mod replay;
mod report;
mod send;
mod settings;
mod setup;
mod tally;
mod ticker;
mod transport;
mod upkeep;
mod upload;
mod upstream;
mod verdict;
mod warmth;

pub use address::{EndpointAddress, InvalidAddress, Scheme};
pub use attempts::AttemptObserver;
pub use balance::{Balance, UnknownBalance};
pub use body::{BodyError, BoxError, ResponseBody, SendBody};
pub use connect::{ConnectError, LinkLocal};
pub use connection::UpstreamConnection;
pub use discovery::dns::Dns;
#[cfg(feature = "etcd")]
pub use discovery::etcd::{Credentials, Etcd};
pub use discovery::{DiscoveryReport, DiscoveryState, EmptySet, Findings, FoundSet, Skips, Source};
pub use error::{SendError, Unsent};
pub use options::{ResponseTimeout, Retry, SendOptions};
pub use policy::{
    CheckKind, CheckPath, HealthCheckPatch, HealthCheckSettings, OutlierPatch, OutlierSettings,
    ServiceName,
};
pub use report::{EndpointReport, EndpointState};
pub use settings::{PoolPatch, PoolSettings};
pub use setup::{EndpointSetup, StartError, UpstreamSettings, UpstreamSetup};
pub use tally::EndpointMetrics;
pub use upstream::Upstream;
pub use warmth::Warmth;
