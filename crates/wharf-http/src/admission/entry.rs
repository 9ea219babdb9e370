//! [`Entry`]: how a request gets in: at once, or later, or not.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use wharf_control::overload::{Class, Full, Joined, Level, Ticket};

use super::gate::Gate;
use super::permit::{Permit, Place};
use super::refusal::{Refused, Why};

/// How a request gets in.
pub(crate) enum Entry {
    /// It is in.
    Open(Permit),
    /// It has to wait.
    Later(Later),
}

/// A request that has to wait.
pub(crate) struct Later {
    class: Class,
    wait: Wait,
}

enum Wait {
    /// It has a place, and lets others go first.
    StandsBack(Permit),
    /// There is no place.
    InLine(Arc<Gate>),
}

impl Later {
    pub(super) const fn standing_back(permit: Permit, class: Class) -> Self {
        let wait = Wait::StandsBack(permit);
        Self { class, wait }
    }

    pub(super) const fn in_line(gate: Arc<Gate>, class: Class) -> Self {
        let wait = Wait::InLine(gate);
        Self { class, wait }
    }

    /// Waits; `caller` is how long the caller does.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it holds no place and stands in no line.
    pub(crate) async fn pass(self, user: u64, caller: Option<Duration>) -> Result<Permit, Refused> {
        let permit = match self.wait {
            Wait::StandsBack(permit) => permit,
            Wait::InLine(gate) => {
                let passed = stand_in_line(&gate, self.class, user, caller).await;
                passed.map_err(|why| {
                    gate.refused(self.class, why);
                    Refused::new(why, user ^ gate.now().as_nanos())
                })?
            }
        };
        // Tokio comes back when all that is ready has been polled, and the sockets too: workers that are kept busy by a line would
        // look at them after 61 handlers.
        tokio::task::yield_now().await;
        let now = permit.gate().now();
        permit.gate().stood_back(now - permit.begun(), now);
        Ok(permit)
    }
}

async fn stand_in_line(
    gate: &Arc<Gate>,
    class: Class,
    user: u64,
    caller: Option<Duration>,
) -> Result<Permit, Why> {
    let (told, place) = oneshot::channel();
    let most = gate.longest_line();
    let joined = gate.with_line(|line, now| {
        let hour = now.as_nanos() / HOUR;
        line.join(Level::new(class, user, hour), told, most, now)
    });
    let Joined {
        ticket,
        patience,
        displaced,
    } = match joined {
        Ok(joined) => joined,
        Err(Full(_)) => return Err(Why::Full),
    };
    // Told by the drop of it.
    drop(displaced);
    let leaving = Leaving { gate, ticket };
    gate.hand_on();
    // Who has waited for a third of his time has too little left for the work.
    let patience = caller.map_or(patience, |caller| patience.min(caller / 3));
    let place: Result<Place, Why> = match timeout(patience, place).await {
        Ok(Ok(place)) => Ok(place),
        Ok(Err(_)) => Err(Why::Displaced),
        Err(_) => Err(Why::Late),
    };
    drop(leaving);
    Ok(Permit::new(place?, gate.now()))
}

/// Nanoseconds of an hour: how long users keep their places among their equals.
const HOUR: u64 = 3_600_000_000_000;

/// Somebody in the line, who leaves it however his wait ends.
struct Leaving<'a> {
    gate: &'a Gate,
    ticket: Ticket,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let left = self
            .gate
            .with_line(|line, now| line.leave(self.ticket, now));
        drop(left);
    }
}
