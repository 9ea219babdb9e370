//! [`simulate`]: servers, their neighbours, and the clients' requests.

use std::time::Duration;

use wharf_control::Timestamp;

use super::{Balancer, Ended, Server};
use crate::calendar::Calendar;
use crate::chance::Chance;
use crate::quantiles::Quantiles;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// How many servers there are.
    pub servers: usize,
    /// The first of them that fail every request after 1 ms.
    pub broken: usize,
    /// Among how many clients the requests are spread.
    pub clients: usize,
    /// Work that arrives for each server, in processors.
    pub load: f64,
    /// How long it lasts. The first fifth is not counted.
    pub seconds: u32,
    /// Which arrivals, work and neighbours.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In milliseconds; what was given up counts as 5,000, what failed at once not at all.
    pub latency: Quantiles,
    /// Requests that were counted.
    pub requests: u32,
    /// Those that failed at once.
    pub failed: u32,
    /// Those that were given up.
    pub late: u32,
}

impl Report {
    /// The part of the requests that failed at once.
    pub fn failed_part(&self) -> f64 {
        f64::from(self.failed) / f64::from(self.requests.max(1))
    }

    /// The part of the requests that were given up.
    pub fn late_part(&self) -> f64 {
        f64::from(self.late) / f64::from(self.requests.max(1))
    }
}

const DEADLINE: f64 = 5.0;
/// E[max(0, normal(80, 80))] = 80 · (Φ(1) + φ(1)) ms.
const MEAN_WORK: f64 = 0.080 * (0.841_345 + 0.241_971);
const FAILS_AFTER: f64 = 0.001;
const NEIGHBOURS_CHANGE: f64 = 4.0;
const POLL: f64 = 0.005;

#[derive(Clone, Copy)]
enum Event {
    Arrival,
    Done { server: usize, version: u32 },
    Late { request: usize },
    Failed { request: usize },
    Neighbours { server: usize },
    Poll,
}

struct Request {
    client: usize,
    server: usize,
    begun: f64,
    met: usize,
}

/// Servers and requests, on the way through a scenario.
struct Plant<'a> {
    scenario: Scenario,
    balancer: &'a mut dyn Balancer,
    calendar: Calendar<Event>,
    servers: Vec<Server>,
    requests: Vec<Request>,
    arrivals: Chance,
    work: Chance,
    neighbours: Chance,
    polled: usize,
    report: Report,
}

/// Runs a scenario with this balancer.
pub fn simulate(scenario: Scenario, balancer: &mut dyn Balancer) -> Report {
    let mut plant = Plant {
        scenario,
        balancer,
        calendar: Calendar::new(),
        servers: vec![Server::new(1.0); scenario.servers],
        requests: Vec::new(),
        arrivals: Chance::new(scenario.seed, 1),
        work: Chance::new(scenario.seed, 2),
        neighbours: Chance::new(scenario.seed, 3),
        polled: 0,
        report: Report::default(),
    };
    for server in 0..scenario.servers {
        plant.change_neighbours(server);
    }
    plant.calendar.enter_in(0.0, Event::Arrival);
    plant.calendar.enter_in(POLL, Event::Poll);
    let end = Timestamp::after_start(Duration::from_secs(u64::from(scenario.seconds)));
    while let Some(event) = plant.calendar.next_before(end) {
        plant.on(event);
    }
    plant.report
}

impl Plant<'_> {
    fn seconds(&self) -> f64 {
        self.calendar.now().as_nanos() as f64 / 1e9
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Arrival => self.arrive(),
            Event::Done { server, version } => {
                if self.servers[server].version() == version
                    && let Some((_, request)) = self.servers[server].next()
                {
                    self.end(request, false);
                }
            }
            Event::Late { request } => self.end(request, true),
            Event::Failed { request } => self.fail(request),
            Event::Neighbours { server } => self.change_neighbours(server),
            Event::Poll => {
                self.balancer.poll(self.polled, &self.servers);
                self.polled = (self.polled + 1) % self.scenario.clients;
                self.calendar.enter_in(POLL, Event::Poll);
            }
        }
    }

    fn arrive(&mut self) {
        let gap = MEAN_WORK / (self.scenario.load * self.servers.len() as f64);
        self.calendar
            .enter_in(self.arrivals.exponential(gap), Event::Arrival);
        let client = self.arrivals.below(self.scenario.clients);
        let work = self.work.normal(0.080, 0.080).max(0.0);

        let now = self.seconds();
        let server = self
            .balancer
            .choose(client, &self.servers, self.calendar.now());
        let request = self.requests.len();
        self.requests.push(Request {
            client,
            server,
            begun: now,
            met: self.servers[server].in_flight(),
        });
        if server < self.scenario.broken {
            self.calendar
                .enter_in(FAILS_AFTER, Event::Failed { request });
            return;
        }
        self.servers[server].begin(request, work, now);
        self.calendar.enter_in(DEADLINE, Event::Late { request });
        self.foresee(server);
    }

    fn end(&mut self, id: usize, late: bool) {
        let now = self.seconds();
        let request = &self.requests[id];
        let server = request.server;
        // Most requests are done long before they would be late.
        if !self.servers[server].end(id, now) {
            return;
        }
        let latency = if late { DEADLINE } else { now - request.begun };
        if self.counts(request.begun) {
            self.report.requests += 1;
            self.report.late += u32::from(late);
            self.report.latency.add(latency * 1e3);
        }
        self.tell(id, latency, late);
        self.foresee(server);
    }

    fn fail(&mut self, id: usize) {
        if self.counts(self.requests[id].begun) {
            self.report.requests += 1;
            self.report.failed += 1;
        }
        self.tell(id, FAILS_AFTER, true);
    }

    fn tell(&mut self, id: usize, latency: f64, failed: bool) {
        let request = &self.requests[id];
        let ended = Ended {
            client: request.client,
            server: request.server,
            latency: Duration::from_secs_f64(latency),
            failed,
            in_flight: [request.met, self.servers[request.server].in_flight()],
        };
        self.balancer.ended(&ended, self.calendar.now());
    }

    fn counts(&self, begun: f64) -> bool {
        begun >= f64::from(self.scenario.seconds) / 5.0
    }

    fn change_neighbours(&mut self, server: usize) {
        let chance = &mut self.neighbours;
        let contended = chance.happens(0.3);
        let free = chance.between(1.8, 3.0);
        let lasts = chance.exponential(NEIGHBOURS_CHANGE);
        let now = self.seconds();
        self.servers[server].set_processors(if contended { 1.0 } else { free }, now);
        self.calendar.enter_in(lasts, Event::Neighbours { server });
        self.foresee(server);
    }

    fn foresee(&mut self, server: usize) {
        if let Some((at, _)) = self.servers[server].next() {
            let version = self.servers[server].version();
            let done = Event::Done { server, version };
            self.calendar
                .enter(Timestamp::after_start(Duration::from_secs_f64(at)), done);
        }
    }
}
