//! HTTP/2 as the driver sees it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Connection, Handshake, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::{Request, StatusCode};
use tokio::time::timeout;
use wharf_control::{Deadline, Wait, earliest};
use wharf_pool::config::Limit;
use wharf_pool::{
    CloseReason, Command, ConnectionHandle, DryRunReason, Pool, RejectReason, Share, Timestamp,
};

use super::conversation::{Conversation, End, Facts, Judgement, LINGER, LastWord, Look, Standing};
use super::version::Opened;
use super::{Driver, Fuse, Part, farewell};
use crate::app::App;
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::flight::Link;
use crate::http2::{
    Call, GoAway, Kind, MeterLimits, Opening, Owed, Standing as Behaviour, Streams, Strikes,
    Window, Wire, builder, serve_stream,
};
use crate::shared_wire::SharedWire;
use crate::transport::Transport;
use crate::wire::Wire as _;

pub(super) use crate::http2::REFUSAL;

/// How long the peer may take to acknowledge our SETTINGS.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a peer that was told GOAWAY may take to end an idle connection.
const PATIENCE: Duration = Duration::from_millis(500);

/// Serves HTTP/2 to the end of the connection.
pub(super) fn serve<T, S>(
    opened: Opened<T>,
    app: S,
    shared: Arc<Context>,
) -> impl Future<Output = Option<Part>> + Send
where
    T: Transport,
    S: App,
{
    let Opened {
        io, early, pool, ..
    } = opened;
    let handle = io.handle().clone();
    let http2 = shared.http2();
    let settings = shared.http2_settings(&pool);
    let limits = MeterLimits::of(http2.max_concurrent_streams.get());
    let wire = Wire::new(io, settings, &limits, early);
    let wire = SharedWire::new(wire);
    let opened = handle.opened();
    let link = Arc::new(Link {
        handle,
        pool,
        shared,
    });
    let share = link.shared.strain.share();
    let sessions = link.shared.has_sessions_over_http2();
    let codec = builder(&http2, share.bytes(), sessions);
    let mut talk = Talk {
        codec: Codec::Greeting(codec.handshake(wire.clone())),
        call: Call {
            app,
            link: Arc::clone(&link),
            streams: Streams::new(opened),
        },
        first: First::Awaited,
        most: http2.max_concurrent_streams.get(),
        wire,
        asking: None,
        strikes: Strikes::default(),
        greeted: None,
        leaving: None,
        unsaid: false,
        window: Window::default(),
        way: Way::Free,
        _share: share,
    };
    // Made before, so that it is in the future once, and the end of it on the heap: an idle connection
    // holds it.
    async move {
        let fuse = Fuse(&link.handle);
        let end = {
            let mut driver = Driver::new(&link.handle, &link.shared);
            poll_fn(|cx| driver.poll(cx, &mut talk)).await
        };
        let (wire, streams) = (talk.wire.clone(), Arc::clone(&talk.call.streams));
        drop(talk);
        drop(fuse);
        Box::pin(part(wire, streams, &link.handle, end)).await;
        None
    }
}

/// Ends the connection, once its streams have come to theirs.
async fn part<T: Transport>(
    wire: Io<T>,
    streams: Arc<Streams>,
    handle: &ConnectionHandle<HttpConnection>,
    end: End,
) {
    // The streams have been told to end, or have ended: they own nothing of the connection's bytes,
    // but they are its tasks.
    // A handler that blocks its worker must not keep the connection: its task ends with it.
    let _ = timeout(LINGER, streams.ended()).await;
    farewell::say(wire, handle, end).await;
}

type Io<T> = SharedWire<Wire<T>>;

/// The codec, before and after both sides have greeted each other.
enum Codec<T: Transport> {
    Greeting(Handshake<Io<T>, Bytes>),
    Serving(Connection<Io<T>, Bytes>),
}

/// The first request, which says which pool the connection belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Awaited,
    Come,
}

/// What the way to the peer has done to the streams since they were last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Free,
    HeldThemUp,
}

/// One HTTP/2 connection.
struct Talk<T: Transport, S> {
    wire: Io<T>,
    /// The most streams that may be in flight.
    most: u32,
    codec: Codec<T>,
    /// On the heap: most connections are never asked.
    asking: Option<Box<Asking>>,
    /// What the streams share.
    call: Call<S>,
    first: First,
    strikes: Strikes,
    /// Since when the peer has agreed to speak.
    greeted: Option<Timestamp>,
    window: Window,
    way: Way,
    /// Held for its drop: what its buffers may come to.
    _share: Share,
    /// Whether the peer is to be told GOAWAY once it has greeted.
    unsaid: bool,
    /// Why the peer was told GOAWAY with an error, and when.
    leaving: Option<Box<(CloseReason, Timestamp)>>,
}

/// Asking the peer whether it is there.
struct Asking {
    ping: PingPong,
    /// Since when that is unanswered.
    since: Option<Timestamp>,
}

impl<T: Transport, S: App> Talk<T, S> {
    fn handle(&self) -> &ConnectionHandle<HttpConnection> {
        &self.call.link.handle
    }

    fn poll_codec(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), h2::Error>> {
        if let Codec::Greeting(handshake) = &mut self.codec {
            match Pin::new(handshake).poll(cx) {
                Poll::Ready(Ok(mut connection)) => {
                    if self.unsaid {
                        connection.graceful_shutdown();
                    }
                    self.codec = Codec::Serving(connection);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        loop {
            let Codec::Serving(connection) = &mut self.codec else {
                return Poll::Pending;
            };
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => self.accept(request, respond),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Begins to serve a request.
    fn accept(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        if self.call.streams.len() >= self.most as usize {
            // Handlers of streams that the codec has forgotten are still running.
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        if self.call.link.shared.strain.refuses() {
            // Of all streams, those that have not begun cost nobody anything.
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        if std::mem::replace(&mut self.first, First::Come) == First::Awaited {
            let kind = Kind::of(&request);
            if kind == Kind::Call && self.move_to_grpc().is_err() {
                let refusal = kind.refusal::<()>(StatusCode::SERVICE_UNAVAILABLE);
                // The stream may be gone.
                respond.send_response(refusal.map(drop), true).ok();
                return self.handle().begin_close(CloseReason::Refused);
            }
            // What that tells, the driver hears when this request is among the streams.
            self.handle().settle();
        }
        let settings = Arc::clone(&self.wire.lock().settings);
        let served = serve_stream(&self.call, &settings, request, respond);
        #[expect(
            clippy::disallowed_methods,
            reason = "it has its place among the streams, and the end waits for those"
        )]
        drop(tokio::spawn(served));
        if settings
            .max_requests
            .is_some_and(|most| self.handle().requests() >= u64::from(most.get()))
        {
            if self.rehearse(Limit::MaxRequests) {
                self.handle().would_close(DryRunReason::MaxRequests);
            } else {
                self.handle().begin_close(CloseReason::MaxRequests);
            }
        }
    }

    /// The first request is a gRPC call: the connection belongs to another pool, if there is one.
    fn move_to_grpc(&mut self) -> Result<(), RejectReason> {
        let Link {
            handle,
            pool,
            shared,
        } = &*self.call.link;
        let grpc = shared.pools.of(crate::Protocol::Grpc);
        let Some(grpc) = grpc.filter(|grpc| grpc.name() != pool.name()) else {
            return Ok(());
        };
        handle.enter(grpc)?;
        self.wire.lock().moved(shared.http2_settings(grpc));
        self.call.link = Arc::new(Link {
            handle: handle.clone(),
            pool: grpc.clone(),
            shared: Arc::clone(shared),
        });
        Ok(())
    }

    /// Asks the peer whether it is there, and hears its answer.
    fn poll_ping(&mut self, cx: &mut TaskContext<'_>) {
        if let Some(asking) = &mut self.asking
            && let Poll::Ready(Ok(_)) = asking.ping.poll_pong(cx)
        {
            asking.since = None;
        }
    }

    /// GOAWAY as our last frame, where one fits in.
    fn last_frame(&self, code: Reason, why: &str) -> Option<GoAway> {
        let wire = self.wire.lock();
        let last = wire.meter.last_stream();
        let fits = wire.meter.at_boundary();
        fits.then(|| GoAway::new(last, code, why))
    }

    /// Tells the peer GOAWAY with this code and text, and ends the connection. Where the bytes that
    /// have gone are not whole frames, the codec says it without the text, and gets a moment for it.
    fn go_away(&mut self, code: Reason, why: &str, reason: CloseReason) -> Judgement {
        let frame = self.last_frame(code, why);
        match (&mut self.codec, frame) {
            (_, Some(frame)) => Judgement::End(End {
                reason,
                last: LastWord::GoAway(frame),
            }),
            (Codec::Serving(connection), None) if self.leaving.is_none() => {
                connection.abrupt_shutdown(code);
                self.leaving = Some(Box::new((reason, self.call.link.shared.clock.now())));
                self.call.streams.abort_all(Reason::CANCEL);
                Judgement::PollAgain
            }
            (Codec::Serving(_), None) => Judgement::End(End::cut(reason)),
            (Codec::Greeting(_), None) => Judgement::End(End::half_close(reason)),
        }
    }

    /// Reads the configuration again if it has changed, and notes what the peer has agreed to.
    fn refresh(&mut self) {
        let mut wire = self.wire.lock();
        let Link { pool, shared, .. } = &*self.call.link;
        if wire.settings.generation != pool.generation() {
            wire.settings = shared.http2_settings(pool);
            self.call.streams.look_soon();
        }
        if self.greeted.is_none() && wire.meter.has_settings() {
            self.greeted = Some(self.call.link.shared.clock.now());
            self.handle().greeted();
        }
    }

    /// What has to happen at once: the peer abuses the connection, or has been told GOAWAY and does
    /// not end it.
    fn demand(&mut self, now: Timestamp) -> Option<Judgement> {
        if let Some((reason, since)) = self.leaving.as_deref().copied() {
            let late = since.after(LINGER) <= now;
            return late.then(|| Judgement::End(End::cut(reason)));
        }
        let (behaviour, tally, interval) = {
            let wire = self.wire.lock();
            (
                wire.standing(),
                wire.meter.tally(),
                wire.settings.ping.min_interval,
            )
        };
        match behaviour {
            Behaviour::Fine if self.strikes.look(&tally, interval, now) => {
                let calm = Reason::ENHANCE_YOUR_CALM;
                // gRPC's clients know the words.
                Some(self.go_away(calm, "too_many_pings", CloseReason::Http2Abuse))
            }
            Behaviour::Fine => None,
            Behaviour::Warned(_) if self.handle().command().is_some() => None,
            Behaviour::Warned(kind) => {
                let kind = kind.as_str();
                tracing::debug!(connection = %self.handle().id(), kind, "asked to leave");
                Some(Judgement::Finish(CloseReason::Http2Abuse))
            }
            Behaviour::Abusive(kind) => {
                self.call.link.shared.tally.abused(kind);
                let kind = kind.as_str();
                tracing::debug!(connection = %self.handle().id(), kind, "HTTP/2 abuse");
                let calm = Reason::ENHANCE_YOUR_CALM;
                Some(self.go_away(calm, kind, CloseReason::Http2Abuse))
            }
        }
    }

    /// What is waited for that is over first.
    fn deadline(&self, wire: &Wire<T>, standing: Standing) -> Option<Deadline> {
        let limits = &wire.settings.timeouts;
        if let Some(&(_, since)) = self.leaving.as_deref() {
            return Deadline::new(Wait::Peer, Some(since), Some(LINGER));
        }
        let opening = wire
            .meter
            .opening()
            .and_then(|(opening, since)| match opening {
                Opening::Preface | Opening::Settings => {
                    Deadline::new(Wait::FirstRequest, Some(since), Some(limits.connection))
                }
                Opening::Acknowledgement => {
                    // Who greets late has our SETTINGS no earlier.
                    let since = self.greeted.map(|greeted| greeted.max(since));
                    Deadline::new(Wait::Acknowledgement, since, Some(SETTINGS_TIMEOUT))
                }
            });
        let owed = wire.meter.owed().filter(|(what, _)| *what != Owed::Data);
        let head = owed.map(|(_, since)| since);
        let idle = match standing {
            // Who has been asked to finish is not asked again.
            Standing::Idle(since) if self.handle().command().is_none() => Some(since),
            Standing::Idle(_) | Standing::Busy | Standing::Silent => None,
        };
        let ping = wire.settings.ping;
        // Any sign of life answers.
        let pinged = self.asking.as_ref().and_then(|asking| asking.since);
        let pinged = pinged.filter(|since| wire.heard <= *since);
        let sign = ping
            .interval
            .filter(|_| pinged.is_none() && self.greeted.is_some())
            // Before that there is nobody to send it.
            .filter(|_| matches!(self.codec, Codec::Serving(_)));
        earliest([
            opening,
            Deadline::new(Wait::Head, head, Some(limits.headers)),
            Deadline::new(Wait::NextRequest, idle, Some(limits.keep_alive)),
            Deadline::new(Wait::Sign, Some(wire.heard), sign),
            Deadline::new(Wait::Pong, pinged, Some(ping.timeout)),
            self.call
                .streams
                .look_at()
                .and_then(|at| Deadline::at(Wait::Response, at)),
            wire.sending.deadline(limits),
            self.window.deadline(limits),
        ])
    }

    /// The reason of an end that the codec has come to by itself.
    fn reason(&self, result: &Result<(), h2::Error>) -> CloseReason {
        if let Some(&(reason, _)) = self.leaving.as_deref() {
            return reason;
        }
        let wire = self.wire.lock();
        let amid = self.call.streams.has_requests();
        let told = self.handle().command().map(Command::reason);
        match wire.error {
            Some(std::io::ErrorKind::TimedOut | std::io::ErrorKind::HostUnreachable) => {
                return CloseReason::PeerDead;
            }
            // TLS cannot read what the peer sends.
            Some(std::io::ErrorKind::InvalidData) => return CloseReason::TlsError,
            // Who has left in good order need not hear that we leave too.
            Some(_) if amid || !(wire.read_closed || told.is_some()) => {
                return CloseReason::PeerReset;
            }
            Some(_) | None => {}
        }
        match result {
            Ok(()) | Err(_) if wire.read_closed && amid => CloseReason::PeerReset,
            Err(error) if error.is_library() && !wire.read_closed && wire.error.is_none() => {
                if error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
                    CloseReason::Http2Abuse
                } else {
                    CloseReason::ProtocolError
                }
            }
            Ok(()) | Err(_) => told.unwrap_or(CloseReason::ClientClosed),
        }
    }
}

impl<T: Transport, S: App> Conversation for Talk<T, S> {
    fn pool(&self) -> &Pool<HttpConnection> {
        &self.call.link.pool
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<End> {
        self.poll_ping(cx);
        let Poll::Ready(result) = self.poll_codec(cx) else {
            return Poll::Pending;
        };
        let reason = self.reason(&result);
        self.give_up();
        let wire = self.wire.lock();
        let last = if wire
            .error
            .is_some_and(|error| error != std::io::ErrorKind::InvalidData)
        {
            LastWord::Cut
        } else if wire.read_closed || wire.error.is_some() {
            LastWord::Gone
        } else {
            LastWord::Nothing { linger: LINGER }
        };
        Poll::Ready(End { reason, last })
    }

    fn facts(&mut self, look: &Look) -> Facts {
        self.refresh();
        let demand = self.demand(look.now);
        let mut wire = self.wire.lock();
        if wire.sending.is_blocked() && look.at_peer {
            wire.look_at_peer();
            if let Some(user_timeout) = look.user_timeout {
                wire.io().get_ref().spare_the_living(user_timeout);
            }
        }
        let streams = self.call.streams.len();
        let shut = self.window.look(&wire.meter, streams, look.now);
        if shut || wire.sending.is_blocked() {
            self.way = Way::HeldThemUp;
        }
        // The last bytes of an answer may still be on their way: into the socket, or, which matters
        // before we leave, out of it.
        let leaving = self.handle().command().is_some();
        let under_way = wire.sending.is_blocked()
            || leaving && wire.io().get_ref().unacknowledged().is_some_and(|n| n > 0);
        let standing = match (self.greeted, self.call.streams.idle_since()) {
            (None, _) => Standing::Silent,
            (Some(greeted), Some(since)) if !under_way => Standing::Idle(since.max(greeted)),
            (Some(_), _) => Standing::Busy,
        };
        Facts {
            demand,
            blocked: under_way,
            standing,
            deadline: self.deadline(&wire, standing),
            max_age: wire.settings.max_age,
        }
    }

    fn over(&mut self, wait: Wait) -> Judgement {
        let now = self.call.link.shared.clock.now();
        match wait {
            Wait::FirstRequest | Wait::Acknowledgement => {
                let late = CloseReason::ConnectionTimeout;
                self.go_away(Reason::SETTINGS_TIMEOUT, "settings_timeout", late)
            }
            Wait::Head => {
                let late = CloseReason::HeadersTimeout;
                self.go_away(Reason::ENHANCE_YOUR_CALM, "headers_timeout", late)
            }
            Wait::NextRequest => Judgement::Finish(CloseReason::Idle),
            Wait::Response => {
                let mut timeouts = self.wire.lock().settings.timeouts;
                let held = std::mem::replace(&mut self.way, Way::Free) == Way::HeldThemUp;
                let rehearsed = self.call.streams.look(&mut timeouts, held, now);
                if !rehearsed.is_empty() {
                    Arc::make_mut(&mut self.wire.lock().settings).timeouts = timeouts;
                }
                for reason in rehearsed {
                    self.handle().would_close(reason);
                }
                Judgement::PollAgain
            }
            Wait::Sign => {
                if let Codec::Serving(connection) = &mut self.codec
                    && self.asking.is_none()
                {
                    let ping = connection.ping_pong();
                    self.asking = ping.map(|ping| Box::new(Asking { ping, since: None }));
                }
                if let Some(asking) = &mut self.asking {
                    // One that is on its way already asks the same.
                    asking.ping.send_ping(Ping::opaque()).ok();
                    asking.since = Some(now);
                }
                Judgement::PollAgain
            }
            Wait::Pong => Judgement::End(End::cut(CloseReason::PingTimeout)),
            Wait::Peer => Judgement::End(End::cut(CloseReason::StreamIdle)),
            Wait::ReadRate => Judgement::End(End::cut(CloseReason::SlowReader)),
            // A wait that this protocol does not know: it cannot have been asked for.
            Wait::BodyRate | _ => Judgement::Wait,
        }
    }

    fn rehearse(&mut self, limit: Limit) -> bool {
        // Handlers are looked at one by one, with the streams.
        limit != Limit::RequestTimeout
            && Arc::make_mut(&mut self.wire.lock().settings).rehearse(limit)
    }

    fn say_goodbye(&mut self) {
        let told = self.handle().command().map(Command::reason);
        self.call
            .streams
            .say_goodbye(told.unwrap_or(CloseReason::Completed));
        match &mut self.codec {
            Codec::Serving(connection) => connection.graceful_shutdown(),
            // It is said as soon as there is somebody to say it to.
            Codec::Greeting(_) => self.unsaid = true,
        }
    }

    /// A peer that has not answered our PING has not heard which stream is the last.
    fn part(&mut self, end: End) -> End {
        let LastWord::Nothing { .. } = end.last else {
            return end;
        };
        match self.last_frame(Reason::NO_ERROR, "") {
            Some(frame) => End {
                last: LastWord::GoAway(frame),
                ..end
            },
            None => end,
        }
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }

    fn give_up(&mut self) {
        self.call.streams.abort_all(Reason::CANCEL);
    }
}
