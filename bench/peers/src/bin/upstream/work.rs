//! [`Work`]: how long an answer takes, and how many are worked on at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::Options;

/// How far apart answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spread {
    /// All take the same.
    Constant,
    /// Exponential.
    Exponential,
    /// Log-normal, σ 1.
    Lognormal,
}

/// How long an answer takes, and how many are worked on at once.
pub(crate) struct Work {
    /// In microseconds.
    mean: AtomicU64,
    spread: Spread,
    places: Semaphore,
    pub(crate) fails: bool,
    drawn: Mutex<u64>,
}

impl Work {
    pub(crate) fn new(options: &Options) -> Self {
        let mean = Duration::from(options.service).as_micros();
        Self {
            mean: AtomicU64::new(u64::try_from(mean).unwrap_or(u64::MAX)),
            spread: options.spread,
            places: Semaphore::new(options.places.min(Semaphore::MAX_PERMITS)),
            fails: options.fail,
            drawn: Mutex::new(options.seed),
        }
    }

    /// Works on one request, after those that came before it.
    pub(crate) async fn take(&self) {
        let mean = Duration::from_micros(self.mean.load(Ordering::Relaxed));
        if mean.is_zero() {
            return;
        }
        // It is never closed.
        let place = self.places.acquire().await;
        sleep(mean.mul_f64(self.factor())).await;
        drop(place);
    }

    /// From now on it takes so many microseconds, on average.
    pub(crate) fn set(&self, mean: u64) {
        self.mean.store(mean, Ordering::Relaxed);
    }

    /// Of the mean.
    fn factor(&self) -> f64 {
        match self.spread {
            Spread::Constant => 1.0,
            Spread::Exponential => -(1.0 - self.chance()).ln(),
            Spread::Lognormal => {
                // Box and Muller; the mean of exp(N(-1/2, 1)) is 1.
                let radius = (-2.0 * (1.0 - self.chance()).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * self.chance()).cos();
                (normal - 0.5).exp()
            }
        }
    }

    /// A number from 0 to 1, without the 1 (`SplitMix64`).
    fn chance(&self) -> f64 {
        let mut state = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = *state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let high = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}
