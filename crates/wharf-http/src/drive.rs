//! The driver: one function serves a connection from its first byte to its last.
//!
//! It is the only place that knows the order: serve, be told to finish, say goodbye, wait, cut. It
//! alone reads commands, deadlines and the changed configuration, and it alone decides for which
//! reason a connection ends.

mod farewell;
mod goodbye;
mod verdict;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use wharf_control::jittered;
use wharf_pool::{CloseReason, Command, ConnectionHandle, TICK, Timestamp, Tracked};

use crate::app::App;
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::http1::{Link, Settings, SharedWire, Violation, Watched, Wire};
use crate::proxy;
use crate::transport::Transport;
use goodbye::Goodbye;

/// What hyper may buffer of one direction: above the largest head that the meter passes by default.
const BUFFER: usize = 64 * 1024;

/// One poll in so many is timed, for the processor share of a pool.
const SAMPLE: u32 = 64;

/// Serves one connection to its end.
///
/// # Cancel safety
///
/// Dropped, the connection is cut: its slot is given back with its bytes.
pub(crate) async fn drive<T, S>(mut io: Tracked<T, HttpConnection>, app: S, shared: Arc<Context>)
where
    T: Transport,
    S: App,
{
    let handle = io.handle().clone();
    match shared.lame.for_newcomers() {
        Some(Command::Abort(reason)) => handle.abort(reason),
        Some(command) => handle.begin_close(command.reason()),
        None => {}
    }
    let early = match proxy::announced(&mut io, &shared).await {
        Ok(early) => early,
        Err(reason) => {
            handle.conclude(reason);
            io.get_ref().reset_on_drop();
            return;
        }
    };
    let settings = Settings::of(&shared.pool);
    let wire = SharedWire::new(Wire::new(io, Arc::clone(&shared.clock), settings, early));
    let fuse = Fuse(&handle);
    let ended = serve(&wire, &handle, app, &shared).await;
    drop(fuse);
    farewell::say(wire, &handle, ended).await;
}

/// Names the reason when the application panics where nobody catches it, such as in the drop of a
/// body: the wire, which counts the end, is dropped after this.
struct Fuse<'a>(&'a ConnectionHandle<HttpConnection>);

impl Drop for Fuse<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(connection = %self.0.id(), "a panic ends the connection");
            self.0.conclude(CloseReason::Panic);
        }
    }
}

/// Serves HTTP/1.1 until something ends it; hyper and the handler are gone afterwards.
async fn serve<T, S>(
    wire: &SharedWire<T>,
    handle: &ConnectionHandle<HttpConnection>,
    app: S,
    shared: &Arc<Context>,
) -> End
where
    T: Transport,
    S: App,
{
    let mut driver = Driver::new(wire, handle, shared);
    // Until there is a request to parse, hyper and its buffers are not there either: a connection
    // that says nothing costs its record and its task.
    let mut first = pin!(std::future::poll_fn(|cx| wire
        .lock()
        .poll_request(cx)
        .map(Ok)));
    let waited = std::future::poll_fn(|cx| driver.poll(cx, first.as_mut())).await;
    if !matches!(waited, End::Finished(Ok(()))) || !wire.lock().has_request() {
        return waited;
    }
    let settings = wire.lock().settings;
    let service = Watched {
        app,
        wire: wire.clone(),
        link: Arc::new(Link {
            handle: handle.clone(),
            shared: Arc::clone(shared),
        }),
    };
    let io = TokioIo::new(wire.clone());
    let codec = builder(&settings)
        .serve_connection(io, service)
        .with_upgrades();
    let mut codec = pin!(codec);
    std::future::poll_fn(|cx| driver.poll(cx, codec.as_mut())).await
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

/// How serving came to its end.
#[derive(Debug)]
pub(crate) enum End {
    /// hyper has finished: the peer left, or an answer was the last.
    Finished(Result<(), hyper::Error>),
    /// The bytes belong to another protocol now.
    Upgraded,
    /// The peer has broken a rule, or was late, and is told so.
    Answer(Answer),
    /// Nothing is in flight, and our direction is to be closed.
    HalfClose(CloseReason),
    /// No more is said.
    Cut(CloseReason),
}

/// The last answer on a connection, which no handler makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) why: &'static str,
    pub(crate) reason: CloseReason,
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

/// The state of the driver of one connection.
struct Driver<'a, T> {
    wire: &'a SharedWire<T>,
    handle: &'a ConnectionHandle<HttpConnection>,
    shared: &'a Context,
    goodbye: Option<Goodbye>,
    /// The deadline that the wheel knows.
    armed: Timestamp,
    /// When a peer that takes nothing was last looked at.
    looked: Timestamp,
    waker: Option<Waker>,
    polls: u32,
}

impl<'a, T: Transport> Driver<'a, T> {
    fn new(
        wire: &'a SharedWire<T>,
        handle: &'a ConnectionHandle<HttpConnection>,
        shared: &'a Context,
    ) -> Self {
        let armed = Timestamp::MAX;
        Self {
            wire,
            handle,
            shared,
            goodbye: None,
            armed,
            looked: Timestamp::ZERO,
            waker: None,
            polls: 0,
        }
    }

    fn poll<F>(&mut self, cx: &mut TaskContext<'_>, mut codec: Pin<&mut F>) -> Poll<End>
    where
        F: Future<Output = Result<(), hyper::Error>>,
    {
        self.register(cx);
        loop {
            if let Some(end) = self.heed_command() {
                return self.end(end);
            }
            if let Poll::Ready(result) = self.timed(|| codec.as_mut().poll(cx)) {
                let upgraded = result.is_ok() && self.wire.lock().is_tunnel();
                return Poll::Ready(if upgraded {
                    End::Upgraded
                } else {
                    End::Finished(result)
                });
            }
            match self.judge() {
                Judgement::Wait => return Poll::Pending,
                Judgement::PollAgain => {}
                Judgement::End(end) => return self.end(end),
            }
        }
    }

    /// Ends serving by our own decision: an answer that is not complete now will never be.
    fn end(&self, end: End) -> Poll<End> {
        self.wire.lock().fate.cut = true;
        Poll::Ready(end)
    }

    /// Lets commands and the wheel wake this task. Its waker stays the same while it runs on one
    /// runtime, so this is a comparison on every poll but the first.
    fn register(&mut self, cx: &TaskContext<'_>) {
        if !self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            self.waker = Some(cx.waker().clone());
            self.handle.control().register(cx);
        }
    }

    fn timed<R>(&mut self, poll: impl FnOnce() -> R) -> R {
        self.polls = self.polls.wrapping_add(1);
        if !self.polls.is_multiple_of(SAMPLE) {
            return poll();
        }
        let begun = Instant::now();
        let result = poll();
        self.shared.pool.busy(begun.elapsed() * SAMPLE);
        result
    }

    fn heed_command(&mut self) -> Option<End> {
        let command = self.handle.command()?;
        if let Command::Abort(reason) = command {
            return Some(End::Cut(reason));
        }
        if self.goodbye.is_none() {
            self.begin_goodbye(command.reason());
        }
        None
    }

    fn begin_goodbye(&mut self, reason: CloseReason) {
        let grace = self.wire.lock().settings.max_age_grace;
        self.goodbye = Some(Goodbye::new(reason, self.handle.id(), self.shared, grace));
    }

    /// What the facts demand, now that hyper has done what it could.
    fn judge(&mut self) -> Judgement {
        let now = self.shared.clock.now();
        let mut wire = self.wire.lock();
        if wire.settings.generation != self.shared.pool.generation() {
            wire.settings = Settings::of(&self.shared.pool);
        }
        // Once a tick: a large download blocks and goes on thousands of times a second.
        if wire.exchange.is_writing() && self.looked != now {
            self.looked = now;
            wire.look_at_peer(0);
            if let Some(user_timeout) = self.shared.user_timeout {
                wire.io().get_ref().spare_the_living(user_timeout);
            }
        }
        if let Some(violation) = wire.refused() {
            return Judgement::End(verdict::on_violation(violation, &wire));
        }
        let age = self.age_deadline(&wire.settings);
        let goodbye = self
            .goodbye
            .as_ref()
            .and_then(|it| it.deadline(&wire.exchange));
        let exchange = wire.exchange.deadline(&wire.settings.timeouts);
        // What a deadline counts from may be a tick older than the coarse clock says.
        let past = |at: Timestamp| at.after(TICK) <= now;
        if age.is_some_and(past) {
            drop(wire);
            self.handle.begin_close(CloseReason::MaxAge);
            return Judgement::PollAgain;
        }
        if let Some(due) = goodbye.filter(|goodbye| goodbye.at <= now) {
            return Judgement::End(due.end());
        }
        if let Some(due) = exchange.filter(|deadline| past(deadline.at)) {
            return verdict::on(due.wait, &mut wire);
        }
        let looks = wire.exchange.is_writing();
        drop(wire);
        let next = [
            age,
            goodbye.map(|goodbye| goodbye.at),
            exchange.map(|deadline| deadline.at),
        ];
        let next = next.into_iter().flatten().min().unwrap_or(Timestamp::MAX);
        if looks {
            // While the peer takes nothing, it is looked at with every turn of the wheel.
            self.armed = Timestamp::ZERO;
            self.handle.set_deadline(Timestamp::ZERO);
        } else if next != self.armed {
            self.armed = next;
            self.handle.set_deadline(next);
        }
        Judgement::Wait
    }

    /// When the connection is asked to finish for its age; never, once it has been asked.
    fn age_deadline(&self, settings: &Settings) -> Option<Timestamp> {
        let max_age = settings.max_age.filter(|_| self.goodbye.is_none())?;
        Some(
            self.handle
                .opened()
                .after(jittered(max_age, 0.1, self.handle.id().as_u64())),
        )
    }
}

/// What the driver does next.
enum Judgement {
    /// Nothing is due: wait for bytes, a command or the wheel.
    Wait,
    /// A fact has changed that hyper or the handler has to see.
    PollAgain,
    /// Serving is over.
    End(End),
}

#[cfg(test)]
mod tests;
