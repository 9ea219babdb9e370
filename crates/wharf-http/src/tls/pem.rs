//! [`Sections`]: what a PEM file holds.

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::fault::{CertificateError, Fault, Found, Part};

/// What a PEM file holds, by kind, in its order.
pub(super) struct Sections {
    part: Part,
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) keys: Vec<PrivateKeyDer<'static>>,
    first_other: Option<Found>,
}

impl Sections {
    pub(super) fn read(pem: &[u8], part: Part) -> Result<Self, CertificateError> {
        let fault = |fault| CertificateError::new(part, fault);
        // The decoder leaves out PKCS #8 that is encrypted, and stumbles over the older form.
        if part == Part::Key && is_encrypted(pem) {
            return Err(fault(Fault::EncryptedKey));
        }
        let mut sections = Self {
            part,
            certificates: Vec::new(),
            keys: Vec::new(),
            first_other: None,
        };
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
            let (kind, der) = section.map_err(|error| {
                fault(Fault::Pem {
                    why: error.to_string(),
                })
            })?;
            sections.take(kind, der);
        }
        let nothing = sections.certificates.is_empty()
            && sections.keys.is_empty()
            && sections.first_other.is_none();
        if nothing && std::str::from_utf8(pem).map_or(true, |text| text.contains('\0')) {
            return Err(fault(Fault::Binary));
        }
        Ok(sections)
    }

    fn take(&mut self, kind: SectionKind, der: Vec<u8>) {
        if kind == SectionKind::Certificate {
            self.certificates.push(der.into());
            return;
        }
        if let Some(key) = PrivateKeyDer::from_pem(kind, der) {
            self.keys.push(key);
            return;
        }
        let known = [
            (SectionKind::PublicKey, Found::PublicKey),
            (SectionKind::Csr, Found::Request),
        ];
        let known = known.into_iter().find(|(section, _)| *section == kind);
        let other = known.map_or(Found::Other, |(_, found)| found);
        self.first_other.get_or_insert(other);
    }

    /// The certificates: at least one.
    pub(super) fn into_certificates(
        self,
    ) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
        if !self.certificates.is_empty() {
            return Ok(self.certificates);
        }
        let found = match self.first_other {
            _ if !self.keys.is_empty() => Found::PrivateKey,
            Some(other) => other,
            None => Found::Nothing,
        };
        Err(CertificateError::new(
            self.part,
            Fault::NoCertificate { found },
        ))
    }

    /// The one private key.
    pub(super) fn into_key(mut self) -> Result<PrivateKeyDer<'static>, CertificateError> {
        let fault = match (self.keys.pop(), self.keys.len()) {
            (Some(key), 0) => return Ok(key),
            (Some(_), others) => Fault::SeveralKeys { count: others + 1 },
            (None, _) => {
                let found = match self.first_other {
                    _ if !self.certificates.is_empty() => Found::Certificate,
                    Some(other) => other,
                    None => Found::Nothing,
                };
                Fault::NoKey { found }
            }
        };
        Err(CertificateError::new(self.part, fault))
    }
}

/// Whether a key in it needs a passphrase: as PKCS #8 has it, or as OpenSSL wrote it before that.
fn is_encrypted(pem: &[u8]) -> bool {
    pem.split(|&byte| byte == b'\n' || byte == b'\r')
        .any(|line| {
            line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY")
                || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
        })
}
