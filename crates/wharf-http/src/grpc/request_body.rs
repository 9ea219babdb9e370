//! [`RequestBody`]: the messages that a call receives, measured as they come.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::call::Call;
use super::code::Code;
use super::meter::Meter;
use super::status::Status;
use crate::app::BoxError;

pin_project! {
    /// The body of a call's request. A message that is longer than it may be is an error before any
    /// of it is there, and ends the call with [`Code::ResourceExhausted`], whatever its handler
    /// makes of the error.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        body: B,
        call: Call,
        meter: Meter,
        refused: bool,
    }
}

impl<B> RequestBody<B> {
    /// Measures `body` for `call`.
    pub fn new(body: B, call: Call) -> Self {
        Self {
            body,
            call,
            meter: Meter::default(),
            refused: false,
        }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        if *this.refused {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = this.body.poll_frame(cx) else {
            return Poll::Pending;
        };
        let Some(frame) = frame.transpose().map_err(Into::into)? else {
            return Poll::Ready(None);
        };
        // Without a copy where the data is `Bytes` already, as hyper's is.
        let frame = frame.map_data(|mut data| data.copy_to_bytes(data.remaining()));
        if let Some(data) = frame.data_ref() {
            let before = this.meter.messages();
            let measured = this.meter.feed(data, this.call.limits().receive);
            this.call.received(this.meter.messages() - before);
            if let Err(too_long) = measured {
                *this.refused = true;
                let message = format!("received {too_long}");
                this.call.cut(Status::new(Code::ResourceExhausted, message));
                return Poll::Ready(Some(Err(too_long.into())));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.refused || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.refused {
            SizeHint::with_exact(0)
        } else {
            self.body.size_hint()
        }
    }
}
