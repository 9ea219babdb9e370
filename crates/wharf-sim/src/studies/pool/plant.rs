//! The plant: a pool of connections under a load that swings.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use wharf_control::Timestamp;
use wharf_control::upstream::{PoolSize, PoolSizeSettings, PoolUse};

use crate::calendar::Calendar;
use crate::chance::Chance;
use crate::quantiles::Quantiles;

/// Who decides how many connections there are.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a row of the table each")]
pub enum Policy {
    /// One for each request that finds none, closed after 90 s without use (hyper).
    OnDemand,
    /// So many always, and more on demand, which go within 5 s when they are not needed.
    Fixed(u32),
    /// wharf's law with this ratio.
    Law(f64),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Of all requests, how long each waited, in milliseconds.
    pub wait: Quantiles,
    /// How many did not find a connection.
    pub waited: u32,
    /// Connections held, on average.
    pub connections: f64,
    /// Connections made.
    pub connects_per_second: f64,
}

impl Report {
    /// The part of the requests that did not find a connection.
    pub fn waited_part(&self) -> f64 {
        f64::from(self.waited) / (self.wait.count().max(1)) as f64
    }
}

const HOLD: f64 = 0.050;
const CONNECT: f64 = 0.030;
const PERIOD: f64 = 600.0;
const BURST_EVERY: f64 = 120.0;
const BURST: f64 = 5.0;
const BURST_FACTOR: f64 = 2.5;
const GREATEST_RATE: f64 = 700.0 * BURST_FACTOR;
const PLENTY: NonZeroU32 = NonZeroU32::new(1_000).expect("1,000 is not zero");
const LONGEST_IDLE: Duration = Duration::from_secs(90);

/// Requests a second.
fn rate(seconds: f64) -> f64 {
    let sine = 400.0 + 300.0 * (std::f64::consts::TAU * seconds / PERIOD).sin();
    let bursts = seconds % BURST_EVERY >= BURST_EVERY - BURST;
    if bursts { sine * BURST_FACTOR } else { sine }
}

enum Event {
    Arrival,
    Released,
    Connected,
    Trim,
}

struct Plant {
    policy: Policy,
    size: PoolSize,
    calendar: Calendar<Event>,
    arrivals: Chance,
    holds: Chance,
    in_use: u32,
    connecting: u32,
    /// Idle since; the last was used last and is used next.
    idle: VecDeque<Timestamp>,
    /// Waiting since.
    waiting: VecDeque<Timestamp>,
    counted_from: Timestamp,
    report: Report,
    connects: u32,
    held: f64,
    changed: Timestamp,
}

/// Runs a policy for so long; what is counted begins after two minutes.
pub fn run(policy: Policy, seconds: u32, seed: u64) -> Report {
    let ratio = match policy {
        Policy::Law(ratio) => ratio,
        Policy::OnDemand | Policy::Fixed(_) => 1.0,
    };
    let settings = PoolSizeSettings {
        ratio,
        most: PLENTY,
        most_connecting: PLENTY,
        ..PoolSizeSettings::default()
    };
    let counted_from = Timestamp::after_start(Duration::from_mins(2));
    let mut plant = Plant {
        policy,
        size: PoolSize::new(settings, seed, Timestamp::ZERO),
        calendar: Calendar::new(),
        arrivals: Chance::new(seed, 1),
        holds: Chance::new(seed, 2),
        in_use: 0,
        connecting: 0,
        idle: VecDeque::new(),
        waiting: VecDeque::new(),
        counted_from,
        report: Report::default(),
        connects: 0,
        held: 0.0,
        changed: counted_from,
    };
    let end = Timestamp::after_start(Duration::from_secs(u64::from(seconds)));
    plant.calendar.enter_in(0.0, Event::Arrival);
    plant.calendar.enter_in(0.0, Event::Trim);
    while let Some(event) = plant.calendar.next_before(end) {
        plant.account();
        plant.on(&event);
        plant.connect();
    }
    let counted = (end - counted_from).as_secs_f64();
    plant.report.connections = plant.held / counted;
    plant.report.connects_per_second = f64::from(plant.connects) / counted;
    plant.report
}

impl Plant {
    fn on(&mut self, event: &Event) {
        match event {
            Event::Arrival => {
                let now = self.calendar.now();
                let gap = self.arrivals.exponential(1.0 / GREATEST_RATE);
                self.calendar.enter_in(gap, Event::Arrival);
                let seconds = (now - Timestamp::ZERO).as_secs_f64();
                if self.arrivals.happens(rate(seconds) / GREATEST_RATE) {
                    if self.idle.is_empty() && now >= self.counted_from {
                        self.report.waited += 1;
                    }
                    self.waiting.push_back(now);
                    self.serve();
                }
            }
            Event::Released => {
                self.in_use -= 1;
                self.idle.push_back(self.calendar.now());
                self.serve();
            }
            Event::Connected => {
                self.connecting -= 1;
                self.idle.push_back(self.calendar.now());
                self.serve();
            }
            Event::Trim => self.trim(),
        }
    }

    fn serve(&mut self) {
        let now = self.calendar.now();
        while !self.idle.is_empty()
            && let Some(since) = self.waiting.pop_front()
        {
            self.idle.pop_back();
            self.in_use += 1;
            if since >= self.counted_from {
                self.report.wait.add((now - since).as_secs_f64() * 1e3);
            }
            let hold = self.holds.log_normal(HOLD, 1.0);
            self.calendar.enter_in(hold, Event::Released);
        }
    }

    fn connect(&mut self) {
        let pool = self.pool();
        let missing = pool.waiting.saturating_sub(pool.connecting);
        let begun = match self.policy {
            Policy::OnDemand => missing,
            Policy::Fixed(size) => {
                let total = pool.in_use + pool.idle + pool.connecting;
                missing.max(size.saturating_sub(total))
            }
            Policy::Law(_) => self.size.create(pool, None, self.calendar.now()),
        };
        self.connecting += begun;
        if self.calendar.now() >= self.counted_from {
            self.connects += begun;
        }
        for _ in 0..begun {
            self.calendar.enter_in(CONNECT, Event::Connected);
        }
    }

    /// Every 100 ms.
    fn trim(&mut self) {
        self.calendar.enter_in(0.1, Event::Trim);
        let now = self.calendar.now();
        let pool = self.pool();
        let excess = match self.policy {
            Policy::OnDemand => {
                let idle = self.idle.iter();
                idle.filter(|&&since| now - since >= LONGEST_IDLE).count()
            }
            Policy::Fixed(_) if (now - Timestamp::ZERO).subsec_millis() != 0 => 0,
            Policy::Fixed(_) if !(now - Timestamp::ZERO).as_secs().is_multiple_of(5) => 0,
            Policy::Fixed(size) => {
                let excess = (pool.in_use + pool.idle).saturating_sub(size);
                excess.min(pool.idle) as usize
            }
            Policy::Law(_) => self.size.close(pool, now) as usize,
        };
        self.idle.drain(..excess.min(self.idle.len()));
    }

    fn pool(&self) -> PoolUse {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        PoolUse {
            in_use: self.in_use,
            idle: count(self.idle.len()),
            connecting: self.connecting,
            waiting: count(self.waiting.len()),
        }
    }

    /// Adds up how many connections were held until now.
    fn account(&mut self) {
        let now = self.calendar.now();
        let held = f64::from(self.in_use) + self.idle.len() as f64;
        self.held += held * (now - self.changed).as_secs_f64();
        self.changed = self.changed.max(now);
    }
}
