//! [`AttemptObserver`]: who wants to know of every attempt to have a request answered, such as a tracer.

use std::fmt;

use http::{Request, Response};

use crate::address::EndpointAddress;
use crate::body::{ResponseBody, SendBody};
use crate::error::SendError;

/// Is told of each attempt to have a request answered, one after the other. A second one beside the first
/// ([`SendOptions::hedge_after`](crate::SendOptions::hedge_after)) is a part of it: whichever answers ends it.
///
/// Called on the task that sends the request: it must not block, and must not panic.
pub trait AttemptObserver: fmt::Debug + Send + Sync {
    /// An attempt begins, the first or one more, before there is a connection for it. The request's fields may
    /// be changed; a later attempt may have those of the one before.
    fn begins(&self, endpoint: &EndpointAddress, request: &mut Request<SendBody>);

    /// It has ended, with the head of an answer or without. Of an attempt that is given up nothing is told.
    fn ended(&self, answer: Result<&Response<ResponseBody>, &SendError>);
}
