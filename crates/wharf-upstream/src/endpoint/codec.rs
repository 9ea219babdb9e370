//! [`Sender`]: the half of a codec that takes requests.

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};

use crate::body::SendBody;
use crate::connect::Version;

/// What takes the requests of one connection.
pub(crate) enum Sender {
    Http1(http1::SendRequest<SendBody>),
    Http2(http2::SendRequest<SendBody>),
    /// The connection takes no more.
    Gone,
}

impl Sender {
    /// Whether the next request could be given to it.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_ready(),
            Self::Http2(sender) => !sender.is_closed(),
            Self::Gone => false,
        }
    }

    /// The version that it speaks.
    pub(super) const fn version(&self) -> Option<Version> {
        match self {
            Self::Http1(_) => Some(Version::Http1),
            Self::Http2(_) => Some(Version::Http2),
            Self::Gone => None,
        }
    }

    /// How many requests it takes at once, of at most `limit`, where the endpoint allows `theirs`.
    pub(super) fn capacity(&self, theirs: u32, limit: u32) -> u32 {
        match self {
            Self::Http1(_) => 1,
            // One that allows none for the moment can still be waited for.
            Self::Http2(_) => theirs.clamp(1, limit),
            Self::Gone => 0,
        }
    }

    /// Gives it a request. What comes back is waited for without the sender.
    pub(super) fn send(
        &mut self,
        request: Request<SendBody>,
    ) -> Result<Sent, Box<Request<SendBody>>> {
        match self {
            Self::Http1(sender) => Ok(Sent(Box::pin(sender.try_send_request(request)))),
            Self::Http2(sender) => Ok(Sent(Box::pin(sender.try_send_request(request)))),
            Self::Gone => Err(Box::new(request)),
        }
    }
}

type Answered = Result<Response<Incoming>, TrySendError<Request<SendBody>>>;

/// The answer to a request that the codec was given.
pub(crate) struct Sent(std::pin::Pin<Box<dyn Future<Output = Answered> + Send>>);

impl Sent {
    pub(crate) async fn answered(self) -> Answered {
        self.0.await
    }
}
