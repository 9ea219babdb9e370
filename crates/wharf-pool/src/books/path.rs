//! [`Path`]: the ledgers that something is counted in.

/// Which ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ScopeId(pub(super) u32);

impl ScopeId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The ledgers that one connection is counted in, outermost first: the process, its listener, and
/// its pool, unless it is not yet known what the connection speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    scopes: [ScopeId; 3],
    depth: u32,
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

    /// Of a slot for a connection that is counted in the rest already.
    pub(super) fn in_pool_only(pool: ScopeId) -> Self {
        Self {
            scopes: [pool; 3],
            depth: 1,
        }
    }

    pub(super) fn scopes(&self) -> &[ScopeId] {
        &self.scopes[..self.depth as usize]
    }

    pub(super) fn is_detecting(&self) -> bool {
        self.depth == 2
    }

    /// The process; a slot for a move is not counted in it.
    pub(super) fn process(&self) -> Option<ScopeId> {
        (self.depth > 1).then_some(self.scopes[0])
    }

    pub(super) fn listener(&self) -> Option<ScopeId> {
        (self.depth > 1).then_some(self.scopes[1])
    }

    pub(super) fn pool(&self) -> Option<ScopeId> {
        (!self.is_detecting()).then_some(self.scopes[2])
    }

    /// The scope whose flow the connection is part of.
    pub(crate) fn innermost(&self) -> ScopeId {
        self.scopes[2]
    }
}
