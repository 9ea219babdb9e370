//! [`Answering`]: one request of an HTTP/1 connection, from its head to the last byte of its answer.

use std::task::Waker;

use http::{HeaderMap, StatusCode};
use wharf_pool::{CloseReason, ConnId, ConnectionHandle, Outcome};

use super::SharedWire;
use super::wire::Upgraded;
use crate::connection::HttpConnection;
use crate::flight::Flight;
use crate::transport::Transport;
use crate::websocket::Reserved;

/// One request in flight. Its drop is the end of the request, however that comes about.
pub(crate) struct Answering<T: Transport> {
    wire: SharedWire<T>,
    flight: Flight,
}

impl<T: Transport> Answering<T> {
    pub(crate) fn begin(wire: SharedWire<T>, flight: Flight) -> Self {
        Self { wire, flight }
    }

    pub(crate) fn id(&self) -> ConnId {
        self.handle().id()
    }

    pub(crate) fn handle(&self) -> &ConnectionHandle<HttpConnection> {
        &self.flight.link().handle
    }

    pub(crate) fn wire(&self) -> &SharedWire<T> {
        &self.wire
    }

    /// Whether the handler's time is over.
    pub(crate) fn is_expired(&self) -> bool {
        self.wire.lock().exchange.is_expired()
    }

    /// The head of the answer is there; `last` is whether `max_requests` makes it the last. Returns why it
    /// is the last of its connection, if it is.
    pub(crate) fn responded(&mut self, status: StatusCode, last: bool) -> Option<CloseReason> {
        self.flight.responded(status);
        let upgrade = status == StatusCode::SWITCHING_PROTOCOLS;
        let guard = upgrade.then(|| self.flight.take_guard()).flatten();
        let upgraded = guard.map(|guard| Upgraded {
            guard,
            outcome: Outcome::of_status(status.as_u16()),
            took: self.flight.elapsed(),
        });
        let farewell = self.flight.link().farewell(last);
        let (farewell, reader) = {
            let mut wire = self.wire.lock();
            let expired = wire.exchange.is_expired();
            let farewell = expired.then_some(CloseReason::RequestTimeout).or(farewell);
            let farewell = farewell.filter(|_| !upgrade);
            if let Some(reason) = farewell {
                wire.fate.said_close.get_or_insert(reason);
            }
            (farewell, wire.answer_begins(upgraded))
        };
        reader.into_iter().for_each(Waker::wake);
        farewell
    }

    /// The head of the answer is there, and opens a WebSocket session: with it the connection moves,
    /// and the request ends where it was made.
    pub(crate) fn opened(&mut self, place: Reserved, fields: &HeaderMap) {
        self.flight.responded(StatusCode::SWITCHING_PROTOCOLS);
        let (pool, settings) = place.begin(fields);
        let upgraded = Upgraded {
            guard: self.handle().begin_request(&pool),
            outcome: Outcome::Success,
            took: self.flight.elapsed(),
        };
        let reader = self.wire.lock().session_begins(upgraded, settings);
        reader.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn refused(&mut self) {
        self.flight.refused();
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.flight.sent(bytes);
    }

    pub(crate) fn complete(&mut self) {
        self.flight.complete();
    }
}

impl<T: Transport> Drop for Answering<T> {
    fn drop(&mut self) {
        let broken = {
            let mut wire = self.wire.lock();
            let now = self.flight.link().shared.clock.now();
            wire.exchange.answered(now);
            wire.fate.is_broken()
        };
        self.flight.end(broken);
    }
}
