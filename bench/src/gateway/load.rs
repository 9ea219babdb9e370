//! [`Load`]: requests that begin when they are to begin, whether or not those before them were answered.
//!
//! How long one takes counts from when it was to begin: a gateway that stands still for a second is not forgiven
//! the requests that a client would have sent meanwhile.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::thread::set_current_timer_slack;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::connections::Connections;
use super::sample::{Outcome, Sample, Samples};
use super::spoken::Spoken;

/// Nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A load on one address.
pub(super) struct Load {
    pub(super) to: SocketAddr,
    pub(super) spoken: Spoken,
    /// When each request is to begin.
    pub(super) arrivals: Vec<Duration>,
}

impl Load {
    /// Makes it, in this thread and one that keeps the time, and waits until all have ended.
    pub(super) fn make(self) -> Result<Samples> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let Self {
            to,
            spoken,
            arrivals,
        } = self;
        // As many as could be late: nobody waits to say that it is time.
        let (due, mut told) = mpsc::channel(arrivals.len().max(1));
        let begun = Instant::now();
        let pacer = thread::spawn(move || pace(begun, &arrivals, &due));
        let samples = Rc::new(RefCell::new(Samples::default()));
        let connections = Rc::new(Connections::new(to, spoken));
        let local = LocalSet::new();
        let into = Rc::clone(&samples);
        local.spawn_local(async move {
            while let Some(intended) = told.recv().await {
                let (into, connections) = (Rc::clone(&into), Rc::clone(&connections));
                tokio::task::spawn_local(async move {
                    let asked = timeout(PATIENCE, connections.ask()).await;
                    let (outcome, took) = asked.unwrap_or((Outcome::TooLate, Duration::ZERO));
                    let latency = begun.elapsed().saturating_sub(intended);
                    into.borrow_mut().0.push(Sample {
                        intended,
                        latency,
                        took,
                        outcome,
                    });
                });
            }
        });
        runtime.block_on(local);
        pacer.join().ok().context("the pacer has panicked")??;
        Ok(samples.take())
    }
}

/// Says when each is to begin. A thread of its own: the runtime's timer counts in milliseconds.
pub(crate) fn pace(
    begun: Instant,
    arrivals: &[Duration],
    due: &mpsc::Sender<Duration>,
) -> Result<()> {
    set_current_timer_slack(NonZeroU64::new(1))?;
    for &intended in arrivals {
        if let Some(early) = intended.checked_sub(begun.elapsed()) {
            thread::sleep(early);
        }
        due.try_send(intended)?;
    }
    Ok(())
}
