//! HTTP/1 as the driver sees it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use wharf_control::{Deadline, Wait, earliest};
use wharf_pool::config::Limit;
use wharf_pool::{CloseReason, Command, ConnectionHandle, Pool};

use super::conversation::{
    Answer, Conversation, End, Facts, Judgement, LINGER, LastWord, Look, Standing,
};
use super::version::Opened;
use super::{Driver, Fuse, Part, REST, farewell, tunnel, websocket};
use crate::app::App;
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::flight::Link;
use crate::http1::{Fate, Lent, Settings, SharedWire, Violation, Watched, Wire};
use crate::transport::Transport;
use crate::wire::Wire as _;

/// What hyper may buffer of one direction: above the largest head that the meter passes by default.
const BUFFER: usize = 64 * 1024;

/// Serves HTTP/1.1 to the end of the connection, or until it has become a WebSocket session.
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
    let settings = shared.http1_settings(&pool);
    let wire = SharedWire::new(Wire::new(io, settings, early));
    let link = Arc::new(Link {
        handle,
        pool,
        shared,
    });
    // Only what is needed until the end is in the future, and its end is on the heap: an idle connection
    // holds it.
    async move {
        let fuse = Fuse(&link.handle);
        let end = converse(&wire, &link, app).await;
        drop(fuse);
        if end.last == LastWord::Upgraded && wire.lock().session().is_some() {
            let shared = Arc::clone(&link.shared);
            return Some(Part::new(websocket::serve(wire, shared)));
        } else if end.last == LastWord::Upgraded {
            Box::pin(tunnel::outlive(wire, &link.handle)).await;
        } else {
            Box::pin(farewell::say(wire, &link.handle, end)).await;
        }
        None
    }
}

/// Serves until something ends it; hyper and the handler are gone afterwards.
async fn converse<T, S>(wire: &SharedWire<T>, link: &Arc<Link>, app: S) -> End
where
    T: Transport,
    S: App,
{
    let mut driver = Driver::new(&link.handle, &link.shared);
    loop {
        // Until there is a request to parse, hyper and its buffers are not there: a connection that
        // says nothing costs its record and its task.
        let first = pin!(poll_fn(|cx| wire.lock().poll_request(cx).map(Ok)));
        let mut talk = Talk {
            wire,
            link,
            codec: first,
            parks: false,
        };
        let waited = poll_fn(|cx| driver.poll(cx, &mut talk)).await;
        if !wire.lock().is_to_be_served() {
            return waited;
        }
        let service = Watched::new(app.clone(), wire.clone(), Arc::clone(link));
        let io = TokioIo::new(Lent::new(wire.clone()));
        // The settings that are in force now: what has changed reaches connections that were idle.
        let settings = Arc::clone(&wire.lock().settings);
        let counted = link.shared.codecs.made();
        let codec = builder(&settings)
            .serve_connection(io, service)
            .with_upgrades();
        drop(settings);
        // On the heap, so that an idle connection gives it back with hyper's buffers.
        let mut codec = Box::pin(codec);
        let mut talk = Talk {
            wire,
            link,
            codec: codec.as_mut(),
            parks: true,
        };
        let end = poll_fn(|cx| driver.poll(cx, &mut talk)).await;
        if end.last != LastWord::Parked {
            return end;
        }
        drop(codec);
        drop(counted);
        wire.lock().parked();
    }
}

/// hyper keeps no time, and takes only what the meter has passed.
fn builder(settings: &Settings) -> Builder {
    let mut builder = Builder::new();
    // Every deadline is the driver's; a timer here would be a second opinion.
    builder.header_read_timeout(None);
    builder.max_buf_size(BUFFER.max(settings.head.max_header_size.saturating_mul(2)));
    if settings.head.max_headers > 100 {
        builder.max_headers(settings.head.max_headers);
    }
    builder
}

impl From<Violation> for Answer {
    fn from(violation: Violation) -> Self {
        let status = violation.status();
        let too_large = matches!(status, 413 | 414 | 431);
        let reason = if too_large {
            CloseReason::MessageTooLarge
        } else {
            CloseReason::BadRequest
        };
        Self {
            status,
            why: violation.why(),
            reason,
        }
    }
}

/// One HTTP/1 connection; the codec is hyper, or what waits for the first request.
struct Talk<'a, T: Transport, F> {
    wire: &'a SharedWire<T>,
    link: &'a Link,
    codec: Pin<&'a mut F>,
    /// Whether the codec is worth putting away.
    parks: bool,
}

impl<T, F> Conversation for Talk<'_, T, F>
where
    T: Transport,
    F: Future<Output = Result<(), hyper::Error>>,
{
    fn pool(&self) -> &Pool<HttpConnection> {
        &self.link.pool
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<End> {
        let Poll::Ready(result) = self.codec.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        let wire = self.wire.lock();
        let (reason, last) = if result.is_ok() && wire.is_tunnel() {
            (CloseReason::Completed, LastWord::Upgraded)
        } else {
            (
                reason_of(&result, &wire.fate, &self.link.handle),
                finished(&wire),
            )
        };
        Poll::Ready(End { reason, last })
    }

    fn facts(&mut self, look: &Look) -> Facts {
        let mut wire = self.wire.lock();
        if wire.settings.generation != self.link.pool.generation() {
            wire.settings = self.link.shared.http1_settings(&self.link.pool);
        }
        if wire.exchange.is_writing() && look.at_peer {
            wire.look_at_peer(0);
            if let Some(user_timeout) = look.user_timeout {
                wire.io().get_ref().spare_the_living(user_timeout);
            }
        }
        let violation = wire.refused();
        let exchange = &wire.exchange;
        let idle = exchange.idle_since();
        let standing = match idle {
            Some(since) => Standing::Idle(since),
            None if exchange.is_silent() => Standing::Silent,
            None => Standing::Busy,
        };
        let rest = idle.filter(|_| self.parks && wire.is_parkable());
        let crowded = rest.is_some() && self.link.shared.codecs.are_many();
        let rest = Deadline::new(Wait::Rest, rest, Some(REST));
        let broken = violation.map(|violation| Judgement::End(on_violation(violation, &wire)));
        Facts {
            demand: broken.or(crowded.then_some(Judgement::Park)),
            blocked: exchange.is_writing(),
            standing,
            deadline: earliest([rest, exchange.deadline(&wire.settings.timeouts)]),
            max_age: wire.settings.max_age,
        }
    }

    /// A peer that has sent something of its request, and nothing of whose answer is on the way, is
    /// told 408; to others there is nothing to say.
    fn over(&mut self, wait: Wait) -> Judgement {
        let mut wire = self.wire.lock();
        let tell = |why, reason, wire: &Wire<T>| {
            if wire.exchange.is_responding() {
                End::cut(reason)
            } else {
                End::answer(Answer {
                    status: 408,
                    why,
                    reason,
                })
            }
        };
        Judgement::End(match wait {
            Wait::Rest => return Judgement::Park,
            Wait::NextRequest => End::half_close(CloseReason::Idle),
            Wait::FirstRequest if wire.exchange.in_head() => tell(
                "the request came too late",
                CloseReason::ConnectionTimeout,
                &wire,
            ),
            Wait::FirstRequest => End::half_close(CloseReason::ConnectionTimeout),
            Wait::Head => tell(
                "the request head was not complete in time",
                CloseReason::HeadersTimeout,
                &wire,
            ),
            Wait::Response => {
                // The handler is polled once more, and its answer is 504.
                if wire.exchange.expire() {
                    return Judgement::PollAgain;
                }
                return Judgement::Wait;
            }
            Wait::BodyRate => tell(
                "the request body came too slowly",
                CloseReason::SlowRequest,
                &wire,
            ),
            Wait::ReadRate => End::cut(CloseReason::SlowReader),
            Wait::Peer if wire.exchange.is_writing() => End::cut(CloseReason::StreamIdle),
            Wait::Peer => tell(
                "the request body did not come",
                CloseReason::StreamIdle,
                &wire,
            ),
            // A wait that this protocol does not know: it cannot have been asked for.
            Wait::Acknowledgement | Wait::Sign | Wait::Pong | _ => return Judgement::Wait,
        })
    }

    fn rehearse(&mut self, limit: Limit) -> bool {
        let mut wire = self.wire.lock();
        // What a request allows its handler is no limit of the pool's.
        let own = limit == Limit::RequestTimeout && !wire.exchange.owes_as_configured();
        !own && Arc::make_mut(&mut wire.settings).rehearse(limit)
    }

    /// Each answer says it from now on: the service sees the command.
    fn say_goodbye(&mut self) {}

    fn patience(&self) -> Option<Duration> {
        None
    }

    fn give_up(&mut self) {
        self.wire.lock().fate.cut = true;
    }
}

/// The end that a broken rule brings: the peer is told, unless an answer is on the way already or
/// has been given.
fn on_violation<T: Transport>(violation: Violation, wire: &Wire<T>) -> End {
    let answer = Answer::from(violation);
    if wire.exchange.is_responding() {
        End::cut(answer.reason)
    } else if wire.exchange.in_body() && wire.exchange.outstanding() == 0 {
        End::half_close(answer.reason)
    } else {
        End::answer(answer)
    }
}

fn finished<T: Transport>(wire: &Wire<T>) -> LastWord {
    if wire.fate.error == Some(std::io::ErrorKind::InvalidData) {
        // The alert is on its way.
        return LastWord::Gone;
    }
    let peer_waits = !wire.fate.read_closed && wire.fate.error.is_none();
    if wire.fate.panicked || wire.fate.app_failed || wire.fate.error.is_some() {
        LastWord::Cut
    } else if peer_waits && !(wire.fate.peer_ends && wire.is_drained() && !wire.exchange.in_body())
    {
        LastWord::Nothing { linger: LINGER }
    } else {
        LastWord::Gone
    }
}

/// The reason of an end that hyper has come to by itself.
fn reason_of(
    result: &Result<(), hyper::Error>,
    fate: &Fate,
    handle: &ConnectionHandle<HttpConnection>,
) -> CloseReason {
    let Fate {
        read_closed,
        left_amid,
        said_close,
        panicked,
        app_failed,
        error,
        ..
    } = fate;
    match error {
        _ if *panicked => return CloseReason::Panic,
        _ if *app_failed => return CloseReason::ApplicationError,
        Some(std::io::ErrorKind::TimedOut | std::io::ErrorKind::HostUnreachable) => {
            return CloseReason::PeerDead;
        }
        // TLS cannot read what the peer sends.
        Some(std::io::ErrorKind::InvalidData) => return CloseReason::TlsError,
        Some(_) => return CloseReason::PeerReset,
        None => {}
    }
    if *left_amid {
        return CloseReason::PeerReset;
    }
    if let Some(reason) = said_close {
        return *reason;
    }
    match result {
        _ if *read_closed => CloseReason::ClientClosed,
        Err(error) if error.is_parse() => CloseReason::BadRequest,
        Err(_) => CloseReason::ProtocolError,
        Ok(()) => handle
            .command()
            .map_or(CloseReason::Completed, Command::reason),
    }
}
