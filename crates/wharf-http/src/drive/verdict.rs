//! What becomes of a connection when something that it waits for is over.

use wharf_control::Wait;
use wharf_pool::CloseReason;

use super::{Answer, End, Judgement};
use crate::http1::{Violation, Wire};
use crate::transport::Transport;

/// The verdict on a wait that is over. A peer that has sent something of its request, and nothing of
/// whose answer is on the way, is told 408; to others there is nothing to say.
pub(super) fn on<T: Transport>(wait: Wait, wire: &mut Wire<T>) -> Judgement {
    let tell = |why, reason, wire: &Wire<T>| {
        if wire.exchange.is_responding() {
            End::Cut(reason)
        } else {
            End::Answer(Answer {
                status: 408,
                why,
                reason,
            })
        }
    };
    Judgement::End(match wait {
        Wait::NextRequest => End::HalfClose(CloseReason::Idle),
        Wait::FirstRequest if wire.exchange.in_head() => tell(
            "the request came too late",
            CloseReason::ConnectionTimeout,
            wire,
        ),
        Wait::FirstRequest => End::HalfClose(CloseReason::ConnectionTimeout),
        Wait::Head => tell(
            "the request head was not complete in time",
            CloseReason::HeadersTimeout,
            wire,
        ),
        Wait::Response => {
            // The handler is polled once more, and its answer is 504.
            if wire.exchange.expire() {
                return Judgement::PollAgain;
            }
            return Judgement::Wait;
        }
        Wait::BodyRate => tell(
            "the request body came too slowly",
            CloseReason::SlowRequest,
            wire,
        ),
        Wait::ReadRate => End::Cut(CloseReason::SlowReader),
        Wait::Peer if wire.exchange.is_writing() => End::Cut(CloseReason::StreamIdle),
        Wait::Peer => tell(
            "the request body did not come",
            CloseReason::StreamIdle,
            wire,
        ),
        // A wait that this protocol does not know: it cannot have been asked for.
        _ => return Judgement::Wait,
    })
}

/// The end that a broken rule brings: the peer is told, unless an answer is on the way already or
/// has been given.
pub(super) fn on_violation<T: Transport>(violation: Violation, wire: &Wire<T>) -> End {
    let answer = Answer::from(violation);
    if wire.exchange.is_responding() {
        End::Cut(answer.reason)
    } else if wire.exchange.in_body() && wire.exchange.outstanding() == 0 {
        End::HalfClose(answer.reason)
    } else {
        End::Answer(answer)
    }
}
