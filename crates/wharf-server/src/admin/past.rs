//! `GET /pools/history`: the last ten minutes as columns, a number for each sample.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use wharf_pool::PoolName;

use super::Desk;
use super::fault::{Answer, Fault};
use super::pools::millis;
use crate::past::{Figures, STEP, Sample};

/// `GET /pools/history?since=`.
pub(super) async fn history(
    State(desk): State<Arc<Desk>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Answer, Fault> {
    let (before, samples) = desk.past.after(since(&query)?);
    let steps: Vec<_> = before.iter().chain(&samples).collect();
    let steps: Vec<_> = steps
        .array_windows()
        .map(|[old, new]| (*old, *new))
        .collect();
    let names: BTreeSet<_> = samples
        .iter()
        .flat_map(|it| &it.pools)
        .map(|(name, _)| name)
        .collect();
    Ok(Answer(json!({
        "step_ms": STEP.as_millis(),
        "at_ms": column(&steps, |step| json!(millis(step.1.at))),
        "active_connections": column(&steps, |step| json!(step.1.active)),
        "resident_bytes": column(&steps, |step| json!(step.1.resident_bytes)),
        "cpu_usage_percent": column(&steps, |step| json!(cpu(step))),
        "pools": names.into_iter().map(|name| pool(name, &steps)).collect::<Vec<_>>(),
    })))
}

/// A sample and the one before it.
type Step<'a> = (&'a Sample, &'a Sample);

/// The latest time that is understood, in milliseconds: 30,000 years.
const LATEST: f64 = 1e15;

fn since(query: &[(String, String)]) -> Result<Duration, Fault> {
    let mut since = Duration::ZERO;
    for (key, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        let told = value.parse().ok().filter(|_| key == "since");
        let told = told.filter(|ms| (0.0..=LATEST).contains(ms));
        let told = told.and_then(|ms: f64| Duration::try_from_secs_f64(ms / 1e3).ok());
        since = told.ok_or_else(|| {
            let fault = Fault::new(StatusCode::BAD_REQUEST, "the query cannot be answered");
            fault.error(
                key,
                "this is not understood",
                "write since=, and an at_ms that you were told",
            )
        })?;
    }
    Ok(since)
}

fn column(steps: &[Step<'_>], figure: impl Fn(&Step<'_>) -> Value) -> Value {
    steps.iter().map(figure).collect()
}

fn cpu((old, new): &Step<'_>) -> Option<f64> {
    let seconds = new.cpu_seconds? - old.cpu_seconds?;
    Some(round(100.0 * seconds / length(old, new)))
}

fn pool(name: &PoolName, steps: &[Step<'_>]) -> Value {
    let now = |figure: fn(&Figures) -> Value| {
        column(steps, |(_, new)| new.of(name).map_or(Value::Null, figure))
    };
    let rate = |count: fn(&Figures) -> u64| {
        column(steps, |(old, new)| {
            let more = grown(old.of(name), new.of(name), count);
            json!(more.map(|more| round(more / length(old, new))))
        })
    };
    json!({
        "name": name.as_str(),
        "active_connections": now(|it| json!(it.active)),
        "in_flight": now(|it| json!(it.in_flight)),
        "connections_per_second": rate(|it| it.accepted),
        "requests_per_second": rate(|it| it.ended),
        "p50_ms": now(|it| json!(millis(it.percentiles[0]))),
        "p95_ms": now(|it| json!(millis(it.percentiles[1]))),
        "p99_ms": now(|it| json!(millis(it.percentiles[2]))),
        "rejected_by_reason": rejected(name, steps),
    })
}

/// How many were turned away in each step, for every reason that there was.
fn rejected(name: &PoolName, steps: &[Step<'_>]) -> Value {
    let figures = steps.iter().filter_map(|(_, new)| new.of(name));
    let reasons: BTreeSet<_> = figures
        .flat_map(|it| &it.rejected)
        .map(|(reason, _)| *reason)
        .collect();
    let shown = reasons.into_iter().map(|reason| {
        let count = |figures: &Figures| {
            let found = figures.rejected.iter().find(|(of, _)| *of == reason);
            found.map_or(0, |(_, n)| *n)
        };
        let column = column(steps, |(old, new)| {
            json!(grown(old.of(name), new.of(name), count))
        });
        (reason.as_str().to_owned(), column)
    });
    Value::Object(shown.collect::<Map<_, _>>())
}

/// By how much a count has grown; from nothing, where the pool was not there before.
#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits of a count are enough for a curve"
)]
fn grown(
    old: Option<&Figures>,
    new: Option<&Figures>,
    count: impl Fn(&Figures) -> u64,
) -> Option<f64> {
    let before = old.map_or(0, &count);
    // Less than before is another pool of the same name.
    new.map(|new| count(new).saturating_sub(before) as f64)
}

/// How far apart two samples are, in seconds.
fn length(old: &Sample, new: &Sample) -> f64 {
    new.at.saturating_sub(old.at).as_secs_f64().max(0.001)
}

/// To a hundredth: nobody sees more of it in a curve.
fn round(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: u64, pools: &[(&str, u64)]) -> Sample {
        let figures = |ended| Figures {
            active: 1,
            in_flight: 0,
            accepted: ended,
            ended,
            percentiles: [Duration::from_millis(2); 3],
            rejected: vec![(wharf_pool::RejectReason::PoolLimit, ended)],
        };
        Sample {
            at: Duration::from_secs(seconds),
            active: 1,
            resident_bytes: None,
            cpu_seconds: Some(0.5),
            pools: pools
                .iter()
                .map(|(name, ended)| (name.parse().unwrap(), figures(*ended)))
                .collect(),
        }
    }

    #[test]
    fn rates_are_between_two_samples_and_gaps_are_null() {
        let all = [
            sample(0, &[("a/http", 0)]),
            sample(5, &[("a/http", 50), ("b/http", 5)]),
            sample(10, &[("b/http", 5)]),
        ];
        let steps = [(&all[0], &all[1]), (&all[1], &all[2])];
        let a = pool(&"a/http".parse().unwrap(), &steps);
        assert_eq!(a["requests_per_second"], json!([10.0, null]));
        assert_eq!(a["p50_ms"], json!([2.0, null]));
        assert_eq!(
            a["rejected_by_reason"],
            json!({ "pool_limit": [50.0, null] })
        );
        let b = pool(&"b/http".parse().unwrap(), &steps);
        assert_eq!(b["requests_per_second"], json!([1.0, 0.0]));
        assert_eq!(cpu(&steps[0]), Some(0.0));
    }

    #[test]
    fn a_pool_that_is_made_anew_does_not_go_backwards() {
        let all = [sample(0, &[("a/http", 50)]), sample(5, &[("a/http", 10)])];
        let steps = [(&all[0], &all[1])];
        let shown = pool(&"a/http".parse().unwrap(), &steps);
        assert_eq!(shown["connections_per_second"], json!([0.0]));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let asked = |key: &str, value: &str| since(&[(key.to_owned(), value.to_owned())]);
        assert_eq!(
            asked("since", "1500.5").unwrap(),
            Duration::from_micros(1_500_500)
        );
        assert_eq!(asked("since", "").unwrap(), Duration::ZERO);
        for (key, value) in [
            ("since", "-1"),
            ("since", "NaN"),
            ("since", "1e300"),
            ("since", "1000000000000001"),
            ("from", "1"),
        ] {
            assert!(asked(key, value).is_err(), "{key}={value}");
        }
    }
}
