//! [`Attempt`]: one connection on its way into being.

use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use wharf_control::Timestamp;

use super::ledger::BackOff;
use super::{Answer, Endpoint, LeaseError, Presence, Sender};
use crate::connect::{self, ConnectError, Connected, Version};
use crate::drive::{Driver, Streams};
use crate::transport::Wire;

/// One connection on its way into being: counted as connecting until its socket is counted as open.
pub(crate) struct Attempt {
    endpoint: Arc<Endpoint>,
    ended: bool,
}

/// The least time between two attempts that nobody waits for, after a failure.
const BACK_OFF: Duration = Duration::from_millis(100);

/// The longest.
const BACK_OFF_MOST: Duration = Duration::from_secs(30);

impl Attempt {
    /// Begins one that the ledger has counted.
    pub(crate) fn begin(endpoint: Arc<Endpoint>) {
        let context = Arc::clone(&endpoint.context);
        let attempt = Self {
            endpoint,
            ended: false,
        };
        let closing = context.closing.clone();
        context.spawn(async move {
            tokio::select! {
                () = closing.cancelled() => {}
                () = attempt.run() => {}
            }
        });
    }

    async fn run(mut self) {
        let endpoint = Arc::clone(&self.endpoint);
        let settings = endpoint.context.config();
        let protocol = &settings.protocol;
        let taking = connect::slot(&endpoint.context.pool, &endpoint.address);
        let Ok(slot) = timeout(protocol.wait_timeout, taking).await else {
            return self.fail(&ConnectError::Limit);
        };
        let limit = protocol.connect_timeout;
        let connecting = endpoint.context.connector.connect(&endpoint.address, slot);
        let made = match timeout(limit, connecting).await {
            Ok(Ok(connected)) => self.enter(connected).await,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ConnectError::Timeout(limit)),
        };
        match made {
            Ok(()) => endpoint.settle(),
            Err(error) => self.fail(&error),
        }
    }

    /// Hands the bytes to a codec, and the codec to its driver.
    async fn enter(&mut self, connected: Connected) -> Result<(), ConnectError> {
        let Connected { io, version } = connected;
        let handle = io.handle().clone();
        let presence = Presence::new(Arc::clone(&self.endpoint), &handle);
        self.ended();
        let io = TokioIo::new(Wire::new(io, presence));
        let driver = Driver::new(Arc::clone(&self.endpoint), handle.clone());
        let failed = |error| ConnectError::Codec(Arc::new(error));
        let settings = self.endpoint.context.config();
        let context = &self.endpoint.context;
        let sender = match version {
            Version::Http1 => {
                let head = settings.protocol.max_response_header_size.get();
                let (mut sender, connection) = http1::Builder::new()
                    .max_buf_size(usize::try_from(head).unwrap_or(usize::MAX).max(8192))
                    .handshake(io)
                    .await
                    .map_err(failed)?;
                context.spawn(driver.http1(connection));
                // The driver has looked at it once: an endpoint that closes at once is found here.
                sender.ready().await.map_err(failed)?;
                Sender::Http1(sender)
            }
            Version::Http2 => {
                let streams = Streams::new(context.tasks.clone());
                let (sender, connection) = http2::Builder::new(streams.clone())
                    .handshake(io)
                    .await
                    .map_err(failed)?;
                context.spawn(driver.http2(connection, streams));
                Sender::Http2(sender)
            }
        };
        handle.greeted();
        self.endpoint.ledger().arrive(sender, handle);
        Ok(())
    }

    /// The socket is open, and counted as such.
    fn ended(&mut self) {
        self.ended = true;
        let mut ledger = self.endpoint.ledger();
        ledger.connecting = ledger.connecting.saturating_sub(1);
    }

    fn fail(&mut self, error: &ConnectError) {
        let endpoint = Arc::clone(&self.endpoint);
        if !self.ended {
            self.ended();
        }
        let now = endpoint.context.clock.now();
        tracing::debug!(endpoint = %endpoint.address, %error, "no connection");
        if error.is_the_endpoints() {
            endpoint.note(Answer::Failed { retry_after: None });
        }
        let wait = endpoint.context.random().unit();
        let hopeless = {
            let mut ledger = endpoint.ledger();
            ledger.back_off.failed(wait, now);
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
        if !self.ended {
            self.ended();
        }
    }
}

impl BackOff {
    /// 100 ms, doubled with each failure in a row up to 30 s, of which a part taken by chance is waited:
    /// gateways that have lost the same endpoint must not all come back at once.
    fn failed(&mut self, part: f64, now: Timestamp) {
        let doubled = BACK_OFF.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.until = now.after(doubled.min(BACK_OFF_MOST).mul_f64(part));
    }
}
