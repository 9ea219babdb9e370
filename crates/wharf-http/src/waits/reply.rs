//! [`Reply`]: the answer that a handler owes.

use std::time::Duration;

use wharf_control::{Deadline, Timestamp, Wait};

/// The answer that is in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reply {
    /// There is none.
    #[default]
    None,
    /// The handler has been called and has not answered.
    Owed {
        since: Timestamp,
        limit: Limit,
        expired: bool,
    },
    /// Its head has been handed over.
    Started,
}

/// How long a handler may owe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// As long as its pool says.
    Configured,
    /// As long as this request says; `None` is for ever.
    Own(Option<Duration>),
}

impl Reply {
    /// The handler has been called.
    pub(crate) fn owed(now: Timestamp) -> Self {
        Self::Owed {
            since: now,
            limit: Limit::Configured,
            expired: false,
        }
    }

    /// The handler owes from here on, if it owes from earlier.
    pub(crate) fn owed_from(&mut self, at: Timestamp) {
        if let Self::Owed { since, .. } = self {
            *since = (*since).max(at);
        }
    }

    /// The request has a limit of its own.
    pub(crate) fn limit(&mut self, own: Option<Duration>) {
        if let Self::Owed { limit, .. } = self {
            *limit = Limit::Own(own);
        }
    }

    /// The handler's time is over. Whether it has to be told: the first time only.
    pub(crate) fn expire(&mut self) -> bool {
        match self {
            Self::Owed { expired, .. } => !std::mem::replace(expired, true),
            Self::None | Self::Started => false,
        }
    }

    /// Whether the handler's time is over.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self, Self::Owed { expired: true, .. })
    }

    /// Whether the handler owes for as long as its pool says, and not by a limit of its own.
    pub(crate) fn is_configured(&self) -> bool {
        matches!(
            self,
            Self::Owed {
                limit: Limit::Configured,
                ..
            }
        )
    }

    /// Whether its head has been handed over.
    pub(crate) fn is_started(&self) -> bool {
        matches!(self, Self::Started)
    }

    /// When the handler's time is over. It owes from the call or from the last move of the request's
    /// body, `moved`, whichever is later.
    pub(crate) fn deadline(
        &self,
        moved: Option<Timestamp>,
        configured: Option<Duration>,
    ) -> Option<Deadline> {
        let Self::Owed {
            since,
            limit,
            expired: false,
        } = *self
        else {
            return None;
        };
        let since = moved.map_or(since, |moved| since.max(moved));
        let limit = match limit {
            Limit::Configured => configured,
            Limit::Own(limit) => limit,
        };
        Deadline::new(Wait::Response, Some(since), limit)
    }
}
