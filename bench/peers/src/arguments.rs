//! [`Arguments`]: what a peer is told.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What a peer is told.
#[derive(Debug, clap::Parser)]
pub struct Arguments {
    /// Where to listen.
    pub address: SocketAddr,
    /// Speak HTTP/2 and not HTTP/1.
    #[arg(long)]
    pub http2: bool,
    /// Speak TLS, with this certificate.
    #[arg(long, requires = "key")]
    pub certificate: Option<PathBuf>,
    /// And with this key.
    #[arg(long, requires = "certificate")]
    pub key: Option<PathBuf>,
    /// Threads that serve.
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
}

impl Arguments {
    /// A runtime with that many threads.
    ///
    /// # Errors
    ///
    /// The threads cannot be started.
    pub fn runtime(&self) -> std::io::Result<tokio::runtime::Runtime> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.workers)
            .enable_all()
            .build()
    }
}
