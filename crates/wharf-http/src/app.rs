//! [`App`]: what a connection serves.

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::body::RequestBody;

/// Any error of an application.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An application: any tower service from a request to a response, an `axum::Router` among them.
///
/// Implemented for every type that fits; there is nothing to implement. It is cloned for each connection of
/// HTTP/1, for each stream of HTTP/2, and for a request that it was not ready for.
pub trait App:
    Service<
        Request<RequestBody>,
        Response = Response<Self::Body>,
        Error: Into<BoxError>,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
    /// The body of its responses.
    type Body: Body<Data: Send, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> App for S
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
}
