//! [`Page`]: how families of metrics are written.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use wharf_pool::{CloseReason, DryRunReason, Health, ListenerName, Metrics, PoolName};

/// The metrics as they are written, one family after the other.
pub(super) struct Page<'a> {
    pub(super) encoder: DescriptorEncoder<'a>,
    pub(super) pools: Vec<PoolReading>,
    /// Every listener.
    pub(super) doors: Vec<Door>,
}

/// What happened at a listener to connections that had come to no pool.
pub(super) struct Door {
    pub(super) name: ListenerName,
    /// Why they ended.
    pub(super) closed: Vec<(CloseReason, u64)>,
    /// What limits on a dry run would have done to them.
    pub(super) rehearsed: Vec<(DryRunReason, u64)>,
}

impl Door {
    pub(super) fn labels<'a>(&'a self, reason: &'a str) -> [(&'static str, &'a str); 3] {
        let listener = self.name.as_str();
        [
            ("listener", listener),
            ("protocol", "detecting"),
            ("reason", reason),
        ]
    }
}

/// One pool as it stands.
pub(super) struct PoolReading {
    pub(super) name: PoolName,
    pub(super) health: Health,
    pub(super) metrics: Metrics,
}

/// `listener` and `protocol`, which every metric of a pool has.
type Labels<'a> = [(&'static str, &'a str); 2];

impl PoolReading {
    fn labels(&self) -> Labels<'_> {
        [
            ("listener", self.name.listener().as_str()),
            ("protocol", self.name.protocol()),
        ]
    }

    /// The same with one more.
    pub(super) fn labels_and<'a>(
        &'a self,
        key: &'static str,
        value: &'a str,
    ) -> [(&'static str, &'a str); 3] {
        let [listener, protocol] = self.labels();
        [listener, protocol, (key, value)]
    }
}

impl Page<'_> {
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&PoolReading) -> Option<f64>,
    ) -> fmt::Result {
        let mut family = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for pool in &self.pools {
            if let Some(value) = value(pool) {
                ConstGauge::new(value).encode(family.encode_family(&pool.labels())?)?;
            }
        }
        Ok(())
    }

    /// Begins a family of samples.
    pub(super) fn family<'a>(
        &'a mut self,
        name: &'a str,
        help: &'a str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'a>, fmt::Error> {
        self.encoder.encode_descriptor(name, help, None, kind)
    }

    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&PoolReading) -> u64,
    ) -> fmt::Result {
        let mut family = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for pool in &self.pools {
            count(&mut family, &pool.labels(), value(pool))?;
        }
        Ok(())
    }

    pub(super) fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl Fn(&PoolReading) -> Vec<(&'static str, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for pool in &self.pools {
            for (value, n) in values(pool) {
                count(&mut family, &pool.labels_and(label, value), n)?;
            }
        }
        Ok(())
    }

    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&PoolReading) -> (Duration, Vec<(f64, u64)>),
    ) -> fmt::Result {
        let mut family = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for pool in &self.pools {
            let (sum, buckets) = value(pool);
            let count = buckets.iter().map(|(_, n)| n).sum();
            family
                .encode_family(&pool.labels())?
                .encode_histogram::<NoLabelSet>(sum.as_secs_f64(), count, &buckets, None)?;
        }
        Ok(())
    }

    /// A gauge of the process.
    pub(super) fn single(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let encoder = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }

    /// A counter of the process for each result.
    pub(super) fn results(
        &mut self,
        name: &str,
        help: &str,
        values: &[(&'static str, u64)],
    ) -> fmt::Result {
        let mut family = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (result, n) in values {
            count(&mut family, &[("result", *result)], *n)?;
        }
        Ok(())
    }

    /// A counter of the process.
    pub(super) fn total(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(encoder)
    }
}

pub(super) fn count(
    family: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: u64,
) -> fmt::Result {
    ConstCounter::new(value).encode(family.encode_family(labels)?)
}
