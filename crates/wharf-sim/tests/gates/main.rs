//! What must hold of the laws in the plants, beside published results.

mod balancing;
mod doors;
mod ejection;
mod limiting;
mod pool;
mod queues;
mod shedding;
