//! [`PoolSize`]: how many connections to an endpoint to hold, from what is asked of it.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Trim;
use crate::rounding::ceil;
use crate::{Timestamp, TokenBucket};

/// The numbers of a pool's size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolSizeSettings {
    /// So many are held with nothing to do: 2 (1 where connections are multiplexed).
    pub min_idle: u32,
    /// So many at most: 100.
    pub most: NonZeroU32,
    /// Connections for each one that is asked for: 1.1, from 1 to 3. Where connecting takes over 100 ms: 1.2
    /// ([`PoolSize::ratio_for`]); to an endpoint that is not well: 1.
    pub ratio: f64,
    /// So many attempts at once: 100. One, where connections are multiplexed.
    pub most_connecting: NonZeroU32,
}

impl Default for PoolSizeSettings {
    fn default() -> Self {
        let hundred = NonZeroU32::new(100).expect("100 is not zero");
        Self {
            min_idle: 2,
            most: hundred,
            ratio: 1.1,
            most_connecting: hundred,
        }
    }
}

/// What a pool of connections to one endpoint is doing.
///
/// Where connections are multiplexed, `in_use` and `waiting` are streams divided by three quarters of what a
/// connection may carry, rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections in use.
    pub in_use: u32,
    /// Connections that nobody uses.
    pub idle: u32,
    /// Attempts that have not ended.
    pub connecting: u32,
    /// Requests without a connection.
    pub waiting: u32,
}

impl PoolUse {
    fn demand(self) -> u32 {
        self.in_use.saturating_add(self.waiting)
    }

    pub(super) fn connections(self) -> u32 {
        self.in_use.saturating_add(self.idle)
    }

    fn total(self) -> u32 {
        self.connections().saturating_add(self.connecting)
    }
}

/// The size of a pool: `want = max(min_idle, ceil(ratio · (in_use + waiting)))`, within the bounds.
///
/// It is a matter of staffing and not of congestion: demand is what is measured, and a tenth more is held
/// than that (Envoy's preconnect), so that the next request finds a connection. What is more than was used lately goes by
/// [`Trim`]. How many requests an endpoint can bear is another law's.
#[derive(Clone, Debug)]
pub struct PoolSize {
    settings: PoolSizeSettings,
    /// For connections that nobody waits for: 8 a second.
    ahead: TokenBucket,
    trim: Trim,
}

impl PoolSize {
    /// Connections for nobody in particular are made at most this often: 8 in a second.
    pub const AHEAD_PER_SECOND: NonZeroU32 = NonZeroU32::new(8).expect("8 is not zero");
    /// At most so many are made at once: 3 (Envoy).
    pub const EACH_TIME: u32 = 3;

    /// The law of a pool that is empty. `seed` is the pool's own.
    pub fn new(settings: PoolSizeSettings, seed: u64, now: Timestamp) -> Self {
        Self {
            settings,
            ahead: TokenBucket::new(Self::AHEAD_PER_SECOND, now),
            trim: Trim::new(seed, now),
        }
    }

    /// Takes other numbers from now on.
    pub const fn set(&mut self, settings: PoolSizeSettings) {
        self.settings = settings;
    }

    /// The ratio for how long connecting takes (the median), and whether the endpoint is well.
    pub fn ratio_for(connect: Duration, well: bool) -> f64 {
        if !well {
            1.0
        } else if connect > Duration::from_millis(100) {
            1.2
        } else {
            1.1
        }
    }

    /// How many connections are wanted. `limit` is what the endpoint can bear, if something knows.
    pub fn want(&self, pool: PoolUse, limit: Option<u32>) -> u32 {
        let ratio = self.settings.ratio.clamp(1.0, 3.0);
        let ahead = ceil(ratio * f64::from(pool.demand()));
        let most = self.settings.most.get().min(limit.unwrap_or(u32::MAX));
        ahead.max(self.settings.min_idle).min(most)
    }

    /// How many connections to begin now; to be asked on every request and every end of an attempt.
    ///
    /// At most three, and of those that nobody waits for at most 8 in a second. A pool with nothing at all
    /// begins one for whoever waits, whatever `limit` says, for it would never learn that there is more room.
    pub fn create(&mut self, pool: PoolUse, limit: Option<u32>, now: Timestamp) -> u32 {
        self.trim.in_use(pool.in_use);
        let missing = self.want(pool, limit).saturating_sub(pool.total());
        let empty_handed = pool.total() == 0 && pool.waiting > 0;
        let attempts = self
            .settings
            .most_connecting
            .get()
            .saturating_sub(pool.connecting);
        let wanted = missing
            .max(u32::from(empty_handed))
            .min(Self::EACH_TIME)
            .min(attempts);

        // Somebody waits: the pool is behind, and not to be held back further.
        let for_waiters = wanted.min(pool.waiting);
        let mut ahead = 0;
        while ahead < wanted - for_waiters && self.ahead.try_take(now).is_ok() {
            ahead += 1;
        }
        for_waiters + ahead
    }

    /// When [`close`](Self::close) is to be asked next.
    pub const fn next_close(&self) -> Timestamp {
        self.trim.next()
    }

    /// How many idle connections to close now, those that have been idle longest.
    pub fn close(&mut self, pool: PoolUse, now: Timestamp) -> u32 {
        let (min_idle, ratio) = (self.settings.min_idle, self.settings.ratio.clamp(1.0, 3.0));
        self.trim.excess(pool, min_idle, ratio, now)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{PoolSize, PoolSizeSettings, PoolUse};
    use crate::Timestamp;

    fn pool(in_use: u32, idle: u32, connecting: u32, waiting: u32) -> PoolUse {
        PoolUse {
            in_use,
            idle,
            connecting,
            waiting,
        }
    }

    fn size() -> PoolSize {
        PoolSize::new(PoolSizeSettings::default(), 1, Timestamp::ZERO)
    }

    #[test]
    fn a_tenth_more_than_is_asked_for_is_wanted() {
        let size = size();
        let want = |pool, limit| size.want(pool, limit);
        assert_eq!(want(pool(0, 0, 0, 0), None), 2);
        assert_eq!(want(pool(8, 0, 0, 2), None), 11);
        assert_eq!(want(pool(11, 0, 0, 0), None), 13);
        assert_eq!(want(pool(95, 0, 0, 5), None), 100);
        assert_eq!(want(pool(95, 0, 0, 5), Some(40)), 40);
    }

    #[test]
    fn who_waits_is_served_at_once_and_what_is_ahead_of_demand_is_rationed() {
        let mut size = size();
        let now = Timestamp::ZERO;
        assert_eq!(size.create(pool(10, 0, 0, 10), None, now), 3);
        assert_eq!(size.create(pool(10, 0, 3, 10), None, now), 3);
        // Eight in the bucket, then one each 125 ms.
        let created: u32 = (0..10)
            .map(|_| size.create(pool(90, 0, 0, 0), None, now))
            .sum();
        assert_eq!(created, 8);
        let later = now.after(Duration::from_millis(125));
        assert_eq!(size.create(pool(90, 0, 0, 0), None, later), 1);
    }

    #[test]
    fn a_waiter_for_whom_a_connection_is_on_the_way_makes_no_other() {
        let mut size = size();
        assert_eq!(size.create(pool(8, 0, 3, 1), None, Timestamp::ZERO), 0);
    }

    #[test]
    fn an_empty_pool_makes_one_for_a_waiter_though_there_is_no_room() {
        let mut size = size();
        assert_eq!(size.create(pool(0, 0, 0, 5), Some(0), Timestamp::ZERO), 1);
        assert_eq!(size.create(pool(0, 0, 1, 5), Some(0), Timestamp::ZERO), 0);
        assert_eq!(size.create(pool(0, 0, 0, 0), Some(0), Timestamp::ZERO), 0);
    }

    #[test]
    fn one_attempt_at_once_where_connections_are_multiplexed() {
        let mut size = size();
        size.set(PoolSizeSettings {
            most_connecting: NonZeroU32::MIN,
            ..PoolSizeSettings::default()
        });
        assert_eq!(size.create(pool(3, 0, 0, 5), None, Timestamp::ZERO), 1);
        assert_eq!(size.create(pool(3, 0, 1, 5), None, Timestamp::ZERO), 0);
    }

    #[test]
    fn the_ratio_follows_the_cost_of_connecting_and_the_endpoints_health() {
        let ratio = |millis, well| PoolSize::ratio_for(Duration::from_millis(millis), well);
        assert!((ratio(100, true) - 1.1).abs() < 1e-9);
        assert!((ratio(101, true) - 1.2).abs() < 1e-9);
        assert!((ratio(101, false) - 1.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn a_pool_is_never_made_greater_than_its_bounds(
            in_use in 0..100_u32, idle in 0..50_u32, connecting in 0..20_u32, waiting in 0..1_000_u32,
            limit in prop::option::of(1..200_u32),
        ) {
            let pool = pool(in_use, idle, connecting, waiting);
            let created = size().create(pool, limit, Timestamp::ZERO);
            prop_assert!(created <= PoolSize::EACH_TIME);
            let most = limit.unwrap_or(100).min(100);
            prop_assert!(created == 0 || in_use + idle + connecting + created <= most);
        }
    }
}
