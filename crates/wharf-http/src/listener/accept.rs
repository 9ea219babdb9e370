//! The accept loop: readable, reserve, accept. Nothing is accepted that has no place to go.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_control::{AcceptError, Backoff, TokenBucket};
use wharf_pool::config::WhenFull;
use wharf_pool::{Charge, Endpoints, Listener, RejectReason, Slot, Tracked};

use super::lobby::{self, Lobby, Seat};
use super::tcp::refuse_handshakes;
use crate::app::App;
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::descriptors::is_kept;
use crate::drive::drive;
use crate::transport::Transport;

/// Connections that are accepted before other tasks of the worker get their turn.
const BATCH: usize = 64;

/// Errors of single connections in a row that are believed to be about those connections.
const PER_CONNECTION_ERRORS: u32 = 100;

/// How long descriptors are waited for before newcomers are turned away for want of one.
const BREATH: Duration = Duration::from_millis(10);

/// How often so.
const BREATHS: usize = 3;

/// Searches a second for a connection that may leave: one costs half a millisecond at 15,000.
const SEARCHES: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

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

/// What the loop remembers from one round to the next.
struct State {
    local: SocketAddr,
    /// Given up when descriptors run out, to be able to turn somebody away.
    spare: Option<OwnedFd>,
    backoff: Backoff,
    errors_in_a_row: u32,
    /// How often in a row there was no descriptor.
    shortages: u32,
    /// With `when_full = "wait"`: nobody found a slot for `queue_timeout`.
    queue_expired: bool,
    searches: TokenBucket,
    last_warning: Option<Instant>,
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
        let mut state = State {
            local: socket.local_addr()?,
            spare: spare(&socket),
            backoff: Backoff::new(),
            errors_in_a_row: 0,
            shortages: 0,
            queue_expired: false,
            searches: TokenBucket::new(SEARCHES, self.shared.clock.now()),
            last_warning: None,
        };
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

    async fn accept_when_full(
        &self,
        full: RejectReason,
        ready: &mut AsyncFdReadyGuard<'_, TcpListener>,
        state: &mut State,
    ) -> io::Result<()>
    where
        S: App,
    {
        let (policy, queue_timeout) = self.listener.when_full();
        let waits = policy == WhenFull::Wait || self.listener.is_too_early(full);
        if waits && !state.queue_expired {
            let waited = timeout(queue_timeout, self.listener.reserved()).await;
            if let Ok(slot) = waited {
                return self.accept_into(slot, ready, state);
            }
            state.queue_expired = true;
            return Ok(());
        }
        let (stream, peer) = try_accept(ready)?;
        state.accepted();
        let seat = match self.lobby.seat() {
            Some(seat) if policy == WhenFull::Reclaim => seat,
            seat => {
                self.turn_away(stream, full, seat);
                return Ok(());
            }
        };
        let may_search = state.searches.try_take(self.shared.clock.now()).is_ok();
        let (acceptor, local) = (self.clone_for_newcomer(), state.local);
        self.tasks.spawn(async move {
            let slot = lobby::make_room(&acceptor.listener, peer, full, may_search).await;
            let opened = match slot {
                Ok(slot) => acceptor.open(slot, stream, peer, local),
                Err(reason) => Err((stream, reason)),
            };
            // It has kept its seat until it has a slot, or is refused in it.
            if let Err((stream, reason)) = opened {
                acceptor.turn_away(stream, reason, Some(seat));
            }
        });
        Ok(())
    }

    /// Turns a newcomer away for want of memory; where newcomers wait, nobody is accepted until there is some.
    async fn accept_under_pressure(
        &self,
        ready: &mut AsyncFdReadyGuard<'_, TcpListener>,
        state: &mut State,
    ) -> io::Result<()>
    where
        S: App,
    {
        let (policy, queue_timeout) = self.listener.when_full();
        if policy == WhenFull::Wait && !state.queue_expired {
            let until = Instant::now() + queue_timeout;
            while self.shared.strain.refuses() && Instant::now() < until {
                sleep(BREATH).await;
            }
            state.queue_expired = self.shared.strain.refuses();
            return Ok(());
        }
        let (stream, _) = try_accept(ready)?;
        state.accepted();
        self.turn_away(stream, RejectReason::Pressure, self.lobby.seat());
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

    /// Waits a moment for a descriptor in place of one that is kept: peers may have left, and their
    /// connections not have noticed.
    async fn let_in_with_another(
        self,
        stream: OwnedFd,
        peer: SocketAddr,
        local: SocketAddr,
        seat: Seat,
    ) where
        S: App,
    {
        for _ in 0..BREATHS {
            sleep(BREATH).await;
            let Some(another) = stream.try_clone().ok().filter(|it| !is_kept(it)) else {
                continue;
            };
            drop(stream);
            let opened = match self.listener.reserve() {
                Ok(slot) => self.open(slot, another, peer, local),
                Err(full) => Err((another, full)),
            };
            if let Err((stream, reason)) = opened {
                self.turn_away(stream, reason, Some(seat));
            }
            return;
        }
        // Nobody holds a descriptor to be told that there is none.
        self.turn_away(stream, RejectReason::Pressure, None);
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

    /// After an error of `accept`: nothing to do, or a pause. Returns what cannot be recovered.
    async fn recover(
        &self,
        error: io::Error,
        ready: &mut AsyncFdReadyGuard<'_, TcpListener>,
        state: &mut State,
    ) -> Option<io::Error> {
        match AcceptError::classify(error.raw_os_error()) {
            AcceptError::Fatal => return Some(error),
            AcceptError::PerConnection if state.errors_in_a_row < PER_CONNECTION_ERRORS => {
                state.errors_in_a_row += 1;
                return None;
            }
            AcceptError::PerConnection | AcceptError::Exhausted => {}
        }
        state.shortages = state.shortages.wrapping_add(1);
        if !state.shortages.is_multiple_of(2) {
            // Peers may have left, and their connections not have noticed: nobody is turned away for
            // descriptors that come free at once.
            sleep(BREATH).await;
            return None;
        }
        let wait = state.backoff.next_wait();
        if state.warns() {
            let listener = self.listener.name();
            tracing::warn!(%listener, %error, retry = ?wait, "cannot accept");
        }
        self.shed(ready, state);
        sleep(wait).await;
        None
    }

    /// Turns newcomers away with the descriptor that was kept for it, so that they hear at once what
    /// they would else learn from their own timeouts.
    fn shed(&self, ready: &mut AsyncFdReadyGuard<'_, TcpListener>, state: &mut State) {
        if state.spare.take().is_none() {
            state.spare = spare(ready.get_inner());
            return;
        }
        for _ in 0..BATCH {
            let Ok((stream, _)) = try_accept(ready) else {
                break;
            };
            self.listener.reject(RejectReason::Pressure);
            // The only error is a socket that is gone already.
            socket2::SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .ok();
        }
        state.spare = spare(ready.get_inner());
    }
}

impl State {
    fn accepted(&mut self) {
        self.errors_in_a_row = 0;
        self.shortages = 0;
        self.backoff.reset();
    }

    /// Whether it is time for another line in the log.
    fn warns(&mut self) -> bool {
        let now = Instant::now();
        let due = self
            .last_warning
            .is_none_or(|last| now - last >= Duration::from_secs(1));
        if due {
            self.last_warning = Some(now);
        }
        due
    }
}

/// Registers the socket with the runtime. Not tokio's own `TcpListener`: that cannot say that
/// somebody waits without accepting him, and `when_full = "wait"` counts from then.
#[expect(
    deprecated,
    reason = "its successor is unsafe; a std socket keeps its descriptor for life"
)]
fn register(socket: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    AsyncFd::new(socket)
}

fn try_accept(ready: &mut AsyncFdReadyGuard<'_, TcpListener>) -> io::Result<(OwnedFd, SocketAddr)> {
    match ready.try_io(|socket| accept(socket.get_ref())) {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::WouldBlock.into()),
    }
}

fn accept(socket: &TcpListener) -> io::Result<(OwnedFd, SocketAddr)> {
    let (stream, peer) = acceptfrom_with(socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    // A TCP socket without a peer's address was reset before it was accepted.
    peer.map(|peer| (stream, peer))
        .ok_or_else(|| rustix::io::Errno::CONNABORTED.into())
}

/// Whether an error is about the one connection that was to be accepted, and others wait behind it.
fn is_per_connection(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::WouldBlock
        && AcceptError::classify(error.raw_os_error()) == AcceptError::PerConnection
}

fn spare(socket: &TcpListener) -> Option<OwnedFd> {
    socket.try_clone().ok().map(OwnedFd::from)
}
