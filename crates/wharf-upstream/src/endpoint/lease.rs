//! [`Lease`]: the right to one request on one connection.

use std::sync::Arc;

use http::Request;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use wharf_control::upstream::{NoPlace, Ticket, longest_wait};
use wharf_pool::{CloseReason, ConnId, ConnectionHandle};

use super::codec::Sent;
use super::ledger::Need;
use super::links::Loan;
use super::{Attempt, Endpoint, For};
use crate::address::Scheme;
use crate::body::SendBody;
use crate::connect::{ConnectError, Version};
use crate::connection::UpstreamConnection;

/// The right to one request on one connection; given back when it is dropped.
pub(crate) struct Lease {
    endpoint: Arc<Endpoint>,
    id: ConnId,
    pub(crate) handle: ConnectionHandle<UpstreamConnection>,
    version: Version,
    request: Step,
    after: After,
}

/// How far the request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There is none yet.
    Before,
    Begun,
    /// The answer was read to its end.
    Answered,
}

/// What becomes of the connection after the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// It is free for the next.
    Free,
    /// It is closed.
    Close,
}

/// Why there is none.
#[derive(Clone, Debug)]
pub(crate) enum LeaseError {
    /// No connection could be made.
    Connect(ConnectError),
    /// As many wait as may.
    Full,
    /// None came free in time.
    Timeout,
    /// The queue stands, and this one had waited too long.
    Shed,
    /// The upstream was closed meanwhile.
    Closed,
}

/// What somebody who waited for a connection is given.
pub(crate) enum Granted {
    Lease(Lease),
    /// The right to make one himself.
    Room(Attempt),
}

/// Whether a connection had been used before, so that its end may have nothing to do with the request that
/// met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    Yes,
    No,
}

/// How long somebody waits for a connection, and before whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) importance: u8,
    /// The version that it must be.
    pub(crate) only: Option<Version>,
    /// When the answer is due.
    pub(crate) deadline: Option<Instant>,
}

impl Lease {
    pub(super) fn new(endpoint: Arc<Endpoint>, loan: Loan) -> Self {
        Self {
            endpoint,
            id: loan.id,
            handle: loan.handle,
            version: loan.version,
            request: Step::Before,
            after: After::Free,
        }
    }

    /// Gives the codec the request.
    pub(crate) fn send(&self, request: Request<SendBody>) -> Result<Sent, Box<Request<SendBody>>> {
        match self.endpoint.ledger().links.sender(self.id) {
            Some(sender) => sender.send(request),
            None => Err(Box::new(request)),
        }
    }

    /// Whether the connection has carried a request before.
    pub(crate) fn staleness(&self) -> Stale {
        if self.handle.requests() > 0 {
            Stale::Yes
        } else {
            Stale::No
        }
    }

    /// The connection is closed after this request.
    pub(crate) fn only_once(mut self) -> Self {
        self.after = After::Close;
        self
    }

    /// Takes the connection out of use.
    pub(crate) fn retire(&self) {
        self.endpoint.retire(self.id);
    }

    /// The version that the connection speaks.
    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// From now on the connection is a session's, and another may be made in its place.
    pub(crate) fn upgraded(&self) {
        self.endpoint.ledger().upgraded(self.id);
        self.endpoint.settle();
    }

    /// The request is about to be given to the codec.
    pub(crate) const fn begin(&mut self) {
        self.request = Step::Begun;
    }

    /// The answer was read to its end. What cannot be used again for another reason is taken out of use.
    pub(crate) fn complete(mut self) {
        self.request = Step::Answered;
        let pool = &self.endpoint.context.pool;
        let most = pool.with_config(|config| config.common.max_requests);
        if most.is_some_and(|most| self.handle.requests() >= u64::from(most.get())) {
            self.handle.conclude(CloseReason::MaxRequests);
            self.endpoint.retire(self.id);
        }
    }

    /// Notes for which reason the connection ends, if it carries only this request.
    pub(crate) fn conclude(&self, reason: CloseReason) {
        if self.version == Version::Http1 {
            self.handle.conclude(reason);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.after == After::Close {
            self.handle.conclude(CloseReason::Completed);
            self.endpoint.retire(self.id);
        } else if self.request == Step::Begun {
            self.conclude(CloseReason::Abandoned);
        }
        let waited_for = {
            let mut ledger = self.endpoint.ledger();
            ledger.links.give_back(self.id);
            ledger.is_waited_for()
        };
        if waited_for || self.endpoint.has_left() {
            self.endpoint.settle();
        }
    }
}

impl Endpoint {
    /// A request on a connection, at once or after a wait.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it holds no place in the queue; a connection that was granted meanwhile goes to the next.
    pub(crate) async fn lease(self: &Arc<Self>, patience: Patience) -> Result<Lease, LeaseError> {
        let need = match patience.only {
            Some(Version::Http1) if self.address.scheme() == Scheme::Https => Need::Http1,
            Some(Version::Http1 | Version::Http2) | None => Need::Any,
        };
        let taken = self.ledger().take(need);
        if let Some(loan) = taken {
            let lease = Lease::new(Arc::clone(self), loan);
            self.grow();
            return Ok(lease);
        }
        let granted = match self.wait(need, patience).await? {
            Granted::Lease(lease) => return Ok(lease),
            // A whole handshake is in it, and every lease would have the room for one.
            Granted::Room(attempt) => Box::pin(attempt.private(For::Request, patience.only)),
        };
        match patience.deadline {
            Some(due) => timeout_at(due, granted)
                .await
                .map_err(|_| LeaseError::Timeout)?,
            None => granted.await,
        }
    }

    /// Waits in line.
    async fn wait(self: &Arc<Self>, need: Need, patience: Patience) -> Result<Granted, LeaseError> {
        let (answer, granted) = oneshot::channel();
        let now = self.context.clock.now();
        let config = self.context.config();
        let until = now.after(config.protocol.wait_timeout);
        let due = patience.deadline.map(|due| self.context.clock.at(due));
        let until = due.map_or(until, |due| until.min(longest_wait(due, now)));
        let place = {
            let mut ledger = self.ledger();
            ledger.heed(&config);
            let line = ledger.line(need);
            line.join(patience.importance, until, answer, now)
        };
        let (ticket, displaced) = place.map_err(|NoPlace(_)| LeaseError::Full)?;
        if let Some(displaced) = displaced {
            // One that is gone does not need to hear it.
            drop(displaced.send(Err(LeaseError::Full)));
        }
        let _place = Place {
            endpoint: self,
            need,
            ticket,
        };
        self.settle();
        tokio::select! {
            biased;
            granted = timeout_at(self.context.clock.instant(until), granted) => match granted {
                Ok(Ok(granted)) => granted,
                // Nobody drops a waiter without a word.
                Ok(Err(_)) | Err(_) => Err(LeaseError::Timeout),
            },
            // Heard here, and not said by who closes: he does not know those who wait for an endpoint that has left.
            () = self.context.closing.cancelled() => Err(LeaseError::Closed),
        }
    }
}

/// A place in the queue, left when it is dropped.
struct Place<'a> {
    endpoint: &'a Arc<Endpoint>,
    need: Need,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let left = self.endpoint.ledger().line(self.need).leave(self.ticket);
        drop(left);
    }
}
