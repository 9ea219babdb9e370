//! [`Live`]: the configuration in force, and the one way to change it while it is.
//!
//! A change is whole or it is not at all: everything that can fail, down to the sockets, is done
//! before the first effect. One change at a time; what is shown of them is in [`record`].

mod record;
mod served;
mod switch;
mod watch;

pub(crate) use record::{Change, Source, Told};
pub(crate) use served::{Served, drain_settings};
pub(crate) use watch::watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tonic::service::Routes as Services;
use wharf_http::Running;
use wharf_http::admission::Admission;
use wharf_pool::config::{Difference, PoolPatch, SetError};
use wharf_pool::{Connection, ListenerName, Pool};

use crate::config::{Config, Problem, Refused, Sources, differences, load};
use crate::gateway::Upstreams;
use crate::log::Logs;
use crate::otel::Telemetry;
use crate::room::Room;
use record::Record;

/// How long reading a configuration may take: a file system that does not answer is refused.
const READING: Duration = Duration::from_millis(900);

/// The configuration in force.
#[derive(Debug)]
pub(crate) struct Live {
    /// Where it comes from; the demo has no file.
    file: Option<PathBuf>,
    running: Running,
    logs: Logs,
    telemetry: Telemetry,
    /// Held by whoever changes the configuration, from reading the file to the last effect.
    state: tokio::sync::Mutex<State>,
    /// One read at a time, also of those that nobody waits for any more.
    reading: Arc<Semaphore>,
    record: Mutex<Record>,
}

/// What only a change needs.
#[derive(Debug)]
struct State {
    kit: Kit,
    /// The files of the last attempt, as they were then.
    seen: Sources,
}

/// What a change of the listeners takes besides the configuration.
#[derive(Debug)]
pub(crate) struct Kit {
    /// How many connections there is room for.
    pub(crate) room: Room,
    /// How many requests are worked on at a time.
    pub(crate) admission: Admission,
    /// The gRPC services of every listener.
    pub(crate) services: Services,
    /// Whom requests go to.
    pub(crate) upstreams: Upstreams,
    /// What of each listener changes while it serves.
    pub(crate) served: BTreeMap<ListenerName, Served>,
    /// What is sent to a collector.
    pub(crate) telemetry: Telemetry,
}

/// Why a reload changed nothing.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// There is no file.
    NoFile,
    /// The file is not right, or cannot be put in force.
    Refused(Refused),
}

impl Live {
    /// What `config` says is in force, by these.
    pub(crate) fn new(
        file: Option<PathBuf>,
        config: Config,
        running: Running,
        logs: Logs,
        kit: Kit,
    ) -> Self {
        let seen = config.sources.clone();
        Self {
            file,
            running,
            logs,
            telemetry: kit.telemetry,
            state: tokio::sync::Mutex::new(State { kit, seen }),
            reading: Arc::new(Semaphore::new(1)),
            record: Mutex::new(Record::new(config)),
        }
    }

    /// What has happened to the configuration so far.
    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        // Every change under this lock is one store or one push.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration in force.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.record().in_force()
    }

    /// What is sent to a collector.
    pub(crate) const fn telemetry(&self) -> Telemetry {
        self.telemetry
    }

    /// The file's name.
    pub(crate) fn file(&self) -> Option<String> {
        self.file.as_ref().map(|file| file.display().to_string())
    }

    /// Reads the file again and puts it in force.
    ///
    /// # Errors
    ///
    /// Why it could not be; the old configuration goes on then. It is in the log, and counted.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has changed everything or nothing.
    pub(crate) async fn reload(&self, source: Source) -> Result<Vec<Told>, Rejection> {
        let Some(file) = self.file.clone() else {
            tracing::warn!(source = source.as_str(), "there is no file to reload");
            return Err(Rejection::NoFile);
        };
        let mut state = self.state.lock().await;
        let outcome = match self.read(file, &state.seen).await {
            Ok(next) => {
                state.seen = next.sources.clone();
                self.put_in_force(&mut state, next).await
            }
            Err(refused) => {
                state.seen = refused.problems.sources.clone();
                Err(refused)
            }
        };
        drop(state);
        match outcome {
            Ok((changes, next, written)) => {
                tell_changes(source, &changes);
                let result = self.record().applied(source, &changes, (written, next));
                self.running.registry().tell_reload(result, changes.len());
                Ok(changes)
            }
            Err(refused) => {
                tell_refusal(source, &refused);
                self.record().rejected(source, &refused);
                self.running.registry().tell_reload("rejected", 0);
                Err(Rejection::Refused(refused))
            }
        }
    }

    /// Changes one pool, until the file is read again. `note` puts what it has become into the
    /// configuration.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the change. Nothing has changed then.
    pub(crate) async fn patch<C: Connection>(
        &self,
        pool: &Pool<C>,
        change: &PoolPatch<C::Settings>,
        note: impl FnOnce(&mut Config),
    ) -> Result<Vec<Difference>, Vec<SetError>> {
        let _state = self.state.lock().await;
        let differences = pool.update_config(change)?;
        tracing::info!(pool = %pool.name(), changed = differences.len(), "configuration changed");
        let mut next = Config::clone(&self.config());
        note(&mut next);
        let changes = Told::all(crate::config::differences(&self.config(), &next), &[]);
        self.record().patched(&changes, next);
        Ok(differences)
    }

    async fn read(&self, file: PathBuf, seen: &Sources) -> Result<Config, Refused> {
        let late = |reason: &str| {
            let remedy = "look at the file system that it is on";
            Refused::whole(&file, seen.clone(), reason, remedy)
        };
        let Ok(alone) = Arc::clone(&self.reading).try_acquire_owned() else {
            return Err(late("an earlier attempt to read it has not come back"));
        };
        let path = file.clone();
        let reading = spawn_blocking(move || {
            let read = load(&path);
            drop(alone);
            read
        });
        match timeout(READING, reading).await {
            Ok(Ok(read)) => read,
            Ok(Err(_)) => Err(late("reading it failed")),
            Err(_) => Err(late("reading it takes too long")),
        }
    }

    /// Puts `written` in force, but for what needs a restart.
    async fn put_in_force(
        &self,
        state: &mut State,
        written: Config,
    ) -> Result<(Vec<Told>, Config, Config), Refused> {
        let now = self.config();
        let patched = self.record().patches();
        let changes = Told::all(differences(&now, &written), &patched);
        let next = written.keeping(&now);
        switch::switch(self, state, &now, &next)
            .await
            .map_err(|problem| self.refused(&written, problem))?;
        Ok((changes, next, written))
    }

    fn refused(&self, written: &Config, problem: Problem) -> Refused {
        let file = self.file.clone().unwrap_or_default();
        Refused::of(&file, written.sources.clone(), problem)
    }
}

/// How many lines a reload may have in the log.
const LINES: usize = 20;

fn tell_changes(source: Source, changes: &[Told]) {
    let source = source.as_str();
    for Told {
        changed,
        undoes_patch,
    } in changes.iter().take(LINES)
    {
        let text = |value: &Option<_>| {
            value
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string)
        };
        let (old, new) = (text(&changed.old), text(&changed.new));
        let (key, effect) = (changed.path.as_str(), changed.effect.as_str());
        tracing::info!(key, old, new, effect, undoes_patch, "setting changed");
    }
    tracing::info!(source, changes = changes.len(), "configuration reloaded");
}

fn tell_refusal(source: Source, refused: &Refused) {
    let places = refused.problems.list.iter().zip(refused.places());
    for (problem, (line, column)) in places.take(LINES) {
        let (file, key) = (refused.file(), problem.key.as_str());
        let (reason, remedy) = (problem.reason.as_str(), problem.remedy.as_str());
        tracing::error!(
            file,
            line,
            column,
            key,
            reason,
            remedy,
            "configuration problem"
        );
    }
    let (source, problems) = (source.as_str(), refused.problems.list.len());
    tracing::error!(
        source,
        problems,
        "configuration refused: the old one goes on"
    );
}
