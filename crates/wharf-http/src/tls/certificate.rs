//! [`Certificate`]: a certificate with its chain and its key, checked.

use std::fmt;
use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::UtcTime;
use super::facts::Facts;
use super::fault::{CertificateError, Fault, Part};
use super::pem::Sections;
use super::self_signed;

/// A server's certificate, those that lead from it to its CA, and its private key.
///
/// There is none that could not be served: the key is the certificate's, and its time had come and
/// was not over when it was read. Cheap to clone.
#[derive(Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    facts: Arc<Facts>,
}

impl Certificate {
    /// What a certificate for this machine alone is made out to.
    pub const LOCAL_NAMES: [&'static str; 3] = ["localhost", "127.0.0.1", "::1"];

    /// Reads a certificate chain, the server's own first, and its private key (PKCS #8, PKCS #1 or
    /// SEC 1). Both may be in one file, given twice.
    ///
    /// # Errors
    ///
    /// [`CertificateError`]: which of the two is not usable, why, and what to do.
    pub fn from_pem(chain: &[u8], key: &[u8], now: UtcTime) -> Result<Self, CertificateError> {
        let sections = Sections::read(chain, Part::Chain)?;
        let has_key = !sections.keys.is_empty();
        let certificates = sections.into_certificates()?;
        if has_key && chain != key {
            return Err(CertificateError::new(Part::Chain, Fault::KeyInChain));
        }
        let key = Sections::read(key, Part::Key)?.into_key()?;
        Self::checked(certificates, &key, now)
    }

    /// Makes a certificate in memory that is its own authority, with an ECDSA P-256 key, valid for
    /// six weeks; for [`Certificate::LOCAL_NAMES`] if no names are given. For trying things out:
    /// nobody has a reason to trust it.
    ///
    /// # Errors
    ///
    /// A name is neither a host name nor an address, or the system gives no randomness.
    pub fn self_signed(names: &[&str], now: UtcTime) -> Result<Self, CertificateError> {
        let names = if names.is_empty() {
            &Self::LOCAL_NAMES
        } else {
            names
        };
        let (certificate, key) = self_signed::make(names, now)?;
        Self::checked(vec![certificate], &key, now)
    }

    fn checked(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'static>,
        now: UtcTime,
    ) -> Result<Self, CertificateError> {
        let in_chain = |fault| CertificateError::new(Part::Chain, fault);
        let mut facts = Vec::with_capacity(chain.len());
        for (index, certificate) in chain.iter().enumerate() {
            let number = index + 1;
            let read = Facts::of(certificate);
            facts.push(read.map_err(|why| in_chain(Fault::Unreadable { number, why }))?);
        }
        let key = any_supported_type(key)
            .map_err(|_| CertificateError::new(Part::Key, Fault::UnusableKey))?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            // A key that cannot tell its public half is found out by the first client.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                let belongs_to = owner(&key);
                let fault = Fault::KeyMismatch { belongs_to };
                return Err(CertificateError::new(Part::Key, fault));
            }
            Err(error) => {
                let why = error.to_string();
                return Err(in_chain(Fault::Unreadable { number: 1, why }));
            }
        }
        let facts = facts.swap_remove(0);
        if now < facts.not_before {
            let from = facts.not_before;
            return Err(in_chain(Fault::NotYetValid { from }));
        }
        if facts.not_after < now {
            let since = facts.not_after;
            return Err(in_chain(Fault::Expired { since }));
        }
        Ok(Self {
            key: Arc::new(key),
            facts: Arc::new(facts),
        })
    }

    /// The host names, in lower case, and addresses that it is made out to.
    pub fn names(&self) -> &[String] {
        &self.facts.names
    }

    /// The serial number in hexadecimal digits, as OpenSSL shows it.
    pub fn serial(&self) -> &str {
        &self.facts.serial
    }

    /// The first moment of its validity.
    pub fn not_before(&self) -> UtcTime {
        self.facts.not_before
    }

    /// The last moment of its validity.
    pub fn not_after(&self) -> UtcTime {
        self.facts.not_after
    }

    pub(super) fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

/// The certificate of the chain that the key does belong to, counted from 1.
fn owner(key: &CertifiedKey) -> Option<usize> {
    let mut numbers = 2..=key.cert.len();
    numbers.find(|number| {
        let alone = vec![key.cert[number - 1].clone()];
        CertifiedKey::new(alone, Arc::clone(&key.key))
            .keys_match()
            .is_ok()
    })
}

/// Without the key.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.facts).finish()
    }
}
