//! [`Account`]: what is counted of one connection, so that it can be counted off again.

use slab::Slab;

use super::{Path, ScopeId, Stay};
use crate::source::SourceKey;

/// The memory of a burst is kept up to so many accounts.
const KEPT: usize = 1024;

/// How one open connection, or one slot for a move, is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    /// The ledgers that it is in; of a slot for a move, only the pool's.
    pub(super) path: Path,
    /// The source that is charged with it, once it is known.
    pub(super) source: Option<SourceKey>,
    /// On whose place it is let in; of a slot for a move, on whose it will be then.
    pub(super) stay: Stay,
}

/// Which account. It is given once to whoever counts, and taken back when the account is closed.
#[derive(Debug)]
pub(crate) struct AccountId(usize);

/// All accounts. The place of one that was closed is the next one's, so they lie close together.
#[derive(Debug, Default)]
pub(super) struct Accounts(Slab<Account>);

impl Accounts {
    pub(super) fn open(&mut self, account: Account) -> AccountId {
        AccountId(self.0.insert(account))
    }

    pub(super) fn get(&self, id: &AccountId) -> &Account {
        &self.0[id.0]
    }

    pub(super) fn get_mut(&mut self, id: &AccountId) -> &mut Account {
        &mut self.0[id.0]
    }

    pub(super) fn close(&mut self, id: &AccountId) -> Account {
        let account = self.0.remove(id.0);
        if self.0.is_empty() && self.0.capacity() > KEPT {
            self.0 = Slab::new();
        }
        account
    }

    /// Whom the connections are charged to, one by one.
    pub(super) fn sources(&self) -> impl Iterator<Item = SourceKey> {
        self.0.iter().filter_map(|(_, account)| account.source)
    }

    /// Whom the connections of one scope are charged to, one by one.
    pub(super) fn sources_in(&self, scope: ScopeId) -> impl Iterator<Item = SourceKey> {
        let there = move |account: &Account| account.path.scopes().contains(&scope);
        let all = self.0.iter().map(|(_, account)| account);
        all.filter(move |account| there(account))
            .filter_map(|account| account.source)
    }
}
