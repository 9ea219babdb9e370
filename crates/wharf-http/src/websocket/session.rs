//! [`Session`]: what is known of one session, and what is to be said in it.
//!
//! The bytes of both directions go by; here it becomes what the handler may have, what we say between
//! its frames, what is waited for, and how the session ends. No clock, no IO: `now` is an argument.

mod ending;
mod waits;
mod words;

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use wharf_control::TokenBucket;
use wharf_pool::{CloseReason, Timestamp};

use super::control::Control;
use super::meter::{Meter, Piece};
use super::outbound::Outbound;
use super::settings::Settings;

pub(crate) use waits::Waits;

/// How long a client may take to answer our Close, and a handler to answer the client's.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// Pings and Pongs a second, in bursts of one second's worth: those who ask more often want to keep
/// us busy, whatever they measure.
const PINGS: NonZeroU32 = NonZeroU32::new(100).expect("it is not zero");

/// So many Pings wait for their answers; of more only the latest do (RFC 6455 5.5.3).
const MOST_PONGS: usize = 16;

/// One session, from its handshake to its end.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) settings: Settings,
    inbound: Meter,
    outbound: Outbound,
    /// When the last byte came.
    heard: Timestamp,
    /// When part of a message came.
    moved: Timestamp,
    /// When a message, or part of one, went in either direction.
    active: Timestamp,
    heartbeat: Heartbeat,
    beats: u32,
    pings: TokenBucket,
    /// The client's latest Pings, while they are not answered.
    pongs: VecDeque<Box<Control>>,
    goodbye: Goodbye,
    theirs: Theirs,
    ending: Option<Ending>,
}

/// Whether the client has been asked if it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heartbeat {
    Quiet,
    /// As soon as there is a place for it.
    Due,
    /// And has not answered since.
    Asked(Timestamp),
}

/// Our own Close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goodbye {
    None,
    /// As soon as there is a place for it.
    Due(Option<u16>, &'static str),
    Said,
}

/// The client's Close, with its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theirs {
    None,
    Said(Option<u16>),
}

/// A session that ends: the first cause holds.
#[derive(Clone, Copy, Debug)]
struct Ending {
    reason: CloseReason,
    since: Timestamp,
    /// Whether the handler hears no more of the client.
    deaf: bool,
}

/// What of the handler's waits to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Nothing,
    Messages,
}

/// What of the received bytes is the handler's.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// So many from their start,
    pub(crate) in_place: usize,
    /// and these.
    pub(crate) behind: Vec<u8>,
}

impl Session {
    pub(crate) fn new(settings: Settings, now: Timestamp) -> Self {
        Self {
            settings,
            inbound: Meter::default(),
            outbound: Outbound::new(),
            heard: now,
            moved: now,
            active: now,
            heartbeat: Heartbeat::Quiet,
            beats: 0,
            pings: TokenBucket::new(PINGS, now),
            pongs: VecDeque::new(),
            goodbye: Goodbye::None,
            theirs: Theirs::None,
            ending: None,
        }
    }

    /// The same on a stream of its own, on which nothing but frames are sent.
    pub(crate) fn on_stream(settings: Settings, now: Timestamp) -> Self {
        Self {
            outbound: Outbound::opened(),
            ..Self::new(settings, now)
        }
    }

    /// The client has sent these bytes.
    pub(crate) fn received(&mut self, bytes: &[u8], now: Timestamp) -> Passed {
        self.heard(now);
        let mut passed = Passed::default();
        let limits = self.settings.limits();
        let mut at = 0;
        while at < bytes.len() && !self.is_deaf() {
            let fed = match self.inbound.feed(&limits, &bytes[at..]) {
                Ok(fed) => fed,
                Err(violation) => {
                    self.fail(violation, now);
                    break;
                }
            };
            let end = at + fed.consumed;
            match fed.piece {
                Piece::Handler => {
                    self.moved = now;
                    self.active = now;
                    passed.push(bytes, at, end);
                }
                Piece::Closed(code) => {
                    passed.push(bytes, at, end);
                    self.theirs = Theirs::Said(code);
                    self.end(CloseReason::ClientClosed, now);
                }
                Piece::Ping(ping) => {
                    self.count_ping(now);
                    if self.pongs.len() == MOST_PONGS {
                        self.pongs.pop_front();
                    }
                    self.pongs.push_back(ping);
                }
                Piece::Pong(pong) if !self.is_ours(&pong) => {
                    self.count_ping(now);
                    passed.behind.extend(pong.as_sent_pong());
                }
                Piece::Pong(_) | Piece::Kept | Piece::After => {}
            }
            at = end;
        }
        passed
    }

    /// The handler has sent these bytes.
    pub(crate) fn sent(&mut self, bytes: &[u8], now: Timestamp) {
        self.outbound.sent(bytes);
        self.active = now;
        if self.outbound.is_closed() {
            self.end(CloseReason::Completed, now);
        }
    }

    /// How many of the handler's bytes may be sent before we say something.
    pub(crate) fn room(&self, bytes: &[u8]) -> usize {
        if self.has_word() {
            self.outbound.up_to_boundary(bytes)
        } else {
            bytes.len()
        }
    }

    /// A handler of our own has sent something.
    pub(crate) fn said(&mut self, now: Timestamp) {
        self.active = now;
    }

    /// A handler of our own has said Close.
    pub(crate) fn said_close(&mut self, now: Timestamp) {
        self.outbound.close();
        self.end(CloseReason::Completed, now);
    }

    /// Whether something of ours, or a frame of a handler of our own, can be said now.
    pub(crate) fn is_at_boundary(&self) -> bool {
        self.outbound.is_at_boundary()
    }

    /// Whether the handler has stopped in the middle of a frame: there is no place for a word of ours.
    pub(crate) fn is_cut_short(&self) -> bool {
        !self.outbound.is_at_boundary() && !self.outbound.is_closed()
    }

    /// When a message, or part of one, last went in either direction.
    pub(crate) fn active(&self) -> Timestamp {
        self.active
    }

    /// Whether the client is left at once, and nothing else is said to it.
    pub(crate) fn is_hasty(&self) -> bool {
        self.ending
            .is_some_and(|ending| ending.deaf || ending.reason == CloseReason::SlowConsumer)
    }

    /// Whether what the handler sends is thrown away: nothing follows a Close.
    pub(crate) fn is_mute(&self) -> bool {
        self.goodbye == Goodbye::Said || self.outbound.is_closed()
    }

    /// Whether the handler hears no more of the client.
    pub(crate) fn is_deaf(&self) -> bool {
        self.ending.is_some_and(|ending| ending.deaf)
    }

    /// Whether the client has said its last.
    pub(crate) fn is_heard_out(&self) -> bool {
        self.theirs != Theirs::None
    }

    /// Whether we have said Close, and the handler does not know.
    pub(crate) fn has_said_goodbye(&self) -> bool {
        self.goodbye == Goodbye::Said
    }
}

impl Passed {
    fn push(&mut self, bytes: &[u8], from: usize, to: usize) {
        if self.behind.is_empty() && self.in_place == from {
            self.in_place = to;
        } else {
            self.behind.extend_from_slice(&bytes[from..to]);
        }
    }
}

#[cfg(test)]
mod tests;
