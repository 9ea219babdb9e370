//! [`Acceptor`]: what handshakes on one listener have in common.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};

use super::handshake::{Handshaken, Refused, handshake};
use super::{Alpn, Certificates, ClientAuth, Handshakes};
use crate::transport::Transport;

/// Does the handshakes of one listener. A clone is the same one.
///
/// TLS 1.2 and 1.3 are spoken, sessions are resumed by tickets, and no data is taken before the
/// handshake ends (0-RTT), since it could be replayed.
#[derive(Clone)]
pub struct Acceptor(Arc<Inner>);

struct Inner {
    config: ArcSwap<ServerConfig>,
    client_auth: Mutex<ClientAuth>,
    alpn: Vec<Alpn>,
    certificates: Certificates,
    handshakes: Handshakes,
}

/// Why no handshakes can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Clients' certificates could not be checked.
    #[error("the CAs of clients cannot be used: {0}")]
    ClientAuth(String),
    /// The TLS library has refused, for want of randomness.
    #[error("TLS cannot be set up: {0}")]
    Library(String),
}

impl Acceptor {
    /// Handshakes that show one of `certificates`, agree on one of `alpn` (the first that the
    /// client speaks too; who offers only others is turned away, who offers none speaks HTTP/1),
    /// ask for what `client_auth` says and stand in the queue of `handshakes`.
    ///
    /// # Errors
    ///
    /// [`SetupError`], if the system gives no randomness.
    pub fn new(
        certificates: &Certificates,
        alpn: Vec<Alpn>,
        client_auth: ClientAuth,
        handshakes: &Handshakes,
    ) -> Result<Self, SetupError> {
        let config = config(certificates, &alpn, &client_auth)?;
        Ok(Self(Arc::new(Inner {
            config: ArcSwap::from_pointee(config),
            client_auth: Mutex::new(client_auth),
            alpn,
            certificates: certificates.clone(),
            handshakes: handshakes.clone(),
        })))
    }

    /// Its certificates; replaced there, they are shown from the next handshake on.
    pub fn certificates(&self) -> &Certificates {
        &self.0.certificates
    }

    /// Asks for something else from the next handshake on. Sessions from before are not resumed
    /// then, unless nothing has changed: a session that began under another rule would pass for one
    /// that obeyed this.
    ///
    /// # Errors
    ///
    /// [`SetupError`]; then nothing has changed.
    pub fn set_client_auth(&self, client_auth: ClientAuth) -> Result<(), SetupError> {
        let mut current = self
            .0
            .client_auth
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *current == client_auth {
            return Ok(());
        }
        let config = config(&self.0.certificates, &self.0.alpn, &client_auth)?;
        self.0.config.store(Arc::new(config));
        *current = client_auth;
        Ok(())
    }

    /// Does one handshake on `io`, from which somebody else has read `early` already.
    ///
    /// It has no deadline: bounding it in time is the caller's. At most 16 KiB are read before our
    /// first answer is written.
    ///
    /// # Errors
    ///
    /// [`Refused`]: why, with the transport. The peer has been sent what it can be told.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the transport is closed, and its turn or its place in the queue is the next one's.
    pub async fn accept<T: Transport>(
        &self,
        io: T,
        early: Vec<u8>,
    ) -> Result<Handshaken<T>, Refused<T>> {
        let Inner {
            certificates,
            handshakes,
            config,
            ..
        } = &*self.0;
        // On the heap, so that what only handshakes need is gone afterwards.
        Box::pin(handshake(io, early, certificates, handshakes, config)).await
    }
}

fn config(
    certificates: &Certificates,
    alpn: &[Alpn],
    client_auth: &ClientAuth,
) -> Result<ServerConfig, SetupError> {
    let library = |error: rustls::Error| SetupError::Library(error.to_string());
    let provider = Arc::new(default_provider());
    let verifier = client_auth.verifier(&provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(library)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificates.resolver());
    config.alpn_protocols = alpn
        .iter()
        .map(|alpn| alpn.as_str().as_bytes().to_vec())
        .collect();
    // Made here and shared with nobody, as is the session cache: whoever could resume a session of
    // another configuration would have passed its client authentication, not ours.
    config.ticketer = Ticketer::new().map_err(library)?;
    config.max_early_data_size = 0;
    Ok(config)
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("certificates", &self.0.certificates)
            .field("alpn", &self.0.alpn)
            .field("handshakes", &self.0.handshakes)
            .finish_non_exhaustive()
    }
}
