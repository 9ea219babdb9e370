//! [`Followed`]: what is known of a request on its way, beside what its record says.

use std::sync::{Arc, OnceLock};

use http::Extensions;
use http::header::{HOST, HeaderMap, HeaderValue};
use wharf_http::Tag;

use super::Shared;
use super::context::{TraceContext, state_of};
use crate::config::{OtelConfig, Signal};
use crate::gateway::Scheme;

/// What is known of a request on its way.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) shared: &'static Shared,
    /// Its place in a trace; nothing where no traces are wanted.
    pub(super) place: Option<Place>,
    pub(super) host: Option<HeaderValue>,
    /// Where it went; nothing until it is known.
    pub(super) way: OnceLock<Way>,
}

/// The place of a request in a trace.
#[derive(Debug)]
pub(super) struct Place {
    /// Its own.
    pub(super) own: TraceContext,
    /// Whose request it is part of.
    pub(super) parent: Option<TraceContext>,
    /// What others have to say of the trace.
    pub(super) state: String,
}

/// Where a request went.
#[derive(Debug)]
pub(super) struct Way {
    /// The path of the route.
    pub(super) route: Arc<str>,
    /// How the listener is reached.
    pub(super) scheme: Scheme,
    /// Whether it is a gRPC call.
    pub(super) is_call: bool,
}

/// The same as whoever routes has it: the route's path, the listener's scheme, whether it is a gRPC call.
type Route<'a> = (&'a str, Scheme, bool);

/// Notes where a request went, if it is followed.
pub(crate) fn routed(extensions: &Extensions, (route, scheme, is_call): Route<'_>) {
    if let Some(followed) = Followed::among(extensions) {
        let route = Arc::from(route);
        // It goes one way.
        followed
            .way
            .set(Way {
                route,
                scheme,
                is_call,
            })
            .ok();
    }
}

impl Followed {
    /// A request with these fields begins.
    pub(super) fn begin(shared: &'static Shared, config: &OtelConfig, fields: &HeaderMap) -> Self {
        let place = || {
            let parent = TraceContext::of(fields);
            let span = shared.random();
            let own = parent.map_or_else(
                || TraceContext::root(shared.random(), span, config.settings.sample),
                |parent| parent.child(span),
            );
            // A state without its parent says nothing (3.3).
            let state = parent.filter(|parent| parent.is_sampled());
            let state = state.map_or_else(String::new, |_| state_of(fields));
            Place { own, parent, state }
        };
        let traces = config.settings.signals.0.contains(&Signal::Traces);
        Self {
            shared,
            place: traces.then(place),
            host: fields.get(HOST).cloned(),
            way: OnceLock::new(),
        }
    }

    /// What is known of the request with these extensions.
    pub(super) fn among(extensions: &Extensions) -> Option<Arc<Self>> {
        extensions.get::<Tag>()?.get()
    }

    /// The place in a trace that is recorded.
    pub(super) fn recorded(&self) -> Option<&Place> {
        self.place.as_ref().filter(|place| place.own.is_sampled())
    }

    /// Whether it is a gRPC call.
    pub(super) fn is_call(&self) -> bool {
        self.way.get().is_some_and(|way| way.is_call)
    }
}
