//! [`Silence`]: for how long an endpoint has answered nobody, though it was asked.

use std::time::Duration;

use wharf_control::Timestamp;

/// An endpoint that takes so many times as long as it usually does is late, whatever its callers had time for.
const MANY_TIMES: u32 = 4;

/// However quick an endpoint usually is, what is shorter than this may be anybody's pause.
const LEAST: Duration = Duration::from_millis(100);

/// What an endpoint is given that has never answered.
const UNKNOWN: Duration = Duration::from_secs(1);

/// For how long an endpoint has answered nobody, though it was asked, and how long it usually takes.
///
/// The deadline of a caller says little of an endpoint: it may have been too short for any. But an endpoint that
/// hangs behind callers with deadlines is found by nothing else. So it is to blame for a deadline that has passed
/// when it has had the request for many times as long as it usually takes; or when it has answered nobody for so
/// long, the times of all who waited meanwhile joined, for each may have been short. (Envoy counts every 504 of
/// its own as a failure, gRPC's outlier detection every `DEADLINE_EXCEEDED`, however short the deadline.)
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence {
    /// How long answers take, on average of the last few.
    usual: Option<Duration>,
    /// How long somebody has waited since the last answer …
    lasted: Duration,
    /// … up to here.
    until: Timestamp,
}

impl Silence {
    /// It has said something.
    pub(super) const fn broken(&mut self) {
        self.lasted = Duration::ZERO;
    }

    /// It has answered well, after so long.
    pub(super) fn answered(&mut self, took: Duration) {
        self.broken();
        self.usual = Some(self.usual.map_or(took, |usual| (usual * 7 + took) / 8));
    }

    /// Somebody has waited since then for nothing; true if that is the endpoint's fault.
    pub(super) fn unanswered(&mut self, since: Timestamp, now: Timestamp) -> bool {
        self.lasted += now - since.max(self.until);
        self.until = self.until.max(now);
        let patience = self
            .usual
            .map_or(UNKNOWN, |usual| LEAST.max(usual.saturating_mul(MANY_TIMES)));
        self.lasted >= patience || now - since >= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_millis(millis))
    }

    fn of(usual: u64) -> Silence {
        let mut silence = Silence::default();
        silence.answered(Duration::from_millis(usual));
        silence
    }

    #[test]
    fn a_deadline_that_is_short_for_the_endpoint_is_not_its_fault() {
        assert!(!of(300).unanswered(at(0), at(1199)));
        assert!(of(300).unanswered(at(0), at(1200)));
        // Quick ones are given time to pause, unknown ones more.
        assert!(!of(1).unanswered(at(0), at(99)));
        assert!(of(1).unanswered(at(0), at(100)));
        assert!(!Silence::default().unanswered(at(0), at(999)));
        assert!(Silence::default().unanswered(at(0), at(1000)));
    }

    #[test]
    fn short_waits_for_nothing_add_up_and_are_counted_once_where_they_overlap() {
        let mut silence = of(1);
        assert!(!silence.unanswered(at(0), at(40)));
        // Nobody asked in between, and many ask at once.
        assert!(!silence.unanswered(at(1000), at(1040)));
        assert!(!silence.unanswered(at(1010), at(1050)));
        assert!(!silence.unanswered(at(1000), at(1050)));
        assert!(silence.unanswered(at(1050), at(1060)));
    }

    #[test]
    fn one_answer_breaks_the_silence() {
        let mut silence = of(1);
        assert!(!silence.unanswered(at(0), at(90)));
        silence.broken();
        assert!(!silence.unanswered(at(90), at(180)));
    }

    #[test]
    fn what_is_usual_follows_the_answers() {
        let mut silence = of(1000);
        for _ in 0..40 {
            silence.answered(Duration::from_millis(10));
        }
        assert!(silence.unanswered(at(0), at(200)));
    }
}
