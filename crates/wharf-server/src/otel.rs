//! OpenTelemetry: spans of requests and the figures of `/metrics`, sent to a collector by OTLP.
//!
//! **Responsible for:** whose trace a request belongs to (`context`), what is known of it on its way
//! ([`followed`]), its span and those of the attempts to have it answered (`span`, [`attempts`]), figures
//! (`durations`, `translate`), and their way out (`queue`, `exporter`, `delivery`, `wire`).
//!
//! **Refuses to know:** how a request is served. Whoever serves puts things into a queue and never waits:
//! one thread with a runtime of its own takes them out.
//!
//! A build without the feature `otel` has `otel/off.rs` in the place of this file.

mod attempts;
mod context;
mod delivery;
mod durations;
mod exporter;
mod followed;
mod moment;
mod observer;
mod queue;
mod span;
mod translate;
mod wire;

pub(crate) use attempts::attempts;
pub(crate) use followed::routed;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::crypto::SecureRandom;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use wharf_http::RequestObserver;

use crate::config::OtelConfig;
use durations::Durations;
use exporter::Exporter;
use observer::Observer;
use queue::Queue;

/// Whether this build has it.
pub(crate) const BUILT_IN: bool = true;

/// How long the end of the process waits for the last spans to be sent.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// What is sent to a collector, while there is one. Cheap to copy: there is one in a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telemetry(&'static Shared);

/// What whoever serves shares with the thread that sends.
#[derive(Debug)]
struct Shared {
    /// Nothing while there is no collector.
    config: ArcSwapOption<OtelConfig>,
    /// There is another configuration.
    changed: Notify,
    spans: Queue,
    durations: Durations,
    counts: Counts,
    /// Somebody waits for everything to be sent.
    waiting: Mutex<Option<mpsc::Sender<()>>>,
    hurry: Notify,
    random: &'static dyn SecureRandom,
    /// When the process began, in nanoseconds of Unix time.
    began: u64,
}

/// What became of what was to be sent.
#[derive(Debug, Default)]
struct Counts {
    /// Spans that the collector has.
    sent: AtomicU64,
    /// Spans that it did not want.
    rejected: AtomicU64,
    /// Spans that it could not be given.
    failed: AtomicU64,
    /// Deliveries of either kind.
    delivered: AtomicU64,
    /// Attempts at one that came to nothing.
    undelivered: AtomicU64,
}

impl Telemetry {
    /// Follows requests as `config` says from now on. What is to be sent waits for [`Telemetry::run`].
    pub(crate) fn new(config: &OtelConfig) -> Self {
        let shared = Shared {
            config: ArcSwapOption::empty(),
            changed: Notify::new(),
            spans: Queue::default(),
            durations: Durations::default(),
            counts: Counts::default(),
            waiting: Mutex::default(),
            hurry: Notify::new(),
            random: rustls::crypto::aws_lc_rs::default_provider().secure_random,
            began: moment::now(),
        };
        // It lives as long as the process: workers that counted references to it would fight over the count.
        let telemetry = Self(Box::leak(Box::new(shared)));
        telemetry.set(config);
        telemetry
    }

    /// From now on as `config` says.
    pub(crate) fn set(self, config: &OtelConfig) {
        let wanted = config.settings.endpoint.is_some().then_some(config);
        if self.0.config.load().as_deref() != wanted {
            self.0.config.store(wanted.cloned().map(Arc::new));
            self.0.changed.notify_one();
        }
    }

    /// Who follows requests, beside another who hears of them.
    pub(crate) fn observer(self, beside: Arc<dyn RequestObserver>) -> Arc<dyn RequestObserver> {
        Arc::new(Observer::new(self.0, beside))
    }

    /// Starts the thread that sends; `figures` makes the text of `/metrics`.
    ///
    /// # Errors
    ///
    /// The thread could not be made.
    pub(crate) fn run(self, figures: impl Fn() -> String + Send + 'static) -> io::Result<()> {
        // One that only waits has no descriptors: most processes send nothing.
        let waiting = Builder::new_current_thread().build()?;
        let exporter = Exporter::new(self.0, Box::new(figures));
        let send = move || {
            waiting.block_on(self.wanted());
            drop(waiting);
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(exporter.run()),
                Err(error) => tracing::error!(%error, "nothing is sent to a collector"),
            }
        };
        std::thread::Builder::new()
            .name("otel".to_owned())
            .spawn(send)
            .map(drop)
    }

    /// Waits until there is a collector.
    async fn wanted(self) {
        while self.0.config.load().is_none() {
            self.0.changed.notified().await;
        }
    }

    /// Sends what is left, for a bounded time; nobody adds to it any more.
    pub(crate) fn flush(self) {
        if self.0.config.load().is_none() {
            return;
        }
        let (sent, all_sent) = mpsc::channel();
        *self
            .0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(sent);
        self.0.hurry.notify_one();
        // Late or not, the process ends.
        if all_sent.recv_timeout(LAST_SPANS).is_err() {
            let left = self.0.spans.len();
            tracing::warn!(left, "the collector did not take the last spans in time");
        }
    }

    /// What became of spans so far, each in a word.
    pub(crate) fn spans(self) -> Vec<(&'static str, u64)> {
        let counts = &self.0.counts;
        vec![
            ("sent", counts.sent.load(Ordering::Relaxed)),
            ("dropped", self.0.spans.dropped()),
            ("failed", counts.failed.load(Ordering::Relaxed)),
            ("rejected", counts.rejected.load(Ordering::Relaxed)),
        ]
    }

    /// What became of deliveries, each in a word.
    pub(crate) fn deliveries(self) -> Vec<(&'static str, u64)> {
        let counts = &self.0.counts;
        vec![
            ("delivered", counts.delivered.load(Ordering::Relaxed)),
            ("failed", counts.undelivered.load(Ordering::Relaxed)),
        ]
    }
}

impl Shared {
    /// A name that nobody else has.
    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        // Without chance there is no name, and zeros are none: nothing is recorded then.
        self.random.fill(&mut bytes).ok();
        bytes
    }
}
