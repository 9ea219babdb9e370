//! [`Lock`]: the TLS of the admin API's door.

use std::num::NonZeroU32;

use wharf_http::tls::{Acceptor, Alpn, Certificates, Handshakes, SetupError};

use crate::config::{AdminConfig, TlsConfig};

/// Handshakes that go on at once: one thread does them, and has all the rest to do too.
const HANDSHAKES: NonZeroU32 = NonZeroU32::new(4).expect("4 is not zero");

/// What does the handshakes, made again when the configuration has another idea of them.
#[derive(Debug, Default)]
pub(super) struct Lock {
    made: Option<(TlsConfig, Acceptor)>,
}

impl Lock {
    /// What does the handshake of a connection that comes now; `None` if there is none to do.
    ///
    /// # Errors
    ///
    /// [`SetupError`]: nobody can be let in.
    pub(super) fn of(&mut self, admin: &AdminConfig) -> Result<Option<Acceptor>, SetupError> {
        let Some(tls) = &admin.tls else {
            self.made = None;
            return Ok(None);
        };
        if let Some((config, acceptor)) = &self.made
            && config == tls
        {
            return Ok(Some(acceptor.clone()));
        }
        let certificates = Certificates::new(tls.first.clone(), tls.others.clone());
        let (alpn, auth) = (vec![Alpn::Http1], tls.client_auth.clone());
        let acceptor = Acceptor::new(&certificates, alpn, auth, &Handshakes::new(HANDSHAKES))?;
        self.made = Some((tls.clone(), acceptor.clone()));
        Ok(Some(acceptor))
    }
}
