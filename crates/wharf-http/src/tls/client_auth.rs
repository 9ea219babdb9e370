//! [`ClientAuth`]: whether clients show a certificate, and whose are believed.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::acceptor::SetupError;
use super::facts::Facts;
use super::fault::{CertificateError, Fault, Part};
use super::pem::Sections;

/// Whether clients are asked for a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuth {
    /// They are not.
    #[default]
    Off,
    /// They are; who shows none is let in as nobody, and who shows a wrong one is not.
    Optional(ClientRoots),
    /// They are, and who shows none is not let in.
    Required(ClientRoots),
}

/// The CAs whose word on clients is taken: at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientRoots(Arc<[CertificateDer<'static>]>);

impl ClientRoots {
    /// Reads the certificates of the CAs.
    ///
    /// # Errors
    ///
    /// [`CertificateError`]: there is none, or one cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let certificates = Sections::read(pem, Part::ClientCa)?.into_certificates()?;
        let mut store = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            let read = Facts::of(certificate).and_then(|_| {
                store
                    .add(certificate.clone())
                    .map_err(|error| error.to_string())
            });
            read.map_err(|why| {
                let number = index + 1;
                CertificateError::new(Part::ClientCa, Fault::Unreadable { number, why })
            })?;
        }
        Ok(Self(certificates.into()))
    }

    fn store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        // Each was added to a store once, when they were read.
        store.add_parsable_certificates(self.0.iter().cloned());
        store
    }
}

impl ClientAuth {
    pub(super) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, SetupError> {
        let builder = |roots: &ClientRoots| {
            let (roots, provider) = (Arc::new(roots.store()), Arc::clone(provider));
            WebPkiClientVerifier::builder_with_provider(roots, provider)
        };
        let verifier = match self {
            Self::Off => return Ok(WebPkiClientVerifier::no_client_auth()),
            Self::Optional(roots) => builder(roots).allow_unauthenticated().build(),
            Self::Required(roots) => builder(roots).build(),
        };
        verifier.map_err(|error| SetupError::ClientAuth(error.to_string()))
    }
}

impl fmt::Debug for ClientRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} CAs", self.0.len())
    }
}
