//! `Books`: how many connections there are, against how many there may be.
//!
//! Everything that is counted against a limit is in one structure behind one mutex, so that a check
//! and the count that it allows are one step, a move between pools is one step, and a lowered limit
//! is in force from the moment at which it is written. Nothing here allocates per connection except
//! the tally of a source's first one. It is touched three times in a connection's life: reserve,
//! open, close.

mod flow;
mod ledger;
mod sources;

use std::net::IpAddr;
use std::time::Duration;

use slab::Slab;
use wharf_control::Timestamp;

use crate::source::source_of;
use crate::{CloseReason, ConnId, RejectReason};
pub(crate) use flow::Flow;
use ledger::Ledger;
pub(crate) use ledger::ScopeKind;
pub use ledger::{Occupancy, ScopeLimits};
use sources::Sources;

/// Which ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ScopeId(u32);

impl ScopeId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// The ledgers that one connection is counted in, outermost first: the process, its listener, and
/// its pool, unless it is not yet known what the connection speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    scopes: [ScopeId; 3],
    depth: usize,
}

impl Path {
    pub(crate) fn to_listener(process: ScopeId, listener: ScopeId) -> Self {
        Self {
            scopes: [process, listener, listener],
            depth: 2,
        }
    }

    pub(crate) fn to_pool(self, pool: ScopeId) -> Self {
        Self {
            scopes: [self.scopes[0], self.scopes[1], pool],
            depth: 3,
        }
    }

    fn scopes(&self) -> &[ScopeId] {
        &self.scopes[..self.depth]
    }

    fn is_detecting(&self) -> bool {
        self.depth == 2
    }

    /// The scope whose flow the connection is part of.
    pub(crate) fn innermost(&self) -> ScopeId {
        self.scopes[2]
    }
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    ledgers: Slab<Ledger>,
    sources: Sources,
    /// How many connections were ever opened, which is the identity of the last.
    opened: u64,
}

impl Books {
    /// Opens a ledger for a new scope.
    pub(crate) fn open_scope(
        &mut self,
        kind: ScopeKind,
        limits: ScopeLimits,
        now: Timestamp,
    ) -> ScopeId {
        let index = self.ledgers.insert(Ledger::new(kind, limits, now));
        ScopeId(u32::try_from(index).expect("scopes are made one by one, not by the billion"))
    }

    /// Closes the ledger of a scope that holds nothing and will not be used again.
    pub(crate) fn close_scope(&mut self, scope: ScopeId) {
        let ledger = self.ledgers.remove(scope.index());
        debug_assert!(
            ledger.active + ledger.reserved == 0,
            "a scope outlives its connections"
        );
    }

    /// Puts new limits in force.
    pub(crate) fn set_limits(&mut self, scope: ScopeId, limits: ScopeLimits, now: Timestamp) {
        self.ledger(scope).set_limits(limits, now);
    }

    pub(crate) fn limits(&self, scope: ScopeId) -> &ScopeLimits {
        &self.ledgers[scope.index()].limits
    }

    pub(crate) fn occupancy(&self, scope: ScopeId) -> Occupancy {
        self.ledgers[scope.index()].occupancy()
    }

    /// What has come into a pool, or into detection at a listener.
    pub(crate) fn flow(&self, scope: ScopeId) -> Flow {
        self.ledgers[scope.index()].flow
    }

    /// How many sources are known, which is never more than connections.
    pub(crate) fn sources(&self) -> usize {
        self.sources.len()
    }

    /// Whether one more would find room in all of `path`, without taking it.
    pub(crate) fn room(&self, path: Path) -> Result<(), RejectReason> {
        path.scopes()
            .iter()
            .try_for_each(|scope| self.ledgers[scope.index()].room())
    }

    /// Takes a slot in all of `path`, or none.
    pub(crate) fn reserve(&mut self, path: Path) -> Result<(), RejectReason> {
        self.room(path)?;
        for scope in path.scopes() {
            self.ledger(*scope).reserved += 1;
        }
        Ok(())
    }

    /// Gives back a slot that was not used.
    pub(crate) fn release(&mut self, path: Path) {
        for scope in path.scopes() {
            self.ledger(*scope).reserved -= 1;
        }
    }

    /// Turns a slot into an open connection. With an `address` its source is checked and counted,
    /// and a token of each rate is taken; on an error nothing has changed.
    pub(crate) fn open(
        &mut self,
        path: Path,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<ConnId, RejectReason> {
        if let Some(address) = address {
            self.claim(path.scopes(), address, now)?;
        }
        for scope in path.scopes() {
            let ledger = self.ledger(*scope);
            ledger.reserved -= 1;
            ledger.active += 1;
        }
        let innermost = self.ledger(path.innermost());
        innermost.detecting += u32::from(path.is_detecting());
        innermost.flow.accepted += 1;
        self.opened += 1;
        Ok(ConnId::new(self.opened))
    }

    /// Closes the books on a connection that `address` is charged with, and that ends for a reason
    /// at an age.
    pub(crate) fn close(
        &mut self,
        path: Path,
        address: Option<IpAddr>,
        (reason, age): (CloseReason, Duration),
    ) {
        for scope in path.scopes() {
            self.ledger(*scope).active -= 1;
        }
        let innermost = self.ledger(path.innermost());
        innermost.detecting -= u32::from(path.is_detecting());
        innermost.flow.close(reason, age);
        self.forgive(path.scopes(), address);
    }

    /// Charges an open connection to the source of `to`, and no longer to that of `from`. On an
    /// error it is charged to nobody.
    pub(crate) fn recharge(
        &mut self,
        path: Path,
        from: Option<IpAddr>,
        to: IpAddr,
        now: Timestamp,
    ) -> Result<(), RejectReason> {
        self.forgive(path.scopes(), from);
        self.claim(path.scopes(), to, now)
    }

    /// Takes a slot in `pool` for a connection that may move there, and charges `address` with it:
    /// at once, or moves that begin together would together pass its share.
    pub(crate) fn reserve_move(
        &mut self,
        pool: ScopeId,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), RejectReason> {
        self.ledgers[pool.index()].room()?;
        if let Some(address) = address {
            self.claim(&[pool], address, now)?;
        }
        self.ledger(pool).reserved += 1;
        Ok(())
    }

    /// Gives back a slot for a move that did not happen.
    pub(crate) fn cancel_move(&mut self, pool: ScopeId, address: Option<IpAddr>) {
        self.ledger(pool).reserved -= 1;
        self.forgive(&[pool], address);
    }

    /// Moves a connection, which `address` is charged with, to the pool that a slot was taken in.
    pub(crate) fn commit_move(&mut self, from: Path, to: ScopeId, address: Option<IpAddr>) {
        let source = self.ledger(from.innermost());
        source.flow.moved += 1;
        if from.is_detecting() {
            source.detecting -= 1;
        } else {
            source.active -= 1;
            self.forgive(&[from.innermost()], address);
        }
        let target = self.ledger(to);
        target.reserved -= 1;
        target.active += 1;
        target.flow.accepted += 1;
    }

    /// Moves the charge for a slot in `pool` from one source to another, whatever their shares: for
    /// a connection that was announced between the reservation of its move and the move.
    pub(crate) fn transfer(&mut self, pool: ScopeId, from: Option<IpAddr>, to: Option<IpAddr>) {
        self.forgive(&[pool], from);
        if let Some(to) = to {
            self.sources.add(source_of(to), &[pool]);
        }
    }

    /// Whether a newcomer from `address` would be kept out by a rate or by what its source holds.
    /// Takes nothing.
    pub(crate) fn check_source(
        &self,
        path: Path,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), RejectReason> {
        self.check(path.scopes(), address, now)
    }

    fn check(
        &self,
        scopes: &[ScopeId],
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), RejectReason> {
        let judges = || {
            scopes
                .iter()
                .map(|scope| (*scope, &self.ledgers[scope.index()]))
        };
        if !judges().all(|(_, ledger)| ledger.has_token(address, now)) {
            return Err(RejectReason::Rate);
        }
        let source = source_of(address);
        let held = |scope| self.sources.held(source, scope);
        if judges().all(|(scope, ledger)| ledger.shares(|| held(scope), address)) {
            Ok(())
        } else {
            Err(RejectReason::IpLimit)
        }
    }

    /// Checks and counts the source of a connection that enters `scopes`, and takes a token of each
    /// of their rates; on an error nothing has changed.
    fn claim(
        &mut self,
        scopes: &[ScopeId],
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), RejectReason> {
        self.check(scopes, address, now)?;
        self.sources.add(source_of(address), scopes);
        for scope in scopes {
            self.ledger(*scope).take_token(address, now);
        }
        Ok(())
    }

    /// Takes a connection off what the source of `address` is charged with.
    fn forgive(&mut self, scopes: &[ScopeId], address: Option<IpAddr>) {
        if let Some(address) = address {
            self.sources.remove(source_of(address), scopes);
        }
    }

    fn ledger(&mut self, scope: ScopeId) -> &mut Ledger {
        &mut self.ledgers[scope.index()]
    }
}
