//! The service that hyper calls: the application, watched.
//!
//! It counts each request from its head to the last byte of its answer, answers for a handler that
//! panics, fails or is late, and says `Connection: close` where the answer is the last.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CONNECTION, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use wharf_pool::DryRunReason;
use wharf_pool::config::Limit;

use super::answering::Answering;
use super::body::ResponseBody;
use super::handling::Handling;
use super::{Lent, SharedWire};
use crate::admission::Refused;
use crate::app::App;
use crate::body::RequestBody;
use crate::flight::{Flight, Link};
use crate::info::Connected;
use crate::panics::report_panic;
use crate::transport::Transport;
use crate::websocket::{Asked, Invitation, Refusal, Way};

/// The application as one connection's hyper sees it.
pub(crate) struct Watched<T, S> {
    app: S,
    /// The clone of it that takes the requests. Not one for each: workers that all took references to what an
    /// application shares would fight over its counters.
    ready: Cell<Option<S>>,
    wire: SharedWire<T>,
    link: Arc<Link>,
}

impl<T, S> Watched<T, S> {
    pub(crate) fn new(app: S, wire: SharedWire<T>, link: Arc<Link>) -> Self {
        Self {
            app,
            ready: Cell::new(None),
            wire,
            link,
        }
    }
}

impl<T, S> hyper::service::Service<Request<Incoming>> for Watched<T, S>
where
    T: Transport,
    S: App,
{
    type Response = Response<ResponseBody<T, S::Body>>;
    type Error = Infallible;
    type Future = Answer<T, S>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let Link { handle, shared, .. } = &*self.link;
        let now = shared.clock.now();
        let served = handle.requests() + 1;
        let (last, asks) = {
            let mut wire = self.wire.lock();
            wire.exchange.called(now);
            let most = wire.settings.max_requests;
            let mut last = most.is_some_and(|most| served >= u64::from(most.get()));
            if last && Arc::make_mut(&mut wire.settings).rehearse(Limit::MaxRequests) {
                handle.would_close(DryRunReason::MaxRequests);
                last = false;
            }
            (last, wire.asks_for_upgrade())
        };
        if served == 1 {
            if let Some(agent) = request.headers().get(USER_AGENT) {
                handle.set_user_agent(&String::from_utf8_lossy(agent.as_bytes()));
            }
            if !asks {
                handle.settle();
            }
        }
        let connected = Connected::new(handle.clone(), self.wire.downgrade());
        connected.insert_into(request.extensions_mut());
        let flight = Flight::begin(Arc::clone(&self.link), &mut request);
        let flight = Answering::begin(self.wire.clone(), flight);
        let mut answer = Answer {
            handler: None,
            flight: Some(flight),
            last,
            asked: Asked::Other,
            refusal: None,
        };
        if asks {
            match Asked::of(&mut request, &self.link) {
                Ok(asked) => {
                    if let Asked::Session(_) = asked {
                        request.extensions_mut().insert(Invitation {
                            tasks: shared.sessions.clone(),
                            way: Way::Connection(Lent::<T>::claim),
                        });
                    } else {
                        handle.settle();
                    }
                    answer.asked = asked;
                }
                Err(refusal) => {
                    handle.settle();
                    answer.refusal = Some(refusal);
                    return answer;
                }
            }
        }
        let request = request.map(RequestBody::http1);
        let begin = || {
            let app = self.ready.take().unwrap_or_else(|| self.app.clone());
            Handling::begin(app, request)
        };
        // What has panicked is not asked again.
        match catch_unwind(AssertUnwindSafe(begin)) {
            Ok((handler, app)) => {
                answer.handler = Some(handler);
                self.ready.set(app);
            }
            Err(panic) => report_panic(handle, &*panic),
        }
        answer
    }
}

pin_project! {
    /// The answer to one request, as it is being made.
    pub(crate) struct Answer<T: Transport, S: App> {
        #[pin]
        handler: Option<Handling<S>>,
        // Taken when the head is there; from then on the body has it.
        flight: Option<Answering<T>>,
        last: bool,
        // What may become of the connection with this answer.
        asked: Asked,
        refusal: Option<Refusal>,
    }
}

impl<T, S> Future for Answer<T, S>
where
    T: Transport,
    S: App,
{
    type Output = Result<Response<ResponseBody<T, S::Body>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(flight) = this.flight.as_ref() else {
            return Poll::Pending;
        };
        // Without a handler it is refused, or has panicked before it became a future.
        let handler = this.handler.as_mut().as_pin_mut();
        let polled = handler.map(|it| catch_unwind(AssertUnwindSafe(|| it.poll(cx))));
        let response = match polled {
            Some(Ok(Poll::Ready(Ok(response)))) => response.map(Some),
            Some(Ok(Poll::Ready(Err(error)))) => {
                tracing::error!(connection = %flight.id(), error = &*error, "the service failed");
                plain(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Some(Ok(Poll::Pending)) if flight.is_expired() => plain(StatusCode::GATEWAY_TIMEOUT),
            Some(Ok(Poll::Pending)) => return Poll::Pending,
            Some(Err(panic)) => {
                report_panic(flight.handle(), &*panic);
                plain(StatusCode::INTERNAL_SERVER_ERROR)
            }
            None => match this.refusal.take() {
                Some(refusal) => refusal.response(None),
                None => plain(StatusCode::INTERNAL_SERVER_ERROR),
            },
        };
        // Whatever the handler still holds is let go before its answer is sent.
        this.handler.set(None);
        let Some(flight) = this.flight.take() else {
            return Poll::Pending;
        };
        let asked = std::mem::replace(this.asked, Asked::Other);
        Poll::Ready(Ok(finish(response, flight, asked, *this.last)))
    }
}

/// An answer of our own, without a body.
fn plain<B>(status: StatusCode) -> Response<Option<B>> {
    let mut response = Response::new(None);
    *response.status_mut() = status;
    response
}

/// Puts the flight into the body, and the last word into the head.
fn finish<T: Transport, B: Body>(
    mut response: Response<Option<B>>,
    mut flight: Answering<T>,
    asked: Asked,
    last: bool,
) -> Response<ResponseBody<T, B>> {
    let upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    match asked {
        Asked::Session(place) if upgrade => {
            flight.opened(*place, response.headers());
            return response.map(|body| ResponseBody::new(body, flight));
        }
        Asked::Ordinary if upgrade => {
            tracing::error!(connection = %flight.id(), "101 to a request that asks for no upgrade");
            response = plain(StatusCode::INTERNAL_SERVER_ERROR);
        }
        Asked::Session(_) | Asked::Ordinary | Asked::Other => {}
    }
    if Refused::is_said_by(&response) {
        flight.refused();
    }
    if flight.responded(response.status(), last).is_some() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response.map(|body| ResponseBody::new(body, flight))
}
