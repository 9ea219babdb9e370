//! Whether the limit of requests says how many connections to let in.
//!
//! The rule that is tried: let `a` be the part of the connections with something in flight, as the 95th percentile of the
//! seconds of the last minute (0.01 at least); no more connections than `max(4 L, L / a)`, since a limit of `L` requests serves
//! no more. Each second it may grow by its square root, once four fifths of it are used, and shrinks by a tenth after a minute
//! in which no more was recommended. It is asked only while the limit of requests has been met within a minute, and turns away
//! newcomers only.
//!
//! A crowd comes within a hundred seconds. Each client stays for five minutes on average and comes again; one that is turned away
//! comes again 2 s later.

use std::collections::VecDeque;

use crate::chance::Chance;
use crate::table::Table;

/// How many seconds the rule looks back.
const WINDOW: usize = 60;

/// The least part of the connections that is believed to be in flight.
const LEAST_PART: f64 = 0.01;

/// Clients that are all alike.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// How many there are.
    pub clients: u32,
    /// The part of the time in which each has a request in flight.
    pub part: f64,
    /// By how much more in 10 s of every two minutes.
    pub burst: f64,
    /// What they have in flight.
    pub asks: Asks,
}

/// What clients have in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asks {
    /// Requests, each of which needs a place under the limit.
    Requests,
    /// Sessions, which need none once they have begun.
    Sessions,
}

/// What has become of them in the second half of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Connections held, on average.
    pub held: f64,
    /// The part of the attempts that were turned away.
    pub turned_away: f64,
    /// Of what the clients that wanted to come would have asked, the part that found no place at once, at the door or under the
    /// limit of requests.
    pub unserved: f64,
}

/// The rule.
struct Rule {
    requests: f64,
    parts: VecDeque<f64>,
    recommended: VecDeque<f64>,
    in_force: f64,
    /// Seconds since the limit of requests was met.
    unmet: usize,
}

impl Rule {
    fn new(requests: u32, most: f64) -> Self {
        Self {
            requests: f64::from(requests),
            parts: VecDeque::new(),
            recommended: VecDeque::new(),
            in_force: most,
            unmet: WINDOW,
        }
    }

    /// A second has passed with so many connections, of which so many had something in flight; how many there may be, unless the
    /// limit of requests was not met.
    fn second(&mut self, held: f64, active: f64) -> Option<f64> {
        self.unmet = if active >= self.requests {
            0
        } else {
            self.unmet + 1
        };
        push(&mut self.parts, active / held.max(1.0));
        let mut sorted: Vec<f64> = self.parts.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let part = sorted[(sorted.len() * 95).div_ceil(100) - 1].max(LEAST_PART);
        push(
            &mut self.recommended,
            (4.0 * self.requests).max(self.requests / part),
        );
        let most = self.recommended.iter().copied().fold(0.0, f64::max);
        if most < self.in_force {
            self.in_force = most.max(0.9 * self.in_force);
        } else if held >= 0.8 * self.in_force {
            self.in_force = most.min(self.in_force + self.in_force.sqrt().max(1.0));
        }
        (self.unmet < WINDOW).then_some(self.in_force)
    }
}

fn push(window: &mut VecDeque<f64>, value: f64) {
    if window.len() == WINDOW {
        window.pop_front();
    }
    window.push_back(value);
}

/// Lets a crowd come for so many seconds, to a server that works on so many requests at a time; with the rule or without.
pub fn run(crowd: Crowd, requests: u32, ruled: bool, seconds: u32, seed: u64) -> Report {
    let mut chance = Chance::new(seed, 1);
    let mut rule = Rule::new(requests, 2.0 * f64::from(crowd.clients));
    let mut allowed = None;
    let (mut held, mut outside) = (0_u32, [0_u32; 2]);
    let mut known = 0;
    let [
        mut held_sum,
        mut asked,
        mut unserved,
        mut attempts,
        mut refused,
    ] = [0.0; 5];
    for second in 0..seconds {
        let leaves = (0..held).filter(|_| chance.happens(1.0 / 300.0)).count();
        let leaves = u32::try_from(leaves).unwrap_or(held);
        let all = crowd.clients.min((second + 1) * crowd.clients / 100);
        let knock = outside[0] + leaves + (all - known);
        known = all;
        held -= leaves;
        let room = allowed.filter(|_| ruled).map_or(knock, |allowed: f64| {
            let most = allowed.max(f64::from(held));
            let mut entered = 0;
            while entered < knock && f64::from(held + entered + 1) <= most {
                entered += 1;
            }
            entered
        });
        held += room;
        outside = [outside[1], knock - room];
        let factor = if second % 120 < 10 { crowd.burst } else { 1.0 };
        let part = (crowd.part * factor).min(1.0);
        let active = (0..held).filter(|_| chance.happens(part)).count();
        let active = f64::from(u32::try_from(active).unwrap_or(held));
        allowed = rule.second(f64::from(held), active);
        if second >= seconds / 2 {
            let over = match crowd.asks {
                Asks::Requests => (active - f64::from(requests)).max(0.0),
                Asks::Sessions => 0.0,
            };
            let absent = f64::from(all - held) * part;
            held_sum += f64::from(held);
            asked += active + absent;
            unserved += over + absent;
            attempts += f64::from(knock);
            refused += f64::from(knock - room);
        }
    }
    Report {
        held: held_sum / f64::from(seconds - seconds / 2),
        turned_away: refused / attempts.max(1.0),
        unserved: unserved / asked.max(1.0),
    }
}

/// A limit of ten requests, and crowds that ask little, ask at times, ask too much, or have something in flight all the time.
pub const CROWDS: [(&str, Crowd); 4] = [
    (
        "3,000 that ask for 10 ms in 30 s",
        Crowd {
            clients: 3_000,
            part: 0.000_33,
            burst: 1.0,
            asks: Asks::Requests,
        },
    ),
    (
        "the same, and a burst every two minutes",
        Crowd {
            clients: 3_000,
            part: 0.000_33,
            burst: 30.0,
            asks: Asks::Requests,
        },
    ),
    (
        "400 that ask for three times what is served",
        Crowd {
            clients: 400,
            part: 0.075,
            burst: 1.0,
            asks: Asks::Requests,
        },
    ),
    (
        "400 with a session each",
        Crowd {
            clients: 400,
            part: 1.0,
            burst: 1.0,
            asks: Asks::Sessions,
        },
    ),
];

/// The table; there is no reference.
pub fn table(seconds: u32) -> Table {
    let heads = [
        "",
        "held",
        "turned away %",
        "unserved %",
        "without the rule: held",
        "unserved %",
    ];
    let mut table = Table::new(
        "Connections by what ten requests at a time can serve",
        heads,
    );
    for (name, crowd) in CROWDS {
        let with = run(crowd, 10, true, seconds, 1);
        let without = run(crowd, 10, false, seconds, 1);
        table.row([
            name.to_owned(),
            format!("{:.0}", with.held),
            format!("{:.1}", 100.0 * with.turned_away),
            format!("{:.1}", 100.0 * with.unserved),
            format!("{:.0}", without.held),
            format!("{:.1}", 100.0 * without.unserved),
        ]);
    }
    table
}
