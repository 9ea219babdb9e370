//! [`Tls`]: how TLS is spoken to endpoints.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use wharf_pool::CloseReason;

use super::{ConnectError, Connected, Version};
use crate::address::EndpointAddress;
use crate::transport::{Socket, Transport};

/// How TLS is spoken. Sessions are resumed from the store of the configuration that was given, whichever
/// versions of HTTP are offered.
#[derive(Clone)]
pub(super) struct Tls {
    /// Offers HTTP/2 and HTTP/1.
    any: TlsConnector,
    /// Offers HTTP/1 alone.
    http1: TlsConnector,
    /// The name that certificates must have, in place of the endpoint's own.
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    pub(super) fn new(
        config: &Arc<ClientConfig>,
        server_name: Option<ServerName<'static>>,
    ) -> Self {
        let offering = |protocols: &[&[u8]]| {
            let mut config = ClientConfig::clone(config);
            config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
            TlsConnector::from(Arc::new(config))
        };
        Self {
            any: offering(&[b"h2", b"http/1.1"]),
            http1: offering(&[b"http/1.1"]),
            server_name,
        }
    }

    pub(super) async fn handshake(
        &self,
        address: &EndpointAddress,
        io: Socket,
        only: Option<Version>,
    ) -> Result<Connected, ConnectError> {
        let handle = io.handle().clone();
        let failed = |error| {
            handle.conclude(CloseReason::TlsError);
            ConnectError::Tls(Arc::new(error))
        };
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(address.server_name().to_owned())
                .map_err(|error| failed(io::Error::other(error)))?,
        };
        let connector = match only {
            Some(Version::Http1) => &self.http1,
            Some(Version::Http2) | None => &self.any,
        };
        let stream = connector.connect(name, io).await.map_err(failed)?;
        let version = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Version::Http2,
            Some(_) | None => Version::Http1,
        };
        Ok(Connected {
            io: Transport::Tls {
                io: Box::new(stream),
            },
            version,
        })
    }
}
