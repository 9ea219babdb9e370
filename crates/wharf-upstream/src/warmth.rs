//! [`Warmth`]: how many endpoints have a connection, and the wait for enough of them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::upstream::Upstream;

/// How many endpoints of an upstream have a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmth {
    /// Endpoints with a connection.
    pub warm: usize,
    /// All endpoints.
    pub endpoints: usize,
}

/// However cold an upstream is, nobody waits for it longer than this.
const LONGEST: Duration = Duration::from_secs(5);

/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(20);

impl Warmth {
    /// Whether the upstream is as warm as a gateway should be that says it is ready: four of five.
    pub const fn is_enough(self) -> bool {
        self.warm * 5 >= self.endpoints * 4
    }
}

impl Upstream {
    /// How many endpoints have a connection now.
    pub fn warmth(&self) -> Warmth {
        let fleet = self.fleet();
        let warm = fleet.endpoints.iter().filter(|it| it.is_warm()).count();
        Warmth {
            warm,
            endpoints: fleet.endpoints.len(),
        }
    }

    /// Waits until four of five endpoints have a connection, for at most 5 s. With `min_idle` off nobody
    /// makes them ahead, and there is nothing to wait for.
    ///
    /// # Cancel safety
    ///
    /// Connections go on being made.
    pub async fn ready(&self) -> Warmth {
        let until = Instant::now() + LONGEST;
        loop {
            let warmth = self.warmth();
            let ahead = self.pool().config().protocol.min_idle.is_some();
            if warmth.is_enough() || !ahead || self.is_closed() || Instant::now() >= until {
                return warmth;
            }
            sleep(LOOK).await;
        }
    }
}
