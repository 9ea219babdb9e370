//! OpenTelemetry in a build without it: nothing is followed, and nothing is sent. The same names as in `otel.rs`.

#![expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "what is called is the same in both builds"
)]

use std::io;
use std::sync::Arc;

use http::{Extensions, request::Parts};
use wharf_http::RequestObserver;
use wharf_pool::ListenerName;
use wharf_upstream::AttemptObserver;

use crate::config::OtelConfig;
use crate::gateway::Scheme;

/// Whether this build has it.
pub(crate) const BUILT_IN: bool = false;

/// What nobody sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telemetry;

/// Where a request went.
type Route<'a> = (&'a str, Scheme, bool);

pub(crate) const fn routed(_: &Extensions, _: Route<'_>) {}

pub(crate) const fn attempts(_: &Parts, _: &ListenerName) -> Option<Arc<dyn AttemptObserver>> {
    None
}

impl Telemetry {
    pub(crate) const fn new(_: &OtelConfig) -> Self {
        Self
    }

    pub(crate) const fn set(self, _: &OtelConfig) {}

    pub(crate) fn observer(self, beside: Arc<dyn RequestObserver>) -> Arc<dyn RequestObserver> {
        beside
    }

    pub(crate) fn run(self, _: impl Fn() -> String + Send + 'static) -> io::Result<()> {
        Ok(())
    }

    pub(crate) const fn flush(self) {}

    pub(crate) const fn spans(self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    pub(crate) const fn deliveries(self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}
