//! [`simulate`]: arrivals, a limit, and a server with workers or without a bound.

use std::collections::VecDeque;
use std::time::Duration;

use wharf_control::Timestamp;
use wharf_control::overload::LatencyHistogram;

use super::Limiter;
use crate::calendar::Calendar;
use crate::chance::Chance;

/// How service times are spread around their mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the four of the study")]
pub enum Distribution {
    /// Exponential.
    Exponential,
    /// Normal, with a twentieth as deviation.
    NearlyConstant,
    /// Log-normal, σ 1.5.
    LogNormal,
    /// One of twenty takes ten times as long as the others.
    Bimodal,
}

/// What serves.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the two twins of the study")]
pub enum Service {
    /// So many workers and a queue: processors. Each request in flight beyond them makes service longer by `contention`.
    Workers {
        /// How many.
        count: u32,
        /// 0.02 is 2 %.
        contention: f64,
    },
    /// Each request takes its time, however many there are: waiting for something else.
    Unlimited,
}

/// A time in which nothing changes.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    /// How long it lasts.
    pub seconds: f64,
    /// Requests per second.
    pub rate: f64,
    /// What serves.
    pub service: Service,
    /// Mean service time, in seconds.
    pub mean: f64,
}

/// What came of the second half of a phase.
#[derive(Clone, Debug, Default)]
pub struct PhaseReport {
    /// The limit, on average over arrivals.
    pub limit: f64,
    /// Answers per second.
    pub throughput: f64,
    /// Answers within 50 ms per second.
    pub goodput: f64,
    /// The part of the requests that was rejected.
    pub rejected: f64,
    /// Of what was answered.
    pub latency: LatencyHistogram,
}

impl PhaseReport {
    /// A quantile of latency, in milliseconds.
    pub fn millis(&self, part: f64) -> f64 {
        self.latency.quantile(part).as_secs_f64() * 1e3
    }
}

const SLO: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
enum Event {
    Arrival,
    Done { begun: Timestamp },
}

struct Plant<'a> {
    limiter: &'a mut dyn Limiter,
    distribution: Distribution,
    calendar: Calendar<Event>,
    arrivals: Chance,
    work: Chance,
    in_flight: u32,
    busy: u32,
    queue: VecDeque<Timestamp>,
    phase: Phase,
    counts: Counts,
}

/// Of the second half of a phase.
#[derive(Default)]
struct Counts {
    from: Timestamp,
    arrivals: u32,
    limits: f64,
    rejected: u32,
    answered: u32,
    good: u32,
    latency: LatencyHistogram,
}

/// Runs the phases one after the other and reports on the second half of each.
pub fn simulate(
    phases: &[Phase],
    distribution: Distribution,
    limiter: &mut dyn Limiter,
    seed: u64,
) -> Vec<PhaseReport> {
    let Some(&phase) = phases.first() else {
        return Vec::new();
    };
    let mut plant = Plant {
        limiter,
        distribution,
        calendar: Calendar::new(),
        arrivals: Chance::new(seed, 1),
        work: Chance::new(seed, 2),
        in_flight: 0,
        busy: 0,
        queue: VecDeque::new(),
        phase,
        counts: Counts::default(),
    };
    plant.calendar.enter_in(0.0, Event::Arrival);
    let mut begin = Timestamp::ZERO;
    let mut report = |&phase: &Phase| {
        let length = Duration::from_secs_f64(phase.seconds);
        let report = plant.run(phase, begin.after(length / 2), begin.after(length));
        begin = begin.after(length);
        report
    };
    phases.iter().map(&mut report).collect()
}

impl Plant<'_> {
    fn run(&mut self, phase: Phase, counted: Timestamp, end: Timestamp) -> PhaseReport {
        self.phase = phase;
        self.counts = Counts {
            from: counted,
            ..Counts::default()
        };
        while let Some(event) = self.calendar.next_before(end) {
            match event {
                Event::Arrival => self.arrive(),
                Event::Done { begun } => self.done(begun),
            }
        }
        let counts = std::mem::take(&mut self.counts);
        let seconds = (end - counted).as_secs_f64();
        let arrivals = f64::from(counts.arrivals.max(1));
        PhaseReport {
            limit: counts.limits / arrivals,
            throughput: f64::from(counts.answered) / seconds,
            goodput: f64::from(counts.good) / seconds,
            rejected: f64::from(counts.rejected) / arrivals,
            latency: counts.latency,
        }
    }

    fn arrive(&mut self) {
        let gap = self.arrivals.exponential(1.0 / self.phase.rate);
        self.calendar.enter_in(gap, Event::Arrival);
        let now = self.calendar.now();
        let counted = now >= self.counts.from;
        let limit = self.limiter.limit();
        let rejected = self.in_flight >= limit;
        if counted {
            self.counts.arrivals += 1;
            self.counts.limits += f64::from(limit);
            self.counts.rejected += u32::from(rejected);
        }
        if rejected {
            return;
        }
        self.in_flight += 1;
        self.limiter.begun(self.in_flight);
        self.queue.push_back(now);
        self.serve();
    }

    fn done(&mut self, begun: Timestamp) {
        let now = self.calendar.now();
        self.in_flight -= 1;
        self.busy -= 1;
        if now >= self.counts.from {
            self.counts.answered += 1;
            self.counts.good += u32::from(now - begun <= SLO);
            self.counts.latency.add(now - begun);
        }
        self.limiter.ended(begun, self.in_flight, now);
        self.serve();
    }

    /// Begins what there is a worker for.
    fn serve(&mut self) {
        let (workers, slowed) = match self.phase.service {
            Service::Workers { count, contention } => {
                let beyond = self.in_flight.saturating_sub(count);
                (count, 1.0 + contention * f64::from(beyond))
            }
            Service::Unlimited => (u32::MAX, 1.0),
        };
        while self.busy < workers
            && let Some(begun) = self.queue.pop_front()
        {
            self.busy += 1;
            let work = self.draw() * slowed;
            self.calendar.enter_in(work, Event::Done { begun });
        }
    }

    fn draw(&mut self) -> f64 {
        let mean = self.phase.mean;
        match self.distribution {
            Distribution::Exponential => self.work.exponential(mean),
            Distribution::NearlyConstant => self.work.normal(mean, mean / 20.0).max(0.0),
            Distribution::LogNormal => self.work.log_normal(mean, 1.5),
            Distribution::Bimodal => {
                // 0.95 + 0.05 · 10 = 1.45.
                let short = mean / 1.45;
                if self.work.happens(0.05) {
                    10.0 * short
                } else {
                    short
                }
            }
        }
    }
}
