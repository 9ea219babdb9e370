//! [`Permit`]: the right of one request to be worked on.

use std::fmt;
use std::sync::Arc;

use wharf_control::Timestamp;

use super::absence::Absence;
use super::gate::Gate;

/// The right of one request to be worked on. Dropped, the place is free again.
#[must_use = "work whose permit is dropped is over"]
pub struct Permit {
    place: Place,
    begun: Timestamp,
    absence: Option<Arc<Absence>>,
}

/// One place under the limit.
pub(super) struct Place {
    gate: Arc<Gate>,
}

impl Place {
    /// A place that has been counted.
    pub(super) const fn of(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.give_back();
    }
}

impl Permit {
    pub(super) const fn new(place: Place, begun: Timestamp) -> Self {
        Self {
            place,
            begun,
            absence: None,
        }
    }

    pub(super) const fn gate(&self) -> &Arc<Gate> {
        &self.place.gate
    }

    pub(super) const fn begun(&self) -> Timestamp {
        self.begun
    }

    /// From now on the place is free while the work waits for something that is not ours.
    pub(super) fn may_be_absent(&mut self) -> Arc<Absence> {
        let absence = Absence::of(Arc::clone(self.gate()));
        Arc::clone(self.absence.get_or_insert(absence))
    }

    /// The work is done; a failure is one by overload (it was late, or something that it needs is overloaded). Without this nothing is learnt from
    /// it: whoever gave up says nothing about how long the work takes.
    pub fn done(self, success: bool) {
        let now = self.gate().now();
        let absent = self.absence.as_ref().map(|it| it.end());
        let begun = self.begun.after(absent.unwrap_or_default());
        let gate = Arc::clone(self.gate());
        drop(self);
        gate.answered(begun.min(now), success, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(absence) = &self.absence {
            absence.end();
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}
