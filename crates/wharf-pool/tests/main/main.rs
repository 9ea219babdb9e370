//! The promises of the pool, one file each.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::float_cmp,
    reason = "tests fail loudly, look only for what they look for, and have exact quotients"
)]

mod accounting;
mod accounting_threads;
mod cancellation;
mod changes;
mod dry_run;
mod events;
mod examples;
mod full;
mod guarantee;
mod health;
mod metrics;
mod ramp;
mod relief;
mod world;
