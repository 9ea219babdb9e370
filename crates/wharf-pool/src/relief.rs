//! [`Relieved`]: which connections are given up so that memory comes free.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use wharf_control::{Rung, Standing};

use crate::CloseReason;
use crate::config::CommonSettings;
use crate::connection::Connection;
use crate::entry::Entry;
use crate::handle::ConnectionHandle;
use crate::reclaim::standing;
use crate::shared::Shared;

/// With fewer requests in flight a connection is not asked to finish: it costs no more than another.
const MANY: u32 = 8;

/// One of so many of those that have many is asked to finish with each look,
const ASKED: usize = 16;

/// and one of so many of those that have any is cut.
const CUT: usize = 8;

/// What was done for want of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relieved {
    /// Connections that were idle, or had never asked for anything, and were told to end.
    pub left: usize,
    /// Those that were asked to finish what is in flight, and then to end.
    pub asked: usize,
    /// Those that were cut.
    pub cut: usize,
}

/// Gives up what this rung gives up. What a connection holds is not known; how much it can hold is a matter
/// of how many requests it has in flight.
pub(crate) fn relieve<C: Connection>(shared: &Shared<C>, rung: Rung) -> Relieved {
    let now = shared.clock.now();
    let mut waiting = Vec::new();
    let mut busy = Vec::new();
    shared.table.for_each(|entry| match standing(entry, now) {
        (standing @ (Standing::Idle | Standing::Silent), since) => {
            let entry = Arc::clone(entry);
            waiting.push((ConnectionHandle { entry }, standing, since));
        }
        (Standing::Busy, _) if rung >= Rung::Parting => {
            busy.push((in_flight(entry), Arc::clone(entry)));
        }
        // Who has been asked and is busy still may be cut.
        (Standing::Closing, _) if rung == Rung::Cutting => {
            busy.push((in_flight(entry), Arc::clone(entry)));
        }
        (Standing::Busy | Standing::Closing, _) => {}
    });
    let mut relieved = Relieved::default();
    for (handle, standing, since) in waiting {
        if now.since(since) >= rung.idle(patience(&handle, standing)) {
            handle.begin_close(CloseReason::Pressure);
            relieved.left += 1;
        }
    }
    busy.retain(|(in_flight, _)| *in_flight > 0);
    busy.sort_by_key(|(in_flight, _)| Reverse(*in_flight));
    if rung == Rung::Cutting {
        relieved.cut = busy.len().div_ceil(CUT);
        for (_, entry) in busy.drain(..relieved.cut) {
            ConnectionHandle { entry }.abort(CloseReason::Pressure);
        }
    }
    let many = busy
        .into_iter()
        .filter(|(n, entry)| *n >= MANY && entry.control.command().is_none());
    let many: Vec<_> = many.collect();
    relieved.asked = many.len().div_ceil(ASKED);
    for (_, entry) in many.into_iter().take(relieved.asked) {
        ConnectionHandle { entry }.begin_close(CloseReason::Pressure);
    }
    relieved
}

/// How long a connection may want nothing while there is room.
fn patience<C: Connection>(handle: &ConnectionHandle<C>, standing: Standing) -> Duration {
    let config = handle.pool().map(|pool| pool.config());
    let common = config.as_ref().map(|config| &config.common);
    if standing == Standing::Idle {
        common.map(|common| common.keep_alive_timeout)
    } else {
        common.map(|common| common.connection_timeout)
    }
    // It has not said what it speaks, so nobody has said how long it may take.
    .unwrap_or_else(|| CommonSettings::default().connection_timeout)
}

fn in_flight<C: Connection>(entry: &Entry<C>) -> u32 {
    entry.state.load().in_flight
}
