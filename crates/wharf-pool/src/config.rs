//! What a pool can be told: typed settings, patches that change them live, and the difference that a
//! patch made.
//!
//! A setting is declared once, in a [`settings!`](crate::settings) table; its key, type, default,
//! documentation and the moment at which a change takes effect all come from there. This module
//! knows no file format: a reader of one turns what is written into [`Value`]s.

mod dry_run;
mod settings;
mod units;
mod value;

pub use dry_run::{AdmissionDryRun, DryRun, Limit, ProcessDryRun};
pub use settings::{Applies, Change, Difference, Key, Patch, SetError, Settings};
pub use units::{ByteRate, ByteSize, Count, PerSecond};
pub use value::{BadValue, Setting, Value};

use std::time::Duration;

use crate::Cidr;

crate::settings! {
    /// The settings that every pool has, whatever it serves.
    pub struct CommonSettings, CommonPatch {
        /// How many connections the pool may hold; off: only the listener and the process limit it.
        max_connections: Option<Count> = None, Now;
        /// Places of the process that are this pool's own: the others are turned away before them when
        /// the process is full.
        guaranteed_connections: Option<Count> = None, Now;
        /// How many connections one source (IPv4 address, IPv6 /64) may hold in this pool.
        max_connections_per_ip: Option<Count> = None, Now;
        /// How many connections a second may enter, in bursts of at most one second's worth.
        accept_rate: Option<PerSecond> = None, Now;
        /// Address ranges that `max_connections_per_ip` and `accept_rate` do not apply to.
        exempt: Vec<Cidr> = Vec::new(), Now;
        /// Which of the limits here are only counted and told: `wharf_dry_run_total` and the events
        /// `would_reject` and `would_close` say what they would have done.
        dry_run: DryRun = DryRun::default(), Now;
        /// What happens to a newcomer while the pool is full.
        when_full: WhenFull = WhenFull::Reclaim, Now;
        /// With `when_full = "wait"`: how long newcomers may wait in the kernel's backlog before
        /// they are refused.
        queue_timeout: Duration = Duration::from_secs(5), Now;
        /// From the accept to the end of the first complete request head.
        connection_timeout: Duration = Duration::from_secs(30), Now;
        /// From the first byte of a request head to its end, on every request.
        headers_timeout: Duration = Duration::from_secs(10), Now;
        /// How long the handler may owe the response: from the end of the request to the response
        /// head.
        request_timeout: Option<Duration> = Some(Duration::from_secs(30)), Now;
        /// The longest time with nothing in flight; a protocol's pings are not activity.
        keep_alive_timeout: Duration = Duration::from_secs(75), Now;
        /// How long the peer may owe bytes, or room for bytes, and be silent.
        stream_idle_timeout: Option<Duration> = Some(Duration::from_mins(1)), Now;
        /// Bytes a second that a peer must send of a request body, and take of a response, after
        /// 5 s of grace; only time in which the peer was the slow side counts (Kestrel's
        /// `MinDataRate`).
        min_data_rate: Option<ByteRate> = Some(ByteRate::per_second(240)), Now;
        /// The longest life of a connection, ±10 %; then it is asked to finish.
        max_age: Option<Duration> = None, Now;
        /// How many requests a connection may serve; the last answer says that it is the last.
        max_requests: Option<Count> = None, Now;
        /// How long a connection that was asked to finish may take before it is cut.
        max_age_grace: Duration = Duration::from_secs(30), Now;
    }
}

impl CommonSettings {
    /// What is wrong if more is guaranteed than the pool may hold.
    fn overcommitted(&self) -> Option<SetError> {
        let limit = self.max_connections?;
        self.guarantees_at_most(limit.get(), "its max_connections")
            .err()
    }

    /// Checks the guarantee against what there is.
    ///
    /// # Errors
    ///
    /// What may be written instead.
    pub(crate) fn guarantees_at_most(&self, most: u32, why: &str) -> Result<(), SetError> {
        match self.guaranteed_connections {
            Some(guaranteed) if guaranteed.get() > most => {
                let key = "guaranteed_connections";
                let remedy = if most == 0 {
                    format!("\"off\": {why}")
                } else {
                    format!("at most {most}, {why}")
                };
                let bad = BadValue::new(&guaranteed.write(), remedy);
                Err(SetError::BadValue { key, bad })
            }
            _ => Ok(()),
        }
    }
}

/// What happens to a newcomer while a limit is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// An idle connection is closed for it, else it is refused.
    #[default]
    Reclaim,
    /// It is refused at once.
    Refuse,
    /// It waits in the kernel's backlog, for at most `queue_timeout`.
    Wait,
}

impl WhenFull {
    /// The word in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reclaim => "reclaim",
            Self::Refuse => "refuse",
            Self::Wait => "wait",
        }
    }
}

impl Setting for WhenFull {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let all = [Self::Reclaim, Self::Refuse, Self::Wait];
        all.into_iter()
            .find(|policy| *value == Value::Text(policy.as_str().to_owned()))
            .ok_or_else(|| BadValue::new(value, "\"reclaim\", \"refuse\" or \"wait\""))
    }

    fn write(&self) -> Value {
        Value::Text(self.as_str().to_owned())
    }
}

/// The configuration of one pool: what every pool has, and what its protocol adds.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PoolConfig<S: Settings = ()> {
    /// The settings that every pool has.
    pub common: CommonSettings,
    /// The settings of the pool's protocol.
    pub protocol: S,
}

impl<S: Settings> PoolConfig<S> {
    /// The configuration made of these two parts.
    pub fn new(common: CommonSettings, protocol: S) -> Self {
        Self { common, protocol }
    }

    /// Applies `patch` to a copy and checks the whole.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the patched configuration; `self` is unchanged either way.
    pub fn patched(&self, patch: &PoolPatch<S>) -> Result<(Self, Vec<Difference>), Vec<SetError>> {
        let mut next = self.clone();
        next.common.apply(&patch.common);
        next.protocol.apply(&patch.protocol);
        let (problems, differences) = (next.problems(), self.differences(&next));
        if problems.is_empty() {
            Ok((next, differences))
        } else {
            Err(problems)
        }
    }

    /// What `next` has otherwise than `self`.
    pub fn differences(&self, next: &Self) -> Vec<Difference> {
        self.values()
            .into_iter()
            .zip(next.values())
            .filter(|((_, old), (_, new))| old != new)
            .map(|((key, old), (_, new))| Difference { key, old, new })
            .collect()
    }

    /// What is wrong with the configuration as a whole; nothing if it can be used.
    pub fn problems(&self) -> Vec<SetError> {
        let mut problems = self.common.problems();
        problems.extend(self.common.overcommitted());
        problems.extend(self.protocol.problems());
        problems
    }

    /// A change of nothing, to be filled with [`PoolPatch::set`].
    pub fn patch(&self) -> PoolPatch<S> {
        PoolPatch {
            common: CommonPatch::default(),
            protocol: self.protocol.patch(),
        }
    }

    /// Every key with its value, in the order of declaration.
    pub fn values(&self) -> Vec<(Key, Value)> {
        let mut values = self.common.values();
        values.retain(|(key, _)| S::has_common(key.name));
        values.extend(self.protocol.values());
        values
    }
}

/// A change of some of a pool's settings, made by [`PoolConfig::patch`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolPatch<S: Settings = ()> {
    /// What changes of the settings that every pool has.
    pub common: CommonPatch,
    /// What changes of the protocol's settings.
    pub protocol: S::Patch,
}

impl<S: Settings> PoolPatch<S> {
    /// Notes that `key` becomes `value`.
    ///
    /// # Errors
    ///
    /// [`SetError`] if this pool has no such key or the key does not take the value.
    pub fn set(&mut self, key: &str, value: &Value) -> Result<(), SetError> {
        let common = if S::has_common(key) {
            self.common.set(key, value)
        } else {
            Err(SetError::unknown(key))
        };
        match common {
            Err(SetError::UnknownKey { .. }) => self.protocol.set(key, value),
            done => done,
        }
        .map_err(|error| error.among(&self.keys()))
    }

    /// The keys that the pool has.
    pub fn keys(&self) -> Vec<Key> {
        let common = self.common.keys().iter();
        let common = common.filter(|key| S::has_common(key.name));
        common.chain(self.protocol.keys()).copied().collect()
    }
}

impl<S: Settings<Patch: Default>> Default for PoolPatch<S> {
    fn default() -> Self {
        Self {
            common: CommonPatch::default(),
            protocol: S::Patch::default(),
        }
    }
}

#[cfg(test)]
mod tests;
