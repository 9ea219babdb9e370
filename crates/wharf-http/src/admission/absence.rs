//! [`Absence`]: when a handler waits for its peer, and its place is free.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wharf_control::Timestamp;

use super::gate::Gate;

/// When a handler waits for its peer, and its place is free meanwhile: else whoever sends slowly would hold the places of all others.
pub(super) struct Absence {
    gate: Arc<Gate>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    since: Option<Timestamp>,
    total: Duration,
    over: bool,
}

/// What waits for the peer on a handler's behalf: the request's body.
pub(crate) struct Absent(Arc<Absence>);

impl Absence {
    pub(super) fn of(gate: Arc<Gate>) -> Arc<Self> {
        Arc::new(Self {
            gate,
            state: Mutex::default(),
        })
    }

    /// Ends it for good; returns how long it was. The place is counted again, for whoever gives it back.
    pub(super) fn end(&self) -> Duration {
        let mut state = self.state();
        state.over = true;
        self.come_back(&mut state);
        state.total
    }

    fn leave(&self) {
        let mut state = self.state();
        if state.over || state.since.is_some() {
            return;
        }
        state.since = Some(self.gate.now());
        drop(state);
        self.gate.give_back();
    }

    /// Whoever has begun is let go on: there may be more at work than the limit says.
    fn come_back(&self, state: &mut State) {
        if let Some(since) = state.since.take() {
            state.total += self.gate.now() - since;
            self.gate.count_again();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Absent {
    pub(super) const fn of(absence: Arc<Absence>) -> Self {
        Self(absence)
    }

    /// The peer owes something that the handler asked for, or not.
    pub(crate) fn waits(&self, waits: bool) {
        if waits {
            self.0.leave();
        } else {
            self.0.come_back(&mut self.0.state());
        }
    }
}

impl Drop for Absent {
    /// Nothing is asked for any more.
    fn drop(&mut self) {
        self.waits(false);
    }
}

impl fmt::Debug for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Absent")
    }
}
