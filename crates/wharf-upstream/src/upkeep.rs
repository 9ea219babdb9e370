//! Upkeep: what has to be done for connections though nobody asks for one.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::check;
use crate::endpoint::Endpoint;
use crate::upstream::Inner;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(250);

/// Closes what is too much, and makes what is missing, until the upstream is closed or nobody has it any more.
pub(crate) async fn keep(upstream: Weak<Inner>) {
    let mut interval = interval(EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let Some(upstream) = upstream.upgrade() else {
            return;
        };
        let fleet = upstream.fleet();
        let lost = fleet.endpoints.iter().all(|it| it.is_lost());
        upstream.context.pool.set_deserted(lost);
        let checks = upstream.health_check();
        for endpoint in &fleet.endpoints {
            endpoint.tend();
            match &checks {
                Some(settings) => check::due(endpoint, settings),
                None => endpoint.unchecked(),
            }
        }
    }
}

impl Endpoint {
    fn tend(self: &Arc<Self>) {
        let trimmed = self.trim();
        drop(trimmed);
        self.settle();
    }
}
