//! The ticker: the one task that reads the clock for every connection.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use wharf_pool::{Registry, TICK};

use crate::connection::HttpConnection;

/// The most that the clock moves at once. A process that did not run (stopped, frozen, starved) has
/// read nothing meanwhile: what its peers have said waits in the kernel, and nobody is ended for it.
const LONGEST_STEP: Duration = Duration::from_millis(500);

/// Connections that are woken before others have their turn. More than tokio's queue of a worker holds (256) would
/// push whoever has a request behind all of them.
const AT_ONCE: usize = 32;

/// Moves the registry's clock, once a tick, for ever.
pub(crate) async fn tick(registry: Registry<HttpConnection>) {
    let clock = registry.clock();
    let mut last = Instant::now();
    let mut interval = interval_at(last + TICK, TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let due = interval.tick().await;
        let lag = Instant::now()
            .saturating_duration_since(due)
            .saturating_sub(Duration::from_millis(1));
        loop {
            let now = Instant::now();
            let step = (now - last).min(LONGEST_STEP);
            last = now;
            if !registry.tick_in_part(clock.now().after(step), lag, AT_ONCE) {
                break;
            }
            yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};
    use tokio_util::task::TaskTracker;
    use wharf_pool::{ScopeLimits, Timestamp};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_that_stood_still_is_half_a_second_and_no_other_is_lost() {
        let registry = Registry::new(ScopeLimits::default());
        let clock = registry.clock();
        let tasks = TaskTracker::new();
        let ticking = tasks.spawn(tick(registry));
        sleep(Duration::from_millis(1050)).await;
        assert_eq!(clock.now(), Timestamp::after_start(Duration::from_secs(1)));
        advance(Duration::from_hours(1)).await;
        sleep(Duration::from_millis(1)).await;
        assert_eq!(
            clock.now(),
            Timestamp::after_start(Duration::from_millis(1500))
        );
        sleep(Duration::from_mins(1)).await;
        let late = clock.now() - Timestamp::after_start(Duration::from_millis(61_500));
        assert!(late <= TICK, "{late:?}");
        ticking.abort();
    }
}
