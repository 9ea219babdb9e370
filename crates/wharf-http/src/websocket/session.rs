//! [`Session`]: what is known of one session, and what is to be said in it.
//!
//! The bytes of both directions go by; here it becomes what the handler may have, what we say between
//! its frames, what is waited for, and how the session ends. No clock, no IO: `now` is an argument.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use wharf_control::{Deadline, TokenBucket, Wait, earliest};
use wharf_pool::{CloseReason, Timestamp};

use super::control::{self, Control};
use super::message::CloseCode;
use super::meter::{Meter, Piece};
use super::outbound::Outbound;
use super::settings::Settings;
use super::violation::Violation;

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

/// What is waited for beyond what every session waits for: where that begins, there is a new deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits(u8);

impl Waits {
    /// For the rest of a frame or message.
    const REST: u8 = 1;
    /// For the answer to our Ping.
    const PONG: u8 = 1 << 1;

    /// Whether something is waited for that was not `before`.
    pub(crate) const fn is_more_than(self, before: Self) -> bool {
        self.0 & !before.0 != 0
    }
}

/// What of the received bytes is the handler's.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// So many from their start,
    pub(crate) in_place: usize,
    /// and these.
    pub(crate) behind: Vec<u8>,
}

/// The directions.
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

    fn is_ours(&self, pong: &Control) -> bool {
        self.beats > 0 && pong.payload().eq(self.beat())
    }

    fn count_ping(&mut self, now: Timestamp) {
        if self.pings.try_take(now).is_err() {
            self.fail(Violation::TooManyPings, now);
        }
    }
}

/// The end.
impl Session {
    /// The client has broken a rule: it is told so, and the handler hears no more of it.
    pub(crate) fn fail(&mut self, violation: Violation, now: Timestamp) {
        if self.is_deaf() {
            return;
        }
        self.say_close(Some(violation.code()), violation.why());
        self.ending = Some(Ending {
            // Who broke a rule after the end had begun was about to leave anyway.
            reason: self.reason().unwrap_or(violation.reason()),
            since: now,
            deaf: true,
        });
    }

    /// The rest of a message did not come in time.
    pub(crate) fn is_late(&mut self, now: Timestamp) {
        self.fail(Violation::MessageLate, now);
    }

    /// The session is to end for a reason of ours.
    pub(crate) fn leave(&mut self, reason: CloseReason, now: Timestamp) {
        if self.ending.is_none() {
            let (code, why) = if reason == CloseReason::SlowConsumer {
                (1008, "messages are taken too slowly")
            } else {
                (1001, "")
            };
            self.say_close(Some(code), why);
            self.end(reason, now);
        }
    }

    /// The handler sends nothing more.
    pub(crate) fn handler_left(&mut self, panicked: bool, now: Timestamp) {
        let (code, reason) = if panicked {
            (1011, CloseReason::Panic)
        } else {
            (1000, CloseReason::Completed)
        };
        // Who is asked to close is answered with the same code (RFC 6455 5.5.1).
        let code = match self.theirs {
            Theirs::Said(code) => code,
            Theirs::None => Some(code),
        };
        self.say_close(code, "");
        self.end(reason, now);
    }

    /// The handler has not answered the client's Close in time: we do. Whether that is new.
    pub(crate) fn answer_for_handler(&mut self, now: Timestamp) -> bool {
        let Theirs::Said(code) = self.theirs else {
            return false;
        };
        if self.is_mute() || self.goodbye != Goodbye::None {
            return false;
        }
        self.say_close(code, "");
        if let Some(ending) = &mut self.ending {
            ending.since = now;
        }
        true
    }

    fn say_close(&mut self, code: Option<u16>, why: &'static str) {
        if self.goodbye == Goodbye::None && !self.outbound.is_closed() {
            self.goodbye = Goodbye::Due(code.filter(|it| may_be_said(*it)), why);
        }
    }

    fn end(&mut self, reason: CloseReason, now: Timestamp) {
        self.ending.get_or_insert(Ending {
            reason,
            since: now,
            deaf: false,
        });
    }

    /// The client has closed its direction, with a Close or without.
    pub(crate) fn client_left(&mut self, now: Timestamp) {
        let reason = if self.inbound.is_amid() {
            CloseReason::PeerReset
        } else {
            CloseReason::ClientClosed
        };
        self.end(reason, now);
    }

    /// Why the session ends, if it does.
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        self.ending.map(|ending| ending.reason)
    }

    /// Since when the session ends.
    pub(crate) fn ending_since(&self) -> Option<Timestamp> {
        self.ending.map(|ending| ending.since)
    }

    /// When a message, or part of one, last went in either direction.
    pub(crate) fn active(&self) -> Timestamp {
        self.active
    }

    /// Whether both sides have said Close; who has broken a rule is not waited for (RFC 6455 7.1.7).
    pub(crate) fn is_over(&self) -> bool {
        self.is_mute() && (self.is_heard_out() || self.is_deaf())
    }

    /// What is waited for now, beyond what every session waits for.
    pub(crate) fn waits(&self) -> Waits {
        let rest = if self.inbound.is_amid() {
            Waits::REST
        } else {
            0
        };
        let asked = matches!(self.heartbeat, Heartbeat::Asked(_));
        Waits(rest | if asked { Waits::PONG } else { 0 })
    }

    /// Whether the handler has stopped in the middle of a frame: there is no place for a word of ours.
    pub(crate) fn is_cut_short(&self) -> bool {
        !self.outbound.is_at_boundary() && !self.outbound.is_closed()
    }
}

/// The waits.
impl Session {
    /// The client is to be asked whether it is there.
    pub(crate) fn ask(&mut self) {
        if self.heartbeat == Heartbeat::Quiet && self.ending.is_none() {
            self.heartbeat = Heartbeat::Due;
        }
    }

    /// It is not the client that is silent: the handler does not listen.
    pub(crate) fn excuse(&mut self, now: Timestamp) {
        self.heard(now);
        self.moved = now;
    }

    fn heard(&mut self, now: Timestamp) {
        self.heard = now;
        if let Heartbeat::Asked(_) = self.heartbeat {
            self.heartbeat = Heartbeat::Quiet;
        }
    }

    /// What is waited for that is over first. Who is `told` to finish is not told again for being idle.
    pub(crate) fn deadline(&self, told: bool) -> Option<Deadline> {
        if let Some(ending) = self.ending {
            return Deadline::new(Wait::Acknowledgement, Some(ending.since), Some(PATIENCE));
        }
        let (own, timeouts) = (self.settings.own(), self.settings.timeouts());
        let idle = (!told).then_some(self.active);
        let owed = self.inbound.is_amid().then_some(self.moved);
        let (quiet, asked) = match self.heartbeat {
            Heartbeat::Quiet => (Some(self.heard), None),
            Heartbeat::Due => (None, None),
            Heartbeat::Asked(since) => (None, Some(since)),
        };
        earliest([
            Deadline::new(Wait::NextRequest, idle, Some(timeouts.keep_alive)),
            Deadline::new(Wait::Peer, owed, timeouts.stream_idle),
            Deadline::new(Wait::Sign, quiet, own.ping_interval),
            Deadline::new(Wait::Pong, asked, Some(own.pong_timeout)),
        ])
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

/// RFC 6455 7.4: what an endpoint may say. The others are for those who look at it from outside.
const fn may_be_said(code: u16) -> bool {
    CloseCode::new(code).is_some()
}

#[cfg(test)]
mod tests;
