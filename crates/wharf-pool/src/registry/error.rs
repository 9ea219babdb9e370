//! [`RegistryError`]: why a registry did not give what it was asked for.

use crate::config::SetError;
use crate::{ListenerName, PoolName};

/// Why a pool could not be had.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A pool of that name exists, with another configuration.
    #[error(
        "pool {pool} exists with another {}: change it with update_config, or ask with the same",
        keys.join(", ")
    )]
    OtherConfig {
        /// The pool.
        pool: PoolName,
        /// The settings that differ.
        keys: Vec<&'static str>,
    },
    /// The configuration is not usable.
    #[error("pool {pool}: {}", problems.first().map_or(String::new(), ToString::to_string))]
    BadConfig {
        /// The pool.
        pool: PoolName,
        /// What is wrong with it.
        problems: Vec<SetError>,
    },
    /// A listener of that name exists.
    #[error("listener {0} exists: names are given once")]
    ListenerExists(ListenerName),
}
