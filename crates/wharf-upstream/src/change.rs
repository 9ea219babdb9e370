//! How an upstream changes while requests are in flight.

use std::collections::HashMap;
use std::sync::Arc;

use wharf_pool::config::{Difference, PoolConfig, SetError};

use crate::balance::Fleet;
use crate::context::Context;
use crate::endpoint::Endpoint;
use crate::settings::PoolSettings;
use crate::setup::{EndpointSetup, StartError, UpstreamSettings};
use crate::upstream::Upstream;

impl Upstream {
    /// Changes settings while requests are in flight; returns what is different in those of the pool.
    /// Endpoints that stay keep their connections and what is known of them; of those that go, what is in
    /// flight ends as it would have.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing has changed then.
    pub fn apply(&self, settings: UpstreamSettings) -> Result<Vec<Difference>, StartError> {
        settings.check(&self.inner.name)?;
        if settings.scheme() != self.inner.scheme {
            return Err(StartError::OtherScheme(self.inner.name.clone()));
        }
        let mut changing = self.inner.changing();
        let differences = self.set_pool(settings.pool.clone())?;
        let named = changing.endpoints != settings.endpoints
            || changing.resolve_every.is_some() != settings.resolve_every.is_some();
        let looked_up = named || changing.resolve_every != settings.resolve_every;
        if named || changing.balance != settings.balance {
            self.rebuild(&self.as_known(&settings), &settings);
        }
        for endpoint in &self.fleet().endpoints {
            endpoint.standing().set(settings.outlier.law());
        }
        *changing = settings;
        if looked_up {
            self.inner.names.notify_one();
        }
        Ok(differences)
    }

    /// The settings in force.
    pub fn settings(&self) -> UpstreamSettings {
        let mut settings = self.inner.changing().clone();
        // Changed there too, by whoever has the pool.
        settings.pool = PoolConfig::clone(&self.pool().config());
        settings
    }

    /// Takes the addresses of the names in `base`, unless there are others meanwhile.
    pub(crate) fn looked_up(&self, base: &[EndpointSetup], endpoints: &[EndpointSetup]) {
        let changing = self.inner.changing();
        let now = self.base(&changing.endpoints);
        let same = *now == *base && changing.resolve_every.is_some();
        let fleet = self.fleet();
        let mut known = fleet.endpoints.iter().map(|it| (&it.address, it.weight()));
        let news = !endpoints
            .iter()
            .map(|it| (&it.address, it.weight))
            .eq(known.by_ref());
        if same && news {
            tracing::info!(upstream = %self.inner.name, endpoints = endpoints.len(), "names looked up");
            self.rebuild(endpoints, &changing);
        }
    }

    /// The endpoints that were found, else those of `settings`. Where names are looked up, the addresses that were found under those that stay, or
    /// all of them would begin anew under their names until the next look-up.
    pub(crate) fn as_known(&self, settings: &UpstreamSettings) -> Arc<[EndpointSetup]> {
        let base = self.base(&settings.endpoints);
        if settings.resolve_every.is_none() {
            return base;
        }
        let fleet = self.fleet();
        let mut all = Vec::new();
        for endpoint in &*base {
            let before = all.len();
            let found = fleet.endpoints.iter().map(|it| &it.address);
            all.extend(
                found
                    .filter(|it| it.is_of(&endpoint.address))
                    .map(|it| EndpointSetup {
                        address: it.clone(),
                        weight: endpoint.weight,
                    }),
            );
            if all.len() == before {
                all.push(endpoint.clone());
            }
        }
        all.into()
    }

    fn set_pool(&self, pool: PoolConfig<PoolSettings>) -> Result<Vec<Difference>, StartError> {
        let bad = |problems: Vec<SetError>| StartError::BadSettings {
            upstream: self.inner.name.clone(),
            problems,
        };
        self.pool().set_config(pool).map_err(bad)
    }

    pub(crate) fn rebuild(&self, endpoints: &[EndpointSetup], settings: &UpstreamSettings) {
        let (context, old) = (&self.inner.context, self.fleet());
        let there = old.endpoints.iter();
        let mut there: HashMap<_, _> = there.map(|it| (&it.address, it)).collect();
        let endpoints = endpoints.iter().map(|it| match there.remove(&it.address) {
            Some(stays) => {
                stays.set_weight(it.weight);
                Arc::clone(stays)
            }
            None => it.start(settings, context),
        });
        let next = Fleet::new(endpoints.collect(), settings.balance, &mut context.random());
        let next = Arc::new(next);
        context.budget().set_endpoints(next.len());
        self.inner.fleet.store(Arc::clone(&next));
        next.endpoints.iter().for_each(Endpoint::grow);
        // Those that nobody took over.
        for gone in there.into_values() {
            gone.leave();
        }
    }
}

impl EndpointSetup {
    pub(crate) fn start(
        &self,
        settings: &UpstreamSettings,
        context: &Arc<Context>,
    ) -> Arc<Endpoint> {
        let endpoint = Endpoint::new(self.address.clone(), self.weight, context);
        endpoint.standing().set(settings.outlier.law());
        endpoint
    }
}
