//! [`Line`]: who is next for a slot of a full pool.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::sleep;
use wharf_pool::{CloseReason, Phase, Pool, Slot};

use crate::connection::UpstreamConnection;

/// How often somebody else's idle connection is asked to leave.
const ASK: Duration = Duration::from_millis(100);

/// Those who wait for a slot of a full pool, in the order in which they came: whoever has the lock is the first.
/// The pool itself gives a slot to whoever looks next, and somebody could wait for ever.
#[derive(Debug, Default)]
pub(crate) struct Line(Mutex<()>);

impl Line {
    /// A slot, if there is one and nobody waits for it.
    pub(crate) fn at_once(
        &self,
        pool: &Pool<UpstreamConnection>,
    ) -> Option<Slot<UpstreamConnection>> {
        let _first = self.0.try_lock().ok()?;
        pool.reserve().ok()
    }

    /// A slot for a connection that somebody waits for. Where the pool is full, the connection that has been idle
    /// longest is asked to leave, again and again.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has left the line.
    pub(crate) async fn slot(&self, pool: &Pool<UpstreamConnection>) -> Slot<UpstreamConnection> {
        let _first = self.0.lock().await;
        let mut reserved = pin!(pool.reserved());
        loop {
            tokio::select! {
                biased;
                slot = reserved.as_mut() => return slot,
                () = std::future::ready(()) => {}
            }
            let all = pool.connections();
            let idle = all.iter().filter(|it| it.phase() == Phase::Idle);
            if let Some(oldest) = idle.min_by_key(|it| it.since()) {
                oldest.begin_close(CloseReason::Reclaimed);
            }
            tokio::select! {
                slot = reserved.as_mut() => return slot,
                () = sleep(ASK) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use wharf_pool::{Registry, ScopeLimits};

    use super::*;
    use crate::settings::{PoolSettings, count};

    #[tokio::test(start_paused = true)]
    async fn who_came_first_is_first_however_long_it_takes() {
        let mut settings = PoolSettings::defaults();
        settings.common.max_connections = Some(count(1));
        let registry = Registry::new(ScopeLimits::default());
        let pool = registry.get_or_create(&"api/http".parse().unwrap(), settings);
        let (pool, line) = (pool.unwrap(), Arc::new(Line::default()));
        let mut held = line.at_once(&pool).expect("the pool is empty");
        for _ in 0..3 {
            let mut first = pin!(line.slot(&pool));
            assert!(first.as_mut().now_or_never().is_none());
            sleep(ASK * 3 / 2).await;
            let mut second = pin!(line.slot(&pool));
            assert!(second.as_mut().now_or_never().is_none());
            // Time enough for the first to have looked again, and so to have lost its place.
            tokio::select! {
                _ = first.as_mut() => unreachable!("the pool is full"),
                _ = second.as_mut() => unreachable!("the pool is full"),
                () = sleep(ASK * 4) => {}
            }
            drop(held);
            assert!(line.at_once(&pool).is_none(), "somebody waits");
            assert!(second.as_mut().now_or_never().is_none(), "not its turn");
            held = first.await;
            assert!(second.as_mut().now_or_never().is_none(), "the pool is full");
        }
    }
}
