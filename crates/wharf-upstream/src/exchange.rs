//! [`answered`]: the wait for the head of an answer, and what it means if none comes.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
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
    pub(crate) request: Option<Box<Request<SendBody>>>,
    pub(crate) extent: Extent,
}

/// What has ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The stream of this request alone.
    Stream,
    /// The connection.
    Connection,
}

/// Waits for the head of the answer.
pub(crate) async fn answered(
    sent: Sent,
    flight: &Flight,
    progress: &Progress,
    settings: &PoolSettings,
    options: &SendOptions,
) -> Result<Response<Incoming>, Broke> {
    let mut sent = pin!(sent.answered());
    loop {
        let owes = progress.owes();
        let due = due(owes, flight, settings, options);
        tokio::select! {
            biased;
            answer = sent.as_mut() => return match answer {
                Ok(answer) => asked_for(answer, flight, options),
                Err(error) => Err(broke(error, flight, progress)),
            },
            () = progress.ended(), if !matches!(owes, Owes::Answer(_)) => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                if let Some(error) = late(progress.owes(), flight, settings, options) {
                    return Err(Broke { error, request: None, extent: Extent::Stream });
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
        Owes::Answer(since) => options
            .response_timeout
            .or(settings.response_timeout)
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
    match (owes, options.response_timeout.or(settings.response_timeout)) {
        (Owes::Room(_), _) if over => Some(SendError::SendTimeout { endpoint: address }),
        (Owes::Answer(_), Some(after)) if over => Some(SendError::ResponseTimeout {
            endpoint: address,
            after,
        }),
        (Owes::Bytes | Owes::Room(_) | Owes::Answer(_), _) => None,
    }
}

/// The answer, unless it is to a question that was not asked.
fn asked_for(
    answer: Response<Incoming>,
    flight: &Flight,
    options: &SendOptions,
) -> Result<Response<Incoming>, Broke> {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS && !options.upgrade {
        let endpoint = flight.load().endpoint().address.clone();
        return Err(Broke {
            error: SendError::Malformed {
                endpoint,
                source: None,
            },
            request: None,
            extent: Extent::Connection,
        });
    }
    Ok(answer)
}

/// What the codec's error means.
fn broke(
    mut refused: TrySendError<Request<SendBody>>,
    flight: &Flight,
    progress: &Progress,
) -> Broke {
    let request = refused.take_message().map(Box::new);
    let error = refused.into_error();
    let endpoint = flight.load().endpoint().address.clone();
    let unseen = request.is_some() || flight.has_written_nothing();
    let (of_stream, left_out) = of_http2(&error);
    let source = Arc::new(error);
    let error = if progress.has_failed() {
        SendError::RequestBody { endpoint, source }
    } else if source.is_parse() {
        SendError::Malformed {
            endpoint,
            source: Some(source),
        }
    } else if left_out || unseen {
        SendError::Unsent {
            endpoint,
            source: Some(source),
        }
    } else {
        SendError::Broken { endpoint, source }
    };
    let extent = if of_stream {
        Extent::Stream
    } else {
        Extent::Connection
    };
    Broke {
        error,
        request,
        extent,
    }
}

/// Whether only the stream has ended, and whether the endpoint says that it has not looked at it:
/// `REFUSED_STREAM`, or a GOAWAY whose last stream is an earlier one (RFC 9113 6.8, 8.7).
fn of_http2(error: &hyper::Error) -> (bool, bool) {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
            let left_out = error.is_go_away() && error.is_remote();
            return (error.is_reset(), refused || left_out);
        }
        cause = error.source();
    }
    (false, false)
}
