//! [`Upstream`]: several servers that are asked as if they were one.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use wharf_control::Timestamp;
use wharf_control::upstream::RetryBudget;
use wharf_pool::events::Events;
use wharf_pool::{ListenerName, Pool, PoolName, Registry, ScopeLimits, ServingState};

use crate::address::Scheme;
use crate::balance::Fleet;
use crate::close::Registration;
use crate::connect::{Connector, LinkLocal};
use crate::connection::UpstreamConnection;
use crate::context::Context;
use crate::discovery::{Record, look_up_names};
use crate::endpoint::{Endpoint, Load};
use crate::error::SendError;
use crate::policy::HealthCheckSettings;
use crate::setup::{StartError, UpstreamSettings, UpstreamSetup};
use crate::tally::Kinds;
use crate::{ticker, upkeep};

/// Several servers that are asked as if they were one. Cheap to clone; all clones share everything.
#[derive(Clone)]
pub struct Upstream {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) name: ListenerName,
    pub(crate) scheme: Scheme,
    pub(crate) context: Arc<Context>,
    pub(crate) fleet: ArcSwap<Fleet>,
    retries: Mutex<RetryBudget>,
    /// Held while something changes.
    changing: Mutex<UpstreamSettings>,
    /// By whom endpoints are found, and what was. Taken after `changing`, if both are.
    following: Mutex<Option<Record>>,
    /// Told when there are other names to look up, or at another interval.
    pub(crate) names: Arc<Notify>,
    pub(crate) link_local: LinkLocal,
    pub(crate) registration: Registration,
    /// Requests that were refused here.
    pub(crate) refusals: Kinds,
    /// Who is asked in its place, once it is closed.
    pub(crate) successor: OnceLock<Upstream>,
}

impl Inner {
    pub(crate) fn changing(&self) -> MutexGuard<'_, UpstreamSettings> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn following(&self) -> MutexGuard<'_, Option<Record>> {
        self.following
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How endpoints are asked whether they are well.
    pub(crate) fn health_check(&self) -> Option<HealthCheckSettings> {
        self.changing().health_check.clone()
    }

    pub(crate) fn fleet(&self) -> Arc<Fleet> {
        self.fleet.load_full()
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
        let scheme = settings.scheme();
        if scheme == Scheme::Https && tls.is_none() {
            return Err(StartError::NoTls(name));
        }
        let own = registry.is_none();
        let registry = registry.unwrap_or_else(|| Registry::new(ScopeLimits::default()));
        let pool_name = PoolName::new(&name, scheme.protocol())?;
        let pool = registry.get_or_create(&pool_name, settings.pool.clone())?;
        let registration = Registration::new(&registry, &name);
        let connector = Connector::new(tls.as_ref(), server_name, link_local);
        let context = Arc::new(Context::new(pool, connector, seed(&name)));
        let endpoints = settings
            .endpoints
            .iter()
            .map(|it| it.start(&settings, &context));
        let fleet = Fleet::new(endpoints.collect(), settings.balance, &mut context.random());
        context.budget().set_endpoints(fleet.len());
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
                following: Mutex::new(None),
                names: Arc::default(),
                link_local,
                registration,
                refusals: Kinds::default(),
                successor: OnceLock::new(),
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
                () = look_up_names(upstream, link_local) => {}
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

    /// Where what happens to its connections and endpoints is told: of the registry that it was given, else of
    /// its own.
    pub fn events(&self) -> &Events {
        self.inner.registration.registry().events()
    }

    pub(crate) fn fleet(&self) -> Arc<Fleet> {
        self.inner.fleet()
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.inner.context
    }

    /// Requests that were refused here, before anything of them was sent, by [`SendError::kind`]: no endpoint,
    /// connection or place in line could be had. They only grow.
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        let all = self.inner.refusals.read().into_iter();
        all.filter(|(kind, _)| SendError::REFUSALS.contains(kind))
            .collect()
    }

    pub(crate) fn successor(&self) -> Option<&Self> {
        self.inner.successor.get()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inner.context.closing.is_cancelled()
    }

    pub(crate) fn choose(
        &self,
        hash: Option<u64>,
        failed: Option<&Arc<Endpoint>>,
        now: Timestamp,
    ) -> Result<Load, SendError> {
        let context = &self.inner.context;
        let fleet = self.inner.fleet.load();
        let chosen = fleet.choose(hash, failed, &mut context.random(), now);
        chosen.ok_or(SendError::NoEndpoint)
    }

    /// A request has come: it earns a part of a retry.
    pub(crate) fn earn_retries(&self, now: Timestamp) {
        self.retries().on_request(now);
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
