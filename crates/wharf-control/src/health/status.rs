//! [`HealthStatus`] and the [`Cause`] behind it: closed sets of words for logs, metrics and the admin API.

/// How well a pool serves, from best to worst: a worse status is the greater one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the four states are the outside contract"
)]
pub enum HealthStatus {
    /// Serves with room to spare.
    #[default]
    Healthy,
    /// Serves, but something is running short.
    Degraded,
    /// At its limit: part of the load is turned away or served late.
    Overloaded,
    /// Takes no new work, or answers nearly all of it with errors.
    Unavailable,
}

impl HealthStatus {
    /// The word for logs, metrics and the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What a status other than healthy is due to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The connections, measured against their limit.
    Connections,
    /// The requests in flight, measured against their limit.
    Requests,
    /// The share of arrivals that was turned away.
    Rejections,
    /// The share of requests that failed.
    Errors,
    /// The 99th percentile of the response time, measured against its objective.
    Latency,
    /// How late the runtime polls tasks that are ready.
    SchedulerLag,
    /// A resource of the process: memory or descriptors.
    Pressure,
    /// Not serving at all, whatever the load.
    Unavailable(UnavailableCause),
}

impl Cause {
    /// The word for logs, metrics and the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Requests => "requests",
            Self::Rejections => "rejections",
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::SchedulerLag => "scheduler_lag",
            Self::Pressure => "pressure",
            Self::Unavailable(cause) => cause.as_str(),
        }
    }
}

/// Why a pool does not serve at all, as its owner knows without measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnavailableCause {
    /// Not yet ready for the first connection.
    Starting,
    /// Shutting down.
    Draining,
    /// The listener reports an error that does not pass, or could not be bound.
    ListenerFailed,
    /// No endpoint of an upstream is left to send work to.
    NoEndpoint,
}

impl UnavailableCause {
    /// The word for logs, metrics and the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::ListenerFailed => "listener_failed",
            Self::NoEndpoint => "no_endpoint",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HealthStatus::{Degraded, Healthy, Overloaded, Unavailable};

    #[test]
    fn statuses_are_ordered_from_best_to_worst() {
        assert!(Healthy < Degraded && Degraded < Overloaded && Overloaded < Unavailable);
    }
}
