//! [`CertificateError`]: what is wrong with a certificate, a key or the CAs of clients.

use std::fmt;

use super::UtcTime;

/// Why certificates or a key cannot be used.
///
/// Its text says what is wrong and what to do; the caller, who knows the file, puts its name before
/// it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct CertificateError {
    part: Part,
    fault: Fault,
}

/// What was being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The server's certificate with those that lead to its CA.
    Chain,
    /// The server's private key.
    Key,
    /// The CAs that issue certificates to clients.
    ClientCa,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is not text at all, but DER or PKCS #12.
    #[error(
        "is not PEM but binary: convert it, with openssl x509 -inform der for a certificate, \
         openssl pkey -inform der for a key, openssl pkcs12 -nodes for a .p12 or .pfx"
    )]
    Binary,
    /// A section does not end, or is no base64.
    #[error("is damaged PEM: {why}")]
    Pem {
        /// What the decoder found.
        why: String,
    },
    /// There is no certificate.
    #[error("holds no certificate{}", .found.instead_of_a_certificate())]
    NoCertificate {
        /// What there is.
        found: Found,
    },
    /// There is no private key.
    #[error("holds no private key{}", .found.instead_of_a_key())]
    NoKey {
        /// What there is.
        found: Found,
    },
    /// There are several private keys, and it is not clear which is meant.
    #[error("holds {count} private keys: leave only that of the certificate")]
    SeveralKeys {
        /// How many.
        count: usize,
    },
    /// A private key is in the file of the certificates, which others may read.
    #[error(
        "holds a private key beside the certificates: keep the key in its own file only, or give \
         this file for both"
    )]
    KeyInChain,
    /// The key is locked with a passphrase.
    #[error(
        "holds a key that is encrypted: nobody is there at start to type its passphrase; decrypt \
         it, with openssl pkey -in ENCRYPTED.key -out PLAIN.key, and protect the file instead"
    )]
    EncryptedKey,
    /// The key is damaged, or of a kind that is not served.
    #[error(
        "holds a key that cannot be used: RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or \
         P-521, and Ed25519 can, as PKCS #8, PKCS #1 or SEC 1"
    )]
    UnusableKey,
    /// The key is another one's.
    #[error("holds the key of another certificate{}", elsewhere(*.belongs_to))]
    KeyMismatch {
        /// The certificate of the chain that it does belong to, counted from 1.
        belongs_to: Option<usize>,
    },
    /// A certificate cannot be read.
    #[error("holds a certificate, number {number}, that cannot be read: {why}")]
    Unreadable {
        /// Which one, counted from 1.
        number: usize,
        /// What the decoder found.
        why: String,
    },
    /// The certificate has expired.
    #[error("holds a certificate that has expired, at {since}: renew it")]
    Expired {
        /// Its last moment.
        since: UtcTime,
    },
    /// The certificate is not valid yet.
    #[error("holds a certificate that is valid only from {from}: is the clock right?")]
    NotYetValid {
        /// Its first moment.
        from: UtcTime,
    },
    /// A name is asked for that no certificate can carry.
    #[error("cannot carry the name {name:?}: write a host name or an IP address")]
    Name {
        /// The name.
        name: String,
    },
    /// A certificate could not be made.
    #[error("cannot be made: {why}")]
    Making {
        /// What the maker said.
        why: String,
    },
}

/// What a file holds where something else was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Found {
    /// Nothing that is PEM.
    Nothing,
    /// A certificate.
    Certificate,
    /// A private key.
    PrivateKey,
    /// A public key.
    PublicKey,
    /// A request that a CA has to sign first.
    Request,
    /// PEM of another kind.
    Other,
}

impl CertificateError {
    pub(super) fn new(part: Part, fault: Fault) -> Self {
        Self { part, fault }
    }

    /// What was being read.
    pub fn part(&self) -> Part {
        self.part
    }

    /// What is wrong with it.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }
}

impl Part {
    /// The part in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chain => "certificate",
            Self::Key => "key",
            Self::ClientCa => "client CA",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Found {
    fn instead_of_a_certificate(self) -> &'static str {
        match self {
            Self::Nothing => ": PEM begins with -----BEGIN CERTIFICATE-----",
            Self::PrivateKey => " but a private key: are certificate and key exchanged?",
            Self::PublicKey => " but a public key",
            Self::Request => " but a request for one: the CA's answer to it is wanted",
            Self::Certificate | Self::Other => " but PEM of another kind",
        }
    }

    fn instead_of_a_key(self) -> &'static str {
        match self {
            Self::Nothing => ": PEM begins with -----BEGIN PRIVATE KEY-----",
            Self::Certificate => " but a certificate: are certificate and key exchanged?",
            Self::PublicKey => " but a public key",
            Self::Request => " but a request for a certificate",
            Self::PrivateKey | Self::Other => " but PEM of another kind",
        }
    }
}

fn elsewhere(belongs_to: Option<usize>) -> String {
    belongs_to.map_or_else(
        || ": give the key that the certificate was requested with".to_owned(),
        |number| {
            format!(", number {number} of the chain: the server's own certificate has to be first")
        },
    )
}
