//! How far a drain is, for who waits for it: a line that changes on a terminal, lines elsewhere.

use std::time::Duration;

use tokio::time::{Instant, interval_at};
use wharf_pool::events::EventKind;

use crate::admin::Desk;

/// How often the line on a terminal changes.
const ON_TERMINAL: Duration = Duration::from_millis(200);

/// How often there is a line elsewhere: most drains are over before the first.
const ELSEWHERE: Duration = Duration::from_secs(5);

/// Waits for the drain and shows how far it is, until it is done.
pub(crate) async fn show(desk: &Desk) {
    let mut events = desk.registry().events().subscribe();
    let mut stop = desk.stop.subscribe();
    // An error means that nobody can ask for a drain any more.
    if stop.wait_for(|stopping| *stopping).await.is_err() {
        return;
    }
    let begun = Instant::now();
    let every = if desk.logs.is_watched() {
        ON_TERMINAL
    } else {
        ELSEWHERE
    };
    let mut ticks = interval_at(begun + every, every);
    let (mut phase, mut most) = ("delay", 0);
    loop {
        tokio::select! {
            event = events.next() => match event.map(|event| event.kind) {
                Some(EventKind::Drain { phase: "drained" }) | None => break,
                Some(EventKind::Drain { phase: entered }) => phase = entered,
                Some(_) => continue,
            },
            _ = ticks.tick() => {}
        }
        let left = Left::of(desk);
        most = left.connections.max(most);
        if desk.logs.is_watched() {
            let limit = desk.live.config().server.drain_timeout;
            desk.logs
                .note(Some(left.line(phase, most, begun.elapsed(), limit)));
        } else if begun.elapsed() >= ELSEWHERE {
            let (connections, requests) = (left.connections, left.requests);
            tracing::info!(phase, connections, requests, "still draining");
        }
    }
    desk.logs.note(None);
}

/// What is left to end.
#[derive(Clone, Copy, Debug)]
struct Left {
    connections: u32,
    requests: u64,
}

impl Left {
    fn of(desk: &Desk) -> Self {
        let pools = desk.registry().all();
        Self {
            connections: desk.registry().occupancy().active,
            requests: pools.iter().map(|pool| pool.metrics().in_flight).sum(),
        }
    }

    /// The line: phase, what is left of how many, how long of how long.
    fn line(self, phase: &str, most: u32, took: Duration, limit: Duration) -> String {
        let Self {
            connections,
            requests,
        } = self;
        let phase = phase.replace('_', " ");
        let (took, limit) = (took.as_secs_f64(), limit.as_secs());
        format!(
            "draining, {phase}: connections left {connections} of {most}, requests in flight \
             {requests}, {took:.1} s of {limit} s"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_left_and_how_long_it_may_take() {
        let left = Left {
            connections: 12,
            requests: 3,
        };
        let took = Duration::from_millis(4200);
        assert_eq!(
            left.line("closing_listeners", 80, took, Duration::from_secs(30)),
            "draining, closing listeners: connections left 12 of 80, requests in flight 3, \
             4.2 s of 30 s"
        );
    }
}
