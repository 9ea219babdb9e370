//! `Books`: how many connections there are, against how many there may be.
//!
//! Everything that is counted against a limit is in one structure behind one mutex, so that a check
//! and the count that it allows are one step, a move between pools is one step, and a lowered limit
//! is in force from the moment at which it is written. It is touched three times in a connection's
//! life: reserve, open, close.
//!
//! Sources are counted only in scopes that limit them. Each connection has an account, so that a
//! scope that begins to limit them counts what it holds in the same step.

mod account;
mod flow;
mod guarantee;
mod ledger;
mod path;
mod rehearsed;
mod tally;

use std::net::IpAddr;
use std::time::Duration;

use slab::Slab;
use wharf_control::Timestamp;

use crate::config::Limit;
use crate::source::SourceKey;
use crate::{CloseReason, ConnId, RejectReason};
pub(crate) use account::AccountId;
use account::{Account, Accounts};
pub(crate) use flow::Flow;
pub(crate) use guarantee::Stay;
use ledger::Ledger;
pub(crate) use ledger::ScopeKind;
pub use ledger::{Occupancy, ScopeLimits};
pub(crate) use path::{Path, ScopeId};

#[derive(Debug, Default)]
pub(crate) struct Books {
    ledgers: Slab<Ledger>,
    accounts: Accounts,
    /// The pools that are guaranteed places, by their listeners.
    guaranteed: Vec<(ScopeId, ScopeId)>,
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
        self.note_guarantees();
        ScopeId(u32::try_from(index).expect("scopes are made one by one, not by the billion"))
    }

    /// Closes the ledger of a scope that holds nothing and will not be used again.
    pub(crate) fn close_scope(&mut self, scope: ScopeId) {
        let ledger = self.ledgers.remove(scope.index());
        debug_assert!(ledger.held() == 0, "a scope outlives its connections");
        self.note_guarantees();
    }

    /// Puts new limits in force. If sources have a share in the scope from now on, every connection
    /// is looked at: the one thing here that takes longer the more there are.
    pub(crate) fn set_limits(&mut self, scope: ScopeId, limits: ScopeLimits, now: Timestamp) {
        let charged = self.accounts.sources_in(scope);
        self.ledgers[scope.index()].set_limits(limits, charged, now);
        self.note_guarantees();
    }

    pub(crate) fn limits(&self, scope: ScopeId) -> &ScopeLimits {
        &self.ledgers[scope.index()].limits
    }

    pub(crate) fn occupancy(&self, scope: ScopeId) -> Occupancy {
        let occupancy = self.ledgers[scope.index()].occupancy();
        let kept = match self.ledgers[scope.index()].kind {
            ScopeKind::Process => self.kept(),
            ScopeKind::Listener | ScopeKind::Pool(_) => 0,
        };
        Occupancy { kept, ..occupancy }
    }

    /// Says for how long the process has served; whether its limit grows by that.
    pub(crate) fn has_served(&mut self, process: ScopeId, since_start: Duration) -> bool {
        let ledger = self.ledger(process);
        let before = ledger.in_force();
        ledger.since_start = since_start;
        before < ledger.in_force()
    }

    /// Whether the limit of the process grows yet.
    pub(crate) fn is_ramping(&self, process: ScopeId) -> bool {
        self.ledgers[process.index()].is_ramping()
    }

    /// What has come into a pool, or into detection at a listener.
    pub(crate) fn flow(&self, scope: ScopeId) -> Flow {
        self.ledgers[scope.index()].flow
    }

    /// Whom connections and slots for moves are charged to, one by one and in no order.
    pub(crate) fn charged(&self) -> Vec<SourceKey> {
        self.accounts.sources().collect()
    }

    /// Whether one more would find room in all of `path`, and on whose place, without taking it.
    pub(crate) fn room(&self, path: Path) -> Result<Stay, RejectReason> {
        path.scopes()
            .iter()
            .try_for_each(|scope| self.ledgers[scope.index()].room())?;
        self.claim_of(path)
    }

    /// Takes a slot in all of `path`, or none.
    pub(crate) fn reserve(&mut self, path: Path) -> Result<Stay, RejectReason> {
        let stay = self.room(path)?;
        for scope in path.scopes() {
            self.ledger(*scope).reserved += 1;
        }
        self.count_undecided(path, stay, 1);
        Ok(stay)
    }

    /// Gives back a slot that was not used.
    pub(crate) fn release(&mut self, path: Path, stay: Stay) {
        for scope in path.scopes() {
            self.ledger(*scope).reserved -= 1;
        }
        self.count_undecided(path, stay, -1);
    }

    /// Turns a slot into an open connection. With an `address` its source is checked and counted,
    /// and a token of each rate is taken; on an error nothing has changed.
    pub(crate) fn open(
        &mut self,
        (path, stay): (Path, Stay),
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(ConnId, AccountId), RejectReason> {
        let source = self.claim(path.scopes(), address, now)?;
        for scope in path.scopes() {
            let ledger = self.ledger(*scope);
            ledger.reserved -= 1;
            ledger.active += 1;
        }
        let innermost = self.ledger(path.innermost());
        innermost.detecting += u32::from(path.is_detecting());
        innermost.flow.accepted += 1;
        self.rehearse_limits(path.scopes(), path.innermost());
        if !path.is_detecting() {
            self.rehearse_guarantees(path);
        }
        self.opened += 1;
        let account = self.accounts.open(Account { path, source, stay });
        Ok((ConnId::new(self.opened), account))
    }

    /// Closes the books on a connection that ends for a reason at an age.
    pub(crate) fn close(&mut self, account: &AccountId, (reason, age): (CloseReason, Duration)) {
        let Account { path, source, stay } = self.accounts.close(account);
        for scope in path.scopes() {
            self.ledger(*scope).active -= 1;
        }
        self.count_undecided(path, stay, -1);
        let innermost = self.ledger(path.innermost());
        innermost.detecting -= u32::from(path.is_detecting());
        innermost.flow.close(reason, age);
        self.forgive(path.scopes(), source);
    }

    /// Charges an open connection to the source of `to`, and no longer to whom it was charged to. On
    /// an error it is charged to nobody.
    pub(crate) fn recharge(
        &mut self,
        account: &AccountId,
        to: IpAddr,
        now: Timestamp,
    ) -> Result<(), RejectReason> {
        let there = self.accounts.get_mut(account);
        let (path, before) = (there.path, there.source.take());
        self.forgive(path.scopes(), before);
        let source = self.claim(path.scopes(), Some(to), now)?;
        self.accounts.get_mut(account).source = source;
        Ok(())
    }

    /// Takes a slot in `pool` for a connection that may move there, and charges `address` with it:
    /// at once, or moves that begin together would together pass its share.
    pub(crate) fn reserve_move(
        &mut self,
        connection: Option<&AccountId>,
        pool: ScopeId,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<AccountId, RejectReason> {
        self.ledgers[pool.index()].room()?;
        let stay = match connection {
            Some(connection) => self.claim_of_move(connection, pool)?,
            None => Stay::Decided,
        };
        let source = self.claim(&[pool], address, now)?;
        let target = self.ledger(pool);
        target.reserved += 1;
        target.moving += 1;
        let path = Path::in_pool_only(pool);
        Ok(self.accounts.open(Account { path, source, stay }))
    }

    /// Gives back a slot for a move that did not happen.
    pub(crate) fn cancel_move(&mut self, slot: &AccountId) {
        let Account { path, source, .. } = self.accounts.close(slot);
        let target = self.ledger(path.innermost());
        target.reserved -= 1;
        target.moving -= 1;
        self.forgive(path.scopes(), source);
    }

    /// Takes a berth in `pool` and charges `address` with it.
    pub(crate) fn take_berth(
        &mut self,
        pool: ScopeId,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<AccountId, RejectReason> {
        self.ledgers[pool.index()].room()?;
        let source = self.claim(&[pool], address, now)?;
        self.ledger(pool).berths += 1;
        self.rehearse_limits(&[pool], pool);
        let path = Path::in_pool_only(pool);
        let stay = Stay::Decided;
        Ok(self.accounts.open(Account { path, source, stay }))
    }

    /// Gives a berth back.
    pub(crate) fn leave_berth(&mut self, berth: &AccountId) {
        let Account { path, source, .. } = self.accounts.close(berth);
        self.ledger(path.innermost()).berths -= 1;
        self.forgive(path.scopes(), source);
    }

    /// Moves a connection to the pool that a slot was taken in.
    ///
    /// The slot may be charged to another source than the connection, which was announced between
    /// the reservation and the move: the charge goes with it, whatever the shares.
    pub(crate) fn commit_move(&mut self, connection: &AccountId, slot: &AccountId) {
        let Account {
            path: slot,
            source: charged,
            stay,
        } = self.accounts.close(slot);
        let to = slot.innermost();
        let account = self.accounts.get_mut(connection);
        let Account {
            path: from,
            source,
            stay: was,
        } = *account;
        let path = from.to_pool(to);
        account.path = path;
        if stay == Stay::Decided {
            account.stay = stay;
        }
        let becomes = account.stay;
        self.count_undecided(from, was, -1);
        self.count_undecided(path, becomes, 1);

        let origin = self.ledger(from.innermost());
        origin.flow.moved += 1;
        if from.is_detecting() {
            origin.detecting -= 1;
        } else {
            origin.active -= 1;
            self.forgive(&[from.innermost()], source);
        }
        if charged != source {
            self.forgive(&[to], charged);
            if let Some(source) = source {
                self.ledger(to).charge(source);
            }
        }
        let target = self.ledger(to);
        target.reserved -= 1;
        target.moving -= 1;
        target.active += 1;
        target.flow.accepted += 1;
        self.rehearse_limits(&[to], to);
        if from.is_detecting() {
            self.rehearse_guarantees(path);
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
        self.check_rates(path.scopes(), address, now)?;
        let source = SourceKey::of(address);
        if self
            .judges(path.scopes())
            .all(|ledger| ledger.shares(source, address))
        {
            Ok(())
        } else {
            Err(RejectReason::IpLimit)
        }
    }

    fn check_rates(
        &self,
        scopes: &[ScopeId],
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), RejectReason> {
        if self
            .judges(scopes)
            .all(|ledger| ledger.has_token(address, now))
        {
            Ok(())
        } else {
            Err(RejectReason::Rate)
        }
    }

    fn judges(&self, scopes: &[ScopeId]) -> impl Iterator<Item = &Ledger> {
        scopes.iter().map(|scope| &self.ledgers[scope.index()])
    }

    /// Counts the source of a connection that enters `scopes`, if its `address` is known, and takes a
    /// token of each of their rates; on an error nothing has changed.
    fn claim(
        &mut self,
        scopes: &[ScopeId],
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Option<SourceKey>, RejectReason> {
        let Some(address) = address else {
            return Ok(None);
        };
        self.check_rates(scopes, address, now)?;
        let source = SourceKey::of(address);
        // Counted first and judged by the count: to look before would be one more search.
        let (mut shares, mut over) = (true, [false; 2]);
        for scope in scopes {
            let ledger = self.ledger(*scope);
            let within = ledger.charge(source) || ledger.exempts(address);
            let objects = !within && ledger.rehearses(Limit::MaxConnectionsPerIp);
            shares &= within || objects;
            over[0] |= objects;
        }
        if !shares {
            self.forgive(scopes, Some(source));
            return Err(RejectReason::IpLimit);
        }
        for scope in scopes {
            over[1] |= !self.ledger(*scope).take_token(address, now);
        }
        if over.contains(&true) {
            self.rehearse_source(scopes, over);
        }
        Ok(Some(source))
    }

    /// Takes a connection in `scopes` off what a source is charged with.
    fn forgive(&mut self, scopes: &[ScopeId], source: Option<SourceKey>) {
        let Some(source) = source else { return };
        for scope in scopes {
            self.ledger(*scope).forgive(source);
        }
    }

    fn ledger(&mut self, scope: ScopeId) -> &mut Ledger {
        &mut self.ledgers[scope.index()]
    }
}
