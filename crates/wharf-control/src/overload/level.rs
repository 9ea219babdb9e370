//! [`Level`]: how important a request is, among all.

use crate::jitter::mix;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the five classes of the law")]
pub enum Class {
    /// What the service is there for.
    Critical,
    /// What people wait for.
    Interactive,
    /// Everything that says nothing else.
    Normal,
    /// What can be asked for again later.
    Background,
    /// What can be left out.
    Sheddable,
}

impl Class {
    /// Every class, the most important first.
    pub const ALL: [Self; 5] = [
        Self::Critical,
        Self::Interactive,
        Self::Normal,
        Self::Background,
        Self::Sheddable,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Interactive => "interactive",
            Self::Normal => "normal",
            Self::Background => "background",
            Self::Sheddable => "sheddable",
        }
    }
}

/// A class and a place in it: 640 levels, the least the most important.
///
/// Within a class users have places by hash, the same for all their requests in an hour: so a user is served or not, instead of
/// everybody's every second request failing, and of calls that need several others all are admitted or none
/// (DAGOR, `SoCC` 2018). Each hour the places are dealt anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u16);

impl Level {
    /// Places in a class.
    pub const PLACES: u16 = 128;
    /// The least important.
    pub const LAST: Self = Self(639);

    /// The level of a request of this class. `user` is a hash of who asks, or of the connection; `hour` counts hours.
    pub const fn new(class: Class, user: u64, hour: u64) -> Self {
        let place = mix(user ^ mix(hour)) % Self::PLACES as u64;
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of 128")]
        Self(class as u16 * Self::PLACES + place as u16)
    }

    /// Whether it is of the first class.
    pub const fn is_critical(self) -> bool {
        self.0 < Self::PLACES
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Level};

    #[test]
    fn classes_come_first_and_users_keep_their_place_for_an_hour() {
        let level = |class, user, hour| Level::new(class, user, hour);
        assert_eq!(level(Class::Normal, 7, 1), level(Class::Normal, 7, 1));
        for user in 0..1_000 {
            assert!(level(Class::Critical, user, 1) < level(Class::Interactive, user + 1, 1));
            assert!(level(Class::Background, user, 1) < level(Class::Sheddable, user + 1, 1));
            assert!(level(Class::Critical, user, 1).is_critical());
            assert!(level(Class::Sheddable, user, 1) <= Level::LAST);
        }
        let moved = (0..1_000)
            .filter(|&user| level(Class::Normal, user, 1) != level(Class::Normal, user, 2));
        assert!(moved.count() > 950);
    }
}
