//! [`earliest`]: of everything that a connection waits for, what is over first.

use std::time::Duration;

use crate::Timestamp;

/// What a connection waits for. Of two that end at the same time the greater is the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// The next request, with nothing in flight.
    NextRequest,
    /// The moment at which an idle connection gives up what it can do without.
    Rest,
    /// The end of the first request head, since the accept.
    FirstRequest,
    /// The end of a request head, since its first byte.
    Head,
    /// The peer's agreement to what we have announced.
    Acknowledgement,
    /// Anything at all from the peer, before it is asked whether it is there.
    Sign,
    /// The answer to that question.
    Pong,
    /// Our application's response.
    Response,
    /// An average that the peer's request body must not fall under.
    BodyRate,
    /// An average that the peer's taking of the response must not fall under.
    ReadRate,
    /// Bytes from the peer, or room at it, since the last.
    Peer,
}

/// A wait, and when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers build it")]
pub struct Deadline {
    /// When it is over.
    pub at: Timestamp,
    /// What is waited for.
    pub wait: Wait,
}

impl Deadline {
    /// `wait` may take `limit`, counted from `since`; `None` if it does not wait or has no limit.
    pub fn new(wait: Wait, since: Option<Timestamp>, limit: Option<Duration>) -> Option<Self> {
        Some(Self {
            at: since?.after(limit?),
            wait,
        })
    }

    /// `wait` is over at `at`; `None` if that is never.
    pub fn at(wait: Wait, at: Timestamp) -> Option<Self> {
        (at != Timestamp::MAX).then_some(Self { at, wait })
    }

    /// Whether it has passed.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.at <= now
    }
}

/// The deadline that passes first.
pub fn earliest(deadlines: impl IntoIterator<Item = Option<Deadline>>) -> Option<Deadline> {
    deadlines
        .into_iter()
        .flatten()
        .min_by_key(|deadline| (deadline.at, std::cmp::Reverse(deadline.wait)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(s: u64) -> Timestamp {
        Timestamp::after_start(SECOND * u32::try_from(s).unwrap())
    }

    #[test]
    fn the_first_to_pass_is_chosen_and_of_two_at_once_the_more_telling() {
        let head = Deadline::new(Wait::Head, Some(at(5)), Some(SECOND));
        let idle = Deadline::new(Wait::NextRequest, Some(at(0)), Some(6 * SECOND));
        let peer = Deadline::new(Wait::Peer, Some(at(1)), Some(9 * SECOND));
        assert_eq!(earliest([idle, head, peer]), head);
        assert_eq!(earliest([idle, None, peer]), idle);
        assert!(head.unwrap().is_due(at(6)) && !head.unwrap().is_due(at(5)));
    }

    #[test]
    fn what_does_not_wait_or_has_no_limit_is_never_due() {
        assert_eq!(Deadline::new(Wait::Peer, None, Some(SECOND)), None);
        assert_eq!(Deadline::new(Wait::Peer, Some(at(1)), None), None);
        assert_eq!(Deadline::at(Wait::BodyRate, Timestamp::MAX), None);
        assert_eq!(earliest([None, None]), None);
    }
}
