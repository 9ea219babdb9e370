//! How many connections the process's descriptors allow.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::process::{Resource, getrlimit};
use wharf_pool::ScopeLimits;
use wharf_pool::config::Count;

/// The limits of a process that sets none: what its descriptors allow.
pub(crate) fn default_limits() -> ScopeLimits {
    getrlimit(Resource::Nofile)
        .current
        .and_then(max_connections_for)
        .map_or_else(ScopeLimits::default, ScopeLimits::from)
}

/// How many connections a process with so many descriptors may hold; the rest is for its listeners,
/// files, and newcomers that are being refused. `None` if nothing is left.
pub fn max_connections_for(descriptors: u64) -> Option<Count> {
    let connections = descriptors.checked_sub(kept_of(descriptors))?;
    Count::new(u32::try_from(connections).unwrap_or(u32::MAX))
}

/// How many descriptors the process keeps for itself; `None` if they are without limit.
pub(crate) fn kept_descriptors() -> Option<usize> {
    let descriptors = getrlimit(Resource::Nofile).current?;
    usize::try_from(kept_of(descriptors)).ok()
}

/// The last descriptors, which no connection gets whatever its limits are: they are for files and for
/// operators, who come when everything else is used up.
const LAST: u64 = 4;

/// Whether a descriptor is one of the last that the process has: the kernel gives the lowest that is
/// free.
pub(crate) fn is_kept(descriptor: &OwnedFd) -> bool {
    let limit = getrlimit(Resource::Nofile).current;
    let number = u64::try_from(descriptor.as_raw_fd()).unwrap_or_default();
    limit.is_some_and(|limit| number >= limit.saturating_sub(LAST))
}

/// A twentieth, and at least 32.
fn kept_of(descriptors: u64) -> u64 {
    (descriptors / 20).max(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_of_the_descriptors_and_at_least_32_are_kept() {
        let most = |descriptors| max_connections_for(descriptors).map(Count::get);
        assert_eq!(most(128), Some(96));
        assert_eq!(most(20_000), Some(19_000));
        assert_eq!(most(32), None);
        assert_eq!(most(10), None);
    }
}
