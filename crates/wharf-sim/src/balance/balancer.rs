//! [`Balancer`]: who chooses a server.

use std::time::Duration;

use wharf_control::Timestamp;

use super::Server;

/// A request has ended, from its client's point of view.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Whose it was.
    pub client: usize,
    /// Who had it.
    pub server: usize,
    /// How long it took.
    pub latency: Duration,
    /// Whether it failed, at once or by its deadline.
    pub failed: bool,
    /// What the server had in flight when it came, and now.
    pub in_flight: [usize; 2],
}

/// The choices of all clients.
pub trait Balancer {
    /// Chooses for a request of `client`. What `servers` say of themselves is for those who ask them.
    fn choose(&mut self, client: usize, servers: &[Server], now: Timestamp) -> usize;

    /// A request was answered, failed or given up.
    fn ended(&mut self, ended: &Ended, now: Timestamp);

    /// Every 5 ms, a client's turn, each in turn: for those that poll.
    fn poll(&mut self, _client: usize, _servers: &[Server]) {}
}
