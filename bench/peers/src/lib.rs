//! What the peers in Rust have in common: their allocator, their arguments, and the socket.

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod apart;
mod arguments;
mod pieces;
mod socket;
mod tls;

pub use apart::Apart;
pub use arguments::Arguments;
pub use pieces::Pieces;
pub use socket::{BACKLOG, listen};
pub use tls::acceptor;

/// What every peer answers.
pub const ANSWER: &[u8] = b"Hello, World!";
