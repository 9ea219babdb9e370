//! TLS below the protocols: certificates, who is let in, and the handshake.
//!
//! It decides nothing about time or about the pool: whoever accepts sets the deadline, drops the
//! handshake to end it, and names the reason. Files and their names are the caller's too.
//!
//! Start reading at `handshake.rs`; [`Acceptor`] is what stays, [`TlsStream`] what comes out.

mod acceptor;
mod alpn;
mod certificate;
mod certificates;
mod client_auth;
mod counted;
mod facts;
mod fault;
mod handshake;
mod handshake_error;
mod handshakes;
mod hello;
mod info;
mod pem;
mod self_signed;
mod stream;
mod utc_time;

pub use acceptor::{Acceptor, SetupError};
pub use alpn::Alpn;
pub use certificate::Certificate;
pub use certificates::{Certificates, Choices};
pub use client_auth::{ClientAuth, ClientRoots};
pub use fault::{CertificateError, Fault, Found, Part};
pub use handshake::{Handshaken, Refused};
pub use handshake_error::HandshakeError;
pub use handshakes::{Handshakes, Turn};
pub use info::TlsInfo;
pub use stream::TlsStream;
pub use utc_time::UtcTime;

#[cfg(test)]
mod tests;
