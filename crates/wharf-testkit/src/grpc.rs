//! gRPC: a client that sends bytes as it is told, a channel for the stubs that others make, and
//! callers that keep a service waiting.

mod channel;
mod client;
pub mod hostile;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderValue, Method, Request};
use http_body_util::combinators::UnsyncBoxBody;

pub use channel::Channel;
pub use client::{Answer, Client, Pieces, request, rest};

use crate::http2;

/// What a body may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body of a request or of an answer.
pub type Sent = UnsyncBoxBody<Bytes, BoxError>;

/// The head of a call.
pub fn asked(path: &str) -> Request<()> {
    let mut request = http2::asked(Method::POST, path);
    let fields = request.headers_mut();
    let kind = HeaderValue::from_static("application/grpc");
    fields.insert("content-type", kind);
    fields.insert("te", HeaderValue::from_static("trailers"));
    request
}

/// A message with this content, behind its prefix.
pub fn framed(content: &[u8]) -> Bytes {
    let length = u32::try_from(content.len()).expect("a short message");
    let mut bytes = BytesMut::zeroed(1);
    bytes.put_u32(length);
    bytes.put_slice(content);
    bytes.freeze()
}

/// A message of `length` bytes, each of which would be a prefix's, were it taken for one.
pub fn message(length: usize) -> Bytes {
    framed(&vec![0xff; length])
}
