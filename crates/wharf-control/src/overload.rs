//! What a server decides that is asked for more than it can do: how many requests to work on at a time, and whose.
//!
//! Begin with [`ConcurrencyLimit`]: it follows what the server can bear, from what a [`LimitRecorder`] saw of its requests. Whoever
//! finds no place under it stands in a [`Line`], by his [`Level`].

mod concurrency;
mod elasticity;
mod latency_histogram;
mod level;
mod limit_window;
mod line;

pub use concurrency::{ConcurrencyLimit, ConcurrencySettings, Verdict};
pub use latency_histogram::LatencyHistogram;
pub use level::{Class, Level};
pub use limit_window::{LimitRecorder, LimitWindow};
pub use line::{Full, Joined, Line, Ticket};
