//! [`DryRun`]: limits that are only counted and told, so that their numbers can be tried before they
//! hold.

use std::fmt;

use super::{BadValue, Setting, Value};

/// Declares the limits, in the order of their sections.
macro_rules! limits {
    ($($(#[$inner:meta])* $variant:ident = $text:literal,)+) => {
        /// A limit that can be on a dry run, by its setting.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Limit { $($(#[$inner])* $variant,)+ }

        impl Limit {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The key of its setting.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

limits! {
    /// How many connections.
    MaxConnections = "max_connections",
    /// How many have a place of their own.
    GuaranteedConnections = "guaranteed_connections",
    /// How many of one source.
    MaxConnectionsPerIp = "max_connections_per_ip",
    /// How many a second.
    AcceptRate = "accept_rate",
    /// How many connections so soon after the start.
    AcceptRamp = "accept_ramp",
    /// Accept to first request.
    ConnectionTimeout = "connection_timeout",
    /// Begin to end of a head.
    HeadersTimeout = "headers_timeout",
    /// Request to response.
    RequestTimeout = "request_timeout",
    /// Nothing in flight.
    KeepAliveTimeout = "keep_alive_timeout",
    /// The peer owes and is silent.
    StreamIdleTimeout = "stream_idle_timeout",
    /// The peer is slow.
    MinDataRate = "min_data_rate",
    /// The age of a connection.
    MaxAge = "max_age",
    /// The requests of a connection.
    MaxRequests = "max_requests",
}

impl Limit {
    /// Those that are about who may come in, which listeners and the process have too.
    pub const OF_ADMISSION: &[Self] = &[
        Self::MaxConnections,
        Self::MaxConnectionsPerIp,
        Self::AcceptRate,
    ];

    /// These, and what only the process has.
    pub const OF_PROCESS: &[Self] = &[
        Self::MaxConnections,
        Self::MaxConnectionsPerIp,
        Self::AcceptRate,
        Self::AcceptRamp,
    ];

    /// Those that a pool has.
    pub const OF_POOL: &[Self] = &[
        Self::MaxConnections,
        Self::GuaranteedConnections,
        Self::MaxConnectionsPerIp,
        Self::AcceptRate,
        Self::ConnectionTimeout,
        Self::HeadersTimeout,
        Self::RequestTimeout,
        Self::KeepAliveTimeout,
        Self::StreamIdleTimeout,
        Self::MinDataRate,
        Self::MaxAge,
        Self::MaxRequests,
    ];
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The limits of a section that are on a dry run: what each would have done is counted and told, and
/// not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DryRun(u16);

impl DryRun {
    /// Whether no limit is; the usual case, and what is asked first.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this limit is.
    pub const fn has(self, limit: Limit) -> bool {
        self.0 & 1 << limit as u16 != 0
    }

    /// Takes a limit off its dry run; whether it was on one.
    pub fn end(&mut self, limit: Limit) -> bool {
        let was = self.has(limit);
        self.0 &= !(1 << limit as u16);
        was
    }

    fn of(names: &Value, limits: &[Limit]) -> Result<Self, BadValue> {
        let known = || {
            limits
                .iter()
                .map(|limit| limit.as_str())
                .collect::<Vec<_>>()
        };
        let bad = || BadValue::new(names, format!("a list of some of {}", known().join(", ")));
        let Value::List(names) = names else {
            return Err(bad());
        };
        names.iter().try_fold(Self::default(), |all, name| {
            let is_meant = |limit: &&Limit| name.as_text() == Some(limit.as_str());
            let limit = limits.iter().find(is_meant).ok_or_else(bad)?;
            Ok(Self(all.0 | 1 << *limit as u16))
        })
    }
}

impl FromIterator<Limit> for DryRun {
    fn from_iter<I: IntoIterator<Item = Limit>>(limits: I) -> Self {
        Self(
            limits
                .into_iter()
                .fold(0, |all, limit| all | 1 << limit as u16),
        )
    }
}

impl Setting for DryRun {
    fn read(value: &Value) -> Result<Self, BadValue> {
        Self::of(value, Limit::OF_POOL)
    }

    fn write(&self) -> Value {
        let named = Limit::ALL.iter().filter(|limit| self.has(**limit));
        Value::List(named.map(|limit| Value::text(limit.as_str())).collect())
    }
}

/// A [`DryRun`] of limits that are about who may come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdmissionDryRun(DryRun);

impl From<AdmissionDryRun> for DryRun {
    fn from(dry_run: AdmissionDryRun) -> Self {
        dry_run.0
    }
}

impl Setting for AdmissionDryRun {
    fn read(value: &Value) -> Result<Self, BadValue> {
        DryRun::of(value, Limit::OF_ADMISSION).map(Self)
    }

    fn write(&self) -> Value {
        self.0.write()
    }
}

/// A [`DryRun`] of limits of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessDryRun(DryRun);

impl From<ProcessDryRun> for DryRun {
    fn from(dry_run: ProcessDryRun) -> Self {
        dry_run.0
    }
}

impl Setting for ProcessDryRun {
    fn read(value: &Value) -> Result<Self, BadValue> {
        DryRun::of(value, Limit::OF_PROCESS).map(Self)
    }

    fn write(&self) -> Value {
        self.0.write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Value {
        Value::List(names.iter().map(|name| Value::text(*name)).collect())
    }

    #[test]
    fn what_is_read_is_written_back_in_the_order_of_the_settings() {
        let read = DryRun::read(&list(&["max_age", "accept_rate", "max_age"])).unwrap();
        assert_eq!(read.write(), list(&["accept_rate", "max_age"]));
        assert!(read.has(Limit::MaxAge) && !read.has(Limit::MaxConnections));
        let all: DryRun = Limit::OF_POOL.iter().copied().collect();
        assert_eq!(DryRun::read(&all.write()).unwrap(), all);
    }

    #[test]
    fn a_name_that_is_no_limit_of_the_section_is_told_with_those_that_are() {
        let bad = DryRun::read(&list(&["max_headers"])).unwrap_err();
        assert!(bad.remedy().contains("keep_alive_timeout"), "{bad}");
        let bad = AdmissionDryRun::read(&list(&["max_age"])).unwrap_err();
        assert!(
            bad.remedy()
                .ends_with("max_connections_per_ip, accept_rate"),
            "{bad}"
        );
        assert!(DryRun::read(&Value::text("max_age")).is_err());
    }

    #[test]
    fn a_limit_is_taken_off_once() {
        let mut dry_run: DryRun = [Limit::MaxAge].into_iter().collect();
        assert!(dry_run.end(Limit::MaxAge) && !dry_run.end(Limit::MaxAge));
        assert!(dry_run.is_empty());
    }
}
