//! Balancers that ask the servers how busy they are, as measures for those that do not.

use wharf_control::upstream::{least, least_of_random};
use wharf_control::{Random, Timestamp};

use super::{Balancer, Ended, Server};

/// The server with the most processors for each request, known at once to everybody: the best there is.
#[derive(Debug)]
pub struct Oracle(Random);

impl Oracle {
    /// The oracle.
    pub const fn new() -> Self {
        Self(Random::new(11))
    }
}

impl Default for Oracle {
    fn default() -> Self {
        Self::new()
    }
}

impl Balancer for Oracle {
    fn choose(&mut self, _client: usize, servers: &[Server], _now: Timestamp) -> usize {
        let share = |server: usize| {
            let server = &servers[server];
            Some((server.in_flight() as f64 + 1.0) / server.processors())
        };
        least(servers.len(), &mut self.0, share).unwrap_or(0)
    }

    fn ended(&mut self, _ended: &Ended, _now: Timestamp) {}
}

/// Two choices by what each client was last told of all servers, every half second with 100 clients (YARP).
#[derive(Debug)]
pub struct Polled {
    told: Vec<Vec<usize>>,
    random: Random,
}

impl Polled {
    /// Nothing is known yet.
    pub fn new(servers: usize, clients: usize) -> Self {
        Self {
            told: vec![vec![0; servers]; clients],
            random: Random::new(11),
        }
    }
}

impl Balancer for Polled {
    fn choose(&mut self, client: usize, servers: &[Server], _now: Timestamp) -> usize {
        let told = &self.told[client];
        let cost = |server: usize| Some(told[server] as f64);
        least_of_random::<2>(servers.len(), &mut self.random, cost).unwrap_or(0)
    }

    fn ended(&mut self, _ended: &Ended, _now: Timestamp) {}

    fn poll(&mut self, client: usize, servers: &[Server]) {
        for (told, server) in self.told[client].iter_mut().zip(servers) {
            *told = server.in_flight();
        }
    }
}

/// Prequal with requests in flight as its only signal: three probes for each request, the best of the last 16
/// is used, at most a second old and once or twice.
#[derive(Debug)]
pub struct Prequal {
    pools: Vec<Vec<Probe>>,
    remove_oldest: bool,
    random: Random,
}

#[derive(Debug)]
struct Probe {
    server: usize,
    in_flight: usize,
    at: Timestamp,
    uses_left: u32,
}

impl Prequal {
    const POOL: usize = 16;
    const PROBES: usize = 3;
    const OLDEST_SECONDS: f64 = 1.0;

    /// Nothing has been probed yet.
    pub fn new(clients: usize) -> Self {
        Self {
            pools: (0..clients).map(|_| Vec::new()).collect(),
            remove_oldest: true,
            random: Random::new(11),
        }
    }

    /// `b = (1 + δ) / ((1 - m/n)·r_probe - r_remove)`, rounded by chance.
    fn uses(&mut self, servers: usize) -> u32 {
        let unseen = 1.0 - Self::POOL as f64 / servers as f64;
        let reuse = 2.0 / (unseen * Self::PROBES as f64 - 1.0);
        1 + u32::from(self.random.unit() < reuse - 1.0)
    }

    fn take(&mut self, client: usize) -> Option<usize> {
        let pool = &mut self.pools[client];
        if pool.len() < 2 {
            return None;
        }
        // Of equals the newest, which is the last.
        let (best, _) = pool
            .iter()
            .enumerate()
            .rev()
            .min_by_key(|(_, probe)| probe.in_flight)?;
        let probe = &mut pool[best];
        let server = probe.server;
        probe.in_flight += 1;
        probe.uses_left -= 1;
        if probe.uses_left == 0 {
            pool.remove(best);
        }
        Some(server)
    }

    fn clean(&mut self, client: usize, now: Timestamp) {
        let pool = &mut self.pools[client];
        pool.retain(|probe| (now - probe.at).as_secs_f64() < Self::OLDEST_SECONDS);
        let worst = pool
            .iter()
            .enumerate()
            .max_by_key(|(_, probe)| probe.in_flight);
        // Probes are kept in the order of their age.
        let goes = worst.map(|(place, _)| if self.remove_oldest { 0 } else { place });
        self.remove_oldest = !self.remove_oldest;
        if let Some(place) = goes {
            pool.remove(place);
        }
    }
}

impl Balancer for Prequal {
    fn choose(&mut self, client: usize, servers: &[Server], now: Timestamp) -> usize {
        let chosen = self.take(client);
        self.clean(client, now);
        for _ in 0..Self::PROBES {
            let server = self.random.below(servers.len());
            let probe = Probe {
                server,
                in_flight: servers[server].in_flight(),
                at: now,
                uses_left: self.uses(servers.len()),
            };
            let pool = &mut self.pools[client];
            if pool.len() == Self::POOL {
                pool.remove(0);
            }
            pool.push(probe);
        }
        chosen.unwrap_or_else(|| self.random.below(servers.len()))
    }

    fn ended(&mut self, _ended: &Ended, _now: Timestamp) {}
}

/// C3 (Suresh et al., NSDI 2015): `R - s + q³·s`, where `q = 1 + own · clients + queue` and the servers say
/// their queue and service time with each answer.
#[derive(Debug)]
pub struct C3 {
    seen: Vec<Vec<Seen>>,
    random: Random,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    own: u32,
    latency: f64,
    service: f64,
    queue: f64,
}

impl C3 {
    /// Nothing has been seen yet.
    pub fn new(servers: usize, clients: usize) -> Self {
        Self {
            seen: vec![vec![Seen::default(); servers]; clients],
            random: Random::new(11),
        }
    }
}

impl Balancer for C3 {
    fn choose(&mut self, client: usize, servers: &[Server], _now: Timestamp) -> usize {
        let clients = self.seen.len() as f64;
        let seen = &self.seen[client];
        let score = |server: usize| {
            let seen = &seen[server];
            let queue = 1.0 + f64::from(seen.own) * clients + seen.queue;
            Some(seen.latency - seen.service + queue.powi(3) * seen.service)
        };
        let chosen = least(servers.len(), &mut self.random, score).unwrap_or(0);
        self.seen[client][chosen].own += 1;
        chosen
    }

    fn ended(&mut self, ended: &Ended, _now: Timestamp) {
        const NEW: f64 = 0.1;
        let seen = &mut self.seen[ended.client][ended.server];
        seen.own -= 1;
        let [met, left] = ended.in_flight;
        let latency = ended.latency.as_secs_f64();
        let service = latency / (met as f64 + 1.0);
        let blend = |old: &mut f64, sample: f64| {
            *old = if *old == 0.0 {
                sample
            } else {
                *old + NEW * (sample - *old)
            };
        };
        blend(&mut seen.latency, latency);
        blend(&mut seen.service, service);
        blend(&mut seen.queue, left as f64);
    }
}
