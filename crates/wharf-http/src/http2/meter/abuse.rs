//! [`Http2Abuse`]: in what way a peer makes work without asking for anything.

/// A closed set: each is a label of its own, and has a budget of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Http2Abuse {
    /// PINGs (CVE-2019-9512).
    PingFlood,
    /// Acknowledgements of PINGs that nobody sent.
    PingAckFlood,
    /// SETTINGS, many entries in them, and acknowledgements of none of ours (CVE-2019-9515).
    SettingsFlood,
    /// PRIORITY and `PRIORITY_UPDATE` (CVE-2019-9513).
    PriorityFlood,
    /// `WINDOW_UPDATE`s for more than was sent (CVE-2019-9511).
    WindowUpdateFlood,
    /// GOAWAYs: a client leaves once.
    GoAwayFlood,
    /// Frames of types that nobody knows, or that no client has reason to send.
    UnknownFlood,
    /// `RST_STREAM` on streams that are closed, or were never opened (CVE-2019-9514).
    ResetFlood,
    /// HEADERS and CONTINUATION with nothing in them (CVE-2019-9518).
    EmptyHeadersFlood,
    /// Header blocks in many pieces (VU#421644).
    ContinuationFlood,
    /// DATA with nothing or next to nothing in it (CVE-2019-9518).
    TinyDataFlood,
    /// Requests that are taken back before they are answered (CVE-2023-44487).
    RapidReset,
    /// Streams on which we are made to send `RST_STREAM` (CVE-2025-8671).
    MadeYouReset,
    /// Streams over the number that we have announced.
    RefusedStreams,
    /// Bytes that carry nothing, against those that do.
    Overhead,
}

impl Http2Abuse {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// All of them, each at its [`index`](Self::index).
    pub(crate) const ALL: [Self; 15] = [
        Self::PingFlood,
        Self::PingAckFlood,
        Self::SettingsFlood,
        Self::PriorityFlood,
        Self::WindowUpdateFlood,
        Self::GoAwayFlood,
        Self::UnknownFlood,
        Self::ResetFlood,
        Self::EmptyHeadersFlood,
        Self::ContinuationFlood,
        Self::TinyDataFlood,
        Self::RapidReset,
        Self::MadeYouReset,
        Self::RefusedStreams,
        Self::Overhead,
    ];

    /// Its place in a table of all.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// The label: what metrics, logs and the debug text of GOAWAY call it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::PingFlood => "ping_flood",
            Self::PingAckFlood => "ping_ack_flood",
            Self::SettingsFlood => "settings_flood",
            Self::PriorityFlood => "priority_flood",
            Self::WindowUpdateFlood => "window_update_flood",
            Self::GoAwayFlood => "goaway_flood",
            Self::UnknownFlood => "unknown_flood",
            Self::ResetFlood => "reset_flood",
            Self::EmptyHeadersFlood => "empty_headers_flood",
            Self::ContinuationFlood => "continuation_flood",
            Self::TinyDataFlood => "tiny_data_flood",
            Self::RapidReset => "rapid_reset",
            Self::MadeYouReset => "made_you_reset",
            Self::RefusedStreams => "refused_streams",
            Self::Overhead => "overhead",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Http2Abuse;

    #[test]
    fn every_kind_has_a_place_and_a_label_of_its_own() {
        for (index, kind) in Http2Abuse::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), index);
        }
        let labels: HashSet<_> = Http2Abuse::ALL.map(Http2Abuse::as_str).into();
        assert_eq!(labels.len(), Http2Abuse::COUNT);
    }
}
