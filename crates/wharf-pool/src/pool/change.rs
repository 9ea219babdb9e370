//! How a pool's configuration changes while its connections are open.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::Pool;
use crate::books::ScopeLimits;
use crate::config::{CommonSettings, Difference, PoolConfig, PoolPatch, SetError, WhenFull};
use crate::connection::Connection;
use crate::events::EventKind;
use crate::place::Place;
use crate::reclaim;

impl<C: Connection> Pool<C> {
    /// Changes settings while connections are open. The whole patch is checked first; then it is in
    /// force at once, for live connections too. Over a lower limit, idle connections are asked to
    /// leave if the pool reclaims.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it. Nothing has changed then.
    pub fn update_config(
        &self,
        patch: &PoolPatch<C::Settings>,
    ) -> Result<Vec<Difference>, Vec<SetError>> {
        self.change(|config| {
            let (next, _) = config.patched(patch)?;
            let is_new = next.common.guaranteed_connections != config.common.guaranteed_connections;
            if is_new && let Some(most) = self.most_guaranteed() {
                let why = "what the others leave of the limits around it";
                let fits = next.common.guarantees_at_most(most, why);
                fits.map_err(|error| vec![error])?;
            }
            Ok(next)
        })
    }

    /// Replaces the whole configuration, as [`Pool::update_config`] does with a part of it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it. Nothing has changed then.
    pub fn set_config(
        &self,
        next: PoolConfig<C::Settings>,
    ) -> Result<Vec<Difference>, Vec<SetError>> {
        let problems = next.problems();
        if problems.is_empty() {
            self.change(|_| Ok(next))
        } else {
            Err(problems)
        }
    }

    fn change(
        &self,
        make: impl FnOnce(&PoolConfig<C::Settings>) -> Result<PoolConfig<C::Settings>, Vec<SetError>>,
    ) -> Result<Vec<Difference>, Vec<SetError>> {
        let differences = {
            // Two changes at once each begin from what the other left.
            let _changing = self
                .inner
                .changing
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let config = self.config();
            let next = make(&config)?;
            let differences = config.differences(&next);
            if !differences.is_empty() {
                self.put_in_force(next);
            }
            differences
        };
        if !differences.is_empty() {
            self.follow_up(&differences);
        }
        Ok(differences)
    }

    fn most_guaranteed(&self) -> Option<u32> {
        let shared = self.shared();
        let books = shared.books();
        books.most_guaranteed(shared.process, self.inner.scope)
    }

    /// Has every driver look again: how short memory is has changed.
    pub(crate) fn grow_old(&self) {
        self.inner.generation.fetch_add(1, Ordering::Release);
    }

    /// Asks those to leave who have become idle while the pool holds more than it may.
    pub(crate) fn shrink_on(&self) {
        // Without that policy nobody would be asked, and to find that out takes a look at everybody.
        if self.config().common.when_full == WhenFull::Reclaim {
            let here = |place: &Place<C>| place.is_in(&self.inner);
            reclaim::shrink_on(self.shared(), self.inner.scope, here);
        }
    }

    fn put_in_force(&self, next: PoolConfig<C::Settings>) {
        let (shared, limits) = (self.shared(), limits_of(&next.common));
        shared
            .books()
            .set_limits(self.inner.scope, limits, shared.clock.now());
        self.inner.config.store(Arc::new(next));
        self.inner.generation.fetch_add(1, Ordering::Release);
    }

    fn follow_up(&self, differences: &[Difference]) {
        let shared = self.shared();
        shared.tell_freed();
        let limit = self.occupancy().limit;
        reclaim::shrink(shared, |place: &Place<C>| place.is_in(&self.inner), limit);
        // Every connection looks at its deadlines again.
        for handle in self.connections() {
            handle.control().wake();
        }
        let kind = || EventKind::ConfigChanged {
            differences: Arc::from(differences),
        };
        shared.tell(|| (Some(self.name().clone()), kind()));
    }
}

/// The limits that a pool's configuration puts on its scope.
pub(crate) fn limits_of(config: &CommonSettings) -> ScopeLimits {
    ScopeLimits {
        max_connections: config.max_connections,
        guaranteed: config.guaranteed_connections,
        accept_ramp: None,
        max_connections_per_ip: config.max_connections_per_ip,
        accept_rate: config.accept_rate,
        exempt: config.exempt.clone(),
        dry_run: config.dry_run,
    }
}
