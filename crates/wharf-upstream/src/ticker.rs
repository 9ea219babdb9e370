//! The ticker: who moves the clock of a registry that nobody else drives.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use wharf_pool::{Registry, TICK, Timestamp};

use crate::connection::UpstreamConnection;

/// Moves the registry's clock, once a tick, for ever.
pub(crate) async fn tick(registry: Registry<UpstreamConnection>) {
    let start = Instant::now();
    // The registry may have been ticked before, by somebody who is gone: time goes on from there.
    let offset = registry.clock().now().since(Timestamp::ZERO);
    let mut interval = interval_at(start + TICK, TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let due = interval.tick().await;
        let now = Instant::now();
        let lag = now
            .saturating_duration_since(due)
            .saturating_sub(Duration::from_millis(1));
        registry.tick(Timestamp::after_start(offset + (now - start)), lag);
    }
}
