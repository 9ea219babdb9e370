//! [`Record`]: what counts a call, from its head to the last byte of its answer.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode};
use tokio::time::Instant;

use super::call::Call;
use super::code::Code;
use super::content_type::is_grpc;
use super::figures::{Ended, Figures};
use super::meter::Meter;
use super::status::Status;

/// What counts a call. Owned by what makes the answer, then by the answer's body; its drop is the end
/// of the call, however that comes about.
#[derive(Debug)]
pub(super) struct Record {
    call: Call,
    figures: Option<Arc<Figures>>,
    /// The method, as long as nobody knows that it exists.
    unknown: Option<PathAndQuery>,
    begun: Instant,
    /// The messages of the answer.
    pub(super) meter: Meter,
}

impl Record {
    pub(super) fn begin<B>(call: Call, request: &Request<B>) -> Self {
        let path = request.uri().path();
        let known = call.calls().map(|calls| calls.begin(path));
        let unknown = match &known {
            Some((_, false)) => request.uri().path_and_query().cloned(),
            Some((_, true)) | None => None,
        };
        Self {
            figures: known.map(|(figures, _)| figures),
            call,
            unknown,
            begun: Instant::now(),
            meter: Meter::default(),
        }
    }

    pub(super) const fn call(&self) -> &Call {
        &self.call
    }

    /// The head of the answer is there, and is the handler's.
    ///
    /// # Errors
    ///
    /// What the call was cut with: then that is its answer.
    pub(super) fn answered<B>(&mut self, response: &Response<B>) -> Result<(), Status> {
        let fields = response.headers();
        let plain = (response.status() != StatusCode::OK).then(|| Code::of_http(response.status()));
        let code = Code::of(fields).or(plain);
        code.map_or_else(|| self.call.unless_cut(), |code| self.call.settle(code))?;
        let is_answer = match code {
            // What refuses all calls alike says nothing of a method: it may be made up.
            Some(code) => code == Code::Ok,
            None => is_grpc(fields),
        };
        if is_answer {
            self.learn();
        }
        Ok(())
    }

    /// A handler has begun an answer, so the method exists.
    fn learn(&mut self) {
        if let (Some(calls), Some(path)) = (self.call.calls(), self.unknown.take())
            && let Some(known) = calls.learn(path.path())
            && let Some(before) = self.figures.replace(Arc::clone(&known))
        {
            before.take_from_flight();
            known.put_in_flight();
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let code = self.call.end();
        if let Some(figures) = &self.figures {
            figures.end(&Ended {
                code,
                took: self.begun.elapsed(),
                received: self.call.messages_received(),
                sent: self.meter.messages(),
            });
        }
    }
}
