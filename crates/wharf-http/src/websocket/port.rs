//! [`Port`]: how a handler of our own gets at its session.

use std::fmt;

use wharf_pool::Timestamp;

use super::tap::{Line, Tap};

/// A session in the hands of its handler: dropped, the handler has left.
pub(crate) trait Port: Send + Sync + 'static {
    /// Does something in the session, with the way to its client. Without effect when there is none
    /// any more.
    fn visit(&self, visit: Visit<'_>);
}

/// What is done in a session.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&mut Tap, &mut dyn Line, Timestamp);

/// The same with an answer, if there is a session.
pub(crate) fn ask<R>(
    port: &dyn Port,
    mut visit: impl FnMut(&mut Tap, &mut dyn Line, Timestamp) -> R,
) -> Option<R> {
    let mut answer = None;
    port.visit(&mut |tap, line, now| answer = Some(visit(tap, line, now)));
    answer
}

impl fmt::Debug for dyn Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").finish_non_exhaustive()
    }
}
