//! The promises of the pool, one file each.

mod accounting;
mod accounting_threads;
mod cancellation;
mod changes;
mod events;
mod examples;
mod full;
mod health;
mod metrics;
mod world;
