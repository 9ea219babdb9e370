//! [`Links`]: the connections that take requests, and which of them is used next.

use std::collections::HashMap;

use wharf_pool::{ConnId, ConnectionHandle};

use super::Sender;
use crate::connect::Version;
use crate::connection::{Beside, UpstreamConnection};

/// The connections to one endpoint that take requests, or have taken them.
pub(super) struct Links {
    all: HashMap<ConnId, Link>,
    /// Those that take another request; the one used last is the last, and is used next, so that the
    /// others grow old and can go.
    free: Vec<ConnId>,
    /// The most requests at once on one of them.
    pub(super) max_streams: u32,
}

/// One connection that takes requests, or has taken them.
struct Link {
    sender: Sender,
    handle: ConnectionHandle<UpstreamConnection>,
    /// Requests in flight.
    streams: u32,
}

impl Link {
    /// A request on it; nothing if it takes no more.
    fn lend(&mut self) -> Option<Loan> {
        let version = self.sender.version()?;
        self.streams += 1;
        Some(Loan {
            id: self.handle.id(),
            handle: self.handle.clone(),
            version,
        })
    }

    fn is_shared(&self) -> bool {
        self.handle.connection().beside().is_none()
    }

    fn capacity(&self, limit: u32) -> u32 {
        let theirs = self.handle.connection().max_streams();
        self.sender.capacity(theirs, limit)
    }
}

/// The right to one request on a connection: what a [`Lease`] is made of.
pub(super) struct Loan {
    pub(super) id: ConnId,
    pub(super) handle: ConnectionHandle<UpstreamConnection>,
    pub(super) version: Version,
}

impl Links {
    pub(super) fn new(max_streams: u32) -> Self {
        Self {
            all: HashMap::new(),
            free: Vec::new(),
            max_streams,
        }
    }

    /// A request on the connection that was used last, of those that take one.
    pub(super) fn take(&mut self) -> Option<Loan> {
        while let Some(&id) = self.free.last() {
            let max_streams = self.max_streams;
            match self.all.get_mut(&id) {
                Some(link) if link.sender.is_ready() => {
                    let loan = link.lend();
                    if link.streams >= link.capacity(max_streams) {
                        self.free.pop();
                    }
                    return loan;
                }
                // It has ended, and its driver is on the way to say so.
                Some(_) | None => self.free.pop(),
            };
        }
        None
    }

    /// A request on a free connection of HTTP/1.
    pub(super) fn take_http1(&mut self) -> Option<Loan> {
        let http1 = |id: &ConnId| {
            let sender = self.all.get(id).map(|link| &link.sender);
            sender.is_some_and(|it| it.version() == Some(Version::Http1) && it.is_ready())
        };
        let place = self.free.iter().rposition(http1)?;
        let id = self.free.remove(place);
        self.lend(id)
    }

    /// A request on a connection that carries none.
    pub(super) fn lend(&mut self, id: ConnId) -> Option<Loan> {
        self.all.get_mut(&id)?.lend()
    }

    /// A request has ended. The connection is free for another, unless its codec is not yet ready.
    pub(super) fn give_back(&mut self, id: ConnId) {
        let Some(link) = self.all.get_mut(&id) else {
            return;
        };
        link.streams = link.streams.saturating_sub(1);
        let connection = link.handle.connection();
        // Before looking: the driver does it the other way round.
        connection.set_returning(true);
        if link.sender.is_ready() {
            connection.set_returning(false);
            self.freed(id);
        }
    }

    /// The driver saw a connection that is on its way back; whether it is free now.
    pub(super) fn returned(&mut self, id: ConnId) -> bool {
        let Some(link) = self.all.get(&id) else {
            return false;
        };
        let connection = link.handle.connection();
        let back = connection.is_returning() && link.sender.is_ready();
        if back {
            connection.set_returning(false);
            self.freed(id);
        }
        back
    }

    /// A connection takes another request, if it is still one that requests share.
    pub(super) fn freed(&mut self, id: ConnId) {
        let shared = self.all.get(&id).is_some_and(Link::is_shared);
        if shared && !self.free.contains(&id) {
            self.free.push(id);
        }
    }

    /// A connection is there; it is not free yet.
    pub(super) fn insert(&mut self, sender: Sender, handle: ConnectionHandle<UpstreamConnection>) {
        let link = Link {
            sender,
            handle,
            streams: 0,
        };
        self.all.insert(link.handle.id(), link);
    }

    /// Forgets a connection. What is left of it is to be dropped outside of the lock.
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Sender> {
        self.free.retain(|free| *free != id);
        self.all.remove(&id).map(|link| link.sender)
    }

    /// Takes a connection out of use.
    pub(super) fn retire(&mut self, id: ConnId) -> Option<Sender> {
        self.free.retain(|free| *free != id);
        let link = self.all.get_mut(&id)?;
        Some(std::mem::replace(&mut link.sender, Sender::Gone))
    }

    /// The same, if nobody uses it.
    pub(super) fn retire_idle(&mut self, id: ConnId) -> Option<Sender> {
        let link = self.all.get(&id)?;
        if link.streams > 0 {
            return None;
        }
        self.retire(id)
    }

    /// The same with all that nobody uses.
    pub(super) fn retire_all_idle(&mut self) -> Vec<Sender> {
        let idle = self.all.iter().filter(|(_, link)| link.streams == 0);
        let idle: Vec<_> = idle.map(|(id, _)| *id).collect();
        idle.into_iter().filter_map(|id| self.retire(id)).collect()
    }

    /// The same with all.
    pub(super) fn retire_all(&mut self) -> Vec<Sender> {
        let all: Vec<_> = self.all.keys().copied().collect();
        all.into_iter().filter_map(|id| self.retire(id)).collect()
    }

    /// The same with so many that nobody uses, those that were used longest ago.
    pub(super) fn retire_oldest(&mut self, most: usize) -> Vec<Sender> {
        let unused = |id: &&ConnId| self.all.get(*id).is_some_and(|link| link.streams == 0);
        let oldest: Vec<_> = self
            .free
            .iter()
            .filter(unused)
            .take(most)
            .copied()
            .collect();
        oldest
            .into_iter()
            .filter_map(|id| self.retire(id))
            .collect()
    }

    /// A request on one of them, or the sender itself.
    pub(super) fn sender(&mut self, id: ConnId) -> Option<&mut Sender> {
        self.all.get_mut(&id).map(|link| &mut link.sender)
    }

    /// How much one connection carries, if they carry more than one request.
    pub(super) fn multiplexed(&self) -> Option<u32> {
        let carries = |link: &Link| match &link.sender {
            Sender::Http2(_) => Some(link.capacity(self.max_streams)),
            Sender::Http1(_) | Sender::Gone => None,
        };
        self.all.values().find_map(carries)
    }

    /// Requests in flight on all of them that requests share.
    pub(super) fn streams(&self) -> u32 {
        let shared = self.all.values().filter(|link| link.is_shared());
        shared.map(|link| link.streams).sum()
    }

    /// A connection that is none of those that requests share from now on; false if it is gone, or was not before.
    pub(super) fn step_aside(&self, id: ConnId, beside: Beside) -> bool {
        let link = self.all.get(&id);
        link.is_some_and(|link| link.handle.connection().set_beside(beside))
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many take another request.
    pub(super) fn free(&self) -> u32 {
        u32::try_from(self.free.len()).unwrap_or(u32::MAX)
    }
}
