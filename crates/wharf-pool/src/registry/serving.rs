//! [`ServingState`]: whether the process takes work.

/// Whether the process takes work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServingState {
    /// Not every listener is open yet.
    Starting,
    /// It takes connections.
    Serving,
    /// It finishes what it has.
    Draining,
}

impl ServingState {
    pub(super) const ALL: [Self; 3] = [Self::Starting, Self::Serving, Self::Draining];

    /// The word in the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }
}
