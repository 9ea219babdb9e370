//! [`Upstream`]: several servers that are asked as if they were one.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::timeout;
use wharf_control::upstream::RetryBudget;
use wharf_pool::config::{Difference, PoolConfig, SetError};
use wharf_pool::{CloseReason, ListenerName, Pool, PoolName, Registry, ScopeLimits, ServingState};

use crate::address::Scheme;
use crate::balance::Fleet;
use crate::connect::Connector;
use crate::connection::UpstreamConnection;
use crate::context::Context;
use crate::endpoint::Endpoint;
use crate::error::SendError;
use crate::setup::{EndpointSetup, StartError, UpstreamSettings, UpstreamSetup};
use crate::{ticker, upkeep};

/// Several servers that are asked as if they were one. Cheap to clone; all clones share everything.
#[derive(Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    name: ListenerName,
    scheme: Scheme,
    context: Arc<Context>,
    fleet: ArcSwap<Fleet>,
    retries: Mutex<RetryBudget>,
    /// Held while the endpoints change.
    changing: Mutex<UpstreamSettings>,
    registry: Registry<UpstreamConnection>,
}

impl Inner {
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
        let endpoints = settings.endpoints.iter();
        let endpoints: Vec<_> = endpoints
            .map(|it| Endpoint::new(it.address.clone(), it.weight, &context))
            .collect();
        let fleet = Fleet::new(endpoints, settings.balance, &mut context.random());
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
        upstream.keep();
        Ok(upstream)
    }

    fn keep(&self) {
        let (context, upstream) = (&self.inner.context, Arc::downgrade(&self.inner));
        let closing = context.closing.clone();
        context.spawn(async move {
            tokio::select! {
                () = upkeep::keep(upstream) => {}
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
        if changing.endpoints != settings.endpoints || changing.balance != settings.balance {
            self.rebuild(&settings);
        }
        *changing = settings;
        Ok(differences)
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

    fn rebuild(&self, settings: &UpstreamSettings) {
        let (context, old) = (&self.inner.context, self.fleet());
        let known = |it: &EndpointSetup| {
            let same =
                |there: &&Arc<Endpoint>| there.address == it.address && there.weight == it.weight;
            old.endpoints.iter().find(same).cloned()
        };
        let endpoints = settings.endpoints.iter();
        let endpoints: Vec<_> = endpoints
            .map(|it| {
                known(it).unwrap_or_else(|| Endpoint::new(it.address.clone(), it.weight, context))
            })
            .collect();
        let next = Arc::new(Fleet::new(
            endpoints,
            settings.balance,
            &mut context.random(),
        ));
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
        self.inner
            .changing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
