//! The descriptor limit of the process: every connection needs one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wharf_pool::config::Count;

/// Descriptors that are never given to connections: files, listeners, the admin API, libraries.
const KEPT: u64 = 32;

/// Raises the soft limit to the hard one and returns what holds now; a failure leaves it as it was.
pub(crate) fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the descriptor limit stays as it is");
    }
    getrlimit(Resource::Nofile).current
}

/// The limit that [`raise`] would reach; `None` if there is none.
pub(crate) fn hard_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// How many connections `descriptors` allow: all but 5 %, at least 32.
pub(crate) fn connections_within(descriptors: Option<u64>) -> Option<Count> {
    let descriptors = descriptors?;
    let connections = descriptors
        .saturating_sub(KEPT.max(descriptors.div_ceil(20)))
        .max(1);
    Count::new(u32::try_from(connections).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_percent_and_at_least_32_descriptors_are_kept() {
        let allowed = |limit| connections_within(Some(limit)).map(Count::get);
        assert_eq!(allowed(128), Some(96));
        assert_eq!(allowed(20_000), Some(19_000));
        assert_eq!(allowed(16), Some(1));
        assert_eq!(allowed(u64::MAX), Some(u32::MAX));
        assert_eq!(connections_within(None), None);
    }
}
