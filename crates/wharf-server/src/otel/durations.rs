//! [`Durations`]: how long requests took, by what the semantic conventions tell them apart by.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wharf_http::RequestRecord;
use wharf_pool::ListenerName;

use super::followed::Followed;
use super::span;
use super::wire::{
    Data, Histogram, HistogramPoint, KeyValue, Metric, Plain, Temporality, int, plain, text,
};

/// The bounds that the conventions recommend for `http.server.request.duration`, in seconds.
const BOUNDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// How many kinds of requests are told apart, as in other implementations of the specification.
const KINDS: usize = 2000;

/// How many workers do not get into each other's way.
const STRIPES: usize = 8;

/// How long requests took since the start.
#[derive(Debug, Default)]
pub(super) struct Durations {
    stripes: [Mutex<Kinds>; STRIPES],
}

type Kinds = BTreeMap<Option<Kind>, Distribution>;

/// What requests have in common that are counted together; without one: those of which there were too many kinds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    method: &'static str,
    status: Option<u16>,
    scheme: &'static str,
    version: &'static str,
    route: Option<Arc<str>>,
    listener: ListenerName,
    error: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Distribution {
    buckets: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

impl Durations {
    /// Counts a request that has ended; calls of gRPC have figures of their own.
    pub(super) fn record(&self, record: &RequestRecord<'_>, followed: &Followed) {
        if followed.is_call() {
            return;
        }
        let way = followed.way.get();
        let kind = Kind {
            method: span::method(record.method),
            status: record.status.map(|status| status.as_u16()),
            scheme: span::scheme(record, way),
            version: span::version(record.version),
            route: way.map(|way| Arc::clone(&way.route)),
            listener: record.pool.listener().clone(),
            error: span::error(record),
        };
        self.count(kind, record.duration);
    }

    fn count(&self, kind: Kind, took: Duration) {
        let stripe = &self.stripes[stripe() % STRIPES];
        let mut kinds = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = Some(kind);
        let known = kinds.len() < KINDS / STRIPES || kinds.contains_key(&kind);
        let distribution = kinds.entry(kind.filter(|_| known)).or_default();
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        distribution.buckets[bucket] += 1;
        distribution.sum += took;
    }

    /// The metric, if there was a request.
    pub(super) fn metric(&self, (begun, now): (u64, u64)) -> Option<Metric> {
        let all = self.gathered();
        let point = |(kind, distribution): (Option<Kind>, Distribution)| HistogramPoint {
            start_time_unix_nano: begun,
            time_unix_nano: now,
            count: distribution.buckets.iter().sum(),
            sum: Some(distribution.sum.as_secs_f64()),
            bucket_counts: distribution.buckets.to_vec(),
            explicit_bounds: BOUNDS.to_vec(),
            attributes: kind.map_or_else(overflow, Kind::attributes),
        };
        let histogram = Histogram {
            data_points: all.into_iter().map(point).collect(),
            aggregation_temporality: Temporality::Cumulative.into(),
        };
        let any = !histogram.data_points.is_empty();
        any.then(|| Metric {
            name: "http.server.request.duration".to_owned(),
            description: "From a request's head to the last byte of its answer".to_owned(),
            unit: "s".to_owned(),
            data: Some(Data::Histogram(histogram)),
        })
    }

    fn gathered(&self) -> Kinds {
        let mut all = Kinds::new();
        for stripe in &self.stripes {
            let kinds = stripe.lock().unwrap_or_else(PoisonError::into_inner);
            for (kind, distribution) in &*kinds {
                let sum = all.entry(kind.clone()).or_default();
                for (sum, n) in sum.buckets.iter_mut().zip(distribution.buckets) {
                    *sum += n;
                }
                sum.sum += distribution.sum;
            }
        }
        all
    }
}

impl Kind {
    fn attributes(self) -> Vec<KeyValue> {
        let mut attributes = vec![
            text("http.request.method", self.method),
            text("url.scheme", self.scheme),
            text("network.protocol.version", self.version),
            text("wharf.listener", self.listener.as_str()),
        ];
        let status = self.status.map(i64::from);
        attributes.extend(status.map(|status| int("http.response.status_code", status)));
        attributes.extend(self.route.map(|route| text("http.route", &*route)));
        attributes.extend(self.error.map(|error| text("error.type", error)));
        attributes
    }
}

fn overflow() -> Vec<KeyValue> {
    vec![plain("otel.metric.overflow", Plain::Bool(true))]
}

/// The stripe of this thread.
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    MINE.with(|mine| *mine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16) -> Kind {
        Kind {
            method: "GET",
            status: Some(status),
            scheme: "http",
            version: "1.1",
            route: None,
            listener: "web".parse().unwrap(),
            error: None,
        }
    }

    #[test]
    fn requests_are_counted_by_kind_and_length() {
        let durations = Durations::default();
        assert!(durations.metric((0, 0)).is_none());
        for millis in [5, 6, 20_000] {
            durations.count(kind(200), Duration::from_millis(millis));
        }
        durations.count(kind(404), Duration::ZERO);
        let all = durations.gathered();
        assert_eq!(all.len(), 2);
        let ok = &all[&Some(kind(200))];
        // A bound belongs to what is below it.
        assert_eq!((ok.buckets[0], ok.buckets[1], ok.buckets[14]), (1, 1, 1));
        assert_eq!(ok.sum, Duration::from_millis(20_011));
    }

    #[test]
    fn too_many_kinds_are_one() {
        let durations = Durations::default();
        for status in 0..1000 {
            durations.count(kind(status), Duration::ZERO);
        }
        durations.count(kind(0), Duration::ZERO);
        let all = durations.gathered();
        assert_eq!(all.len(), KINDS / STRIPES + 1);
        assert_eq!(all[&None].buckets[0], 1000 - (KINDS / STRIPES) as u64);
        assert_eq!(all[&Some(kind(0))].buckets[0], 2);
    }
}
