//! [`Ledger`]: the connections to one endpoint, who uses them, and who waits for one.

mod turns;

pub(super) use turns::{Grant, Need, Turn};

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::oneshot;
use wharf_control::Timestamp;
use wharf_control::upstream::{PoolSize, PoolSizeSettings, PoolUse, Waiters};
use wharf_pool::config::{Count, PoolConfig};
use wharf_pool::{ConnId, ConnectionHandle};

use super::links::Links;
use super::{Granted, LeaseError, Sender};
use crate::address::Scheme;
use crate::connect::Version;
use crate::connection::{Beside, UpstreamConnection};
use crate::settings::PoolSettings;

/// Whoever waits for a connection.
pub(super) type Waiter = oneshot::Sender<Result<Granted, LeaseError>>;

/// The connections to one endpoint.
pub(super) struct Ledger {
    pub(super) links: Links,
    /// Connections that requests share whose socket is open, in whatever state.
    open: u32,
    pub(super) connecting: u32,
    /// Those beside them.
    sessions: u32,
    checks: u32,
    /// Sessions that are asked for or there.
    seats: u32,
    waiters: Waiters<Waiter>,
    /// Those for whom only HTTP/1 will do, where TLS may agree on HTTP/2.
    upgrades: Waiters<Waiter>,
    size: PoolSize,
    pub(super) back_off: BackOff,
    /// Whether the endpoint is one of the upstream's, and not of a former configuration.
    member: bool,
    scheme: Scheme,
    /// The version that TLS has agreed on.
    agreed: Option<Version>,
    /// How long it takes to connect, by the last few.
    connect: Duration,
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
        let waiters = || Waiters::new(most_waiting, turns::codel(settings), now);
        Self {
            links: Links::new(settings.protocol.max_streams.get()),
            open: 0,
            connecting: 0,
            sessions: 0,
            checks: 0,
            seats: 0,
            waiters: waiters(),
            upgrades: waiters(),
            size: PoolSize::new(size_settings(scheme == Scheme::H2c, settings), seed, now),
            back_off: BackOff::default(),
            member: true,
            scheme,
            agreed: None,
            connect: Duration::ZERO,
        }
    }

    /// Room for one connection more, taken at once.
    pub(super) fn take_room(&mut self, settings: &PoolConfig<PoolSettings>) -> bool {
        let most = settings.protocol.max_connections_per_endpoint.get();
        let room = self.open.saturating_add(self.connecting) < most;
        self.connecting += u32::from(room);
        room
    }

    /// A new connection takes requests.
    pub(super) fn enter(&mut self, id: ConnId) {
        self.agreed = self.links.sender(id).and_then(|sender| sender.version());
        self.links.freed(id);
    }

    /// A connection is there after so long; it is not free yet. Gives the sender back if the socket was closed
    /// before: nobody would take the connection out again.
    pub(super) fn arrive(
        &mut self,
        sender: Sender,
        handle: ConnectionHandle<UpstreamConnection>,
        took: Duration,
    ) -> Result<(), Sender> {
        if handle.connection().gone.is_cancelled() {
            return Err(sender);
        }
        self.connect = (self.connect * 3 + took) / 4;
        self.links.insert(sender, handle);
        self.back_off = BackOff::default();
        Ok(())
    }

    /// Whether there is no connection, and the last attempt has failed.
    pub(super) const fn is_unreachable(&self) -> bool {
        self.open + self.sessions == 0 && self.back_off.failures > 0
    }

    /// Whether a connection that arrives now is the first since none could be made.
    pub(super) fn is_back(&self) -> bool {
        self.links.is_empty() && self.back_off.failures > 0
    }

    /// A socket is open.
    pub(super) fn opened(&mut self, connection: &UpstreamConnection) {
        *self.count_of(connection) += 1;
    }

    /// A socket was closed. What is left of the connection is to be dropped outside of the lock.
    pub(super) fn closed(
        &mut self,
        handle: &ConnectionHandle<UpstreamConnection>,
    ) -> Option<Sender> {
        let count = self.count_of(handle.connection());
        *count = count.saturating_sub(1);
        self.links.remove(handle.id())
    }

    fn count_of(&mut self, connection: &UpstreamConnection) -> &mut u32 {
        match connection.beside() {
            None => &mut self.open,
            Some(Beside::Session) => &mut self.sessions,
            Some(Beside::Check) => &mut self.checks,
        }
    }

    /// A connection has become a session: another may be made in its place.
    pub(super) fn upgraded(&mut self, id: ConnId) {
        if self.links.step_aside(id, Beside::Session) {
            self.open = self.open.saturating_sub(1);
            self.sessions += 1;
        }
    }

    /// Sessions that are open.
    pub(super) const fn sessions(&self) -> u32 {
        self.sessions
    }

    /// A place for one session more; false if there is none.
    pub(super) fn take_seat(&mut self, settings: &PoolConfig<PoolSettings>) -> bool {
        let most = settings.protocol.max_sessions_per_endpoint;
        let free = most.is_none_or(|most| self.seats < most.get());
        self.seats += u32::from(free);
        free
    }

    /// A session has ended, or never was.
    pub(super) fn leave_seat(&mut self) {
        self.seats = self.seats.saturating_sub(1);
    }

    /// Begins no more, and takes all out of use. Those who wait go on waiting for what is begun.
    pub(super) fn leave(&mut self) -> Vec<Sender> {
        self.member = false;
        self.links.retire_all()
    }

    /// Takes out of use as many as there are too many of, those that were used longest ago.
    pub(super) fn trim(&mut self, now: Timestamp) -> Vec<Sender> {
        let usage = self.usage();
        let excess = self.size.close(usage, now) as usize;
        self.links.retire_oldest(excess)
    }

    /// What the connections are doing.
    pub(super) fn usage(&self) -> PoolUse {
        let waiting = u32::try_from(self.waiters.len()).unwrap_or(u32::MAX);
        let (in_use, waiting) = if let Some(capacity) = self.links.multiplexed() {
            // So many connections as they would fill to three quarters.
            let each = (capacity.saturating_mul(3) / 4).max(1);
            let streams = self.links.streams();
            (
                streams.div_ceil(each).min(self.open),
                waiting.div_ceil(each),
            )
        } else {
            (self.open.saturating_sub(self.links.free()), waiting)
        };
        PoolUse {
            in_use,
            idle: self.open - in_use,
            connecting: self.connecting,
            waiting,
        }
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
    ///
    /// `well`: whether the endpoint is; to one that is not, none is made ahead of what is asked for.
    pub(super) fn grow(
        &mut self,
        settings: &PoolConfig<PoolSettings>,
        well: bool,
        now: Timestamp,
    ) -> u32 {
        if !self.member && self.waiters.is_empty() {
            return 0;
        }
        let usage = self.usage();
        self.links.max_streams = settings.protocol.max_streams.get();
        let mut size = size_settings(self.will_multiplex(), settings);
        if !self.will_multiplex() {
            size.ratio = PoolSize::ratio_for(self.connect, well);
        }
        self.size.set(size);
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

#[cfg(test)]
mod tests;
