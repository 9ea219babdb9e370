//! What must hold of the laws in the plants, beside published results.

mod balancing;
mod ejection;
mod limiting;
mod pool;
mod queues;
mod shedding;
