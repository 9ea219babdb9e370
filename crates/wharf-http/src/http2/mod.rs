//! HTTP/2: what its connections are made of. The driver is in `crate::drive`.
//!
//! From the socket to the application: [`Wire`] (the bytes, the slot), the `h2` crate (frames, header
//! compression, flow control), [`serve_stream`] (one request, from its head to the last byte of its
//! answer). [`Streams`] knows what each of them waits for.

mod date;
mod goaway;
mod head;
mod line;
mod meter;
#[cfg(test)]
pub(crate) mod oracle;
mod reply;
mod request;
mod session;
mod settings;
mod stream;
mod streams;
mod strikes;
mod task;
mod upload;
mod window;
mod wire;

pub(crate) use goaway::GoAway;
pub(crate) use meter::{Http2Abuse, Limits as MeterLimits, Opening, Owed, Standing};
pub(crate) use request::Kind;
pub(crate) use settings::{Settings, builder};
pub(crate) use stream::Stream;
pub(crate) use streams::Streams;
pub(crate) use strikes::Strikes;
pub(crate) use task::{Call, serve_stream};
pub(crate) use upload::Upload;
pub(crate) use window::Window;
pub(crate) use wire::Wire;

/// What a connection is told that is not let in: an empty SETTINGS frame, and GOAWAY with no stream
/// served and no error, so that its client tries again elsewhere (RFC 9113 3.4, 6.8).
pub(crate) const REFUSAL: &[u8] = &[
    0, 0, 0, 4, 0, 0, 0, 0, 0, // SETTINGS
    0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // GOAWAY
];
