//! [`Driver`]: serves one connection to its end: run, take out of use, grace, cut.

mod streams;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, sleep_until};
use wharf_control::{Timestamp, jittered};
use wharf_pool::{Clock, CloseReason, Command, ConnectionHandle, Phase};

pub(crate) use streams::Streams;

use crate::body::SendBody;
use crate::connection::UpstreamConnection;
use crate::endpoint::Endpoint;
use crate::transport::Wire;

/// How much of `max_age` chance adds or takes.
const AGE_JITTER: f64 = 0.1;

/// When to look again at a connection that is due and that somebody has.
const AGAIN: Duration = Duration::from_millis(20);

type Io = TokioIo<Wire>;

/// Who serves one connection to its end, and the only one who orders it.
pub(crate) struct Driver {
    endpoint: Arc<Endpoint>,
    handle: ConnectionHandle<UpstreamConnection>,
    clock: Arc<Clock>,
}

impl Driver {
    pub(crate) fn new(
        endpoint: Arc<Endpoint>,
        handle: ConnectionHandle<UpstreamConnection>,
    ) -> Self {
        let clock = endpoint.context.pool.clock();
        Self {
            endpoint,
            handle,
            clock,
        }
    }

    /// Serves a connection of HTTP/1. After an upgrade the bytes are somebody else's.
    pub(crate) async fn http1(self, connection: http1::Connection<Io, SendBody>) {
        let mut connection = pin!(connection.with_upgrades());
        let (id, mine) = (self.handle.id(), self.handle.connection());
        let running = poll_fn(|cx| {
            let polled = connection.as_mut().poll(cx);
            // The codec becomes ready while it is polled, and nobody else would hear of it.
            if mine.is_returning() && polled.is_pending() {
                self.endpoint.returned(id);
            }
            polled
        });
        if let Some(ended) = self.until_due(running).await {
            self.conclude(&ended);
        }
    }

    /// Serves a connection of HTTP/2. Its bytes are read and written by a task of the codec's own.
    pub(crate) async fn http2(
        self,
        mut connection: http2::Connection<Io, SendBody, Streams>,
        streams: Streams,
    ) {
        let running = poll_fn(|cx| {
            let polled = Pin::new(&mut connection).poll(cx);
            let most = u32::try_from(connection.current_max_send_streams()).unwrap_or(u32::MAX);
            self.handle.connection().set_max_streams(most);
            polled
        });
        let ended = self.until_due(running).await;
        // It keeps the codec from saying goodbye.
        drop(connection);
        let rest = match &ended {
            Some(ended) => {
                self.conclude(ended);
                self.endpoint.retire(self.handle.id());
                // What is in flight goes on: the endpoint has only said that it takes no more.
                let gone = self.handle.connection().gone.cancelled();
                self.until_due(gone).await
            }
            None => None,
        };
        if rest.is_none() {
            streams.cut();
        }
    }

    /// Runs until the end, or until it was due and the grace is over.
    async fn until_due<T>(&self, running: impl Future<Output = T>) -> Option<T> {
        let mut running = pin!(running);
        let told = tokio::select! {
            biased;
            ended = running.as_mut() => return Some(ended),
            told = self.leaves() => told,
        };
        self.handle.conclude(told.reason());
        self.endpoint.retire(self.handle.id());
        self.handle.closing();
        if matches!(told, Command::Abort(_)) {
            return None;
        }
        let grace = self.endpoint.context.config().common.max_age_grace;
        tokio::select! {
            biased;
            ended = running => Some(ended),
            () = self.handle.control().aborted() => None,
            () = sleep_until(Instant::now() + grace) => None,
        }
    }

    /// Waits until the connection is to leave: told to, or idle or old for too long.
    async fn leaves(&self) -> Command {
        loop {
            if let Some(command) = self.handle.told_or_due(|| self.due().0).await {
                return command;
            }
            let reason = self.due().1;
            if reason == CloseReason::MaxAge {
                tokio::select! {
                    biased;
                    // A successor may be long in coming.
                    command = self.handle.control().told() => return command,
                    () = self.endpoint.replace() => {}
                }
            }
            if reason != CloseReason::Idle || self.endpoint.retire_idle(self.handle.id()) {
                return Command::Finish(reason);
            }
            // Somebody has taken it meanwhile, and may be long in saying so: a health check is no request.
            sleep(AGAIN).await;
        }
    }

    /// When the connection is due, and for which reason.
    fn due(&self) -> (Timestamp, CloseReason) {
        let pool = &self.endpoint.context.pool;
        let (max_age, limit) =
            pool.with_config(|config| (config.common.max_age, config.protocol.idle_timeout));
        let old = max_age.map_or(Timestamp::MAX, |age| {
            let age = jittered(age, AGE_JITTER, self.handle.id().as_u64());
            self.handle.opened().after(age)
        });
        let connection = self.handle.connection();
        let limit = connection.idle_timeout(limit);
        // Nobody says when it becomes idle: while it is in use it is looked again after the same time.
        let since = if self.handle.phase() == Phase::Idle {
            self.handle.since()
        } else {
            self.clock.now()
        };
        let idle = since.after(limit);
        if idle < old {
            (idle, CloseReason::Idle)
        } else {
            (old, CloseReason::MaxAge)
        }
    }

    fn conclude(&self, ended: &hyper::Result<()>) {
        let reason = match ended {
            Ok(()) if self.handle.phase() == Phase::Active => CloseReason::Completed,
            Ok(()) => CloseReason::ClientClosed,
            Err(error) if error.is_parse() => CloseReason::ProtocolError,
            Err(error) if error.is_timeout() => CloseReason::PingTimeout,
            Err(_) => CloseReason::PeerReset,
        };
        self.handle.conclude(reason);
    }
}
