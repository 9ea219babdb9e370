//! [`Attempts`]: the attempts to have a request answered by an upstream, each a span of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::request::Parts;
use http::{Method, Request, Response};
use wharf_pool::ListenerName;
use wharf_upstream::{AttemptObserver, EndpointAddress, ResponseBody, Scheme, SendBody, SendError};

use super::context::{TRACEPARENT, TRACESTATE, TraceContext};
use super::followed::{Followed, Place};
use super::wire::{Span, SpanKind, int, text};
use super::{moment, span};

/// The attempts to have one request answered.
#[derive(Debug)]
struct Attempts {
    followed: Arc<Followed>,
    upstream: ListenerName,
    under_way: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many there were before.
    before: i64,
    attempt: Option<Attempt>,
}

/// One that has not ended.
#[derive(Debug)]
struct Attempt {
    own: TraceContext,
    endpoint: EndpointAddress,
    method: Method,
    path: String,
    number: i64,
    begun: u64,
}

/// Who is told of the attempts to have this request answered by that upstream; nobody, if the request's trace
/// context is to go on as it came.
pub(crate) fn attempts(head: &Parts, upstream: &ListenerName) -> Option<Arc<dyn AttemptObserver>> {
    let followed = Followed::among(&head.extensions)?;
    let place = followed.place.as_ref()?;
    if place.parent.is_some() && !place.own.is_sampled() {
        return None;
    }
    Some(Arc::new(Attempts {
        followed,
        upstream: upstream.clone(),
        under_way: Mutex::default(),
    }))
}

impl AttemptObserver for Attempts {
    fn begins(&self, endpoint: &EndpointAddress, request: &mut Request<SendBody>) {
        let Some(place) = &self.followed.place else {
            return;
        };
        let sampled = place.own.is_sampled();
        let own = if sampled {
            place.own.child(self.followed.shared.random())
        } else {
            // Nobody hears of the attempt, but whoever is asked learns that.
            place.own
        };
        let fields = request.headers_mut();
        if let Some(parent) = own.render() {
            fields.insert(TRACEPARENT, parent);
        }
        if place.parent.is_none() {
            // What came with it belonged to no trace.
            fields.remove(TRACESTATE);
        }
        if sampled {
            let mut state = self.lock();
            state.attempt = Some(Attempt {
                own,
                endpoint: endpoint.clone(),
                method: request.method().clone(),
                path: span::cut(request.uri().path()).to_owned(),
                number: state.before,
                begun: moment::now(),
            });
            state.before += 1;
        }
    }

    fn ended(&self, answer: Result<&Response<ResponseBody>, &SendError>) {
        let attempt = self.lock().attempt.take();
        if let (Some(attempt), Some(place)) = (attempt, self.followed.recorded()) {
            self.tell(attempt.span(place, self, answer.map_err(SendError::kind)));
        }
    }
}

impl Attempts {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock panics.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, span: Span) {
        let shared = self.followed.shared;
        if let Some(config) = shared.config.load().as_deref() {
            let most = config.settings.queue.get() as usize;
            shared.spans.put(span, most);
        }
    }
}

/// Whoever asked has given it up.
impl Drop for Attempts {
    fn drop(&mut self) {
        let attempt = self.lock().attempt.take();
        if let (Some(attempt), Some(place)) = (attempt, self.followed.recorded()) {
            self.tell(attempt.span(place, self, Err("cancelled")));
        }
    }
}

impl Attempt {
    fn span(
        self,
        place: &Place,
        attempts: &Attempts,
        answer: Result<&Response<ResponseBody>, &'static str>,
    ) -> Span {
        let host = self.endpoint.host();
        let authority = self.endpoint.authority();
        let scheme = match self.endpoint.scheme() {
            Scheme::Https => "https",
            Scheme::Http | Scheme::H2c | _ => "http",
        };
        let url = format!("{scheme}://{authority}{}", self.path);
        let mut attributes = vec![
            text("server.address", host),
            int("server.port", i64::from(self.endpoint.port())),
            text("url.full", url),
            text("wharf.upstream", attempts.upstream.as_str()),
        ];
        attributes.extend(span::methods(&self.method));
        if self.number > 0 {
            attributes.push(int("http.request.resend_count", self.number));
        }
        let name = if attempts.followed.is_call() {
            let called = self.path.trim_start_matches('/');
            attributes.extend(span::call(called, None));
            called.to_owned()
        } else {
            span::method(&self.method).to_owned()
        };
        let error = match answer {
            Ok(answer) => {
                let status = answer.status();
                let code = i64::from(status.as_u16());
                attributes.push(int("http.response.status_code", code));
                let version = span::version(answer.version());
                attributes.push(text("network.protocol.version", version));
                let failed = status.is_client_error() || status.is_server_error();
                failed.then(|| status.as_str().to_owned())
            }
            Err(kind) => Some(kind.to_owned()),
        };
        attributes.extend(error.as_ref().map(|error| text("error.type", error)));
        let times = (self.begun, moment::now());
        Span {
            trace_state: place.state.clone(),
            kind: SpanKind::Client.into(),
            attributes,
            ..span::bare(
                name,
                self.own,
                Some(span::local(place)),
                times,
                error.is_some(),
            )
        }
    }
}
