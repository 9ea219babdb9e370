//! Guaranteed places, added up: together they are no more than there are.

use wharf_pool::config::Count;

use super::listener::ListenerConfig;
use super::report::Problem;

/// What is wrong with the guarantees of pools under a limit of the process, at the first key that is too
/// much.
pub(crate) fn overcommitted(limit: Option<Count>, listeners: &[ListenerConfig]) -> Option<Problem> {
    let mut in_process = Sum::new(limit, "the process");
    for (n, listener) in listeners.iter().enumerate() {
        let mut at_listener = Sum::new(listener.limits.max_connections, "the listener");
        for (protocol, pool) in &listener.pools {
            let Some(guaranteed) = pool.common.guaranteed_connections else {
                continue;
            };
            let sums = [&mut in_process, &mut at_listener];
            let over = sums.map(|sum| sum.add(guaranteed));
            if let Some(reason) = over.into_iter().flatten().next() {
                let protocol = protocol.as_str();
                return Some(Problem {
                    at: 0,
                    key: format!("listener[{n}].pools.{protocol}.guaranteed_connections"),
                    reason,
                    remedy: "guarantee less, here or to another pool, or raise max_connections"
                        .to_owned(),
                });
            }
        }
    }
    None
}

/// What has been guaranteed so far of what there is.
struct Sum {
    of: u64,
    limit: Option<Count>,
    whose: &'static str,
}

impl Sum {
    fn new(limit: Option<Count>, whose: &'static str) -> Self {
        Self {
            of: 0,
            limit,
            whose,
        }
    }

    /// Adds one; says so if that is too much.
    fn add(&mut self, guaranteed: Count) -> Option<String> {
        self.of += u64::from(guaranteed.get());
        let limit = self.limit?.get();
        (self.of > u64::from(limit)).then(|| {
            let (sum, whose) = (self.of, self.whose);
            format!("with this pool's, {sum} connections are guaranteed, and {whose} holds {limit}")
        })
    }
}
