//! [`Streak`]: how many checks in a row have gone the same way.

/// Whether checks say that an endpoint is well, with hysteresis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Streak {
    down: bool,
    /// Checks in a row that say otherwise.
    against: u32,
}

impl Streak {
    /// Of an endpoint that is well until something else is known.
    pub(crate) const fn new() -> Self {
        Self {
            down: false,
            against: 0,
        }
    }

    /// Notes a check; `Some` if it changes what the endpoint is taken for: true for well.
    pub(super) const fn note(&mut self, well: bool, fall: u32, rise: u32) -> Option<bool> {
        if well != self.down {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        let enough = if self.down { rise } else { fall };
        if self.against < enough {
            return None;
        }
        self.against = 0;
        self.down = !self.down;
        Some(!self.down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_take_it_down_and_two_successes_bring_it_back() {
        let mut streak = Streak::new();
        let mut note = |well| streak.note(well, 3, 2);
        let said = [
            false, false, true, false, false, false, false, true, false, true, true, true,
        ];
        let turned = said.map(&mut note);
        let mut expected = [None; 12];
        expected[5] = Some(false);
        expected[10] = Some(true);
        assert_eq!(turned, expected);
        assert!(!streak.down);
    }
}
