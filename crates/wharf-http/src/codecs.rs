//! [`Codecs`]: how many connections of a listener have a codec of HTTP/1.

use std::sync::atomic::{AtomicUsize, Ordering};

/// So many may keep theirs while they rest. hyper's holds 18 KB, of which what lives beside it keeps the
/// pages: the memory of a crowd that asks once is that of the codecs which were there at a time.
pub(crate) const MOST: usize = 1024;

/// How many connections of a listener have a codec of HTTP/1.
#[derive(Debug, Default)]
pub(crate) struct Codecs(AtomicUsize);

impl Codecs {
    /// Counts one more, until it is dropped.
    pub(crate) fn made(&self) -> Codec<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Codec(self)
    }

    /// Whether a connection that is idle is to put its own away at once.
    pub(crate) fn are_many(&self) -> bool {
        self.0.load(Ordering::Relaxed) > MOST
    }
}

/// A codec that is counted.
#[derive(Debug)]
#[must_use = "one that is dropped is not counted"]
pub(crate) struct Codec<'a>(&'a Codecs);

impl Drop for Codec<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_many_from_the_one_after_the_most_until_it_is_gone() {
        let codecs = Codecs::default();
        let mut made: Vec<_> = (0..MOST).map(|_| codecs.made()).collect();
        assert!(!codecs.are_many());
        made.push(codecs.made());
        assert!(codecs.are_many());
        made.pop();
        assert!(!codecs.are_many());
    }
}
