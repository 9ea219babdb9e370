//! [`ResponseBody`]: the messages that answer a call, measured as they go, and how the call ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::code::Code;
use super::record::Record;
use super::service::panicked;
use super::status::Status;
use crate::app::BoxError;

pin_project! {
    /// The body of a call's answer. It holds the call's place until its last byte. A message that is
    /// longer than it may be ends it with [`Code::ResourceExhausted`] in the trailers, as does
    /// whoever cuts the call short with their own code.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        // Gone once the call was cut.
        #[pin]
        body: Option<B>,
        // `None`: it was no call.
        record: Option<Record>,
        ended: bool,
    }
}

impl<B: Body> ResponseBody<B> {
    /// The body of a handler's answer.
    pub(super) fn answer(body: B, record: Record) -> Self {
        let ended = body.is_end_stream() && record.call().settle(Code::Unknown).is_ok();
        Self {
            body: Some(body),
            record: Some(record),
            ended,
        }
    }

    /// The body of an answer that is trailers only.
    pub(super) const fn refusal(record: Record) -> Self {
        Self {
            body: None,
            record: Some(record),
            ended: true,
        }
    }

    /// The body of an answer to what is no call.
    pub(super) const fn no_call() -> Self {
        Self {
            body: None,
            record: None,
            ended: true,
        }
    }
}

type Polled<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<BoxError> {
        let mut this = self.project();
        let (Some(record), false) = (this.record.as_mut(), *this.ended) else {
            return Poll::Ready(None);
        };
        let polled = match (record.call().poll_cut(cx), this.body.as_mut().as_pin_mut()) {
            (Some(_), _) => Poll::Pending,
            (None, Some(body)) => poll_body(body, record, cx),
            (None, None) => Poll::Ready(None),
        };
        let body = this.body.as_ref().get_ref();
        match is_end(&polled, body.as_ref().is_none_or(B::is_end_stream), record) {
            Ok(ended) => {
                *this.ended = ended;
                polled
            }
            Err(status) => {
                *this.ended = true;
                this.body.set(None);
                Poll::Ready(Some(Ok(Frame::trailers(status.trailers()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_cut = || self.record.as_ref().is_some_and(|it| it.call().is_cut());
        self.ended || (self.body.as_ref().is_none_or(B::is_end_stream) && !is_cut())
    }

    /// Nothing is promised of an answer that may be cut: a length would be sent ahead of it.
    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() {
            SizeHint::with_exact(0)
        } else {
            SizeHint::default()
        }
    }
}

/// Whether the answer ends here. `Err`: it ends with that instead, since the call was cut; what was
/// there before the cut still goes.
fn is_end(polled: &Polled<BoxError>, is_last: bool, record: &Record) -> Result<bool, Status> {
    let call = record.call();
    let frame = match polled {
        Poll::Pending => return call.unless_cut().map(|()| false),
        Poll::Ready(Some(Ok(frame))) => frame,
        Poll::Ready(Some(Err(_)) | None) => return call.settle(Code::Unknown).map(|()| true),
    };
    match (frame.trailers_ref(), frame.data_ref()) {
        (Some(trailers), _) => {
            let code = Code::of(trailers).unwrap_or(Code::Unknown);
            call.settle(code).map(|()| true)
        }
        (None, data) => {
            if data.is_none_or(Bytes::is_empty) {
                call.unless_cut()?;
            }
            Ok(is_last && call.settle(Code::Unknown).is_ok())
        }
    }
}

/// The next frame of the handler's body, measured. Where it panics, or is too long, the call is cut.
fn poll_body<B>(body: Pin<&mut B>, record: &mut Record, cx: &mut Context<'_>) -> Polled<BoxError>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let polled = match catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
        Ok(polled) => polled,
        Err(panic) => {
            record.call().cut(panicked(&*panic));
            return Poll::Pending;
        }
    };
    // Without a copy where the data is `Bytes` already, as tonic's and axum's is.
    let whole = |mut data: B::Data| data.copy_to_bytes(data.remaining());
    polled
        .map_ok(|frame| frame.map_data(|data| measured(whole(data), record)))
        .map_err(Into::into)
}

/// What of `data` may go: all of it, or the messages before one that is too long.
fn measured(data: Bytes, record: &mut Record) -> Bytes {
    let limit = record.call().limits().send;
    match record.meter.feed(&data, limit) {
        Ok(()) => data,
        Err(too_long) => {
            let message = format!("to be sent: {too_long}");
            record
                .call()
                .cut(Status::new(Code::ResourceExhausted, message));
            data.slice(..too_long.at)
        }
    }
}
