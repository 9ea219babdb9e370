//! What is ours to say in a [`Session`], between the handler's frames: Pongs, a Close, a Ping.

use std::collections::VecDeque;

use wharf_pool::Timestamp;

use super::{Goodbye, Heartbeat, Session, Waiting};
use crate::websocket::control::{self, Control};
use crate::websocket::violation::Violation;

impl Session {
    /// Whether there is something for us to say.
    pub(crate) fn has_word(&self) -> bool {
        !self.pongs.is_empty()
            || self.heartbeat == Heartbeat::Due
            || matches!(self.goodbye, Goodbye::Due(..))
    }

    /// What we say now, if there is something and a place for it. A Close is the last: it waits for
    /// what else `waits`.
    pub(crate) fn next_word(&mut self, waits: Waiting, now: Timestamp) -> Option<Vec<u8>> {
        if self.is_mute() {
            self.pongs = VecDeque::new();
            self.heartbeat = Heartbeat::Quiet;
            if let Goodbye::Due(..) = self.goodbye {
                self.goodbye = Goodbye::None;
            }
            return None;
        }
        if !self.outbound.is_at_boundary() {
            return None;
        }
        if let Some(ping) = self.pongs.pop_front() {
            if self.pongs.is_empty() {
                // Given back, not kept: most sessions hear no Ping for minutes.
                self.pongs = VecDeque::new();
            }
            return Some(control::pong(&ping));
        }
        if let Goodbye::Due(code, why) = self.goodbye
            && waits == Waiting::Nothing
        {
            self.goodbye = Goodbye::Said;
            return Some(control::close(code, why));
        }
        if self.heartbeat == Heartbeat::Due {
            self.heartbeat = Heartbeat::Asked(now);
            self.beats = self.beats.wrapping_add(1);
            return Some(control::ping(self.beat()));
        }
        None
    }

    /// The payload of our latest Ping.
    fn beat(&self) -> [u8; 8] {
        let [a, b, c, d] = self.beats.to_be_bytes();
        [b'w', b'h', b'r', b'f', a, b, c, d]
    }

    /// Whether this answers our latest Ping.
    pub(super) fn is_ours(&self, pong: &Control) -> bool {
        self.beats > 0 && pong.payload().eq(self.beat())
    }

    /// The client has sent a Ping, or a Pong that nobody asked for.
    pub(super) fn count_ping(&mut self, now: Timestamp) {
        if self.pings.try_take(now).is_err() {
            self.fail(Violation::TooManyPings, now);
        }
    }
}
