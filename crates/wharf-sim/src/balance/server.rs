//! [`Server`]: processor sharing with a changing number of processors.

/// A server at work. Time is in seconds.
#[derive(Clone, Debug)]
pub struct Server {
    processors: f64,
    /// What each request that is here has got since the beginning.
    served: f64,
    at: f64,
    /// When `served` is so much, the request is done.
    requests: Vec<(f64, usize)>,
    version: u32,
}

impl Server {
    /// A server without requests.
    pub const fn new(processors: f64) -> Self {
        Self {
            processors,
            served: 0.0,
            at: 0.0,
            requests: Vec::new(),
            version: 0,
        }
    }

    /// How many requests it has.
    pub const fn in_flight(&self) -> usize {
        self.requests.len()
    }

    /// How many processors are free for it.
    pub const fn processors(&self) -> f64 {
        self.processors
    }

    /// The number of the last change: what was foreseen before it does not come.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// From now on so many processors are free for it.
    pub fn set_processors(&mut self, processors: f64, now: f64) {
        self.advance(now);
        self.processors = processors;
    }

    /// A request comes with so many seconds of work.
    pub fn begin(&mut self, request: usize, work: f64, now: f64) {
        self.advance(now);
        self.requests.push((self.served + work, request));
    }

    /// A request goes; false if it was not there.
    pub fn end(&mut self, request: usize, now: f64) -> bool {
        // Who is not here changes nothing, nor what has been foreseen.
        let Some(place) = self.requests.iter().position(|&(_, id)| id == request) else {
            return false;
        };
        self.advance(now);
        self.requests.swap_remove(place);
        true
    }

    /// Which request is done next if nothing changes, and when.
    pub fn next(&self) -> Option<(f64, usize)> {
        let least = |one: &&(f64, usize), other: &&(f64, usize)| one.0.total_cmp(&other.0);
        let &(done, request) = self.requests.iter().min_by(least)?;
        Some((
            self.at + (done - self.served).max(0.0) / self.rate(),
            request,
        ))
    }

    fn advance(&mut self, now: f64) {
        self.served += (now - self.at) * self.rate();
        self.at = now;
        self.version = self.version.wrapping_add(1);
    }

    /// What each request gets of a processor.
    fn rate(&self) -> f64 {
        (self.processors / self.requests.len().max(1) as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Server;

    #[test]
    fn a_request_gets_at_most_a_processor_and_shares_what_there_is() {
        let mut server = Server::new(2.0);
        server.begin(1, 4.0, 0.0);
        assert_eq!(server.next(), Some((4.0, 1)));
        server.begin(2, 1.0, 0.0);
        assert_eq!(server.next(), Some((1.0, 2)));
        server.set_processors(1.0, 0.0);
        assert_eq!(server.next(), Some((2.0, 2)));
        assert!(server.end(2, 2.0));
        let version = server.version();
        assert!(!server.end(2, 2.0));
        assert_eq!(server.version(), version);
        assert_eq!(server.next(), Some((5.0, 1)));
    }
}
