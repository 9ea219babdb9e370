//! [`Sight`]: what is known of the server, as it was last told.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;

use serde_json::Value;

use super::feed::{Figures, Told};
use super::figures::{list, number, text};

/// How many events are kept.
const EVENTS: usize = 200;

/// How many samples are kept: ten minutes.
const SAMPLES: usize = 120;

/// What is known of the server.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// The last answer; `None` before the first.
    pub(super) figures: Option<Figures>,
    /// Why there is no newer one.
    pub(super) fault: Option<String>,
    /// The newest first.
    pub(super) events: VecDeque<Value>,
    pub(super) past: Past,
}

/// The last ten minutes, the newest last.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) connections: Column,
    pub(super) requests: Column,
    pub(super) slowest: Column,
    pub(super) refused: Column,
    pub(super) pools: BTreeMap<String, Column>,
}

/// Figures of a curve.
#[derive(Clone, Debug, Default)]
pub(super) struct Column(pub(super) VecDeque<f64>);

impl Column {
    fn put(&mut self, figure: f64) {
        if self.0.len() >= SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back(figure);
    }
}

impl Sight {
    /// Takes in what is told.
    pub(super) fn take(&mut self, told: Told) {
        match told {
            Told::Figures(figures) => {
                let up = |figures: &Figures| number(&figures.health, "/uptime_ms");
                if self
                    .figures
                    .as_ref()
                    .is_some_and(|known| up(&figures) < up(known))
                {
                    self.past = Past::default();
                }
                self.past.take(&figures.past);
                self.fault = None;
                self.figures = Some(*figures);
            }
            Told::Fault(error) => {
                let mut reason = error.to_string();
                let mut cause = error.source();
                while let Some(error) = cause {
                    reason = format!("{reason}: {error}");
                    cause = error.source();
                }
                self.fault = Some(reason);
            }
            Told::Event(event) => {
                self.events.push_front(event);
                self.events.truncate(EVENTS);
            }
            Told::Anew => self.events.clear(),
        }
    }
}

impl Past {
    fn take(&mut self, told: &Value) {
        let pools = list(told, "/pools");
        for at in 0..list(told, "/at_ms").len() {
            let each = |figure: &str| {
                let place = format!("/{figure}/{at}");
                pools.iter().map(move |pool| number(pool, &place))
            };
            self.connections
                .put(number(told, &format!("/active_connections/{at}")));
            self.requests.put(each("requests_per_second").sum());
            self.slowest.put(each("p99_ms").fold(0.0, f64::max));
            self.refused
                .put(pools.iter().map(|pool| refused(pool, at)).sum());
            for pool in pools {
                let column = self
                    .pools
                    .entry(text(pool, "/name").to_owned())
                    .or_default();
                column.put(number(pool, &format!("/requests_per_second/{at}")));
            }
        }
    }
}

fn refused(pool: &Value, at: usize) -> f64 {
    let reasons = pool["rejected_by_reason"].as_object();
    let columns = reasons.into_iter().flat_map(|reasons| reasons.values());
    columns
        .map(|column| number(column, &format!("/{at}")))
        .sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(uptime: f64, requests: f64) -> Told {
        Told::Figures(Box::new(Figures {
            health: json!({ "uptime_ms": uptime }),
            pools: Value::Null,
            connections: Value::Null,
            past: json!({
                "at_ms": [uptime], "active_connections": [3],
                "pools": [{ "name": "a/http", "requests_per_second": [requests], "p99_ms": [null],
                            "rejected_by_reason": { "rate": [2], "pool_limit": [3] } }],
            }),
        }))
    }

    #[test]
    fn samples_add_up_and_have_a_bound() {
        let mut sight = Sight::default();
        (0..300).for_each(|n| sight.take(told(f64::from(n), f64::from(n))));
        assert_eq!(sight.past.requests.0.len(), SAMPLES);
        assert_eq!(sight.past.requests.0.back(), Some(&299.0));
        assert_eq!(sight.past.refused.0.back(), Some(&5.0));
        assert_eq!(sight.past.pools["a/http"].0.len(), SAMPLES);
    }

    #[test]
    fn another_process_has_another_past() {
        let mut sight = Sight::default();
        sight.take(told(5000.0, 1.0));
        sight.take(told(10.0, 2.0));
        assert_eq!(sight.past.requests.0, [2.0]);
    }

    #[test]
    fn events_have_a_bound_and_the_newest_is_first() {
        let mut sight = Sight::default();
        (0..1000).for_each(|n| sight.take(Told::Event(json!({ "id": n }))));
        assert_eq!(
            (sight.events.len(), &sight.events[0]["id"]),
            (EVENTS, &json!(999))
        );
        sight.take(Told::Anew);
        assert!(sight.events.is_empty());
    }
}
