//! [`ListenerChange`]: listeners of a running server opened, changed and removed, all or none.

use std::pin::Pin;
use std::sync::Arc;
use std::{fmt, io};

use wharf_pool::{ListenerName, RegistryError, ServingState};

use crate::app::App;
use crate::listener::Acceptor;
use crate::listening::{Bound, Listening, Opening};
use crate::running::Inner;
use crate::server::{ListenerSetup, StartError};

/// A change of a running server's listeners: all of it, or none.
///
/// Made by [`Running::change`](crate::Running::change). What it does not name stays as it is.
#[must_use = "nothing changes before it is applied"]
pub struct ListenerChange {
    server: Arc<Inner>,
    wanted: Vec<Wanted>,
    unwanted: Vec<ListenerName>,
}

impl ListenerChange {
    pub(crate) fn new(server: Arc<Inner>) -> Self {
        Self {
            server,
            wanted: Vec::new(),
            unwanted: Vec::new(),
        }
    }

    /// The listener of that name is to be what `setup` says, and to serve `app`.
    ///
    /// If there is none, it is opened. If its address stays, so does its socket: no newcomer is
    /// turned away, connections that are open keep their application and their TCP options, limits
    /// and pools apply to them too; those of a pool that the listener has no more are asked to
    /// finish. With another address a new socket is opened, and the old one removed as
    /// [`ListenerChange::remove`] says. The address may be one that another listener leaves in the
    /// same change: its socket is taken over then, and not closed.
    pub fn listener<S>(mut self, setup: ListenerSetup, app: S) -> Self
    where
        S: App,
    {
        self.wanted.push(Wanted::new(setup, app));
        self
    }

    pub(crate) fn all(mut self, wanted: Vec<Wanted>) -> Self {
        self.wanted.extend(wanted);
        self
    }

    /// The listener of that name is to close. What its backlog holds is served; its connections are
    /// asked to finish and cut after [`DrainSettings::timeout`](crate::DrainSettings), as in a
    /// drain. Their pools are forgotten with the last of them.
    pub fn remove(mut self, name: ListenerName) -> Self {
        self.unwanted.push(name);
        self
    }

    /// Opens every new socket, or none; then switches.
    ///
    /// # Errors
    ///
    /// [`StartError`], naming the listener. Nothing has changed then.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits for another change to end, it does nothing. There is nothing else that
    /// it waits for.
    pub async fn apply(self) -> Result<(), StartError> {
        let Self {
            server,
            wanted,
            unwanted,
        } = self;
        let _alone = server.changing.lock().await;
        if server.drain.registry.state() == ServingState::Draining {
            return Err(StartError::Draining);
        }
        let mut touched = unwanted;
        for wanted in &wanted {
            if touched.contains(wanted.name()) {
                let name = wanted.name().clone();
                return Err(RegistryError::ListenerExists(name).into());
            }
            touched.push(wanted.name().clone());
        }
        let mut sockets = server.sockets_of(&touched);
        let openings: Result<Vec<_>, _> = wanted
            .into_iter()
            .map(|wanted| Opening::prepare(wanted, &mut sockets, &server.handshakes))
            .collect();
        let accounted: Result<Vec<_>, _> = openings?
            .into_iter()
            .map(|opening| opening.account(&server.drain.registry))
            .collect();
        // Nothing can fail from here on.
        let accounted = accounted?;
        let mut standing = server.take(&touched);
        for accounted in accounted {
            Listening::open(accounted, &mut standing, &server);
        }
        for left in standing {
            left.retire(&server);
        }
        Ok(())
    }
}

impl fmt::Debug for ListenerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted: Vec<_> = self.wanted.iter().map(Wanted::name).collect();
        f.debug_struct("ListenerChange")
            .field("wanted", &wanted)
            .field("unwanted", &self.unwanted)
            .finish_non_exhaustive()
    }
}

/// A listener that somebody wants, and what it is to serve.
pub(crate) struct Wanted {
    pub(crate) setup: ListenerSetup,
    pub(crate) start: Start,
}

/// An accept loop. It ends with the socket, if another loop is to go on with it.
pub(crate) type Accepting =
    Pin<Box<dyn Future<Output = io::Result<Option<std::net::TcpListener>>> + Send>>;

/// Makes the accept loop of one listener; knows the application's type.
pub(crate) type Start = Box<dyn FnOnce(Bound) -> Accepting + Send>;

impl Wanted {
    pub(crate) fn new<S>(setup: ListenerSetup, app: S) -> Self
    where
        S: App,
    {
        let start: Start = Box::new(|bound| {
            let Bound {
                socket,
                listener,
                shared,
                lobby,
                connections: tasks,
                closing,
                handing_over,
                backlog,
                exclusive,
            } = bound;
            let acceptor = Acceptor {
                listener,
                app,
                shared,
                lobby,
                tasks,
                closing,
                handing_over,
                backlog,
                exclusive,
            };
            Box::pin(acceptor.run(socket))
        });
        Self { setup, start }
    }

    pub(crate) fn name(&self) -> &ListenerName {
        &self.setup.name
    }
}
