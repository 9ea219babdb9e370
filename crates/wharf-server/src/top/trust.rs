//! [`Trust`]: whose certificates an admin API may have.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those that the system believes.
    System,
    /// Those in this file, or signed by one of them.
    File(PathBuf),
    /// Anybody's: what goes there may be read by who stands in between.
    Anybody,
}

/// Why it cannot be known whom to believe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TrustError {
    /// The file of certificates.
    #[error("cannot read certificates from {}", .0.display())]
    File(PathBuf, #[source] pem::Error),
    /// There is none in it.
    #[error("no certificate that can be used in {}", .0.display())]
    Empty(PathBuf),
    /// The system has none.
    #[error("the system has no certificates to believe; name some with --ca")]
    System(#[source] io::Error),
    /// The library refuses.
    #[error("cannot prepare TLS")]
    Tls(#[source] rustls::Error),
}

impl Trust {
    /// The client's side of TLS.
    ///
    /// # Errors
    ///
    /// [`TrustError`].
    pub(super) fn config(&self) -> Result<ClientConfig, TrustError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let config = config
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Tls)?;
        let config = match self {
            Self::Anybody => config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
            Self::System => config.with_root_certificates(of_system()?),
            Self::File(file) => config.with_root_certificates(of_file(file)?),
        };
        Ok(config.with_no_client_auth())
    }
}

fn of_system() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let reason = found.errors.first().map(ToString::to_string);
        let reason = reason.unwrap_or_else(|| "none found".to_owned());
        return Err(TrustError::System(io::Error::other(reason)));
    }
    Ok(roots)
}

fn of_file(file: &PathBuf) -> Result<RootCertStore, TrustError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let found = found.map_err(|error| TrustError::File(file.clone(), error))?;
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(found) {
        (0, _) => Err(TrustError::Empty(file.clone())),
        _ => Ok(roots),
    }
}

/// Believes every certificate; that its owner has the key is still seen to.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
