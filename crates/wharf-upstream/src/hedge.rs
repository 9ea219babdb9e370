//! Hedging: a request whose answer is long in coming is sent to another endpoint too, and the first answer taken.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, sleep};

use crate::body::{ResponseBody, SendBody};
use crate::endpoint::{Endpoint, Load};
use crate::options::SendOptions;
use crate::replay::Replay;
use crate::send::Failure;
use crate::upstream::Upstream;

type Answered = Result<Response<ResponseBody>, Box<Failure>>;

/// When `request` may be sent a second time though the first is still out; `None` for never.
///
/// Only what is safe (RFC 9110 9.2.1) and has no body: of two DELETEs at once, the one that comes second may be
/// the one that answers.
pub(crate) fn hedge_after(request: &Request<SendBody>, options: &SendOptions) -> Option<Duration> {
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    options.hedge_after.filter(|_| safe && !options.upgrade)
}

impl Upstream {
    /// Sends a request to one endpoint, and after a while to a second one.
    ///
    /// Who loses is not to blame, and only known to take longer. That the endpoint is another one and that the
    /// budget of retries pays keeps an upstream that is slow as a whole from being asked twice as much.
    pub(crate) async fn hedged(
        &self,
        mut load: Load,
        request: Request<SendBody>,
        options: &SendOptions,
        after: Duration,
    ) -> Answered {
        let Some(copy) = Replay::of(&request).copy() else {
            return self.attempt(load, request, options).await;
        };
        let (asked, given) = (Arc::clone(load.endpoint()), load.watch());
        let mut first = pin!(self.attempt(load, request, options));
        tokio::select! {
            biased;
            answered = first.as_mut() => return answered,
            () = sleep(after) => {}
        }
        let Some(mut load) = self.choose_another(options.hash, &asked) else {
            return first.await;
        };
        let other = Arc::clone(load.endpoint());
        other.tally.hedged();
        let given_too = load.watch();
        let mut second = pin!(self.attempt(load, copy, options));
        let (answered, won) = tokio::select! {
            biased;
            answered = first.as_mut() => (answered, false),
            answered = second.as_mut() => (answered, true),
        };
        if is_good(&answered) {
            if won {
                other.tally.won();
                outrun(&asked, &given);
            } else {
                outrun(&other, &given_too);
            }
            return answered;
        }
        // A failure, or an answer that says so, is no reason to give up one that is still out.
        let last = if won { first.await } else { second.await };
        let (answered, left) = better(answered, last);
        if let Err(left) = left {
            left.endpoint.tally.failed(&left.left.error);
        }
        answered
    }

    /// Another endpoint than that, if there is one and the budget pays.
    fn choose_another(&self, hash: Option<u64>, than: &Arc<Endpoint>) -> Option<Load> {
        let load = self
            .choose(hash, Some(than), self.context().clock.now())
            .ok()?;
        let another = !Arc::ptr_eq(load.endpoint(), than);
        (another && self.may_retry()).then_some(load)
    }
}

/// `endpoint` has not answered yet what it was given: its time counts from then, and not from when the request began
/// to wait for a connection of ours.
fn outrun(endpoint: &Endpoint, given: &OnceLock<Instant>) {
    if let Some(given) = given.get() {
        endpoint.outrun(given.elapsed());
    }
}

/// The better of two, and the other.
fn better(first: Answered, last: Answered) -> (Answered, Answered) {
    if is_good(&last) || first.is_err() {
        (last, first)
    } else {
        (first, last)
    }
}

/// Whether it is what the caller wants to have.
fn is_good(answered: &Answered) -> bool {
    answered.as_ref().is_ok_and(|answer| {
        let status = answer.status();
        !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
    })
}
