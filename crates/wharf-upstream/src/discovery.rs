//! [`Source`]: where endpoints are found while an upstream runs, and what becomes of what it finds.
//!
//! A source tells whole sets. What of a set can be asked is taken ([`sift`]); the last set that was taken
//! is kept for as long as the source says nothing, and the endpoints of the configuration are asked until
//! there is one. Names among them are looked up as those of the configuration are ([`names`]).

pub(crate) mod dns;
#[cfg(feature = "etcd")]
pub(crate) mod etcd;
mod names;
mod record;
mod sift;

pub(crate) use names::look_up_names;
pub(crate) use record::Record;
pub use record::{DiscoveryReport, DiscoveryState};
pub use sift::{FoundSet, Skips};

use std::fmt;
use std::sync::{Arc, Weak};

use tokio_util::sync::CancellationToken;

use crate::connect::LinkLocal;
use crate::setup::EndpointSetup;
use crate::upstream::{Inner, Upstream};
use record::News;
use sift::sift;

/// The most endpoints of an upstream.
pub(crate) const MOST: usize = 1024;

/// Where endpoints are found while an upstream runs.
pub trait Source: Send + 'static {
    /// The word for it in reports, metrics and logs, from a closed set: `etcd`.
    fn name(&self) -> &'static str;

    /// Looks for endpoints, and tells what it finds, for ever: it is dropped when its upstream ends or
    /// follows another.
    fn watch(self, findings: Findings) -> impl Future<Output = ()> + Send;
}

/// What becomes of a set that has no endpoint which could be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EmptySet {
    /// The last one is kept: far more often somebody has deleted, or not yet written, too much.
    #[default]
    Refuse,
    /// Nobody is asked any more.
    Take,
}

/// Where a source tells what it finds. It keeps no upstream alive.
#[derive(Clone)]
pub struct Findings {
    upstream: Weak<Inner>,
    link_local: LinkLocal,
    /// Told when another source is followed.
    over: CancellationToken,
}

impl Findings {
    /// A whole set was found, and is followed from now on; or is not, where nothing of it can be asked.
    pub fn found(&self, set: FoundSet) {
        if let Some(upstream) = self.upstream() {
            upstream.take(set, self);
        }
    }

    /// The source cannot be asked. The last set is kept.
    pub fn failed(&self, why: &dyn fmt::Display) {
        if let Some(upstream) = self.upstream() {
            upstream.lose(why.to_string().into(), self);
        }
    }

    fn upstream(&self) -> Option<Upstream> {
        let inner = self.upstream.upgrade().filter(|_| !self.is_over())?;
        Some(Upstream { inner })
    }

    fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }
}

impl fmt::Debug for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Findings").finish_non_exhaustive()
    }
}

impl Upstream {
    /// Follows a source in place of the one before. What is known stays until it has found something.
    pub fn follow(&self, source: impl Source) {
        let inner = &self.inner;
        let findings = Findings {
            upstream: Arc::downgrade(inner),
            link_local: inner.link_local,
            over: CancellationToken::new(),
        };
        {
            let _changing = inner.changing();
            let mut following = inner.following();
            let before = following.take();
            *following = Some(Record::new(
                source.name(),
                findings.over.clone(),
                before.as_ref(),
            ));
        }
        let (context, over) = (&inner.context, findings.over.clone());
        let closing = context.closing.clone();
        context.spawn(async move {
            tokio::select! {
                () = source.watch(findings) => {}
                () = over.cancelled() => {}
                () = closing.cancelled() => {}
            }
        });
    }

    /// Follows no source any more: the endpoints of the configuration are asked.
    pub fn unfollow(&self) {
        let settings = self.inner.changing();
        if self.inner.following().take().is_some() {
            self.rebuild(&self.as_known(&settings), &settings);
            self.inner.names.notify_one();
        }
    }

    /// How the source stands that is followed, if one is.
    pub fn discovery(&self) -> Option<DiscoveryReport> {
        let now = self.context().clock.now();
        self.inner.following().as_ref().map(|it| it.report(now))
    }

    /// What is asked, before names are looked up: what was found, else what is configured.
    pub(crate) fn base(&self, configured: &[EndpointSetup]) -> Arc<[EndpointSetup]> {
        let following = self.inner.following();
        let found = following.as_ref().and_then(Record::found);
        found.unwrap_or_else(|| configured.into())
    }

    fn take(&self, set: FoundSet, by: &Findings) {
        let now = self.context().clock.now();
        // Held, so that sets are taken in the order in which they were told.
        let settings = self.inner.changing();
        let sifted = sift(set, self.inner.scheme, by.link_local);
        let told = {
            let mut following = self.inner.following();
            let Some(record) = following.as_mut().filter(|_| !by.is_over()) else {
                return;
            };
            record.take(sifted, settings.when_empty, now)
        };
        if told == News::Endpoints {
            self.rebuild(&self.as_known(&settings), &settings);
            self.inner.names.notify_one();
        }
        drop(settings);
        self.tell(told);
    }

    fn lose(&self, why: Arc<str>, by: &Findings) {
        let told = {
            let mut following = self.inner.following();
            let Some(record) = following.as_mut().filter(|_| !by.is_over()) else {
                return;
            };
            record.lose(why)
        };
        self.tell(told);
    }

    /// Tells whoever listens how the source stands, if that is news.
    fn tell(&self, news: News) {
        let Some(report) = self.discovery().filter(|_| news != News::None) else {
            return;
        };
        report.log(self.name());
        let (source, state) = (report.source, report.state.as_str());
        let endpoints = report.endpoints;
        self.pool().tell_discovery(source, state, endpoints);
    }
}
