//! Two limits of Netflix's concurrency-limits, as measures: windows of 1 s or, for Vegas, 100 ms.

use std::time::Duration;

use wharf_control::Timestamp;

use super::Limiter;

/// Mean latency and most in flight of a window.
#[derive(Clone, Debug, Default)]
struct Window {
    since: Timestamp,
    latency: f64,
    samples: f64,
    most: u32,
}

impl Window {
    fn add(&mut self, begun: Timestamp, now: Timestamp) {
        self.latency += (now - begun).as_secs_f64();
        self.samples += 1.0;
    }

    /// The mean latency and the most in flight, if it lasted long enough and has ten samples.
    fn close(&mut self, length: Duration, in_flight: u32, now: Timestamp) -> Option<(f64, f64)> {
        if now - self.since < length || self.samples < 10.0 {
            return None;
        }
        let closed = (self.latency / self.samples, f64::from(self.most));
        *self = Self {
            since: now,
            most: in_flight,
            ..Self::default()
        };
        Some(closed)
    }
}

/// Gradient2: the limit follows a long average of latency over the last, with a tolerance of 1.5 and a queue of 4.
#[derive(Clone, Debug)]
pub struct Gradient2 {
    limit: f64,
    most: f64,
    long: f64,
    count: f64,
    window: Window,
}

impl Gradient2 {
    /// From 20 up to so many.
    pub fn new(most: u32) -> Self {
        Self {
            limit: 20.0,
            most: f64::from(most),
            long: 0.0,
            count: 0.0,
            window: Window::default(),
        }
    }
}

impl Limiter for Gradient2 {
    fn limit(&self) -> u32 {
        whole(self.limit)
    }

    fn begun(&mut self, in_flight: u32) {
        self.window.most = self.window.most.max(in_flight);
    }

    fn ended(&mut self, begun: Timestamp, in_flight: u32, now: Timestamp) {
        self.window.add(begun, now);
        let Some((latency, most)) = self.window.close(Duration::from_secs(1), in_flight, now)
        else {
            return;
        };
        self.count += 1.0;
        let factor = if self.count <= 10.0 {
            1.0 / self.count
        } else {
            2.0 / 601.0
        };
        self.long += factor * (latency - self.long);
        if self.long / latency > 2.0 {
            self.long *= 0.95;
        }
        if most < self.limit / 2.0 {
            return;
        }
        let gradient = (1.5 * self.long / latency).clamp(0.5, 1.0);
        let next = self.limit * gradient + 4.0;
        self.limit = (0.8 * self.limit + 0.2 * next).clamp(20.0, self.most);
    }
}

/// Vegas: the limit follows an estimate of the queue, `L · (1 - least latency / latency)`.
#[derive(Clone, Debug)]
pub struct Vegas {
    limit: f64,
    least: f64,
    probes: f64,
    window: Window,
}

impl Vegas {
    /// From so many, up to a thousand.
    pub fn new(initial: u32) -> Self {
        Self {
            limit: f64::from(initial),
            least: f64::INFINITY,
            probes: 0.0,
            window: Window::default(),
        }
    }
}

impl Limiter for Vegas {
    fn limit(&self) -> u32 {
        whole(self.limit)
    }

    fn begun(&mut self, in_flight: u32) {
        self.window.most = self.window.most.max(in_flight);
    }

    fn ended(&mut self, begun: Timestamp, in_flight: u32, now: Timestamp) {
        self.window.add(begun, now);
        let Some((latency, most)) = self
            .window
            .close(Duration::from_millis(100), in_flight, now)
        else {
            return;
        };
        self.probes += 1.0;
        if self.probes >= 30.0 * self.limit * 0.75 {
            (self.probes, self.least) = (0.0, latency);
            return;
        }
        if latency < self.least {
            self.least = latency;
            return;
        }
        if most * 2.0 < self.limit {
            return;
        }
        let step = self.limit.log10().floor().max(1.0);
        let queue = (self.limit * (1.0 - self.least / latency)).ceil();
        let change = if queue <= step {
            6.0 * step
        } else if queue < 3.0 * step {
            step
        } else if queue > 6.0 * step {
            -step
        } else {
            0.0
        };
        self.limit = (self.limit + change).clamp(1.0, 1_000.0);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "limits are between 1 and a few thousand"
)]
fn whole(limit: f64) -> u32 {
    limit as u32
}
