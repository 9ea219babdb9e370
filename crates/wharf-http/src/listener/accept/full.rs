//! Newcomers for whom there is no room: they wait, others leave for them, or they are turned away.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFdReadyGuard;
use tokio::time::{Instant, sleep, timeout};
use wharf_pool::RejectReason;
use wharf_pool::config::WhenFull;

use super::shortage::State;
use super::socket::try_accept;
use super::{Acceptor, BREATH};
use crate::app::App;
use crate::descriptors::is_kept;
use crate::listener::lobby::{self, Seat};

/// How often descriptors are waited for.
const BREATHS: usize = 3;

impl<S> Acceptor<S> {
    pub(super) async fn accept_when_full(
        &self,
        full: RejectReason,
        ready: &mut AsyncFdReadyGuard<'_, TcpListener>,
        state: &mut State,
    ) -> io::Result<()>
    where
        S: App,
    {
        let (policy, queue_timeout) = self.listener.when_full();
        let waits = policy == WhenFull::Wait || self.listener.is_too_early(full);
        if waits && !state.queue_expired {
            let waited = timeout(queue_timeout, self.listener.reserved()).await;
            if let Ok(slot) = waited {
                return self.accept_into(slot, ready, state);
            }
            state.queue_expired = true;
            return Ok(());
        }
        let (stream, peer) = try_accept(ready)?;
        state.accepted();
        let seat = match self.lobby.seat() {
            Some(seat) if policy == WhenFull::Reclaim => seat,
            seat => {
                self.turn_away(stream, full, seat);
                return Ok(());
            }
        };
        let may_search = state.searches.try_take(self.shared.clock.now()).is_ok();
        let (acceptor, local) = (self.clone_for_newcomer(), state.local);
        self.tasks.spawn(async move {
            let slot = lobby::make_room(&acceptor.listener, peer, full, may_search).await;
            let opened = match slot {
                Ok(slot) => acceptor.open(slot, stream, peer, local),
                Err(reason) => Err((stream, reason)),
            };
            // It has kept its seat until it has a slot, or is refused in it.
            if let Err((stream, reason)) = opened {
                acceptor.turn_away(stream, reason, Some(seat));
            }
        });
        Ok(())
    }

    /// Turns a newcomer away for want of memory; where newcomers wait, nobody is accepted until there is some.
    pub(super) async fn accept_under_pressure(
        &self,
        ready: &mut AsyncFdReadyGuard<'_, TcpListener>,
        state: &mut State,
    ) -> io::Result<()>
    where
        S: App,
    {
        let (policy, queue_timeout) = self.listener.when_full();
        if policy == WhenFull::Wait && !state.queue_expired {
            let until = Instant::now() + queue_timeout;
            while self.shared.strain.refuses() && Instant::now() < until {
                sleep(BREATH).await;
            }
            state.queue_expired = self.shared.strain.refuses();
            return Ok(());
        }
        let (stream, _) = try_accept(ready)?;
        state.accepted();
        self.turn_away(stream, RejectReason::Pressure, self.lobby.seat());
        Ok(())
    }

    /// Waits a moment for a descriptor in place of one that is kept: peers may have left, and their
    /// connections not have noticed.
    pub(super) async fn let_in_with_another(
        self,
        stream: OwnedFd,
        peer: SocketAddr,
        local: SocketAddr,
        seat: Seat,
    ) where
        S: App,
    {
        for _ in 0..BREATHS {
            sleep(BREATH).await;
            let Some(another) = stream.try_clone().ok().filter(|it| !is_kept(it)) else {
                continue;
            };
            drop(stream);
            let opened = match self.listener.reserve() {
                Ok(slot) => self.open(slot, another, peer, local),
                Err(full) => Err((another, full)),
            };
            if let Err((stream, reason)) = opened {
                self.turn_away(stream, reason, Some(seat));
            }
            return;
        }
        // Nobody holds a descriptor to be told that there is none.
        self.turn_away(stream, RejectReason::Pressure, None);
    }
}
