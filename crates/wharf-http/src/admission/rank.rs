//! [`Rank`]: how important a request is, and how it is counted.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::OnceLock;

use http::Request;
use wharf_control::overload::Class;
use wharf_pool::source_of;

use crate::info::Connected;

/// How important a request is, and how it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    class: Class,
    user: Option<u64>,
    work: Work,
}

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// The handler.
    Here,
    /// The handler hands it over to another server, and then waits.
    Elsewhere,
    /// Next to nobody: it is neither limited nor counted.
    None,
}

impl Rank {
    /// A request of this class.
    pub const fn new(class: Class) -> Self {
        Self {
            class,
            user: None,
            work: Work::Here,
        }
    }

    /// A request that is let in whatever happens, and counted nowhere: a probe, or one that waits on purpose (long polling).
    pub const fn exempt() -> Self {
        Self {
            class: Class::Critical,
            user: None,
            work: Work::None,
        }
    }

    /// Whose it is, as a hash. Within a class users are served or not, each the same for an hour. Default: the source of the connection.
    #[must_use]
    pub const fn of_user(mut self, user: u64) -> Self {
        self.user = Some(user);
        self
    }

    /// The handler forwards it: it holds a place until it waits for the first time, and its latency says nothing. What is slow
    /// elsewhere is no overload here. What is exempt stays so.
    #[must_use]
    pub const fn forwarded(mut self) -> Self {
        if !self.is_exempt() {
            self.work = Work::Elsewhere;
        }
        self
    }

    /// The class.
    pub const fn class(self) -> Class {
        self.class
    }

    pub(super) const fn with_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    pub(super) const fn is_exempt(self) -> bool {
        matches!(self.work, Work::None)
    }

    pub(super) const fn work(self) -> Work {
        self.work
    }

    /// The user, or who the connection is from.
    pub(super) fn user<B>(self, request: &Request<B>) -> u64 {
        self.user.unwrap_or_else(|| {
            let peer = request.extensions().get::<Connected>();
            hash_of(peer.map(|it| source_of(it.peer().ip())))
        })
    }
}

/// A hash with a key of this process: who may choose his address or his name is not to choose his place in the line.
pub(super) fn hash_of(user: impl Hash) -> u64 {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    KEY.get_or_init(RandomState::new).hash_one(user)
}

/// What says nothing else.
impl Default for Rank {
    fn default() -> Self {
        Self::new(Class::Normal)
    }
}
