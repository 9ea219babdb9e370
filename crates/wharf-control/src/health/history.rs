//! [`History`]: which of the last windows were hits.

/// The last 32 windows, one bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct History(u32);

impl History {
    pub(super) fn push(&mut self, hit: bool) {
        self.0 = self.0 << 1 | u32::from(hit);
    }

    /// Whether at least `hits` of the last `of` windows were hits.
    pub(super) fn reaches(self, hits: u32, of: u32) -> bool {
        let last = u32::MAX.checked_shr(32 - of.min(32)).unwrap_or(0);
        hits > 0 && (self.0 & last).count_ones() >= hits
    }

    pub(super) const fn last(self) -> bool {
        self.0 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::History;

    #[test]
    fn hits_outside_the_last_windows_do_not_count() {
        let mut history = History::default();
        for hit in [true, true, false, false, true] {
            history.push(hit);
        }
        assert!(history.reaches(3, 5) && !history.reaches(3, 4) && !history.reaches(4, 5));
        assert!(history.reaches(3, 32) && history.reaches(3, 99) && !history.reaches(1, 0));
        assert!(!history.reaches(0, 5));
    }
}
