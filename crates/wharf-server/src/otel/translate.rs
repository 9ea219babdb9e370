//! The text of `/metrics` as metrics of OTLP.
//!
//! One reading of the pools, told in two notations: a figure that is added there is here too. The text is our
//! own, so a line that is not as expected is left out and nothing is made of it.

use std::collections::BTreeMap;

use super::wire::{
    Data, Gauge, Histogram, HistogramPoint, KeyValue, Metric, Number, NumberPoint, Sum,
    Temporality, text,
};

/// Figures that the semantic conventions have another name for: ours, theirs, the unit.
const THEIRS: [(&str, &str, &str); 4] = [
    (
        "process_resident_memory_bytes",
        "process.memory.usage",
        "By",
    ),
    (
        "process_open_fds",
        "process.unix.file_descriptor.count",
        "{file_descriptor}",
    ),
    ("process_cpu_seconds", "process.cpu.time", "s"),
    (
        "wharf_grpc_call_duration_seconds",
        "rpc.server.call.duration",
        "s",
    ),
];

/// The metrics of the text.
pub(super) fn metrics(page: &str, times: (u64, u64)) -> Vec<Metric> {
    let mut metrics = Vec::new();
    let mut family: Option<Family<'_>> = None;
    for line in page.lines() {
        if let Some(kind) = line
            .strip_prefix("# TYPE ")
            .and_then(|it| it.split_once(' '))
        {
            // The type is told after the help, or before it.
            family = Some(begin(family.take(), kind.0, &mut metrics, times));
            if let Some(family) = &mut family {
                family.kind = kind.1;
            }
        } else if let Some(help) = line
            .strip_prefix("# HELP ")
            .and_then(|it| it.split_once(' '))
        {
            family = Some(begin(family.take(), help.0, &mut metrics, times));
            if let Some(family) = &mut family {
                family.help = help.1;
            }
        } else if !line.starts_with('#')
            && let (Some(sample), Some(family)) = (Sample::read(line), &mut family)
        {
            family.samples.push(sample);
        }
    }
    metrics.extend(family.and_then(|family| family.metric(times)));
    metrics
}

/// The family of that name: the one in hand, or the next.
fn begin<'t>(
    family: Option<Family<'t>>,
    name: &'t str,
    metrics: &mut Vec<Metric>,
    times: (u64, u64),
) -> Family<'t> {
    match family {
        Some(family) if family.name == name => family,
        other => {
            metrics.extend(other.and_then(|family| family.metric(times)));
            Family {
                name,
                ..Family::default()
            }
        }
    }
}

/// One metric as the text has it.
#[derive(Default)]
struct Family<'t> {
    name: &'t str,
    kind: &'t str,
    help: &'t str,
    samples: Vec<Sample<'t>>,
}

/// One line: `name{label="value",…} 1`.
struct Sample<'t> {
    name: &'t str,
    labels: Vec<(&'t str, String)>,
    value: &'t str,
}

impl Family<'_> {
    /// Nothing of a family without a sample, or of a kind that there is none of.
    fn metric(self, times: (u64, u64)) -> Option<Metric> {
        if self.samples.is_empty() {
            return None;
        }
        let theirs = THEIRS.iter().find(|(ours, ..)| *ours == self.name);
        let (name, unit) = match theirs {
            Some((_, name, unit)) => (*name, *unit),
            None => (self.name, unit(self.name)),
        };
        let temporality = Temporality::Cumulative.into();
        let data = match self.kind {
            "gauge" => Data::Gauge(Gauge {
                data_points: self.numbers(times).collect(),
            }),
            "counter" => Data::Sum(Sum {
                data_points: self.numbers(times).collect(),
                aggregation_temporality: temporality,
                is_monotonic: true,
            }),
            "histogram" => Data::Histogram(Histogram {
                data_points: self.distributions(times),
                aggregation_temporality: temporality,
            }),
            _ => return None,
        };
        Some(Metric {
            name: name.to_owned(),
            description: self.help.trim_end_matches('.').to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
        })
    }

    fn numbers(&self, (begun, now): (u64, u64)) -> impl Iterator<Item = NumberPoint> {
        let is_sum = self.kind == "counter";
        self.samples.iter().filter_map(move |sample| {
            let value = match sample.value.parse() {
                Ok(whole) => Number::Int(whole),
                Err(_) => Number::Double(sample.value.parse().ok()?),
            };
            Some(NumberPoint {
                start_time_unix_nano: if is_sum { begun } else { 0 },
                time_unix_nano: now,
                attributes: attributes(&sample.labels, self.name),
                value: Some(value),
            })
        })
    }

    fn distributions(&self, (begun, now): (u64, u64)) -> Vec<HistogramPoint> {
        let mut points: BTreeMap<Vec<&(&str, String)>, HistogramPoint> = BTreeMap::new();
        for sample in &self.samples {
            let labels = sample.labels.iter().filter(|(label, _)| *label != "le");
            let labels: Vec<_> = labels.collect();
            let bound = sample.labels.iter().find(|(label, _)| *label == "le");
            let point = points.entry(labels).or_insert_with(|| HistogramPoint {
                start_time_unix_nano: begun,
                time_unix_nano: now,
                ..HistogramPoint::default()
            });
            let part = sample.name.strip_prefix(self.name).unwrap_or_default();
            match (part, bound) {
                ("_sum", _) => point.sum = sample.value.parse().ok(),
                ("_count", _) => point.count = sample.value.parse().unwrap_or_default(),
                ("_bucket", Some((_, bound))) => {
                    // The text tells how many are below a bound, OTLP how many between two.
                    let below: u64 = point.bucket_counts.iter().sum();
                    let so_far: u64 = sample.value.parse().unwrap_or(below);
                    point.bucket_counts.push(so_far.saturating_sub(below));
                    let bound: Option<f64> = bound.parse().ok();
                    point
                        .explicit_bounds
                        .extend(bound.filter(|it| it.is_finite()));
                }
                _ => {}
            }
        }
        let attributed = |(labels, point): (Vec<&(&str, String)>, HistogramPoint)| HistogramPoint {
            attributes: attributes(labels, self.name),
            ..point
        };
        points.into_iter().map(attributed).collect()
    }
}

impl<'t> Sample<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let (name, rest) = line.split_at(line.find(['{', ' '])?);
        let mut labels = Vec::new();
        let mut rest = rest;
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, quoted) = rest.trim_start_matches(',').split_once("=\"")?;
                let (value, left) = unquoted(quoted)?;
                labels.push((label, value));
                rest = left;
            }
            rest = &rest[1..];
        }
        let value = rest.split_ascii_whitespace().next()?;
        Some(Self {
            name,
            labels,
            value,
        })
    }
}

/// A text up to its closing quotation mark, and what is behind that.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    loop {
        match letters.next()? {
            (at, '"') => return Some((value, &quoted[at + 1..])),
            (_, '\\') => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            (_, other) => value.push(other),
        }
    }
}

/// The unit that a name of ours ends with.
fn unit(name: &str) -> &'static str {
    match name.rsplit('_').next() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        _ => "1",
    }
}

fn attributes<'l>(
    labels: impl IntoIterator<Item = &'l (&'l str, String)>,
    family: &str,
) -> Vec<KeyValue> {
    let is_rpc = family == "wharf_grpc_call_duration_seconds";
    let mut attributes: Vec<_> = labels
        .into_iter()
        .map(|(label, value)| match *label {
            "method" if is_rpc => text("rpc.method", value.trim_start_matches('/')),
            label => text(label, value.as_str()),
        })
        .collect();
    if is_rpc {
        attributes.push(text("rpc.system.name", "grpc"));
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"# HELP wharf_a Gauge.
# TYPE wharf_a gauge
wharf_a{listener="w\"e\\b",protocol="http"} 2.5
wharf_a{listener="tls",protocol="https"} 3
# HELP wharf_b Counter.
# TYPE wharf_b counter
wharf_b_total 7
# HELP wharf_none Nothing.
# TYPE wharf_none counter
# HELP wharf_c_seconds Histogram.
# TYPE wharf_c_seconds histogram
wharf_c_seconds_sum{listener="web"} 1.5
wharf_c_seconds_count{listener="web"} 6
wharf_c_seconds_bucket{le="0.1",listener="web"} 1
wharf_c_seconds_bucket{le="1.0",listener="web"} 4
wharf_c_seconds_bucket{le="+Inf",listener="web"} 6
wharf_c_seconds_sum{listener="tls"} 0.0
wharf_c_seconds_count{listener="tls"} 0
wharf_c_seconds_bucket{le="0.1",listener="tls"} 0
wharf_c_seconds_bucket{le="1.0",listener="tls"} 0
wharf_c_seconds_bucket{le="+Inf",listener="tls"} 0
# HELP process_cpu_seconds Processor time.
# TYPE process_cpu_seconds counter
process_cpu_seconds_total 0.25
# EOF
"#;

    #[test]
    fn every_kind_of_figure_is_the_same_in_both_notations() {
        let metrics = metrics(PAGE, (1, 2));
        let names: Vec<_> = metrics
            .iter()
            .map(|it| (it.name.as_str(), it.unit.as_str()))
            .collect();
        let expected = [
            ("wharf_a", "1"),
            ("wharf_b", "1"),
            ("wharf_c_seconds", "s"),
            ("process.cpu.time", "s"),
        ];
        assert_eq!(names, expected);
        assert_eq!(metrics[0].description, "Gauge");
        let Some(Data::Gauge(gauge)) = &metrics[0].data else {
            panic!("a gauge");
        };
        let [first, second] = &gauge.data_points[..] else {
            panic!("two points");
        };
        assert_eq!(first.value, Some(Number::Double(2.5)));
        assert_eq!(second.value, Some(Number::Int(3)));
        assert_eq!(first.attributes[0], text("listener", "w\"e\\b"));
        let Some(Data::Sum(sum)) = &metrics[1].data else {
            panic!("a sum");
        };
        let [point] = &sum.data_points[..] else {
            panic!("one point");
        };
        assert!(sum.is_monotonic && point.attributes.is_empty());
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 2));
        assert_eq!(point.value, Some(Number::Int(7)));
    }

    #[test]
    fn buckets_are_those_between_two_bounds() {
        let metrics = metrics(PAGE, (1, 2));
        let Some(Data::Histogram(histogram)) = &metrics[2].data else {
            panic!("a histogram");
        };
        let [tls, web] = &histogram.data_points[..] else {
            panic!("two points");
        };
        assert_eq!(web.bucket_counts, [1, 3, 2]);
        assert_eq!(web.explicit_bounds, [0.1, 1.0]);
        assert_eq!((web.count, web.sum), (6, Some(1.5)));
        assert_eq!(tls.bucket_counts, [0, 0, 0]);
        assert_eq!(tls.attributes, [text("listener", "tls")]);
    }

    #[test]
    fn a_line_cut_anywhere_makes_nothing_up() {
        for end in 0..PAGE.len() {
            for metric in metrics(&PAGE[..end], (1, 2)) {
                assert!(!metric.name.is_empty());
            }
        }
    }
}
