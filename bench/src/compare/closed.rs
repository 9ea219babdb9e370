//! [`Closed`]: a closed load of our own: as many exchanges at once as there are clients, each of which begins its
//! next as soon as the last is over.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use super::tool::Said;

/// What a client does again and again.
pub(super) trait Exchange: 'static {
    /// Once.
    async fn exchange(&mut self) -> Result<()>;
}

/// A load that lasts so long.
pub(super) struct Closed {
    begun: Instant,
    lasting: Duration,
}

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Closed {
    /// One thread, which stays on the core that it is begun on.
    pub(super) fn runtime() -> Result<Runtime> {
        Ok(Builder::new_current_thread().enable_all().build()?)
    }

    /// Once, by one client.
    pub(super) fn once<E: Exchange>(client: impl Future<Output = Result<E>>) -> Result<()> {
        let asked = async { timeout(PATIENCE, async { client.await?.exchange().await }).await? };
        Self::runtime()?.block_on(asked)
    }

    /// A load that begins now.
    pub(super) fn new(lasting: Duration) -> Self {
        Self {
            begun: Instant::now(),
            lasting,
        }
    }

    /// Lets all clients do what they do until the time is over. What fails, fails the round: a server that gives
    /// another answer is not to be compared.
    pub(super) async fn make<E: Exchange>(self, clients: Vec<E>) -> Result<Said> {
        let Self { begun, lasting } = self;
        let local = LocalSet::new();
        let mut all = JoinSet::new();
        for mut client in clients {
            let exchanging = async move {
                let mut times = Vec::new();
                while begun.elapsed() < lasting {
                    let asked = Instant::now();
                    timeout(PATIENCE, client.exchange()).await??;
                    times.push(asked.elapsed());
                }
                anyhow::Ok(times)
            };
            all.spawn_local_on(exchanging, &local);
        }
        local.await;
        let mut times = Vec::new();
        while let Some(ended) = all.join_next().await {
            times.extend(ended??);
        }
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(!times.is_empty(), "nothing was answered");
        times.sort_unstable();
        let last = times.len() - 1;
        let percentile = |percent: usize| times[last * percent / 100].as_secs_f64() * 1e6;
        Ok(Said {
            requests: times.len() as u64,
            failed: 0,
            seconds,
            latency: Some([percentile(50), percentile(99)]),
            bytes: None,
        })
    }
}
