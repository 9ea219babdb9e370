//! [`Attempt`]: one connection on its way into being.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, timeout};
use wharf_control::Timestamp;
use wharf_pool::ConnId;

use super::ledger::BackOff;
use super::{Answer, Endpoint, Lease, LeaseError, Presence, Sender};
use crate::connect::{ConnectError, Connected, Version};
use crate::connection::Beside;
use crate::drive::{Driver, Streams};
use crate::transport::Wire;

/// One connection on its way into being: counted as connecting until its socket is counted as open.
pub(crate) struct Attempt {
    endpoint: Arc<Endpoint>,
    ended: bool,
}

/// Whom a connection is made for, beside those who wait in the endpoint's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// A request that does not stand in the queue.
    Request,
    /// A check, which is not waited with: how the pool is, it does not ask.
    Check,
    /// Nobody that could not do without.
    Nobody,
}

/// hyper's own least; below it, it panics.
const LEAST_BUFFER: usize = 8192;

/// The least time between two attempts that nobody waits for, after a failure.
const BACK_OFF: Duration = Duration::from_millis(100);

/// The longest.
const BACK_OFF_MOST: Duration = Duration::from_secs(30);

impl Attempt {
    /// Begins one that the ledger has counted.
    pub(crate) fn begin(endpoint: &Arc<Endpoint>) {
        let context = Arc::clone(&endpoint.context);
        let attempt = Self::counted(endpoint);
        let closing = context.closing.clone();
        context.spawn(async move {
            tokio::select! {
                () = closing.cancelled() => {}
                () = attempt.run() => {}
            }
        });
    }

    /// Makes a connection that is free for whoever is next.
    pub(crate) async fn run(mut self) {
        match self.make(For::Nobody, None).await {
            Ok(id) => {
                self.endpoint.ledger().enter(id);
                self.endpoint.settle();
            }
            Err(error) => self.fail(&error),
        }
    }

    /// One that somebody waits for himself; nothing if there are as many connections as may be.
    pub(crate) fn beside(endpoint: &Arc<Endpoint>) -> Option<Self> {
        let settings = endpoint.context.config();
        let room = endpoint.ledger().take_room(&settings);
        room.then(|| Self::counted(endpoint))
    }

    /// One that the ledger has counted.
    pub(super) fn counted(endpoint: &Arc<Endpoint>) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            ended: false,
        }
    }

    /// One that is beside those that requests share, and that the ledger counts when it is there.
    pub(crate) fn of_check(endpoint: &Arc<Endpoint>) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            ended: true,
        }
    }

    /// Makes a connection that is leased from the beginning.
    pub(crate) async fn private(
        mut self,
        for_whom: For,
        only: Option<Version>,
    ) -> Result<Lease, LeaseError> {
        let endpoint = Arc::clone(&self.endpoint);
        let made = self.make(for_whom, only).await;
        let id = made
            .inspect_err(|error| {
                self.fail(error);
                // Somebody else may have the room.
                endpoint.settle();
            })
            .map_err(LeaseError::Connect)?;
        let loan = endpoint.ledger().links.lend(id);
        loan.map(|loan| Lease::new(endpoint, loan))
            .ok_or(LeaseError::Timeout)
    }

    /// Makes the connection, which is not free yet.
    async fn make(&mut self, for_whom: For, only: Option<Version>) -> Result<ConnId, ConnectError> {
        let endpoint = Arc::clone(&self.endpoint);
        let settings = endpoint.context.config();
        let protocol = &settings.protocol;
        let (pool, line) = (&endpoint.context.pool, &endpoint.context.line);
        let wanted = match for_whom {
            For::Request => true,
            For::Check => false,
            // Others keep what they have, if it is wanted by nobody here.
            For::Nobody => endpoint.usage().waiting > 0,
        };
        let slot = match line.at_once(pool) {
            Some(slot) => slot,
            None if !wanted => return Err(ConnectError::Limit),
            None => {
                let slot = timeout(protocol.wait_timeout, line.slot(pool)).await;
                slot.map_err(|_| ConnectError::Limit)?
            }
        };
        let limit = protocol.connect_timeout;
        let connector = &endpoint.context.connector;
        let begun = Instant::now();
        let connecting = connector.connect(&endpoint.address, slot, only);
        let connected = timeout(limit, connecting).await;
        let connected = connected.map_err(|_| ConnectError::Timeout(limit))??;
        if for_whom == For::Check {
            connected.io.handle().connection().set_beside(Beside::Check);
        }
        let entering = timeout(limit, self.enter(connected, begun)).await;
        entering.map_err(|_| ConnectError::Timeout(limit))?
    }

    /// Hands the bytes to a codec, and the codec to its driver.
    async fn enter(
        &mut self,
        connected: Connected,
        begun: Instant,
    ) -> Result<ConnId, ConnectError> {
        let Connected { io, version } = connected;
        let handle = io.handle().clone();
        let presence = Presence::new(Arc::clone(&self.endpoint), &handle);
        self.ended();
        let io = TokioIo::new(Wire::new(io, presence));
        let driver = Driver::new(Arc::clone(&self.endpoint), handle.clone());
        let sender = match version {
            Version::Http1 => self.http1(io, driver).await,
            Version::Http2 => self.http2(io, driver).await,
        };
        let sender = sender.map_err(|error| ConnectError::Codec(Arc::new(error)))?;
        handle.greeted();
        let id = handle.id();
        let took = begun.elapsed();
        let (back, arrived) = {
            let mut ledger = self.endpoint.ledger();
            (ledger.is_back(), ledger.arrive(sender, handle, took))
        };
        // The sender is dropped here, and not under the lock.
        arrived.map_err(|_| ConnectError::Failed(Arc::new(ErrorKind::ConnectionReset.into())))?;
        if back {
            let now = self.endpoint.context.clock.now();
            self.endpoint.standing().begin_again(now);
        }
        Ok(id)
    }

    async fn http1(&self, io: TokioIo<Wire>, driver: Driver) -> hyper::Result<Sender> {
        let context = &self.endpoint.context;
        let head = context.config().protocol.max_response_header_size.get();
        let head = usize::try_from(head).unwrap_or(usize::MAX);
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(head.max(LEAST_BUFFER))
            .handshake(io)
            .await?;
        context.spawn(driver.http1(connection));
        // The driver has looked at it once: an endpoint that closes at once is found here.
        sender.ready().await?;
        Ok(Sender::Http1(sender))
    }

    async fn http2(&self, io: TokioIo<Wire>, driver: Driver) -> hyper::Result<Sender> {
        let context = &self.endpoint.context;
        let streams = Streams::new(Arc::clone(context));
        let config = context.config();
        let (sender, connection) = http2::Builder::new(streams.clone())
            .timer(TokioTimer::new())
            .keep_alive_interval(config.protocol.ping_interval)
            .keep_alive_timeout(config.protocol.ping_timeout)
            .handshake(io)
            .await?;
        context.spawn(driver.http2(connection, streams));
        Ok(Sender::Http2(sender))
    }

    /// The socket is open, and counted as such.
    fn ended(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        let mut ledger = self.endpoint.ledger();
        ledger.connecting = ledger.connecting.saturating_sub(1);
    }

    fn fail(&mut self, error: &ConnectError) {
        let endpoint = Arc::clone(&self.endpoint);
        self.ended();
        let now = endpoint.context.clock.now();
        tracing::debug!(endpoint = %endpoint.address, %error, "no connection");
        let theirs = error.is_the_endpoints();
        if theirs {
            endpoint.note(Answer::Failed { retry_after: None }, Instant::now());
        }
        let wait = endpoint.context.random().unit();
        let hopeless = {
            let mut ledger = endpoint.ledger();
            if theirs {
                ledger.back_off.failed(wait, now);
            } else {
                ledger.back_off.pause(now);
            }
            ledger.hopeless(now)
        };
        for waiter in hopeless {
            // One that is gone does not need to hear it.
            drop(waiter.send(Err(LeaseError::Connect(error.clone()))));
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.ended();
    }
}

impl BackOff {
    /// It was a limit of ours: it says nothing of the endpoint, and is asked about again after the least time.
    fn pause(&mut self, now: Timestamp) {
        self.until = self.until.max(now.after(BACK_OFF));
    }

    /// 100 ms, doubled with each failure in a row up to 30 s, of which a part taken by chance is waited:
    /// gateways that have lost the same endpoint must not all come back at once.
    fn failed(&mut self, part: f64, now: Timestamp) {
        let doubled = BACK_OFF.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.until = now.after(doubled.min(BACK_OFF_MOST).mul_f64(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_ours_is_a_pause_and_no_failure() {
        let at = |millis| Timestamp::after_start(Duration::from_millis(millis));
        let mut back_off = BackOff::default();
        for nth in 0..20 {
            back_off.pause(at(nth));
        }
        assert_eq!((back_off.failures, back_off.until), (0, at(119)));
        for _ in 0..20 {
            back_off.failed(1.0, at(200));
        }
        back_off.pause(at(300));
        assert_eq!((back_off.failures, back_off.until), (20, at(30_200)));
    }
}
