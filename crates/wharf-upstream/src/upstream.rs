//! [`Upstream`]: several servers that are asked as if they were one.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::timeout;
use wharf_control::upstream::RetryBudget;
use wharf_pool::config::{Difference, PoolConfig, SetError};
use wharf_pool::{CloseReason, ListenerName, Pool, PoolName, Registry, ScopeLimits, ServingState};

use crate::address::Scheme;
use crate::balance::Fleet;
use crate::connect::{Connector, LinkLocal};
use crate::connection::UpstreamConnection;
use crate::context::Context;
use crate::discovery::discover;
use crate::endpoint::Endpoint;
use crate::error::SendError;
use crate::policy::HealthCheckSettings;
use crate::setup::{EndpointSetup, StartError, UpstreamSettings, UpstreamSetup};
use crate::{ticker, upkeep};

/// Several servers that are asked as if they were one. Cheap to clone; all clones share everything.
#[derive(Clone)]
pub struct Upstream {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    name: ListenerName,
    scheme: Scheme,
    context: Arc<Context>,
    fleet: ArcSwap<Fleet>,
    retries: Mutex<RetryBudget>,
    /// Held while something changes.
    changing: Mutex<UpstreamSettings>,
    registry: Registry<UpstreamConnection>,
}

impl EndpointSetup {
    fn start(&self, settings: &UpstreamSettings, context: &Arc<Context>) -> Arc<Endpoint> {
        let endpoint = Endpoint::new(self.address.clone(), self.weight, context);
        endpoint.standing().set(settings.outlier.law());
        endpoint
    }
}

impl Inner {
    fn changing(&self) -> MutexGuard<'_, UpstreamSettings> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How endpoints are asked whether they are well.
    pub(crate) fn health_check(&self) -> Option<HealthCheckSettings> {
        self.changing().health_check.clone()
    }

    pub(crate) fn fleet(&self) -> Arc<Fleet> {
        self.fleet.load_full()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What is in flight ends by itself; nothing begins any more.
        self.context.closing.cancel();
        self.context.pool.close_all(CloseReason::Drained);
        self.context.closed.cancel();
    }
}

impl Upstream {
    /// Starts an upstream: its pool, and the connections that it is to have from the beginning.
    ///
    /// To be called in a tokio runtime; its tasks run there.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing was started then.
    pub fn start(setup: UpstreamSetup) -> Result<Self, StartError> {
        let UpstreamSetup {
            name,
            settings,
            tls,
            server_name,
            link_local,
            registry,
        } = setup;
        settings.check(&name)?;
        let scheme = scheme_of(&settings);
        if scheme == Scheme::Https && tls.is_none() {
            return Err(StartError::NoTls(name));
        }
        let own = registry.is_none();
        let registry = registry.unwrap_or_else(|| Registry::new(ScopeLimits::default()));
        let pool_name = PoolName::new(&name, scheme.protocol())?;
        let pool = registry.get_or_create(&pool_name, settings.pool.clone())?;
        let connector = Connector::new(tls.as_ref(), server_name, link_local);
        let context = Arc::new(Context::new(pool, connector, seed(&name)));
        let endpoints = settings
            .endpoints
            .iter()
            .map(|it| it.start(&settings, &context));
        let fleet = Fleet::new(endpoints.collect(), settings.balance, &mut context.random());
        context.budget().set_endpoints(count(&fleet));
        if own {
            registry.set_state(ServingState::Serving);
            let (ticking, closed) = (registry.clone(), context.closed.clone());
            context.spawn(async move {
                tokio::select! {
                    () = ticker::tick(ticking) => {}
                    () = closed.cancelled() => {}
                }
            });
        }
        let upstream = Self {
            inner: Arc::new(Inner {
                name,
                scheme,
                retries: Mutex::new(RetryBudget::new(context.clock.now())),
                context,
                fleet: ArcSwap::from_pointee(fleet),
                changing: Mutex::new(settings),
                registry,
            }),
        };
        upstream.keep(link_local);
        Ok(upstream)
    }

    fn keep(&self, link_local: LinkLocal) {
        let (context, upstream) = (&self.inner.context, Arc::downgrade(&self.inner));
        let closing = context.closing.clone();
        context.spawn(async move {
            tokio::select! {
                () = upkeep::keep(Weak::clone(&upstream)) => {}
                () = discover(upstream, link_local) => {}
                () = closing.cancelled() => {}
            }
        });
    }

    /// Its name.
    pub fn name(&self) -> &ListenerName {
        &self.inner.name
    }

    /// Where its connections are counted: the pool `name/protocol`.
    pub fn pool(&self) -> &Pool<UpstreamConnection> {
        &self.inner.context.pool
    }

    /// Changes settings while requests are in flight; returns what is different in those of the pool.
    /// Endpoints that stay keep their connections and what is known of them; of those that go, what is in
    /// flight ends as it would have.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing has changed then.
    pub fn apply(&self, settings: UpstreamSettings) -> Result<Vec<Difference>, StartError> {
        settings.check(&self.inner.name)?;
        if scheme_of(&settings) != self.inner.scheme {
            return Err(StartError::OtherScheme(self.inner.name.clone()));
        }
        let mut changing = self.changing();
        let differences = self.set_pool(settings.pool.clone())?;
        let named = changing.endpoints != settings.endpoints
            || changing.resolve_every.is_some() != settings.resolve_every.is_some();
        if named || changing.balance != settings.balance {
            self.rebuild(&settings.endpoints, &settings);
        }
        for endpoint in &self.fleet().endpoints {
            endpoint.standing().set(settings.outlier.law());
        }
        *changing = settings;
        Ok(differences)
    }

    /// The settings in force.
    pub fn settings(&self) -> UpstreamSettings {
        let mut settings = self.changing().clone();
        // Changed there too, by whoever has the pool.
        settings.pool = PoolConfig::clone(&self.pool().config());
        settings
    }

    /// Takes what discovery has found, unless the settings have changed meanwhile.
    pub(crate) fn discovered(&self, of: &UpstreamSettings, endpoints: &[EndpointSetup]) {
        let changing = self.changing();
        let same = changing.endpoints == of.endpoints && changing.resolve_every.is_some();
        let fleet = self.fleet();
        let mut known = fleet.endpoints.iter().map(|it| (&it.address, it.weight));
        let news = !endpoints
            .iter()
            .map(|it| (&it.address, it.weight))
            .eq(known.by_ref());
        if same && news {
            tracing::info!(upstream = %self.inner.name, endpoints = endpoints.len(), "names looked up");
            self.rebuild(endpoints, &changing);
        }
    }

    fn set_pool(
        &self,
        pool: PoolConfig<crate::PoolSettings>,
    ) -> Result<Vec<Difference>, StartError> {
        let bad = |problems: Vec<SetError>| StartError::BadSettings {
            upstream: self.inner.name.clone(),
            problems,
        };
        self.pool().set_config(pool).map_err(bad)
    }

    fn rebuild(&self, endpoints: &[EndpointSetup], settings: &UpstreamSettings) {
        let (context, old) = (&self.inner.context, self.fleet());
        let known = |it: &EndpointSetup| {
            let same =
                |there: &&Arc<Endpoint>| there.address == it.address && there.weight == it.weight;
            old.endpoints.iter().find(same).cloned()
        };
        let endpoints = endpoints
            .iter()
            .map(|it| known(it).unwrap_or_else(|| it.start(settings, context)));
        let next = Fleet::new(endpoints.collect(), settings.balance, &mut context.random());
        let next = Arc::new(next);
        context.budget().set_endpoints(count(&next));
        self.inner.fleet.store(Arc::clone(&next));
        next.endpoints.iter().for_each(Endpoint::grow);
        let gone = |it: &&Arc<Endpoint>| !next.endpoints.iter().any(|there| Arc::ptr_eq(it, there));
        old.endpoints.iter().filter(gone).for_each(|it| it.leave());
    }

    /// Takes no more requests, and waits for those in flight; after `grace` they are cut. Returns how many
    /// connections were.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it takes no more requests, and those in flight go on.
    pub async fn close(&self, grace: Duration) -> usize {
        let context = &self.inner.context;
        context.closing.cancel();
        context.pool.close_all(CloseReason::Drained);
        let left = async {
            while context.pool.active() > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        let mut cut = 0;
        if timeout(grace, left).await.is_err() {
            for handle in context.pool.connections() {
                handle.abort(CloseReason::DrainDeadline);
                cut += 1;
            }
        }
        self.inner.registry.forget_listener(&self.inner.name);
        context.closed.cancel();
        context.tasks.close();
        context.tasks.wait().await;
        cut
    }

    pub(crate) fn fleet(&self) -> Arc<Fleet> {
        self.inner.fleet()
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.inner.context
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inner.context.closing.is_cancelled()
    }

    pub(crate) fn choose(
        &self,
        hash: Option<u64>,
        failed: Option<&Arc<Endpoint>>,
    ) -> Result<Arc<Endpoint>, SendError> {
        let context = &self.inner.context;
        let now = context.clock.now();
        let fleet = self.inner.fleet.load();
        let chosen = fleet.choose(hash, failed, &mut context.random(), now);
        chosen.cloned().ok_or(SendError::NoEndpoint)
    }

    /// A request has come: it earns a part of a retry.
    pub(crate) fn earn_retries(&self) {
        self.retries().on_request(self.inner.context.clock.now());
    }

    /// Takes a retry, if there is one left.
    pub(crate) fn may_retry(&self) -> bool {
        self.retries().try_retry(self.inner.context.clock.now())
    }

    fn retries(&self) -> MutexGuard<'_, RetryBudget> {
        self.inner
            .retries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> MutexGuard<'_, UpstreamSettings> {
        self.inner.changing()
    }
}

/// How often a close looks whether all are gone.
const LOOK: Duration = Duration::from_millis(10);

fn scheme_of(settings: &UpstreamSettings) -> Scheme {
    let first = settings.endpoints.first();
    first.map_or(Scheme::Http, |endpoint| endpoint.address.scheme())
}

fn count(fleet: &Fleet) -> u32 {
    u32::try_from(fleet.endpoints.len()).unwrap_or(u32::MAX)
}

/// Different in each process and for each name: gateways that start together must not choose alike.
fn seed(name: &ListenerName) -> u64 {
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write(name.as_str().as_bytes());
    hasher.finish()
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}
