//! [`serve`]: what one writes instead of `axum::serve`.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::TcpListener;
use wharf_pool::config::PoolConfig;
use wharf_pool::{
    Charge, Endpoints, InvalidName, ListenerName, Pool, RejectReason, ScopeLimits, Slot, Tracked,
};

use crate::app::App;
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::descriptors::default_limits;
use crate::drain::DrainSettings;
use crate::drive::drive;
use crate::protocol::Protocol;
use crate::server::{ListenerSetup, Server, ServerBuilder, StartError};
use crate::settings::HttpSettings;
use crate::transport::Transport;

/// The name of the listener that [`serve`] makes; its pools are `main/http` and `main/websocket`.
const NAME: &str = "main";

/// Serves `app` on `listener`, with every limit, deadline and default of wharf.
///
/// The application is any tower service, an `axum::Router` among them. Awaited, it serves until the
/// process ends; [`Serve::with_graceful_shutdown`] says when to stop.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// wharf_http::serve(listener, app).await
/// # }
/// ```
pub fn serve<S>(listener: TcpListener, app: S) -> Serve<S>
where
    S: App,
{
    Serve {
        listener,
        app,
        config: PoolConfig::default(),
        builder: Server::builder().limits(default_limits()),
    }
}

/// Serves one connection on any byte stream, in a slot that was taken for it: for those who accept
/// themselves, and for tests in memory. Somebody has to tick the pool's registry.
///
/// # Errors
///
/// The rate or share that the peer has used up; the slot is given back.
///
/// # Cancel safety
///
/// Dropped, the future cuts the connection and gives its slot back.
pub fn serve_io<T, S>(
    io: T,
    slot: Slot<HttpConnection>,
    endpoints: Endpoints,
    app: S,
    pool: &Pool<HttpConnection>,
) -> Result<impl Future<Output = ()> + Send + use<T, S>, RejectReason>
where
    T: Transport,
    S: App,
{
    let guard = slot.open(endpoints, Charge::Peer, HttpConnection::default())?;
    let context = Context::alone(pool);
    Ok(drive(Tracked::new(io, guard), app, Arc::new(context)))
}

/// A server on one listener, before it is awaited.
#[must_use = "nothing is served before it is awaited"]
pub struct Serve<S> {
    listener: TcpListener,
    app: S,
    config: PoolConfig<HttpSettings>,
    builder: ServerBuilder,
}

impl<S> Serve<S>
where
    S: App,
{
    /// Serves until `signal` is ready, then drains.
    pub fn with_graceful_shutdown<F>(self, signal: F) -> WithGracefulShutdown<S, F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        WithGracefulShutdown {
            serve: self,
            signal,
        }
    }

    /// The limits and deadlines of the connections.
    pub fn pool(mut self, config: PoolConfig<HttpSettings>) -> Self {
        self.config = config;
        self
    }

    /// The limits of the process; the default is what its descriptors allow.
    pub fn limits(mut self, limits: ScopeLimits) -> Self {
        self.builder = self.builder.limits(limits);
        self
    }

    /// How the server ends.
    pub fn drain(mut self, settings: DrainSettings) -> Self {
        self.builder = self.builder.drain(settings);
        self
    }

    /// Starts serving now, and returns the handle of the server.
    ///
    /// # Errors
    ///
    /// [`StartError`]: the socket is no listening socket, or the configuration is not usable.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn start(self) -> Result<crate::Running, StartError> {
        let name = name();
        let socket = self
            .listener
            .into_std()
            .map_err(|source| StartError::Listen {
                listener: name.clone(),
                address: "its socket".to_owned(),
                source,
            })?;
        let setup = ListenerSetup::on(name, socket)
            .pool(Protocol::Http, self.config)
            .pool(Protocol::WebSocket, Protocol::WebSocket.defaults());
        self.builder.listener(setup, self.app).start().await
    }

    async fn run(self, signal: impl Future<Output = ()> + Send) -> io::Result<()> {
        let running = self.start().await.map_err(io::Error::other)?;
        tokio::select! {
            () = signal => {
                running.drain().await;
                Ok(())
            }
            () = running.stopped() => Err(io::Error::other("the listener has failed")),
        }
    }
}

impl<S> IntoFuture for Serve<S>
where
    S: App,
{
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run(std::future::pending()))
    }
}

/// A [`Serve`] that knows when to stop.
#[must_use = "nothing is served before it is awaited"]
pub struct WithGracefulShutdown<S, F> {
    serve: Serve<S>,
    signal: F,
}

impl<S, F> IntoFuture for WithGracefulShutdown<S, F>
where
    S: App,
    F: Future<Output = ()> + Send + 'static,
{
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.serve.run(self.signal))
    }
}

impl<S> fmt::Debug for Serve<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

impl<S, F> fmt::Debug for WithGracefulShutdown<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithGracefulShutdown")
            .field("serve", &self.serve)
            .finish_non_exhaustive()
    }
}

fn name() -> ListenerName {
    let name: Result<ListenerName, InvalidName> = ListenerName::new(NAME);
    name.expect("the constant is a name")
}
