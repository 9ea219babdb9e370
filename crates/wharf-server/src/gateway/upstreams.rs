//! [`Upstreams`]: those that run, by name, and how they change.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio_util::task::TaskTracker;
use wharf_pool::ListenerName;
use wharf_pool::events::{Event, EventKind, Subscription};
use wharf_upstream::{
    DiscoveryState, EmptySet, LinkLocal, StartError, Upstream, UpstreamSettings, UpstreamSetup,
};

use super::discovery::{follow, is_same};
use crate::config::UpstreamConfig;

/// Upstreams by their names.
pub(crate) type Directory = BTreeMap<ListenerName, Upstream>;

/// How long the connections of upstreams may take to end when the process does: they are idle by then.
const FAREWELL: Duration = Duration::from_millis(500);

/// How many events wait for a listener that is slow.
const TOLD: usize = 256;

/// How long an upstream's first connections are waited for.
const WARMING: Duration = Duration::from_secs(5);

/// The upstreams that run. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Upstreams {
    all: Arc<ArcSwap<Directory>>,
    /// Where their tasks run, whoever starts them.
    runtime: Handle,
    /// Those that leave.
    leaving: TaskTracker,
    /// What is told of endpoints and pools.
    told: broadcast::Sender<Event>,
    /// Who tells it.
    telling: TaskTracker,
}

/// An upstream that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("upstream[{index}]")]
pub(crate) struct Unstarted {
    /// Which upstream of the file.
    pub(crate) index: usize,
    /// Why.
    #[source]
    pub(crate) source: StartError,
}

/// The upstreams of the next configuration, of which those are started that did not run. Dropped, they end
/// again, and nothing has changed.
pub(crate) struct Prepared {
    upstreams: Upstreams,
    next: Directory,
    started: Vec<Upstream>,
    /// Those that stay, with what becomes of them.
    stay: BTreeMap<ListenerName, Change>,
}

/// What becomes of an upstream that stays.
struct Change {
    settings: UpstreamSettings,
    /// The configuration whose source is followed from now on, if it is another.
    follow: Option<UpstreamConfig>,
}

impl Upstreams {
    /// None, whose tasks will run there.
    pub(crate) fn new(runtime: Handle) -> Self {
        Self {
            all: Arc::default(),
            runtime,
            leaving: TaskTracker::new(),
            told: broadcast::Sender::new(TOLD),
            telling: TaskTracker::new(),
        }
    }

    /// What is told of endpoints and pools, from now on. Each upstream has a clock of its own, and numbers
    /// its connections by itself: their comings and goings are not among it.
    pub(crate) fn told(&self) -> broadcast::Receiver<Event> {
        self.told.subscribe()
    }

    /// Those that run now.
    pub(crate) fn all(&self) -> Arc<Directory> {
        self.all.load_full()
    }

    /// Whether there are connections to four of five endpoints of each, or enough time has gone by.
    pub(crate) fn are_warm(&self) -> bool {
        self.all().values().all(is_warm)
    }

    /// Starts what of `next` does not run by `now`.
    ///
    /// # Errors
    ///
    /// The first that could not be started. None was, then.
    pub(crate) fn prepare(
        &self,
        now: &[UpstreamConfig],
        next: &[UpstreamConfig],
    ) -> Result<Prepared, Unstarted> {
        let mut prepared = Prepared {
            upstreams: self.clone(),
            next: Directory::new(),
            started: Vec::new(),
            stay: BTreeMap::new(),
        };
        let all = self.all();
        for (index, config) in next.iter().enumerate() {
            let before = now.iter().find(|it| it.name == config.name);
            let stays = before.filter(|before| before.stays_as(config));
            let running = stays.and_then(|_| all.get(&config.name));
            let upstream = if let Some(running) = running {
                let same = before.is_some_and(|before| is_same(before, config));
                let change = Change {
                    settings: settings(config),
                    follow: (!same).then(|| config.clone()),
                };
                prepared.stay.insert(config.name.clone(), change);
                running.clone()
            } else {
                let started = self.start(config);
                let started = started.map_err(|source| Unstarted { index, source })?;
                prepared.started.push(started.clone());
                started
            };
            prepared.next.insert(config.name.clone(), upstream);
        }
        Ok(prepared)
    }

    /// Ends all of them: nobody asks them any more.
    pub(crate) async fn close(&self) {
        for upstream in self.all().values() {
            self.part_with(upstream.clone(), None, FAREWELL);
        }
        self.leaving.close();
        // Those that left before may have more time than there is.
        tokio::time::timeout(FAREWELL * 2, self.leaving.wait())
            .await
            .ok();
    }

    fn start(&self, config: &UpstreamConfig) -> Result<Upstream, StartError> {
        let _context = self.runtime.enter();
        let endpoints = config.endpoints.iter().map(|it| it.address.clone());
        let mut setup = UpstreamSetup::new(config.name.clone(), endpoints);
        setup.settings = settings(config);
        setup.link_local = if config.choice.allow_link_local {
            LinkLocal::Allow
        } else {
            LinkLocal::Refuse
        };
        if let Some(tls) = &config.tls {
            setup.tls = Some(Arc::clone(&tls.config));
            setup.server_name.clone_from(&tls.server_name);
        }
        let upstream = Upstream::start(setup)?;
        if config.discovery.is_some() {
            follow(&upstream, config);
        }
        let (events, told) = (upstream.events().subscribe(), self.told.clone());
        // It ends with the upstream.
        self.telling.spawn_on(pass_on(events, told), &self.runtime);
        Ok(upstream)
    }

    /// Lets an upstream finish what is in flight, for so long. What it was not asked yet, its successor is.
    fn part_with(&self, upstream: Upstream, successor: Option<Upstream>, grace: Duration) {
        let leaving = async move {
            let name = upstream.name().clone();
            let cut = match &successor {
                Some(successor) => upstream.close_for(successor, grace).await,
                None => upstream.close(grace).await,
            };
            tracing::debug!(upstream = %name, cut, "an upstream has ended");
        };
        self.leaving.spawn_on(leaving, &self.runtime);
    }
}

impl Prepared {
    /// The upstreams of the next configuration.
    pub(crate) fn directory(&self) -> &Directory {
        &self.next
    }

    /// From now on these run. Requests that those are asked which leave may end within `grace`.
    pub(crate) fn commit(mut self, grace: Duration) {
        self.started.clear();
        let before = self.upstreams.all.swap(Arc::new(self.next.clone()));
        for (name, upstream) in before.iter() {
            let Some(change) = self.stay.remove(name) else {
                let successor = self.next.get(name).cloned();
                self.upstreams.part_with(upstream.clone(), successor, grace);
                continue;
            };
            if let Err(error) = upstream.apply(change.settings) {
                // What can be wrong with it was looked at when it was read.
                tracing::error!(upstream = %name, %error, "an upstream keeps its settings");
            }
            if let Some(config) = change.follow {
                follow(upstream, &config);
            }
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        for upstream in self.started.drain(..) {
            self.upstreams.part_with(upstream, None, Duration::ZERO);
        }
    }
}

/// Passes on what does not name a connection.
async fn pass_on(mut events: Subscription, told: broadcast::Sender<Event>) {
    while let Some(event) = events.next().await {
        let matters = matches!(
            event.kind,
            EventKind::EndpointStateChanged { .. }
                | EventKind::DiscoveryChanged { .. }
                | EventKind::HealthStatusChanged { .. }
                | EventKind::ConfigChanged { .. }
        );
        if matters {
            // Nobody may be listening.
            told.send(event).ok();
        }
    }
}

/// Where no connections are held, there is nothing to wait for but endpoints that are still to be found.
fn is_warm(upstream: &Upstream) -> bool {
    let sought = upstream.discovery().map(|it| it.state) == Some(DiscoveryState::Waiting);
    if sought && upstream.pool().metrics().uptime <= WARMING {
        return false;
    }
    let held = upstream.pool().config().protocol.min_idle.is_some();
    !held || upstream.warmth().is_enough() || upstream.pool().metrics().uptime > WARMING
}

fn settings(config: &UpstreamConfig) -> UpstreamSettings {
    let mut settings = UpstreamSettings::new([]);
    settings.endpoints.clone_from(&config.endpoints);
    settings.scheme = config.discovery.as_ref().map(|_| config.scheme());
    if config
        .discovery
        .as_ref()
        .is_some_and(|it| it.settings.allow_empty)
    {
        settings.when_empty = EmptySet::Take;
    }
    settings.balance = config.choice.balance.0;
    settings.resolve_every = config.choice.resolve_every;
    settings.health_check.clone_from(&config.health_check);
    settings.outlier = config.outlier.clone();
    settings.pool = config.pool.clone();
    settings
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.all().keys()).finish()
    }
}
