//! How a request is sent: whom to ask, a connection, the answer, and once more where that is safe.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::aim::aim;
use crate::body::{ResponseBody, SendBody};
use crate::connect::Version;
use crate::endpoint::{Endpoint, Lease, LeaseError, Load, Patience, Stale};
use crate::error::{SendError, Unsent};
use crate::exchange::{Broke, Extent, answered};
use crate::flight::Flight;
use crate::hedge::hedge_after;
use crate::options::SendOptions;
use crate::replay::Replay;
use crate::upload::Progress;
use crate::upstream::Upstream;

/// What is left of a request that was not answered.
pub(crate) struct Left {
    pub(crate) error: SendError,
    /// The request itself, if it is still whole.
    request: Option<Request<SendBody>>,
    stale: Stale,
}

/// The same, and whom it was given to.
pub(crate) struct Failure {
    pub(crate) left: Left,
    pub(crate) endpoint: Arc<Endpoint>,
}

impl Upstream {
    /// Sends a request to the best endpoint, and waits for the head of the answer.
    ///
    /// A connection that turns out to be dead when it is used again costs nothing but time: the request
    /// goes out once more, if nothing of it was sent, or its method is idempotent and it has no body.
    ///
    /// # Errors
    ///
    /// [`SendError`], which says what was sent of it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the request is given up: its connection is closed (HTTP/1) or its stream is reset (HTTP/2).
    pub async fn send(
        &self,
        request: Request<SendBody>,
        options: &SendOptions,
    ) -> Result<Response<ResponseBody>, SendError> {
        let (mut upstream, mut request) = (self, request);
        loop {
            let Left {
                error,
                request: whole,
                ..
            } = match upstream.ask(request, options).await {
                Ok(answer) => return Ok(answer),
                Err(left) => left,
            };
            if let (SendError::Closed, Some(whole), Some(successor)) =
                (&error, whole, upstream.successor())
            {
                (upstream, request) = (successor, whole);
            } else {
                upstream.inner.refusals.count_refusal(&error);
                return Err(error);
            }
        }
    }

    /// Sends a request to one endpoint after the other, as often as it may be.
    async fn ask(
        &self,
        mut request: Request<SendBody>,
        options: &SendOptions,
    ) -> Result<Response<ResponseBody>, Left> {
        let (mut retries, mut fresh) = (options.retries, 1);
        let mut hedge = hedge_after(&request, options);
        let mut failed: Option<Arc<Endpoint>> = None;
        let mut now = self.context().clock.now();
        self.earn_retries(now);
        loop {
            if self.is_closed() {
                return Err(Left::whole(SendError::Closed, request, Stale::No));
            }
            let load = match self.choose(options.hash, failed.as_ref(), now) {
                Ok(load) => load,
                Err(error) => return Err(Left::whole(error, request, Stale::No)),
            };
            if failed.is_some() {
                load.endpoint().tally.retried();
            }
            let observer = options.observer.as_deref();
            if let Some(observer) = observer {
                observer.begins(&load.endpoint().address, &mut request);
            }
            let answered = match hedge.take() {
                // On the heap: it has two attempts, and few requests come here.
                Some(after) => Box::pin(self.hedged(load, request, options, after)).await,
                None => self.attempt(load, request, options).await,
            };
            if let Some(observer) = observer {
                observer.ended(answered.as_ref().map_err(|failure| &failure.left.error));
            }
            let failure = match answered {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let Failure { left, endpoint } = *failure;
            if matches!(left.error, SendError::Closed) {
                return Err(left);
            }
            endpoint.tally.failed(&left.error);
            let Left {
                error,
                request: Some(whole),
                stale,
            } = left
            else {
                return Err(left);
            };
            if stale == Stale::Yes && fresh > 0 {
                // Those that were used before it are older still.
                fresh -= 1;
                endpoint.retire_all_idle();
                failed = None;
            } else if retries > 0 && self.may_retry() {
                retries -= 1;
                failed = Some(endpoint);
            } else {
                return Err(Left::whole(error, whole, stale));
            }
            request = whole;
            now = self.context().clock.now();
        }
    }

    /// Sends a request to one endpoint.
    pub(crate) async fn attempt(
        &self,
        mut load: Load,
        request: Request<SendBody>,
        options: &SendOptions,
    ) -> Result<Response<ResponseBody>, Box<Failure>> {
        let endpoint = Arc::clone(load.endpoint());
        if options.upgrade && !load.sit() {
            let error = SendError::TooManySessions {
                endpoint: endpoint.address.clone(),
            };
            let left = Left::whole(error, request, Stale::No);
            return Err(Box::new(Failure { left, endpoint }));
        }
        let patience = Patience {
            importance: options.importance,
            only: options.upgrade.then_some(Version::Http1),
            deadline: options.deadline,
        };
        let sent = match endpoint.lease(patience).await {
            Ok(lease) => self.exchange(lease, load, request, options).await,
            Err(error) => {
                let error = no_lease(error, &endpoint, options);
                Err(Left::whole(error, request, Stale::No))
            }
        };
        sent.map_err(|left| Box::new(Failure { left, endpoint }))
    }

    /// Sends a request over one connection.
    async fn exchange(
        &self,
        lease: Lease,
        load: Load,
        mut request: Request<SendBody>,
        options: &SendOptions,
    ) -> Result<Response<ResponseBody>, Left> {
        let endpoint = Arc::clone(load.endpoint());
        let version = lease.version();
        aim(&mut request, &endpoint.address, version, options).map_err(|why| Left {
            error: SendError::BadRequest { why },
            request: None,
            stale: Stale::No,
        })?;
        let replay = Replay::of(&request);
        let stale = lease.staleness();
        let connect = request.method() == Method::CONNECT;
        let begun = Instant::now();
        let progress = Progress::of(&mut request, endpoint.context.clock, begun);
        let mut flight = Flight::begin(lease, load, begun);
        let sent = match flight.lease().send(request) {
            Ok(sent) => sent,
            Err(request) => return Err(Left::whole(ended(&endpoint), *request, Stale::Yes)),
        };
        let settings = endpoint.context.config();
        match answered(sent, &flight, &progress, &settings.protocol, options).await {
            Ok(answer) => {
                flight.head(&answer, connect);
                Ok(self.answer(answer, flight, settings.protocol.body_timeout))
            }
            Err(broke) => {
                let Broke {
                    error,
                    request,
                    extent,
                } = broke;
                let stale = match extent {
                    Extent::Stream => Stale::No,
                    Extent::Connection => {
                        flight.lease().retire();
                        stale
                    }
                };
                flight.failed(&error, progress.owes());
                let request = request
                    .map(|it| *it)
                    .or_else(|| replay.for_retry(&error, options, stale));
                Err(Left {
                    error,
                    request,
                    stale,
                })
            }
        }
    }

    /// The answer as the caller has it; of a tunnel over HTTP/1 the lease goes with the bytes.
    fn answer(
        &self,
        answer: Response<Incoming>,
        flight: Flight,
        patience: Option<Duration>,
    ) -> Response<ResponseBody> {
        let endpoint = flight.load().endpoint().address.clone();
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            flight.lease().upgraded();
            self.context().spawn(flight.until_gone());
            return answer.map(|incoming| ResponseBody::new(incoming, None, endpoint, patience));
        }
        answer.map(|incoming| ResponseBody::new(incoming, Some(flight), endpoint, patience))
    }
}

impl Left {
    const fn whole(error: SendError, request: Request<SendBody>, stale: Stale) -> Self {
        Self {
            error,
            request: Some(request),
            stale,
        }
    }
}

/// The connection ended between the lease and its use.
fn ended(endpoint: &Endpoint) -> SendError {
    SendError::Unsent {
        endpoint: endpoint.address.clone(),
        source: None,
    }
}

fn no_lease(error: LeaseError, endpoint: &Endpoint, options: &SendOptions) -> SendError {
    let address = endpoint.address.clone();
    let late = options.deadline.is_some_and(|due| due <= Instant::now());
    match error {
        LeaseError::Connect(source) => SendError::Connect {
            endpoint: address,
            source,
        },
        LeaseError::Full => SendError::TooManyWaiting { endpoint: address },
        LeaseError::Timeout if late => SendError::DeadlineExceeded {
            endpoint: address,
            unsent: Unsent::Nothing,
        },
        LeaseError::Timeout => SendError::WaitTimeout { endpoint: address },
        LeaseError::Shed => SendError::Shed { endpoint: address },
        LeaseError::Closed => SendError::Closed,
    }
}
