//! [`Exporter`]: takes what is there and sends it, on a thread of its own.

use std::fmt;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use prost::Message;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use wharf_control::Random;

use super::delivery::{Delivery, Undelivered};
use super::wire::{
    ExportMetrics, ExportTraces, KeyValue, Resource, ResourceMetrics, ResourceSpans, Scope,
    ScopeMetrics, ScopeSpans, text,
};
use super::{Shared, moment, translate};
use crate::config::{OtelConfig, Signal};

/// How often spans are sent again that the collector could not take.
const TRIES: u32 = 5;

/// The wait before the second try; doubled with each.
const BACK_OFF: Duration = Duration::from_secs(1);

/// How long a collector may be in trouble before that is told again.
const TELL_EVERY: Duration = Duration::from_mins(5);

/// Makes the text of `/metrics`.
pub(super) type Figures = Box<dyn Fn() -> String + Send>;

/// Takes what is there and sends it.
pub(super) struct Exporter {
    shared: &'static Shared,
    figures: Figures,
}

/// Spans on their way, that outlive the way.
#[derive(Default)]
struct Batch {
    message: Bytes,
    spans: u64,
    tries: u32,
}

/// What has been told of the collector.
#[derive(Default)]
struct Trouble {
    told: Option<Instant>,
}

impl Exporter {
    pub(super) fn new(shared: &'static Shared, figures: Figures) -> Self {
        Self { shared, figures }
    }

    /// Sends while the process lives, to whichever collector is configured.
    pub(super) async fn run(self) {
        let mut batch = None;
        loop {
            let config = self.shared.config.load_full();
            if let Some(way) = config.and_then(|config| start(&config)) {
                self.serve(&way, &mut batch).await;
                way.delivery.close().await;
            } else {
                let lost = batch.take().map_or(0, |batch: Batch| batch.spans);
                add(&self.shared.counts.failed, lost);
                self.idle().await;
            }
        }
    }

    /// There is no collector, until there is.
    async fn idle(&self) {
        self.shared.spans.clear();
        tokio::select! {
            () = self.shared.changed.notified() => {}
            () = self.shared.hurry.notified() => self.sent_all(),
        }
    }

    /// Sends by that way until there is another.
    async fn serve(&self, way: &Way, batch: &mut Option<Batch>) {
        loop {
            let (spans, metrics) = (self.spans(way, batch), self.metrics(way));
            let both = async { tokio::join!(spans, metrics) };
            tokio::select! {
                () = self.shared.changed.notified() => return,
                () = self.shared.hurry.notified() => {}
                _ = both => {}
            }
            self.send_all(way, batch).await;
            self.sent_all();
        }
    }

    /// Sends spans as they come.
    async fn spans(&self, way: &Way, batch: &mut Option<Batch>) {
        let mut trouble = Trouble::default();
        loop {
            if batch.is_none() {
                self.shared.spans.filled().await;
            }
            let Some(rest) = self.deliver(way, batch, &mut trouble).await else {
                continue;
            };
            let chance = self.shared.random::<8>();
            let chance = Random::new(u64::from_be_bytes(chance)).unit();
            // By chance up to half as long again: those that have lost the same collector must not return at once.
            sleep(rest.mul_f64(1.0 + chance / 2.0)).await;
        }
    }

    /// Sends a batch; returns how long to wait before it is tried again.
    async fn deliver(
        &self,
        way: &Way,
        batch: &mut Option<Batch>,
        trouble: &mut Trouble,
    ) -> Option<Duration> {
        let counts = &self.shared.counts;
        let current = batch.get_or_insert_with(|| way.batch(self.shared));
        current.tries += 1;
        let sent = way
            .delivery
            .send(Signal::Traces, current.message.clone())
            .await;
        let (spans, tries) = (current.spans, current.tries);
        match self.judge(&sent, Signal::Traces, trouble) {
            Ok(rejected) => {
                let rejected = rejected.min(spans);
                add(&counts.rejected, rejected);
                add(&counts.sent, spans - rejected);
            }
            Err(Undelivered::ForNow(_)) if tries < TRIES => {
                return Some(BACK_OFF * 2_u32.pow(tries - 1));
            }
            Err(_) => add(&counts.failed, spans),
        }
        *batch = None;
        None
    }

    /// Sends figures from time to time. What is not taken is in the next ones.
    async fn metrics(&self, way: &Way) {
        if !way.config.settings.signals.0.contains(&Signal::Metrics) {
            return std::future::pending().await;
        }
        let mut trouble = Trouble::default();
        let mut due = interval(way.config.settings.interval);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once: there is nothing to tell yet.
        due.tick().await;
        loop {
            due.tick().await;
            self.send_metrics(way, &mut trouble).await;
        }
    }

    async fn send_metrics(&self, way: &Way, trouble: &mut Trouble) {
        let times = (self.shared.began, moment::now());
        let mut metrics = translate::metrics(&(self.figures)(), times);
        metrics.extend(self.shared.durations.metric(times));
        let scope_metrics = vec![ScopeMetrics {
            scope: Some(scope()),
            metrics,
        }];
        let message = ExportMetrics {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(way.resource()),
                scope_metrics,
            }],
        };
        let message = message.encode_to_vec().into();
        let sent = way.delivery.send(Signal::Metrics, message).await;
        self.judge(&sent, Signal::Metrics, trouble).ok();
    }

    /// Sends what is left, each message once.
    async fn send_all(&self, way: &Way, batch: &mut Option<Batch>) {
        let mut trouble = Trouble::default();
        while batch.is_some() || self.shared.spans.len() > 0 {
            if self.deliver(way, batch, &mut trouble).await.is_some() {
                // There is no later.
                let left = batch.take().map_or(0, |batch| batch.spans);
                add(&self.shared.counts.failed, left);
                self.shared.spans.clear();
            }
        }
        if way.config.settings.signals.0.contains(&Signal::Metrics) {
            self.send_metrics(way, &mut trouble).await;
        }
    }

    /// Whoever waits for that learns that everything is sent.
    fn sent_all(&self) {
        let waiting = &self.shared.waiting;
        let waiting = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waiting) = waiting {
            // It may have waited long enough.
            waiting.send(()).ok();
        }
    }

    /// Counts a delivery, and tells of one that failed, at most now and then.
    fn judge<'s>(
        &self,
        sent: &'s Result<u64, Undelivered>,
        signal: Signal,
        trouble: &mut Trouble,
    ) -> Result<u64, &'s Undelivered> {
        let counts = &self.shared.counts;
        match sent {
            Ok(rejected) => {
                add(&counts.delivered, 1);
                if trouble.told.take().is_some() {
                    tracing::info!(?signal, "the collector takes what is sent again");
                }
                Ok(*rejected)
            }
            Err(undelivered) => {
                add(&counts.undelivered, 1);
                if trouble.told.is_none_or(|told| told.elapsed() > TELL_EVERY) {
                    trouble.told = Some(Instant::now());
                    tracing::warn!(?signal, reason = %undelivered, "the collector takes nothing");
                }
                Err(undelivered)
            }
        }
    }
}

/// The way to a collector, and what it is for.
struct Way {
    config: Arc<OtelConfig>,
    delivery: Delivery,
}

/// The way to the collector of `config`, if there is one.
fn start(config: &Arc<OtelConfig>) -> Option<Way> {
    let collector = config.settings.endpoint.clone()?;
    let delivery = Delivery::start(Arc::clone(config), collector.address, collector.path);
    let delivery = delivery.inspect_err(|error| {
        tracing::error!(%error, "there is no way to the collector");
    });
    Some(Way {
        config: Arc::clone(config),
        delivery: delivery.ok()?,
    })
}

impl Way {
    /// The first spans of the queue as a message.
    fn batch(&self, shared: &Shared) -> Batch {
        let spans = shared.spans.take();
        let count = spans.len() as u64;
        let scope_spans = vec![ScopeSpans {
            scope: Some(scope()),
            spans,
        }];
        let message = ExportTraces {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource()),
                scope_spans,
            }],
        };
        Batch {
            message: message.encode_to_vec().into(),
            spans: count,
            tries: 0,
        }
    }

    fn resource(&self) -> Resource {
        let attributes: Vec<KeyValue> = vec![
            text("service.name", self.config.settings.service_name.0.as_str()),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("telemetry.sdk.name", "wharf"),
            text("telemetry.sdk.language", "rust"),
            text("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ];
        Resource { attributes }
    }
}

fn scope() -> Scope {
    Scope {
        name: "wharf".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn add(count: &AtomicU64, n: u64) {
    count.fetch_add(n, Ordering::Relaxed);
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter")
    }
}
