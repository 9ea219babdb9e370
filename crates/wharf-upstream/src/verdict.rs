//! [`Verdict`]: what an answer says of the endpoint that gave it.

use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Response};
use wharf_pool::Outcome;

use crate::endpoint::Answer;

/// What an answer has said so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict {
    status: Option<u16>,
    /// Whether the call's own status is still to come, in trailers.
    awaits_trailers: bool,
    grpc: Option<u16>,
    retry_after: Option<Duration>,
}

impl Verdict {
    /// Reads the head of an answer.
    pub(crate) fn of_head<B>(answer: &Response<B>) -> Self {
        let fields = answer.headers();
        let status = answer.status().as_u16();
        let grpc = status == 200 && is_grpc(fields);
        let ended = if grpc { grpc_status(fields) } else { None };
        // Most answers ask for nothing, and are not looked through for it.
        let asks = grpc || matches!(status, 429 | 500..=599);
        Self {
            status: Some(status),
            awaits_trailers: grpc && ended.is_none(),
            grpc: ended,
            retry_after: if asks { retry_after(fields) } else { None },
        }
    }

    /// What to note of the endpoint now, `took` after the request; nothing before the trailers where they say it.
    pub(crate) fn answer(&self, took: Duration) -> Option<Answer> {
        if self.awaits_trailers {
            return None;
        }
        let retry_after = self.retry_after;
        Some(match (self.grpc, self.status) {
            (Some(code), _) if faults(code) => Answer::Failed { retry_after },
            (None, Some(429)) => Answer::Throttled { retry_after },
            (None, Some(500..=599) | None) => Answer::Failed { retry_after },
            (Some(_), _) | (None, Some(_)) => Answer::Good(took),
        })
    }

    /// Reads the trailers, and says what to note of the endpoint now.
    pub(crate) fn trailers(&mut self, trailers: &HeaderMap, took: Duration) -> Option<Answer> {
        if !self.awaits_trailers {
            return None;
        }
        self.awaits_trailers = false;
        // A call without a status has failed in a way that nobody knows: UNKNOWN.
        self.grpc = Some(grpc_status(trailers).unwrap_or(UNKNOWN));
        self.answer(took)
    }

    /// How the request is counted.
    pub(crate) fn outcome(&self) -> Outcome {
        match (self.grpc, self.status) {
            (Some(0), _) => Outcome::Success,
            (Some(code), _) if faults(code) => Outcome::ServerError,
            (Some(_), _) => Outcome::ClientError,
            (None, Some(status)) => Outcome::of_status(status),
            (None, None) => Outcome::Cancelled,
        }
    }
}

const UNKNOWN: u16 = 2;

/// The codes that are the server's fault: UNKNOWN, `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED`, INTERNAL,
/// UNAVAILABLE, `DATA_LOSS`.
const fn faults(code: u16) -> bool {
    matches!(code, 2 | 4 | 8 | 13 | 14 | 15)
}

fn is_grpc(fields: &HeaderMap) -> bool {
    let kind = fields.get(CONTENT_TYPE).map_or(&[][..], |it| it.as_bytes());
    let rest = kind.strip_prefix(b"application/grpc");
    // Not `application/grpc-web`, whose status is in its body.
    rest.is_some_and(|rest| rest.first().is_none_or(|b| matches!(b, b'+' | b';' | b' ')))
}

fn grpc_status(fields: &HeaderMap) -> Option<u16> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// Seconds only: a date would have to be compared with a clock that may be another's.
fn retry_after(fields: &HeaderMap) -> Option<Duration> {
    let seconds = fields
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, fields: &[(&'static str, &'static str)]) -> Response<()> {
        let mut answer = Response::builder().status(status);
        for (name, value) in fields {
            answer = answer.header(*name, *value);
        }
        answer.body(()).unwrap()
    }

    const TOOK: Duration = Duration::from_millis(5);

    #[test]
    fn a_status_says_whether_the_endpoint_is_to_blame() {
        let failed = |retry_after| Some(Answer::Failed { retry_after });
        for (status, expected, outcome) in [
            (200, Some(Answer::Good(TOOK)), Outcome::Success),
            (404, Some(Answer::Good(TOOK)), Outcome::ClientError),
            (
                429,
                Some(Answer::Throttled { retry_after: None }),
                Outcome::ClientError,
            ),
            (500, failed(None), Outcome::ServerError),
            (503, failed(None), Outcome::ServerError),
        ] {
            let verdict = Verdict::of_head(&answer(status, &[]));
            assert_eq!(
                (verdict.answer(TOOK), verdict.outcome()),
                (expected, outcome)
            );
        }
        let asked = Verdict::of_head(&answer(503, &[("retry-after", "7")]));
        assert_eq!(asked.answer(TOOK), failed(Some(Duration::from_secs(7))));
    }

    #[test]
    fn a_call_is_judged_by_its_own_status_wherever_that_is() {
        let grpc = ("content-type", "application/grpc+proto");
        let at_once = Verdict::of_head(&answer(200, &[grpc, ("grpc-status", "14")]));
        assert_eq!(
            at_once.answer(TOOK),
            Some(Answer::Failed { retry_after: None })
        );

        let mut later = Verdict::of_head(&answer(200, &[grpc]));
        assert_eq!(later.answer(TOOK), None);
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "5".parse().unwrap());
        assert_eq!(later.trailers(&trailers, TOOK), Some(Answer::Good(TOOK)));
        assert_eq!(later.outcome(), Outcome::ClientError);

        let web = Verdict::of_head(&answer(200, &[("content-type", "application/grpc-web")]));
        assert_eq!(web.answer(TOOK), Some(Answer::Good(TOOK)));
    }
}
