//! Which connections leave so that others may enter: the table's side of `wharf_control::victims`.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wharf_control::{Candidate, Source, Standing, Timestamp, victims};

use crate::books::{Occupancy, Path, ScopeId};
use crate::config::WhenFull;
use crate::connection::Connection;
use crate::entry::Entry;
use crate::handle::ConnectionHandle;
use crate::place::Place;
use crate::shared::Shared;
use crate::source::source_of;
use crate::{CloseReason, Phase};

/// A connection whose first request is not there so long after its accept counts as silent: one
/// byte is no way to hold a place. An honest client's first request is one flight of packets.
const FIRST_REQUEST: Duration = Duration::from_secs(2);

/// Asks at most `at_most` of the connections in a full scope to leave for a newcomer from `address`;
/// returns how many were asked.
pub(crate) fn make_room<C: Connection>(
    shared: &Shared<C>,
    is_in_scope: impl Fn(&Place<C>) -> bool,
    address: IpAddr,
    at_most: usize,
) -> usize {
    let crowd = Crowd::gather(shared, is_in_scope, |_| true);
    crowd.ask(Some(source_of(address)), shared.clock.now(), at_most)
}

/// The same where the process is full. Who leaves frees a place, which is not so where it would be kept for the next of
/// the same pool.
pub(crate) fn make_room_in_process<C: Connection>(
    shared: &Shared<C>,
    newcomer: Path,
    address: IpAddr,
    at_most: usize,
) -> usize {
    let protected = shared.books().protected(Some(newcomer.innermost()));
    let frees = |place: &Place<C>| !protected.contains(&place.path().innermost());
    let crowd = Crowd::gather(shared, |_| true, frees);
    crowd.ask(Some(source_of(address)), shared.clock.now(), at_most)
}

/// Asks as many connections of a scope to leave as it holds over its new limit, but only those of
/// pools that reclaim: of the others, each stays until it ends by itself.
pub(crate) fn shrink<C: Connection>(
    shared: &Shared<C>,
    is_in_scope: impl Fn(&Place<C>) -> bool,
    limit: Option<u32>,
) -> usize {
    let Some(limit) = limit else { return 0 };
    let crowd = Crowd::gather(shared, is_in_scope, reclaims);
    let excess = crowd.staying().saturating_sub(limit as usize);
    crowd.ask(None, shared.clock.now(), excess)
}

/// The same for the process, of which some places are kept.
pub(crate) fn shrink_process<C: Connection>(shared: &Shared<C>) -> usize {
    let (Occupancy { kept, limit, .. }, protected) = {
        let books = shared.books();
        (books.occupancy(shared.process), books.protected(None))
    };
    let Some(limit) = limit else { return 0 };
    let may_leave =
        |place: &Place<C>| reclaims(place) && !protected.contains(&place.path().innermost());
    let crowd = Crowd::gather(shared, |_| true, may_leave);
    let excess = (crowd.staying() + kept as usize).saturating_sub(limit as usize);
    crowd.ask(None, shared.clock.now(), excess)
}

/// Whether the pool asks idle connections to leave.
fn reclaims<C: Connection>(place: &Place<C>) -> bool {
    let policy = place.pool().map(|pool| pool.config.load().common.when_full);
    policy == Some(WhenFull::Reclaim)
}

/// The same for a scope that holds more than it may: some of its connections had not been idle for long
/// enough when its limit was lowered.
pub(crate) fn shrink_on<C: Connection>(
    shared: &Shared<C>,
    scope: ScopeId,
    is_in_scope: impl Fn(&Place<C>) -> bool,
) {
    let Occupancy { active, limit, .. } = shared.books().occupancy(scope);
    if limit.is_some_and(|limit| active > limit) {
        shrink(shared, is_in_scope, limit);
    }
}

/// All connections of a scope: those that stay say how much each source holds.
struct Crowd<C: Connection> {
    entries: Vec<Arc<Entry<C>>>,
    candidates: Vec<Candidate<usize>>,
}

impl<C: Connection> Crowd<C> {
    fn gather(
        shared: &Shared<C>,
        is_in_scope: impl Fn(&Place<C>) -> bool,
        may_leave: impl Fn(&Place<C>) -> bool,
    ) -> Self {
        let now = shared.clock.now();
        let mut crowd = Self {
            entries: Vec::new(),
            candidates: Vec::new(),
        };
        shared.table.for_each(|entry| {
            let membership = entry.membership();
            if is_in_scope(&membership.slot.place) {
                let (standing, since) = match standing(entry, now) {
                    (Standing::Silent | Standing::Idle, since)
                        if !may_leave(&membership.slot.place) =>
                    {
                        (Standing::Busy, since)
                    }
                    as_it_stands => as_it_stands,
                };
                let (key, source) = (
                    crowd.entries.len(),
                    charged_source(entry.charged(&membership)),
                );
                crowd.candidates.push(Candidate {
                    key,
                    source,
                    standing,
                    since,
                });
                crowd.entries.push(Arc::clone(entry));
            }
        });
        crowd
    }

    /// How many there will be once those that are leaving have left.
    fn staying(&self) -> usize {
        self.candidates
            .iter()
            .filter(|c| c.standing != Standing::Closing)
            .count()
    }

    fn ask(self, newcomer: Option<Source>, now: Timestamp, at_most: usize) -> usize {
        if at_most == 0 {
            return 0;
        }
        let chosen = victims(self.candidates.into_iter(), newcomer, now, at_most);
        for key in &chosen {
            let handle = ConnectionHandle {
                entry: Arc::clone(&self.entries[*key]),
            };
            handle.begin_close(CloseReason::Reclaimed);
        }
        chosen.len()
    }
}

pub(crate) fn standing<C: Connection>(entry: &Entry<C>, now: Timestamp) -> (Standing, Timestamp) {
    let state = entry.state.load();
    if entry.control.command().is_some() {
        // It has been asked to leave: nobody asks it again.
        return (Standing::Closing, state.since);
    }
    match state.phase {
        Phase::Closing => (Standing::Closing, state.since),
        Phase::Active => (Standing::Busy, state.since),
        Phase::Idle => (Standing::Idle, state.since),
        Phase::Detecting | Phase::Opening => {
            let nothing_came = entry.traffic.received.load(Ordering::Relaxed) == 0;
            let late = now.since(entry.opened) >= FIRST_REQUEST;
            let silent = nothing_came || late;
            (
                if silent {
                    Standing::Silent
                } else {
                    Standing::Busy
                },
                entry.opened,
            )
        }
    }
}

/// A connection that is charged to nobody yet is of no source in particular.
fn charged_source(charged: Option<IpAddr>) -> Source {
    charged.map_or(Source(u128::MAX), source_of)
}
