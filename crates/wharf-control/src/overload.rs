//! What a server decides that is asked for more than it can do: how many requests to work on at a time, and whose.
//!
//! Begin with [`ConcurrencyLimit`]: it follows what the server can bear, from what a [`LimitRecorder`] saw of its requests. Who is
//! turned away is the [`LevelGate`]'s choice, how many [`RejectRatio`] says.

mod concurrency;
mod elasticity;
mod latency_histogram;
mod level;
mod level_gate;
mod limit_window;
mod reject_ratio;

pub use concurrency::{ConcurrencyLimit, ConcurrencySettings, Verdict};
pub use latency_histogram::LatencyHistogram;
pub use level::{Class, Level};
pub use level_gate::LevelGate;
pub use limit_window::{LimitRecorder, LimitWindow};
pub use reject_ratio::{Flow, RejectRatio};
