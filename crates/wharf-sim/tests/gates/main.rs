//! What must hold of the laws in the plants, beside published results.

mod balancing;
mod ejection;
mod pool;
mod queues;
