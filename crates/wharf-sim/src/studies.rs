//! The studies: each repeats one table and says what it is to be compared with.
//!
//! `run` gives numbers, `table` their text beside the reference. How long a run is, an argument says: the
//! command takes its time, the tests take as much as their tolerances need.

pub mod balancers;
pub mod balls;
pub mod black_hole;
pub mod dagor;
pub mod doors;
pub mod erlang;
pub mod limiter;
pub mod pool;
pub mod supermarket;
