//! [`Ledger`]: the connections to one endpoint, who uses them, and who waits for one.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::oneshot;
use wharf_control::Timestamp;
use wharf_control::upstream::{CodelSettings, Fate, PoolSize, PoolSizeSettings, PoolUse, Waiters};
use wharf_pool::config::{Count, PoolConfig};
use wharf_pool::{ConnId, ConnectionHandle};

use super::{Lease, LeaseError, Sender};
use crate::address::Scheme;
use crate::connect::Version;
use crate::connection::UpstreamConnection;
use crate::settings::PoolSettings;

/// Whoever waits for a connection.
pub(super) type Waiter = oneshot::Sender<Result<Lease, LeaseError>>;

/// The connections to one endpoint.
pub(super) struct Ledger {
    links: HashMap<ConnId, Link>,
    /// Those that take another request; the one used last is the last, and is used next, so that the
    /// others grow old and can go.
    free: Vec<ConnId>,
    /// Connections whose socket is open, in whatever state.
    open: u32,
    pub(super) connecting: u32,
    pub(super) waiters: Waiters<Waiter>,
    size: PoolSize,
    pub(super) back_off: BackOff,
    max_streams: u32,
    /// Whether the endpoint is one of the upstream's, and not of a former configuration.
    member: bool,
    scheme: Scheme,
    /// The version that TLS has agreed on.
    agreed: Option<Version>,
}

/// One connection that takes requests, or has taken them.
struct Link {
    sender: Sender,
    handle: ConnectionHandle<UpstreamConnection>,
    /// Requests in flight.
    streams: u32,
}

impl Link {
    fn capacity(&self, limit: u32) -> u32 {
        let theirs = self.handle.connection().max_streams();
        self.sender.capacity(theirs, limit)
    }
}

/// The right to one request on a connection: what a [`Lease`] is made of.
pub(super) struct Loan {
    pub(super) id: ConnId,
    pub(super) handle: ConnectionHandle<UpstreamConnection>,
}

/// Somebody's turn.
pub(super) struct Turn {
    pub(super) waiter: Waiter,
    pub(super) granted: Result<Loan, LeaseError>,
}

/// When attempts that nobody waits for may be made again.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    pub(super) failures: u32,
    pub(super) until: Timestamp,
}

impl Ledger {
    pub(super) fn new(
        scheme: Scheme,
        settings: &PoolConfig<PoolSettings>,
        seed: u64,
        now: Timestamp,
    ) -> Self {
        let most_waiting = settings.protocol.max_waiting.get() as usize;
        Self {
            links: HashMap::new(),
            free: Vec::new(),
            open: 0,
            connecting: 0,
            waiters: Waiters::new(most_waiting, CodelSettings::default(), now),
            size: PoolSize::new(size_settings(scheme == Scheme::H2c, settings), seed, now),
            back_off: BackOff::default(),
            max_streams: settings.protocol.max_streams.get(),
            member: true,
            scheme,
            agreed: None,
        }
    }

    /// A request on the connection that was used last, of those that take one.
    pub(super) fn take(&mut self) -> Option<Loan> {
        while let Some(&id) = self.free.last() {
            let max_streams = self.max_streams;
            match self.links.get_mut(&id) {
                Some(link) if link.sender.is_ready() => {
                    link.streams += 1;
                    let handle = link.handle.clone();
                    if link.streams >= link.capacity(max_streams) {
                        self.free.pop();
                    }
                    return Some(Loan { id, handle });
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
            let sender = self.links.get(id).map(|link| &link.sender);
            sender.is_some_and(|it| it.version() == Some(Version::Http1) && it.is_ready())
        };
        let place = self.free.iter().rposition(http1)?;
        let id = self.free.remove(place);
        self.lend(id)
    }

    /// Room for one connection more, taken at once.
    pub(super) fn take_room(&mut self, settings: &PoolConfig<PoolSettings>) -> bool {
        let most = settings.protocol.max_connections_per_endpoint.get();
        let room = self.open.saturating_add(self.connecting) < most;
        self.connecting += u32::from(room);
        room
    }

    /// A request on a connection that carries none.
    pub(super) fn lend(&mut self, id: ConnId) -> Option<Loan> {
        let link = self.links.get_mut(&id)?;
        link.streams += 1;
        let handle = link.handle.clone();
        Some(Loan { id, handle })
    }

    /// A request has ended. The connection is free for another, unless its codec is not yet ready.
    pub(super) fn give_back(&mut self, id: ConnId) {
        let Some(link) = self.links.get_mut(&id) else {
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
        let Some(link) = self.links.get(&id) else {
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

    /// A new connection takes requests.
    pub(super) fn enter(&mut self, id: ConnId) {
        self.agreed = self.sender(id).and_then(|sender| sender.version());
        self.freed(id);
    }

    /// A connection takes another request.
    fn freed(&mut self, id: ConnId) {
        if !self.free.contains(&id) {
            self.free.push(id);
        }
    }

    /// A connection is there; it is not free yet.
    pub(super) fn arrive(&mut self, sender: Sender, handle: ConnectionHandle<UpstreamConnection>) {
        let link = Link {
            sender,
            handle,
            streams: 0,
        };
        self.links.insert(link.handle.id(), link);
        self.back_off = BackOff::default();
    }

    /// A socket is open.
    pub(super) fn opened(&mut self) {
        self.open += 1;
    }

    /// A socket was closed. What is left of the connection is to be dropped outside of the lock.
    pub(super) fn closed(&mut self, id: ConnId) -> Option<Sender> {
        self.open = self.open.saturating_sub(1);
        self.free.retain(|free| *free != id);
        self.links.remove(&id).map(|link| link.sender)
    }

    /// Takes a connection out of use.
    pub(super) fn retire(&mut self, id: ConnId) -> Option<Sender> {
        self.free.retain(|free| *free != id);
        let link = self.links.get_mut(&id)?;
        Some(std::mem::replace(&mut link.sender, Sender::Gone))
    }

    /// The same, if nobody uses it.
    pub(super) fn retire_idle(&mut self, id: ConnId) -> Option<Sender> {
        let link = self.links.get(&id)?;
        if link.streams > 0 {
            return None;
        }
        self.retire(id)
    }

    /// The same with all that nobody uses.
    pub(super) fn retire_all_idle(&mut self) -> Vec<Sender> {
        let idle = self.links.iter().filter(|(_, link)| link.streams == 0);
        let idle: Vec<_> = idle.map(|(id, _)| *id).collect();
        idle.into_iter().filter_map(|id| self.retire(id)).collect()
    }

    /// Begins no more, and takes all out of use. Those who wait go on waiting for what is begun.
    pub(super) fn leave(&mut self) -> Vec<Sender> {
        self.member = false;
        let all: Vec<_> = self.links.keys().copied().collect();
        all.into_iter().filter_map(|id| self.retire(id)).collect()
    }

    /// Takes out of use as many as there are too many of, those that were used longest ago.
    pub(super) fn trim(&mut self, now: Timestamp) -> Vec<Sender> {
        let usage = self.usage();
        let excess = self.size.close(usage, now) as usize;
        let unused = |id: &&ConnId| self.links.get(*id).is_some_and(|link| link.streams == 0);
        let oldest: Vec<_> = self
            .free
            .iter()
            .filter(unused)
            .take(excess)
            .copied()
            .collect();
        oldest
            .into_iter()
            .filter_map(|id| self.retire(id))
            .collect()
    }

    /// A request on one of them, or the sender itself.
    pub(super) fn sender(&mut self, id: ConnId) -> Option<&mut Sender> {
        self.links.get_mut(&id).map(|link| &mut link.sender)
    }

    /// What the connections are doing.
    pub(super) fn usage(&self) -> PoolUse {
        let waiting = u32::try_from(self.waiters.len()).unwrap_or(u32::MAX);
        let (in_use, waiting) = if let Some(capacity) = self.multiplexed() {
            // So many connections as they would fill to three quarters.
            let each = (capacity * 3 / 4).max(1);
            let streams: u32 = self.links.values().map(|link| link.streams).sum();
            (
                streams.div_ceil(each).min(self.open),
                waiting.div_ceil(each),
            )
        } else {
            let idle = u32::try_from(self.free.len()).unwrap_or(u32::MAX);
            (self.open.saturating_sub(idle), waiting)
        };
        PoolUse {
            in_use,
            idle: self.open - in_use,
            connecting: self.connecting,
            waiting,
        }
    }

    /// How much one connection carries, if they carry more than one request.
    fn multiplexed(&self) -> Option<u32> {
        let carries = |link: &Link| match &link.sender {
            Sender::Http2(_) => Some(link.capacity(self.max_streams)),
            Sender::Http1(_) | Sender::Gone => None,
        };
        self.links.values().find_map(carries)
    }

    /// Whether the next connection will carry many requests. Of TLS it is believed until it is known, so that the
    /// first handshake is made alone, and the others resume its session.
    fn will_multiplex(&self) -> bool {
        match self.scheme {
            Scheme::Http => false,
            Scheme::H2c => true,
            Scheme::Https => self.agreed != Some(Version::Http1),
        }
    }

    /// How many connections to begin now; they count as begun.
    pub(super) fn grow(&mut self, settings: &PoolConfig<PoolSettings>, now: Timestamp) -> u32 {
        if !self.member && self.waiters.is_empty() {
            return 0;
        }
        let usage = self.usage();
        self.max_streams = settings.protocol.max_streams.get();
        self.size
            .set(size_settings(self.will_multiplex(), settings));
        let wanted = self.size.create(usage, None, now);
        let wanted = if now < self.back_off.until {
            // Only for those who wait, one at a time: the endpoint may be back sooner than it is looked for.
            let asked = usage.waiting > 0 && usage.connecting == 0;
            wanted.min(u32::from(asked))
        } else {
            wanted
        };
        self.connecting += wanted;
        wanted
    }

    /// Whose turn it is, if there is something to give.
    pub(super) fn turn(&mut self, now: Timestamp) -> Option<Turn> {
        if self.waiters.is_empty() {
            return None;
        }
        let loan = self.take()?;
        let Some((waiter, fate)) = self.waiters.next(Duration::ZERO, now) else {
            self.give_back(loan.id);
            return None;
        };
        let granted = match fate {
            Fate::Serve => Ok(loan),
            Fate::TooLate | Fate::Shed => {
                self.give_back(loan.id);
                Err(if fate == Fate::Shed {
                    LeaseError::Shed
                } else {
                    LeaseError::Timeout
                })
            }
        };
        Some(Turn { waiter, granted })
    }

    /// Those who have nothing left to wait for, since no connection could be made and none is there.
    pub(super) fn hopeless(&mut self, now: Timestamp) -> Vec<Waiter> {
        if self.open > 0 || self.connecting > 0 {
            return Vec::new();
        }
        std::iter::from_fn(|| self.waiters.next(Duration::ZERO, now))
            .map(|(waiter, _)| waiter)
            .collect()
    }
}

fn size_settings(multiplexed: bool, settings: &PoolConfig<PoolSettings>) -> PoolSizeSettings {
    let protocol = &settings.protocol;
    let mut size = PoolSizeSettings {
        min_idle: protocol.min_idle.map_or(0, Count::get),
        most: protocol.max_connections_per_endpoint.into(),
        ..PoolSizeSettings::default()
    };
    if multiplexed {
        // One carries many, and whoever comes during the attempt waits for that one.
        size.min_idle = size.min_idle.min(1);
        size.most_connecting = NonZeroU32::MIN;
        // What is kept in hand is the last quarter of each.
        size.ratio = 1.0;
    }
    size
}
