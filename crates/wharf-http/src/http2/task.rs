//! One stream, from the head of its request to the last byte of its answer.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::header::USER_AGENT;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use tower::util::Oneshot;
use wharf_pool::Berth;

use super::head;
use super::reply::{Progress, Reply, code_of};
use super::request::Kind;
use super::settings::Settings;
use super::streams::Streams;
use super::upload::Upload;
use crate::app::{App, BoxError};
use crate::body::RequestBody;
use crate::connection::HttpConnection;
use crate::flight::{Flight, Link};
use crate::grpc;
use crate::info::Connected;
use crate::panics::report_panic;
use crate::websocket::{self, Invitation, Seat, Way};

/// What the streams of one connection share.
pub(crate) struct Call<S> {
    pub(crate) app: S,
    pub(crate) link: Arc<Link>,
    pub(crate) streams: Arc<Streams>,
}

/// Begins to serve a request: it is counted from now on. The future is the rest.
pub(crate) fn serve_stream<S: App>(
    call: &Call<S>,
    settings: &Settings,
    mut request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> impl Future<Output = ()> + Send + use<S> {
    let Link { handle, shared, .. } = &*call.link;
    let kind = Kind::of(&request);
    if handle.requests() == 0
        && let Some(agent) = request.headers().get(USER_AGENT)
    {
        handle.set_user_agent(&String::from_utf8_lossy(agent.as_bytes()));
    }
    let mut flight = Flight::begin(Arc::clone(&call.link), &mut request);
    let body = !request.body().is_end_stream();
    let facts = (body, kind);
    let (stream, place) = call.streams.begin(&shared.clock, facts, &settings.timeouts);
    let (refused, berth) = match admit(&request, kind, settings, &call.link) {
        Ok(berth) => (None, berth),
        Err(refusal) => (Some(refusal), None),
    };
    let excess = Arc::new(AtomicBool::new(false));
    let (head, receiving) = request.into_parts();
    let sizes = (
        settings.requests.body.filter(|_| kind.is_paced()),
        head::announced(&head.headers),
    );
    let upload = Upload::new(
        receiving,
        Arc::clone(&stream),
        Arc::clone(&shared.clock),
        sizes,
        Arc::clone(&excess),
    );
    let method = head.method.clone();
    let expects = body && head::expects_continue(&head.headers);
    let (mut request, seat) = if berth.is_some() {
        let (request, seat) = seated(head, upload, &call.link);
        (request, Some(seat))
    } else {
        (Request::from_parts(head, RequestBody::http2(upload)), None)
    };
    let asked = kind.prepare(&mut request, settings, &call.link, &stream);
    if asked.is_some() {
        flight.is_impatient();
    }
    let limits = Arc::downgrade(&stream);
    Connected::new(handle.clone(), limits).insert_into(request.extensions_mut());
    let mut reply = Reply {
        stream,
        flight,
        kind,
        clock: Arc::clone(&shared.clock),
        respond,
        send: None,
        progress: Progress::UnderWay,
        passed: 0,
        place: Some(place),
        expects,
    };
    let app = call.app.clone();
    async move {
        let answer = match refused {
            Some(refusal) => {
                drop((request, app));
                Some(refusal)
            }
            None => handle_request(&mut reply, app, request, kind, &excess).await,
        };
        let Some(answer) = answer else { return };
        match berth.filter(|_| answer.status().is_success()) {
            Some(berth) => reply.open_session(answer, berth, seat, &method).await,
            None => reply.send(answer, &method).await,
        }
    }
}

/// Looks whether a handler is to see the request, and takes a place for what is to become a session.
fn admit<R, B>(
    request: &Request<R>,
    kind: Kind,
    settings: &Settings,
    link: &Link,
) -> Result<Option<Berth<HttpConnection>>, Response<Option<B>>> {
    let refused = match grpc::timeout::asked(request.headers()) {
        Err(_) if kind == Kind::Call => Some(StatusCode::BAD_REQUEST),
        Ok(_) | Err(_) => head::refused(request, kind, &settings.requests),
    };
    if let Some(status) = refused {
        return Err(kind.refusal(status));
    }
    if kind != Kind::Session {
        return Ok(None);
    }
    let berth = websocket::book(request, link);
    berth.map(Some).map_err(|refusal| refusal.response(None))
}

/// A request whose stream may become a session, and its seat until that is decided.
fn seated(head: Parts, upload: Upload, link: &Link) -> (Request<RequestBody>, Arc<Seat>) {
    let seat = Seat::new(upload);
    let body = RequestBody::seated(Arc::clone(&seat));
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(Invitation {
        tasks: link.shared.sessions.clone(),
        way: Way::Stream(Arc::clone(&seat)),
    });
    (request, seat)
}

/// Lets the application answer; `None` if nobody wants to hear it any more.
async fn handle_request<S: App>(
    reply: &mut Reply,
    app: S,
    request: Request<RequestBody>,
    kind: Kind,
    excess: &AtomicBool,
) -> Option<Response<Option<S::Body>>> {
    let called = catch_unwind(AssertUnwindSafe(|| Oneshot::new(app, request)));
    let handler = match called {
        Ok(handler) => handler,
        Err(panic) => {
            report_panic(&reply.flight.link().handle, &*panic);
            return Some(kind.refusal(StatusCode::INTERNAL_SERVER_ERROR));
        }
    };
    let mut handler = pin!(handler);
    poll_fn(|cx| {
        if reply.poll_gone(cx).is_ready() {
            return Poll::Ready(None);
        }
        let polled = catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx)));
        let refuse = |status| Poll::Ready(Some(kind.refusal(status)));
        match polled {
            Ok(Poll::Ready(_)) if excess.load(Ordering::Relaxed) => {
                refuse(StatusCode::PAYLOAD_TOO_LARGE)
            }
            Ok(Poll::Ready(Ok(answer))) => Poll::Ready(Some(answer.map(Some))),
            Ok(Poll::Ready(Err(error))) => {
                let error: BoxError = error.into();
                tracing::error!(error = &*error, "the service failed");
                let code = code_of(&*error);
                if code == h2::Reason::INTERNAL_ERROR {
                    return refuse(StatusCode::INTERNAL_SERVER_ERROR);
                }
                reply.reset(code);
                Poll::Ready(None)
            }
            Ok(Poll::Pending) if reply.stream.is_expired() => refuse(StatusCode::GATEWAY_TIMEOUT),
            Ok(Poll::Pending) => {
                reply.go_on();
                Poll::Pending
            }
            Err(panic) => {
                report_panic(&reply.flight.link().handle, &*panic);
                refuse(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    })
    .await
}
