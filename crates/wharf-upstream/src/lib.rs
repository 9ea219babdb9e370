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

mod address;
mod aim;
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
pub use balance::{Balance, UnknownBalance};
pub use body::{BodyError, BoxError, ResponseBody, SendBody};
pub use connect::{ConnectError, LinkLocal};
pub use connection::UpstreamConnection;
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
