//! Limits on a dry run: a wait that is over is told and not ended.

use std::time::Duration;

use wharf_control::Wait;
use wharf_pool::DryRunReason;
use wharf_pool::config::Limit;

use super::Timeouts;

/// The limit that a wait has, and the reason that its end would have; `None` for what is no limit of
/// a pool's.
pub(crate) fn limit_of(wait: Wait) -> Option<(Limit, DryRunReason)> {
    Some(match wait {
        Wait::FirstRequest => (Limit::ConnectionTimeout, DryRunReason::ConnectionTimeout),
        Wait::Head => (Limit::HeadersTimeout, DryRunReason::HeadersTimeout),
        Wait::Response => (Limit::RequestTimeout, DryRunReason::RequestTimeout),
        Wait::NextRequest => (Limit::KeepAliveTimeout, DryRunReason::Idle),
        Wait::Peer => (Limit::StreamIdleTimeout, DryRunReason::StreamIdle),
        Wait::BodyRate => (Limit::MinDataRate, DryRunReason::SlowRequest),
        Wait::ReadRate => (Limit::MinDataRate, DryRunReason::SlowReader),
        Wait::Rest | Wait::Acknowledgement | Wait::Sign | Wait::Pong | _ => return None,
    })
}

impl Timeouts {
    /// Whether the limit is on a dry run. Then it holds no more for the connection that these are of:
    /// each is told of once.
    pub(crate) fn rehearse(&mut self, limit: Limit) -> bool {
        let rehearses = self.dry_run.end(limit);
        if rehearses {
            self.lift(limit);
        }
        rehearses
    }

    /// Takes off what is lifted.
    pub(crate) fn lift_all(&mut self, is_lifted: impl Fn(Limit) -> bool) {
        if self.dry_run.is_empty() {
            return;
        }
        let lifted = Limit::ALL.iter().copied().filter(|limit| is_lifted(*limit));
        lifted.for_each(|limit| self.lift(limit));
    }

    fn lift(&mut self, limit: Limit) {
        match limit {
            Limit::ConnectionTimeout => self.connection = Duration::MAX,
            Limit::HeadersTimeout => self.headers = Duration::MAX,
            Limit::RequestTimeout => self.request = None,
            Limit::KeepAliveTimeout => self.keep_alive = Duration::MAX,
            Limit::StreamIdleTimeout => self.stream_idle = None,
            Limit::MinDataRate => self.min_rate = None,
            // They are not waited for.
            Limit::MaxConnections
            | Limit::MaxConnectionsPerIp
            | Limit::AcceptRate
            | Limit::MaxAge
            | Limit::MaxRequests
            | _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use wharf_pool::config::CommonSettings;

    use super::*;

    #[test]
    fn a_limit_on_a_dry_run_is_lifted_once_and_the_others_stay() {
        let mut common = CommonSettings::default();
        common.dry_run = [Limit::KeepAliveTimeout, Limit::MinDataRate]
            .into_iter()
            .collect();
        let mut timeouts = Timeouts::of(&common);
        assert!(!timeouts.rehearse(Limit::HeadersTimeout));
        assert_eq!(timeouts.headers, common.headers_timeout);
        assert!(timeouts.rehearse(Limit::KeepAliveTimeout));
        assert_eq!(timeouts.keep_alive, Duration::MAX);
        assert!(!timeouts.rehearse(Limit::KeepAliveTimeout));
        assert!(timeouts.rehearse(Limit::MinDataRate) && timeouts.min_rate.is_none());
        assert!(timeouts.dry_run.is_empty());
    }
}
