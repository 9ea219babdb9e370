//! [`Reply`]: the answer to one request, on its way to the peer.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::{Body, Frame};
use wharf_pool::{Berth, Clock, Outcome};

use super::head;
use super::request::Kind;
use super::session::{Parts, StreamSession};
use super::stream::Stream;
use super::streams::Place;
use crate::admission::Refused;
use crate::app::BoxError;
use crate::connection::HttpConnection;
use crate::flight::Flight;
use crate::panics::report_panic;
use crate::websocket::Seat;

/// The answer to one request, on its way to the peer. Dropped before its end, it resets the stream.
pub(super) struct Reply {
    pub(super) stream: Arc<Stream>,
    pub(super) flight: Flight,
    /// What it is the answer to.
    pub(super) kind: Kind,
    pub(super) clock: Arc<Clock>,
    pub(super) respond: SendResponse<Bytes>,
    pub(super) send: Option<SendStream<Bytes>>,
    pub(super) progress: Progress,
    /// How many bytes have gone since the peer last had no room.
    pub(super) passed: u64,
    /// Its place among the streams of the connection: given back before the last byte goes, since the
    /// peer may open another stream as soon as it has that.
    pub(super) place: Option<Place>,
    /// Whether the peer waits to be told that its body is welcome.
    pub(super) expects: bool,
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not to its end.
    UnderWay,
    /// To its last byte.
    Ended,
    /// The peer or the driver has given the request up.
    Broken,
}

/// There is nobody to answer any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone;

impl From<h2::Error> for Gone {
    fn from(_: h2::Error) -> Self {
        Self
    }
}

impl Reply {
    /// Ready when there is nobody to answer any more: the peer has reset the stream, or the driver
    /// ends it. To be asked on every poll of the stream's task.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        self.stream.register(cx);
        if let Some(code) = self.stream.aborted() {
            self.reset(code);
            return Poll::Ready(Gone);
        }
        let reset = match &mut self.send {
            Some(send) => send.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        };
        reset.map(|_| {
            self.progress = Progress::Broken;
            Gone
        })
    }

    /// Tells a peer that waits with its body to send it, where the application still wants it.
    pub(super) fn go_on(&mut self) {
        if std::mem::take(&mut self.expects) && self.stream.wants_body() {
            let mut go_on = Response::new(());
            *go_on.status_mut() = StatusCode::CONTINUE;
            // A stream that is gone needs no answer.
            self.respond.send_informational(go_on).ok();
        }
    }

    /// Ends the stream with this code.
    pub(super) fn reset(&mut self, code: Reason) {
        self.progress = Progress::Broken;
        match &mut self.send {
            Some(send) => send.send_reset(code),
            None => self.respond.send_reset(code),
        }
    }

    /// Sends the whole answer.
    pub(super) async fn send<B>(&mut self, mut answer: Response<Option<B>>, method: &Method)
    where
        B: Body<Error: Into<BoxError>>,
    {
        if Refused::is_said_by(&answer) {
            self.flight.refused();
        }
        if Refused::is_better_reset(&answer) {
            return self.reset(Reason::REFUSED_STREAM);
        }
        // Its answer is made of the body that is still to come.
        self.go_on();
        let (head, ended) = head::of_answer(&mut answer, method);
        self.stream.responded();
        self.flight.responded(head.status());
        if self.kind == Kind::Call {
            self.flight.called(head.headers());
        }
        if ended {
            self.place = None;
        }
        match self.respond.send_response(head, ended) {
            Ok(send) => self.send = Some(send),
            Err(error) => {
                tracing::debug!(%error, "an answer cannot be sent");
                self.progress = Progress::Broken;
                return;
            }
        }
        if ended {
            return self.end();
        }
        let Some(body) = answer.into_body() else {
            return;
        };
        if let Ok(()) = self.pipe(body).await {
            self.end();
        }
    }

    /// The answer opens a WebSocket session. It is wharf's where a handler of our own has accepted it;
    /// else it is the two bodies, and all that is known of it is how long it may live.
    pub(super) async fn open_session<B>(
        &mut self,
        answer: Response<Option<B>>,
        berth: Berth<HttpConnection>,
        seat: Option<Arc<Seat>>,
        method: &Method,
    ) where
        B: Body<Error: Into<BoxError>>,
    {
        let handle = self.flight.link().handle.clone();
        let pool = berth.pool().clone();
        let took = self.flight.elapsed();
        self.flight.responded(answer.status());
        // The request ends where it was made, as with an upgrade.
        if let Some(guard) = self.flight.take_guard() {
            guard.end(Outcome::Success, took);
        }
        let open = handle.begin_request(&pool);
        let Some((upload, told)) = seat.and_then(|seat| seat.take_accepted()) else {
            if let Some(max_age) = pool.config().common.max_age {
                self.stream.live_until(self.clock.now().after(max_age));
            }
            self.send(answer, method).await;
            return open.end(Outcome::Success, took);
        };
        self.stream.responded();
        let extensions = answer.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS);
        let Ok(send) = self.respond.send_response(head::of_session(answer), false) else {
            self.progress = Progress::Broken;
            return;
        };
        let session = StreamSession::new(Parts {
            upload,
            send,
            stream: Arc::clone(&self.stream),
            clock: Arc::clone(&self.clock),
            handle: handle.clone(),
            pool,
            extensions,
        });
        // A handler that has gone meanwhile has left the session with that.
        told.send(session.port()).ok();
        let reason = session.serve().await;
        tracing::debug!(connection = %handle.id(), reason = reason.as_str(), "a session has ended");
        self.end();
        open.end(Outcome::Success, took);
    }

    fn end(&mut self) {
        self.progress = Progress::Ended;
        self.flight.complete();
    }

    async fn pipe<B>(&mut self, body: B) -> Result<(), Gone>
    where
        B: Body<Error: Into<BoxError>>,
    {
        let mut body = pin!(body);
        loop {
            // Room first: of a peer that takes nothing, no more than one piece waits here. No more
            // than a byte: a body that has nothing yet must not keep the others' room.
            self.room(1).await?;
            match self.next_frame(body.as_mut()).await? {
                None => return self.write(Bytes::new(), true),
                Some(frame) => match frame.into_data() {
                    Ok(mut data) => {
                        let data = data.copy_to_bytes(data.remaining());
                        let last = body.is_end_stream();
                        self.write_all(data, last).await?;
                        if last {
                            return Ok(());
                        }
                    }
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            return self.finish(trailers);
                        }
                    }
                },
            }
        }
    }

    async fn next_frame<B>(&mut self, mut body: Pin<&mut B>) -> Result<Option<Frame<B::Data>>, Gone>
    where
        B: Body<Error: Into<BoxError>>,
    {
        poll_fn(|cx| {
            if self.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(Gone));
            }
            let polled = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll_frame(cx)));
            match polled {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(frame)) => Poll::Ready(frame.transpose().map_err(|error| {
                    let error = error.into();
                    tracing::debug!(error = &*error, "a body failed");
                    self.reset(code_of(&*error));
                    Gone
                })),
                Err(panic) => {
                    report_panic(&self.flight.link().handle, &*panic);
                    self.reset(Reason::INTERNAL_ERROR);
                    Poll::Ready(Err(Gone))
                }
            }
        })
        .await
    }

    async fn write_all(&mut self, mut data: Bytes, last: bool) -> Result<(), Gone> {
        if data.is_empty() && last {
            return self.write(data, true);
        }
        while !data.is_empty() {
            let room = self.room(data.len()).await?;
            let piece = data.split_to(room.min(data.len()));
            self.write(piece, last && data.is_empty())?;
        }
        Ok(())
    }

    fn write(&mut self, piece: Bytes, last: bool) -> Result<(), Gone> {
        if last {
            self.place = None;
        }
        let send = self.send.as_mut().ok_or(Gone)?;
        let bytes = piece.len();
        send.send_data(piece, last)?;
        self.passed += bytes as u64;
        self.flight.sent(bytes);
        Ok(())
    }

    fn finish(&mut self, trailers: HeaderMap) -> Result<(), Gone> {
        if self.kind == Kind::Call {
            self.flight.called(&trailers);
        }
        self.place = None;
        let send = self.send.as_mut().ok_or(Gone)?;
        Ok(send.send_trailers(trailers)?)
    }

    /// Waits until the peer has room for a piece of these bytes; returns for how many.
    async fn room(&mut self, bytes: usize) -> Result<usize, Gone> {
        if let Some(send) = &mut self.send {
            send.reserve_capacity(bytes);
        }
        let mut waited = false;
        poll_fn(|cx| {
            if self.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(Gone));
            }
            let Some(send) = &mut self.send else {
                return Poll::Ready(Err(Gone));
            };
            let room = loop {
                match send.capacity() {
                    0 => {}
                    room => break room,
                }
                match send.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_)) | None) => {
                        self.progress = Progress::Broken;
                        return Poll::Ready(Err(Gone));
                    }
                    Poll::Pending => {
                        waited = true;
                        let passed = std::mem::take(&mut self.passed);
                        self.stream.blocked(passed, self.clock.now());
                        return Poll::Pending;
                    }
                }
            };
            if waited {
                self.stream.unblocked(self.clock.now());
            }
            Poll::Ready(Ok(room))
        })
        .await
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.progress == Progress::UnderWay {
            // Only a panic outside of what is caught comes here.
            self.reset(Reason::INTERNAL_ERROR);
        }
        self.flight.end(self.progress != Progress::Ended);
    }
}

/// The code that an application's error asks for, if it or a cause of it is one of HTTP/2.
pub(super) fn code_of(error: &(dyn std::error::Error + 'static)) -> Reason {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(reason) = error
            .downcast_ref::<h2::Error>()
            .and_then(h2::Error::reason)
        {
            return reason;
        }
        cause = error.source();
    }
    Reason::INTERNAL_ERROR
}
