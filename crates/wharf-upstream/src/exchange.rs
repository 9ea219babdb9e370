//! [`answered`]: the wait for the head of an answer, and what it means if none comes.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};

use crate::body::SendBody;
use crate::endpoint::Sent;
use crate::error::{SendError, Unsent};
use crate::flight::Flight;
use crate::options::SendOptions;
use crate::settings::PoolSettings;
use crate::upload::{Owes, Progress};

/// There is no answer.
pub(crate) struct Broke {
    pub(crate) error: SendError,
    /// The request, if the codec did not begin to send it.
    pub(crate) request: Option<Request<SendBody>>,
}

/// Waits for the head of the answer.
pub(crate) async fn answered(
    sent: Sent,
    flight: &Flight,
    progress: &Progress,
    settings: &PoolSettings,
    options: &SendOptions,
) -> Result<Response<Incoming>, Broke> {
    let before = flight.lease().handle.bytes().1;
    let mut sent = pin!(sent.answered());
    loop {
        let owes = progress.owes();
        let due = due(owes, flight, settings, options);
        tokio::select! {
            biased;
            answer = sent.as_mut() => return answer.map_err(|mut refused| {
                let request = refused.take_message();
                let written = flight.lease().handle.bytes().1 > before;
                let seen = request.is_none() && written;
                Broke { error: classify(refused.into_error(), seen, flight), request }
            }),
            () = progress.ended(), if !matches!(owes, Owes::Answer(_)) => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                if let Some(error) = late(progress.owes(), flight, settings, options) {
                    return Err(Broke { error, request: None });
                }
            }
        }
    }
}

/// When to look again whether it takes too long.
fn due(
    owes: Owes,
    flight: &Flight,
    settings: &PoolSettings,
    options: &SendOptions,
) -> Option<Instant> {
    let clock = flight.load().endpoint().context.clock;
    let step = match owes {
        // Whether it owes by then is found out then, and not at every byte.
        Owes::Bytes => settings.send_timeout.map(|after| Instant::now() + after),
        Owes::Room(since) => settings
            .send_timeout
            .map(|after| clock.instant(since.after(after))),
        Owes::Answer(since) => settings
            .response_timeout
            .map(|after| clock.instant(since.after(after))),
    };
    match (step, options.deadline) {
        (Some(step), Some(deadline)) => Some(step.min(deadline)),
        (step, deadline) => step.or(deadline),
    }
}

/// The error, if it does take too long.
fn late(
    owes: Owes,
    flight: &Flight,
    settings: &PoolSettings,
    options: &SendOptions,
) -> Option<SendError> {
    let endpoint = flight.load().endpoint();
    let (address, now) = (endpoint.address.clone(), Instant::now());
    if options.deadline.is_some_and(|deadline| now >= deadline) {
        return Some(SendError::DeadlineExceeded {
            endpoint: address,
            unsent: Unsent::Something,
        });
    }
    let over = now >= due(owes, flight, settings, options)?;
    match (owes, settings.response_timeout) {
        (Owes::Room(_), _) if over => Some(SendError::SendTimeout { endpoint: address }),
        (Owes::Answer(_), Some(after)) if over => Some(SendError::ResponseTimeout {
            endpoint: address,
            after,
        }),
        (Owes::Bytes | Owes::Room(_) | Owes::Answer(_), _) => None,
    }
}

/// What the codec's error means. `seen`: whether the endpoint may have seen something of the request.
fn classify(error: hyper::Error, seen: bool, flight: &Flight) -> SendError {
    let endpoint = flight.load().endpoint().address.clone();
    let refused = is_refused(&error);
    let (parse, body) = (error.is_parse(), is_of_the_request_body(&error));
    let source = Arc::new(error);
    if body {
        SendError::RequestBody { endpoint, source }
    } else if parse {
        SendError::Malformed { endpoint, source }
    } else if refused || !seen {
        SendError::Unsent {
            endpoint,
            source: Some(source),
        }
    } else {
        SendError::Broken { endpoint, source }
    }
}

/// Whether the endpoint says that it has not looked at the stream: `REFUSED_STREAM`, or a GOAWAY whose last
/// stream is an earlier one (RFC 9113 6.8, 8.7).
fn is_refused(error: &hyper::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
            let left_out = error.is_go_away() && error.is_remote();
            return refused || left_out;
        }
        cause = error.source();
    }
    false
}

fn is_of_the_request_body(error: &hyper::Error) -> bool {
    error.is_user() && !error.is_canceled()
}
