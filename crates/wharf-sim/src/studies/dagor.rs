//! Tasks of several calls to one overloaded service (DAGOR: "Overload control for scaling `WeChat` microservices", 2018).
//!
//! A task of the kind `M^k` calls the service `k` times, one after the other, and has failed with the first call that is
//! rejected. The service does 750 calls a second; 1,500 tasks a second come. At best `1/(2k)` succeed. Shedding by chance
//! lets each call through with the same `p`, where `Σ p^i` over `1..=k` is a half: `p^k` succeed.

use std::collections::VecDeque;
use std::time::Duration;

use wharf_control::Timestamp;
use wharf_control::overload::{Class, Joined, Level, Line, Ticket};

use crate::calendar::Calendar;
use crate::chance::Chance;
use crate::limit::{Fixed, Gated, Limiter};
use crate::table::Table;

/// Who is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a row of the table each")]
pub enum Shedding {
    /// Whoever comes while a fixed limit is reached.
    Naive,
    /// The same with the adaptive limit.
    Adaptive,
    /// The less important, in a line for places under the adaptive limit.
    Line,
}

const TASKS_PER_SECOND: f64 = 1_500.0;
const WORKERS: u32 = 15;
const WORK: f64 = 0.020;
/// Between the calls of a task: what its caller does meanwhile.
const BETWEEN: f64 = 0.020;

/// The part of the tasks that can succeed at best.
pub fn optimal(calls: u32) -> f64 {
    0.5 / f64::from(calls)
}

/// The part that succeeds when each call has the same chance.
pub fn by_chance(calls: u32) -> f64 {
    let excess = |p: f64| (1..=calls).map(|i| p.powf(f64::from(i))).sum::<f64>() - 0.5;
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if excess(middle) > 0.0 {
            high = middle;
        } else {
            low = middle;
        }
    }
    low.powf(f64::from(calls))
}

#[derive(Clone, Copy)]
struct Call {
    level: Level,
    /// Calls of the task after this one.
    left: u32,
    begun: Timestamp,
    counted: bool,
}

enum Event {
    Task,
    Call(Call),
    Done(Call),
    OutOfPatience(Ticket),
}

struct Plant {
    shedding: Shedding,
    calls: u32,
    calendar: Calendar<Event>,
    chance: Chance,
    limiter: Box<dyn Limiter>,
    in_flight: u32,
    busy: u32,
    /// For a place under the limit.
    waiting: Line<Call>,
    /// For a worker.
    queue: VecDeque<Call>,
    counted_from: Timestamp,
    tasks: u32,
    succeeded: u32,
}

/// The part of the tasks that succeed, in the second half of so many seconds.
pub fn run(shedding: Shedding, calls: u32, seconds: u32) -> f64 {
    let end = Timestamp::after_start(Duration::from_secs(u64::from(seconds)));
    let limiter: Box<dyn Limiter> = match shedding {
        Shedding::Naive => Box::new(Fixed(2 * WORKERS)),
        Shedding::Adaptive | Shedding::Line => Box::new(Gated::new(20)),
    };
    let mut plant = Plant {
        shedding,
        calls,
        calendar: Calendar::new(),
        chance: Chance::new(1, u64::from(calls)),
        limiter,
        in_flight: 0,
        busy: 0,
        waiting: Line::new(Timestamp::ZERO),
        queue: VecDeque::new(),
        counted_from: Timestamp::after_start(Duration::from_secs(u64::from(seconds / 2))),
        tasks: 0,
        succeeded: 0,
    };
    plant.calendar.enter_in(0.0, Event::Task);
    while let Some(event) = plant.calendar.next_before(end) {
        match event {
            Event::Task => plant.task(),
            Event::Call(call) => plant.call(call),
            Event::Done(call) => plant.done(call),
            Event::OutOfPatience(ticket) => {
                plant.waiting.leave(ticket, plant.calendar.now());
            }
        }
    }
    f64::from(plant.succeeded) / f64::from(plant.tasks.max(1))
}

impl Plant {
    fn task(&mut self) {
        let gap = self.chance.exponential(1.0 / TASKS_PER_SECOND);
        self.calendar.enter_in(gap, Event::Task);
        let user = self.chance.random().next_u64();
        let now = self.calendar.now();
        let counted = now >= self.counted_from;
        self.tasks += u32::from(counted);
        let first = Call {
            level: Level::new(Class::Normal, user, 0),
            left: self.calls - 1,
            begun: now,
            counted,
        };
        self.call(first);
    }

    fn call(&mut self, call: Call) {
        if self.in_flight < self.limiter.limit() && self.waiting.is_empty() {
            return self.begin(call);
        }
        let most = match self.shedding {
            Shedding::Naive | Shedding::Adaptive => 0,
            Shedding::Line => Line::<Call>::longest(self.limiter.limit()),
        };
        let joined = self
            .waiting
            .join(call.level, call, most, self.calendar.now());
        if let Ok(Joined {
            ticket, patience, ..
        }) = joined
        {
            self.calendar
                .enter_in(patience.as_secs_f64(), Event::OutOfPatience(ticket));
            self.admit();
        }
    }

    /// Begins what there is a place for.
    fn admit(&mut self) {
        while self.in_flight < self.limiter.limit()
            && let Some(call) = self.waiting.next(self.calendar.now())
        {
            self.begin(call);
        }
    }

    fn begin(&mut self, mut call: Call) {
        self.in_flight += 1;
        self.limiter.begun(self.in_flight);
        call.begun = self.calendar.now();
        self.queue.push_back(call);
        self.serve();
    }

    fn done(&mut self, call: Call) {
        self.in_flight -= 1;
        self.busy -= 1;
        self.limiter
            .ended(call.begun, self.in_flight, self.calendar.now());
        if call.left == 0 {
            self.succeeded += u32::from(call.counted);
        } else {
            let next = Call {
                left: call.left - 1,
                ..call
            };
            let gap = self.chance.exponential(BETWEEN);
            self.calendar.enter_in(gap, Event::Call(next));
        }
        self.admit();
        self.serve();
    }

    fn serve(&mut self) {
        while self.busy < WORKERS
            && let Some(call) = self.queue.pop_front()
        {
            self.busy += 1;
            let work = self.chance.exponential(WORK);
            self.calendar.enter_in(work, Event::Done(call));
        }
    }
}

/// The table, beside the formulas.
pub fn table(seconds: u32) -> Table {
    let mut table = Table::new(
        "Tasks of k calls, twice what the service can do: part that succeeds",
        [
            "k",
            "best",
            "by chance (formula)",
            "fixed limit",
            "adaptive limit",
            "a line under it",
        ],
    );
    for calls in 1..=4 {
        let cell = |shedding| format!("{:.3}", run(shedding, calls, seconds));
        table.row([
            format!("{calls}"),
            format!("{:.3}", optimal(calls)),
            format!("{:.4}", by_chance(calls)),
            cell(Shedding::Naive),
            cell(Shedding::Adaptive),
            cell(Shedding::Line),
        ]);
    }
    table
}
