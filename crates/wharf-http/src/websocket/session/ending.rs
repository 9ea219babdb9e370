//! The end of a [`Session`]: who begins it, for which reason, and with which Close.

use wharf_pool::{CloseReason, Timestamp};

use super::{Ending, Goodbye, Session, Theirs};
use crate::websocket::message::CloseCode;
use crate::websocket::violation::Violation;

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
            } else if reason == CloseReason::Pressure {
                // The client is not to come back at once.
                (1013, "short of memory")
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

    /// The session ends for this reason, if it does not for another.
    pub(super) fn end(&mut self, reason: CloseReason, now: Timestamp) {
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

    /// Whether both sides have said Close; who has broken a rule is not waited for (RFC 6455 7.1.7).
    pub(crate) fn is_over(&self) -> bool {
        self.is_mute() && (self.is_heard_out() || self.is_deaf())
    }
}

/// RFC 6455 7.4: what an endpoint may say. The others are for those who look at it from outside.
const fn may_be_said(code: u16) -> bool {
    CloseCode::new(code).is_some()
}
