//! Health checks: endpoints are asked whether they are well, whoever else asks them.

mod grpc;
mod streak;

pub(crate) use streak::Streak;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;
use wharf_control::{Timestamp, jittered, offset};

use crate::aim::aim;
use crate::body::SendBody;
use crate::connect::ConnectError;
use crate::endpoint::{Attempt, Endpoint, For, Lease, LeaseError};
use crate::options::SendOptions;
use crate::policy::{CheckKind, HealthCheckSettings};

/// How much of the interval chance adds or takes.
const JITTER: f64 = 0.1;

/// The most that is read of an answer.
const MOST: usize = 64 * 1024;

/// When an endpoint is asked next, and what its answers come to.
#[derive(Debug)]
pub(crate) struct Schedule {
    next: Option<Timestamp>,
    /// Whether one is under way: it has a connection of its own, and one is enough.
    asking: bool,
    /// Counts the checks, so that each has a jitter of its own.
    nth: u64,
    pub(crate) streak: Streak,
    /// How many in a row have gone well while requests were kept away for their own failures.
    well_meanwhile: u32,
}

impl Schedule {
    pub(crate) const fn new() -> Self {
        Self {
            next: None,
            asking: false,
            nth: 0,
            streak: Streak::new(),
            well_meanwhile: 0,
        }
    }

    /// A check has ended; whether so many in a row have gone well while the endpoint was left alone
    /// (`well_though_out`) that it is worth a request.
    const fn is_worth_a_probe(&mut self, well_though_out: bool, rise: u32) -> bool {
        self.well_meanwhile = if well_though_out {
            self.well_meanwhile.saturating_add(1)
        } else {
            0
        };
        let enough = self.well_meanwhile >= rise;
        if enough {
            self.well_meanwhile = 0;
        }
        enough
    }

    /// Whether a check is due; the next one is set then. The first comes at a moment of the first interval
    /// that chance says, so that the endpoints of many gateways are not asked all at once.
    fn take(&mut self, interval: Duration, seed: u64, now: Timestamp) -> bool {
        let seed = seed.wrapping_add(self.nth);
        self.nth = self.nth.wrapping_add(1);
        match self.next {
            None => {
                self.next = Some(now.after(offset(interval, seed)));
                false
            }
            Some(next) if next <= now && !self.asking => {
                self.asking = true;
                self.next = Some(now.after(jittered(interval, JITTER, seed)));
                true
            }
            Some(_) => false,
        }
    }
}

/// Asks an endpoint, if that is due.
pub(crate) fn due(endpoint: &Arc<Endpoint>, settings: &HealthCheckSettings) {
    let now = endpoint.context.clock.now();
    let seed = endpoint.seed();
    if !endpoint.schedule().take(settings.interval, seed, now) {
        return;
    }
    let (endpoint, settings) = (Arc::clone(endpoint), settings.clone());
    let context = Arc::clone(&endpoint.context);
    let closing = context.closing.clone();
    context.spawn(async move {
        tokio::select! {
            () = closing.cancelled() => {}
            () = check(&endpoint, &settings) => {}
        }
    });
}

async fn check(endpoint: &Arc<Endpoint>, settings: &HealthCheckSettings) {
    let asked = async {
        // One connection for each check: that a new one can be made is a part of the question.
        let attempt = Attempt::of_check(endpoint);
        let lease = attempt.private(For::Check, None).await?.only_once();
        Ok(ask(endpoint, &lease, settings).await)
    };
    let well = match timeout(settings.timeout, asked).await {
        // There is no room for the question in the whole pool: how the endpoint does is known from other answers.
        Ok(Err(LeaseError::Connect(ConnectError::Limit))) => None,
        Ok(Ok(answer)) => Some(answer.is_some()),
        Ok(Err(_)) | Err(_) => Some(false),
    };
    let (fall, rise) = (settings.fall.get(), settings.rise.get());
    let out = endpoint.is_ejected();
    let (turned, worth_a_probe) = {
        let mut schedule = endpoint.schedule();
        schedule.asking = false;
        (
            well.and_then(|well| schedule.streak.note(well, fall, rise)),
            well.is_some_and(|well| schedule.is_worth_a_probe(well && out, rise)),
        )
    };
    if let Some(up) = turned {
        endpoint.turned(up);
    }
    if worth_a_probe {
        endpoint.hasten_probe();
    }
}

/// Nothing if the endpoint is not well.
async fn ask(endpoint: &Endpoint, lease: &Lease, settings: &HealthCheckSettings) -> Option<()> {
    let version = lease.version();
    let mut request = match settings.kind {
        CheckKind::Tcp => return Some(()),
        CheckKind::Http => {
            let mut request = Request::new(SendBody::default());
            *request.uri_mut() = settings.path.uri();
            request
        }
        CheckKind::Grpc => {
            let body = Full::new(grpc::question(settings.service.as_ref()));
            let body = SendBody::new(body.map_err(|never| match never {}));
            let mut request = Request::new(body);
            *request.method_mut() = Method::POST;
            *request.uri_mut() = grpc::path();
            request.headers_mut().extend(grpc::fields());
            request
        }
    };
    aim(
        &mut request,
        &endpoint.address,
        version,
        &SendOptions::default(),
    )
    .ok()?;
    let answer = lease.send(request).ok()?.answered().await.ok()?;
    let (status, answer) = (answer.status(), answer.into_body());
    match settings.kind {
        CheckKind::Grpc => serves(status, answer).await,
        CheckKind::Http | CheckKind::Tcp => {
            (status.is_success() || status.is_redirection()).then_some(())
        }
    }
}

async fn serves(status: StatusCode, answer: Incoming) -> Option<()> {
    let whole = Limited::new(answer, MOST).collect().await.ok()?;
    (status == StatusCode::OK && grpc::says_serving(&whole.to_bytes())).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_good_checks_in_a_row_are_worth_one_request_and_then_as_many_again() {
        let mut schedule = Schedule::new();
        let said = [true, false, true, true, true, true, false]
            .map(|well| schedule.is_worth_a_probe(well, 2));
        assert_eq!(said, [false, false, false, true, false, true, false]);
    }
}
