//! HTTP/2: what lies below hyper's codec.
//!
//! hyper does all of HTTP/2; [`meter`] sees the bytes of both directions and knows what hyper does
//! not tell: what the peer owes, what it is up to, and where a frame of our own fits in.
//! [`walk`] finds the frames, [`streams`] remembers which streams are open, [`score`] adds up what
//! [`abuse`] names and [`allowance`] allows, [`rendered`] writes the frames of our own.

mod abuse;
mod allowance;
mod frame;
mod inbound;
mod meter;
#[cfg(test)]
mod oracle;
mod outbound;
mod rendered;
mod score;
mod streams;
mod walk;
