//! A line for each connection that a deadline or a fault ended, and for newcomers turned away.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use wharf_pool::events::{Event, EventKind, Subscription};
use wharf_pool::{CloseReason, ConnId, PoolName};

/// How many lines a second each reason may have.
const LINES: u32 = 10;

/// Writes the lines until there are no more events.
pub(crate) async fn tell_closes(mut events: Subscription) {
    let mut told = Told::default();
    let mut second = seconds();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => tell(&event, &mut told),
                None => return,
            },
            _ = second.tick() => told.next_second(),
        }
    }
}

fn seconds() -> Interval {
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    second
}

fn tell(event: &Event, told: &mut Told) {
    let pool = event.pool.as_ref();
    if let EventKind::ConnectionTimeout {
        id, peer, reason, ..
    }
    | EventKind::ConnectionError {
        id, peer, reason, ..
    } = &event.kind
        && told.admits(*reason)
    {
        closed(*id, *peer, *reason, pool);
    } else if let EventKind::PoolLimitReached {
        reason, rejected, ..
    } = &event.kind
    {
        // The pool tells at most one of these a second for each reason.
        let (reason, pool) = (reason.as_str(), name(pool));
        tracing::warn!(reason, pool, rejected, "connections refused");
    } else if let EventKind::WouldReject {
        reason,
        connections,
        ..
    }
    | EventKind::WouldClose {
        reason,
        connections,
        ..
    } = &event.kind
    {
        // And of these.
        let (reason, pool, connections) = (reason.as_str(), name(pool), *connections);
        tracing::info!(
            reason,
            pool,
            connections,
            "a limit on a dry run would have acted"
        );
    }
}

fn closed(id: ConnId, peer: SocketAddr, reason: CloseReason, pool: Option<&PoolName>) {
    let (reason, pool) = (reason.as_str(), name(pool));
    tracing::info!(reason, %peer, pool, connection = %id, "connection closed");
}

/// A connection that is in no pool yet is being detected.
fn name(pool: Option<&PoolName>) -> &str {
    pool.map_or("detecting", PoolName::as_str)
}

/// Lines of this second, and those that were too many.
#[derive(Debug, Default)]
struct Told(BTreeMap<CloseReason, (u32, u64)>);

impl Told {
    /// Whether there is a line left for `reason` in this second.
    fn admits(&mut self, reason: CloseReason) -> bool {
        let (lines, suppressed) = self.0.entry(reason).or_default();
        // The last line of a second is for the number of those that got none.
        if *lines + 1 < LINES {
            *lines += 1;
            return true;
        }
        *suppressed += 1;
        false
    }

    fn next_second(&mut self) {
        for (reason, (_, suppressed)) in std::mem::take(&mut self.0) {
            if suppressed > 0 {
                let reason = reason.as_str();
                tracing::info!(reason, suppressed, "more connections closed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_ten_lines_a_second_with_the_count_of_the_rest() {
        let mut told = Told::default();
        let lines = (0..100)
            .filter(|_| told.admits(CloseReason::HeadersTimeout))
            .count();
        assert_eq!(lines, 9);
        assert!(told.admits(CloseReason::BadRequest));
        assert_eq!(told.0[&CloseReason::HeadersTimeout], (9, 91));
        told.next_second();
        assert!(told.admits(CloseReason::HeadersTimeout));
    }
}
