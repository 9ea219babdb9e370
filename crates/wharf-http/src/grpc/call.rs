//! [`Call`]: one call, as all who take part in it see it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use super::calls::Calls;
use super::code::Code;
use super::limits::MessageLimits;
use super::status::Status;

/// One call. Cheap to clone.
///
/// [`Supervised`](super::Supervised) makes one for each call, or takes the one that it finds among
/// the request's extensions: so whoever serves the connection sets the limits, ends the call at its
/// deadline, and learns how it ended.
#[derive(Clone, Debug)]
pub struct Call {
    limits: MessageLimits,
    calls: Option<Calls>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    received: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cut: Option<Status>,
    /// Who makes the answer: the handler's future, then its body.
    answering: Option<Waker>,
    ended: Option<Code>,
}

impl Call {
    /// A call with these limits that is counted in `calls` when it ends.
    pub fn new(limits: MessageLimits, calls: Option<Calls>) -> Self {
        let shared = Shared {
            received: AtomicU64::new(0),
            state: Mutex::default(),
        };
        Self {
            limits,
            calls,
            shared: Arc::new(shared),
        }
    }

    /// The same call under further limits, the smaller of which rule, and counted in `calls` if
    /// there are any.
    pub(super) fn under(mut self, limits: Option<MessageLimits>, calls: Option<&Calls>) -> Self {
        if let Some(limits) = limits {
            self.limits = self.limits.smaller(limits);
        }
        if let Some(calls) = calls {
            self.calls = Some(calls.clone());
        }
        self
    }

    /// How long its messages may be.
    pub fn limits(&self) -> MessageLimits {
        self.limits
    }

    /// Ends the call with `status`, whatever its handler does: before the head of the answer is
    /// there as a refusal, after that as its trailers. Says whether that is how it ends: `false` if
    /// its end was decided before.
    pub fn cut(&self, status: Status) -> bool {
        let answering = {
            let mut state = self.state();
            if state.ended.is_some() || state.cut.is_some() {
                return false;
            }
            state.cut = Some(status);
            state.answering.take()
        };
        if let Some(waker) = answering {
            waker.wake();
        }
        true
    }

    /// How it ended; `None` as long as that is not decided.
    pub fn code(&self) -> Option<Code> {
        self.state().ended
    }

    pub(super) fn calls(&self) -> Option<&Calls> {
        self.calls.as_ref()
    }

    /// Whether it was cut, and not settled before.
    pub(super) fn is_cut(&self) -> bool {
        let state = self.state();
        state.cut.is_some() && state.ended.is_none()
    }

    /// # Errors
    ///
    /// What it was cut with.
    pub(super) fn unless_cut(&self) -> Result<(), Status> {
        self.state().cut.clone().map_or(Ok(()), Err)
    }

    /// What it was cut with; if it was not, the task of `cx` is woken when it is.
    pub(super) fn poll_cut(&self, cx: &Context<'_>) -> Option<Status> {
        let mut state = self.state();
        if state.cut.is_some() {
            return state.cut.clone();
        }
        match &mut state.answering {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        None
    }

    pub(super) fn received(&self, messages: u64) {
        self.shared.received.fetch_add(messages, Ordering::Relaxed);
    }

    pub(super) fn messages_received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }

    /// Decides that it ends with `code`, for good.
    ///
    /// # Errors
    ///
    /// What it was cut with, if that was before.
    pub(super) fn settle(&self, code: Code) -> Result<(), Status> {
        let mut state = self.state();
        match (&state.ended, &state.cut) {
            (None, Some(status)) => return Err(status.clone()),
            (None, None) => state.ended = Some(code),
            (Some(_), _) => {}
        }
        Ok(())
    }

    /// It is over: how it ended, if nobody has decided that before.
    pub(super) fn end(&self) -> Code {
        let mut state = self.state();
        let cut = state.cut.as_ref().map_or(Code::Cancelled, Status::code);
        *state.ended.get_or_insert(cut)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call::new(MessageLimits::default(), None)
    }

    #[test]
    fn the_first_cut_counts() {
        let call = call();
        assert!(call.cut(Status::new(Code::ResourceExhausted, "too long")));
        assert!(!call.cut(Status::new(Code::DeadlineExceeded, "late")));
        assert_eq!(call.settle(Code::Ok).unwrap_err().message(), "too long");
        assert_eq!(call.end(), Code::ResourceExhausted);
    }

    #[test]
    fn a_call_whose_end_is_decided_is_not_cut() {
        let call = call();
        assert_eq!(call.code(), None);
        call.settle(Code::Ok).unwrap();
        assert!(!call.cut(Status::new(Code::DeadlineExceeded, "late")));
        assert_eq!(call.code(), Some(Code::Ok));
    }

    #[test]
    fn an_answer_that_did_not_come_to_its_end_was_cancelled() {
        assert_eq!(call().end(), Code::Cancelled);
    }
}
