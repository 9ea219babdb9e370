//! The accept loop: readable, reserve, accept. Nothing is accepted that has no place to go.

mod full;
mod shortage;
mod socket;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_pool::{Charge, Endpoints, Listener, RejectReason, Slot, Tracked};

use super::lobby::{self, Lobby, Seat};
use super::tcp::refuse_handshakes;
use crate::app::App;
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::descriptors::is_kept;
use crate::drive::drive;
use crate::transport::Transport;
use shortage::State;
use socket::{accept, is_per_connection, register, try_accept};

/// Connections that are accepted before other tasks of the worker get their turn.
const BATCH: usize = 64;

/// How long descriptors are waited for before newcomers are turned away for want of one.
const BREATH: Duration = Duration::from_millis(10);

/// The loop of one listener.
pub(crate) struct Acceptor<S> {
    pub(crate) listener: Listener<HttpConnection>,
    pub(crate) app: S,
    pub(crate) shared: Arc<Context>,
    pub(crate) lobby: Lobby,
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the listener is to close.
    pub(crate) closing: CancellationToken,
    /// Cancelled when another loop is to go on with the socket.
    pub(crate) handing_over: CancellationToken,
    /// How many the kernel keeps for us at most.
    pub(crate) backlog: u32,
    /// Whether nobody else can hold the socket: one that was handed in may be shared.
    pub(crate) exclusive: bool,
}

impl<S> Acceptor<S> {
    /// Accepts until the listener is to close, then everything that is already in the backlog; or
    /// until another loop is to go on, which gets the socket.
    ///
    /// # Errors
    ///
    /// The socket cannot be registered with the runtime, or is no listening socket any more.
    pub(crate) async fn run(self, socket: TcpListener) -> io::Result<Option<TcpListener>>
    where
        S: App,
    {
        let mut state = State::new(&socket, self.shared.clock.now())?;
        let socket = register(socket)?;
        let ended = tokio::select! {
            biased;
            () = self.closing.cancelled() => None,
            () = self.handing_over.cancelled() => None,
            error = self.accept_all(&socket, &mut state) => Some(error),
        };
        if let Some(error) = ended {
            self.listener.set_failed(true);
            tracing::error!(listener = %self.listener.name(), %error, "the listener has failed");
            return Err(error);
        }
        // It is the listener too, and would keep it open after its last accept.
        state.spare = None;
        let socket = socket.into_inner();
        if !self.closing.is_cancelled() {
            return Ok(Some(socket));
        }
        if self.exclusive
            && let Err(error) = refuse_handshakes(&socket)
        {
            // A handshake that ends between the last accept and the close is reset then.
            tracing::debug!(listener = %self.listener.name(), %error, "handshakes go on");
        }
        self.empty_backlog(socket, &state).await;
        Ok(None)
    }

    /// Returns only with an error after which nothing can be accepted any more.
    async fn accept_all(&self, socket: &AsyncFd<TcpListener>, state: &mut State) -> io::Error
    where
        S: App,
    {
        loop {
            let mut ready = match socket.readable().await {
                Ok(ready) => ready,
                Err(error) => return error,
            };
            for _ in 0..BATCH {
                let round = if self.shared.strain.refuses() {
                    self.accept_under_pressure(&mut ready, state).await
                } else {
                    match self.listener.reserve() {
                        Ok(slot) => self.accept_into(slot, &mut ready, state),
                        Err(full) => self.accept_when_full(full, &mut ready, state).await,
                    }
                };
                match round {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => match self.recover(error, &mut ready, state).await {
                        None => break,
                        Some(error) => return error,
                    },
                }
            }
            drop(ready);
            tokio::task::yield_now().await;
        }
    }

    /// Serves what the kernel had completed the handshake with when the listener was to close: no
    /// more than its backlog holds, so newcomers without end do not keep the listener open.
    async fn empty_backlog(&self, socket: TcpListener, state: &State)
    where
        S: App,
    {
        // Linux takes one more than it is told.
        for n in 0..=self.backlog as usize {
            match accept(&socket) {
                Ok((stream, peer)) => match self.listener.reserve() {
                    Ok(slot) => self.let_in(slot, stream, peer, state),
                    Err(full) => self.turn_away(stream, full, self.lobby.seat()),
                },
                Err(error) if is_per_connection(&error) => {}
                Err(_) => break,
            }
            if n % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
        }
        drop(socket);
    }

    fn accept_into(
        &self,
        slot: Slot<HttpConnection>,
        ready: &mut AsyncFdReadyGuard<'_, TcpListener>,
        state: &mut State,
    ) -> io::Result<()>
    where
        S: App,
    {
        let (stream, peer) = try_accept(ready)?;
        state.accepted();
        state.queue_expired = false;
        self.let_in(slot, stream, peer, state);
        Ok(())
    }

    fn let_in(&self, slot: Slot<HttpConnection>, stream: OwnedFd, peer: SocketAddr, state: &State)
    where
        S: App,
    {
        if let Err((stream, reason)) = self.open(slot, stream, peer, state.local) {
            match self.lobby.seat() {
                Some(seat) if reason == RejectReason::Pressure => {
                    let acceptor = self.clone_for_newcomer();
                    let wait = acceptor.let_in_with_another(stream, peer, state.local, seat);
                    self.tasks.spawn(wait);
                }
                seat => self.turn_away(stream, reason, seat),
            }
        }
    }

    /// Serves a connection; gives back one that may not come in, and why.
    fn open(
        &self,
        slot: Slot<HttpConnection>,
        stream: OwnedFd,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Result<(), (OwnedFd, RejectReason)>
    where
        S: App,
    {
        if is_kept(&stream) {
            return Err((stream, RejectReason::Pressure));
        }
        let trusted = &self.shared.trusted_proxies;
        if trusted
            .as_ref()
            .is_some_and(|ranges| !ranges.iter().any(|r| r.contains(peer.ip())))
        {
            return Err((stream, RejectReason::UntrustedProxy));
        }
        let charge = if trusted.is_some() {
            Charge::Announced
        } else {
            Charge::Peer
        };
        let stream = std::net::TcpStream::from(stream);
        let wildcard = local.ip().is_unspecified();
        let own = wildcard.then(|| stream.local_addr().ok()).flatten();
        let local = own.unwrap_or(local);
        match slot.open(
            Endpoints::new(peer, local),
            charge,
            HttpConnection::default(),
        ) {
            Ok(guard) => match TcpStream::from_std(stream) {
                Ok(stream) => {
                    let io = Tracked::new(stream, guard);
                    let connection = drive(io, self.app.clone(), Arc::clone(&self.shared));
                    self.tasks.spawn(connection);
                }
                Err(error) => {
                    tracing::warn!(listener = %self.listener.name(), %error, "not registered");
                    guard.handle().conclude(wharf_pool::CloseReason::Pressure);
                }
            },
            Err(reason) => return Err((stream.into(), reason)),
        }
        Ok(())
    }

    /// Refuses a newcomer: with a word if it has a seat in the lobby, else with a reset.
    fn turn_away(&self, stream: OwnedFd, reason: RejectReason, seat: Option<Seat>) {
        self.listener.reject(reason);
        let Ok(stream) = TcpStream::from_std(stream.into()) else {
            return;
        };
        match seat {
            Some(seat) if reason != RejectReason::UntrustedProxy => {
                let words = lobby::words(&self.shared);
                match words {
                    Some(words) => drop(self.tasks.spawn(lobby::refuse(stream, words, seat))),
                    None => stream.reset_on_drop(),
                }
            }
            _ => stream.reset_on_drop(),
        }
    }

    fn clone_for_newcomer(&self) -> Self
    where
        S: Clone,
    {
        Self {
            listener: self.listener.clone(),
            app: self.app.clone(),
            shared: Arc::clone(&self.shared),
            lobby: self.lobby.clone(),
            tasks: self.tasks.clone(),
            closing: self.closing.clone(),
            handing_over: self.handing_over.clone(),
            backlog: self.backlog,
            exclusive: self.exclusive,
        }
    }
}
