//! [`Elasticity`]: whether more requests at a time still get more done.

const WINDOWS: usize = 50;

/// The last 50 windows in which the limit was what held requests back: how many were in flight, and how much
/// got done.
#[derive(Clone, Debug)]
pub(super) struct Elasticity {
    windows: [(f64, f64); WINDOWS],
    /// How many are known, at most all.
    known: usize,
    next: usize,
}

impl Elasticity {
    pub(super) const fn new() -> Self {
        Self {
            windows: [(0.0, 0.0); WINDOWS],
            known: 0,
            next: 0,
        }
    }

    pub(super) const fn push(&mut self, in_flight: f64, throughput: f64) {
        self.windows[self.next] = (in_flight, throughput);
        self.next = (self.next + 1) % WINDOWS;
        if self.known < WINDOWS {
            self.known += 1;
        }
    }

    pub(super) const fn clear(&mut self) {
        self.known = 0;
        self.next = 0;
    }

    /// Throughput still grows with what is in flight: by more than half as much (an elasticity over 0.5, with a
    /// correlation over 0.5), over at least 6 windows. Then latency is not our queue.
    pub(super) fn grows(&self) -> bool {
        let moments = self.moments();
        self.known >= 6 && moments.elasticity() > 0.5 && moments.correlation() > 0.5
    }

    /// The more is in flight, the less gets done, over at least 10 windows.
    pub(super) fn shrinks(&self) -> bool {
        // By more than what rounding makes of no covariance at all.
        self.known >= 10 && self.moments().correlation() < -1e-6
    }

    fn moments(&self) -> Moments {
        let known = &self.windows[..self.known];
        let count = known.iter().fold(0.0, |n, _| n + 1.0_f64).max(1.0);
        let mean = |of: fn(&(f64, f64)) -> f64| known.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|window| window.0), mean(|window| window.1));
        let mut moments = Moments {
            means: (x, y),
            ..Moments::default()
        };
        for (in_flight, throughput) in known {
            moments.covariance += (in_flight - x) * (throughput - y) / count;
            moments.variances.0 += (in_flight - x).powi(2) / count;
            moments.variances.1 += (throughput - y).powi(2) / count;
        }
        moments
    }
}

#[derive(Clone, Copy, Default)]
struct Moments {
    means: (f64, f64),
    variances: (f64, f64),
    covariance: f64,
}

impl Moments {
    /// By how many percent throughput grows with one percent more in flight: the slope at the means. Zero if nothing has varied.
    fn elasticity(self) -> f64 {
        let slope = self.covariance / self.variances.0;
        let elasticity = slope * self.means.0 / self.means.1;
        if elasticity.is_finite() {
            elasticity
        } else {
            0.0
        }
    }

    /// Pearson's; zero if one has not varied.
    fn correlation(self) -> f64 {
        let correlation = self.covariance / (self.variances.0 * self.variances.1).sqrt();
        if correlation.is_finite() {
            correlation
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Elasticity;

    fn of(windows: impl IntoIterator<Item = (f64, f64)>) -> Elasticity {
        let mut elasticity = Elasticity::new();
        for (in_flight, throughput) in windows {
            elasticity.push(in_flight, throughput);
        }
        elasticity
    }

    fn line(count: u32, throughput: fn(f64) -> f64) -> Elasticity {
        of((10..10 + count).map(|n| (f64::from(n), throughput(f64::from(n)))))
    }

    #[test]
    fn proportional_throughput_grows_from_six_windows_on() {
        assert!(!line(5, |n| 100.0 * n).grows());
        assert!(line(6, |n| 100.0 * n).grows());
        assert!(
            !line(20, |n| 1_000.0 + n).grows(),
            "by a little is not enough"
        );
    }

    #[test]
    fn less_done_with_more_in_flight_shrinks_from_ten_windows_on() {
        assert!(!line(9, |n| 1_000.0 - n).shrinks());
        assert!(line(10, |n| 1_000.0 - n).shrinks());
    }

    #[test]
    fn what_has_not_varied_says_nothing() {
        let still = of([(16.0, 1_600.0); 50]);
        assert!(!still.grows() && !still.shrinks());
        let idle = of([(0.0, 0.0); 50]);
        assert!(!idle.grows() && !idle.shrinks());
    }

    #[test]
    fn only_the_last_fifty_windows_count() {
        let mut elasticity = line(50, |n| 100.0 * n);
        for n in 0..50 {
            elasticity.push(f64::from(n), 1_000.0);
        }
        assert!(!elasticity.grows());
        elasticity.clear();
        assert!(!elasticity.shrinks());
    }
}
