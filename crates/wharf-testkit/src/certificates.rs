//! [`Authority`]: a CA of the test's own, and what it issues.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, date_time_ymd,
};

/// A CA. What it issues is valid from 2020 to 2100, if nothing else is said.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// The private key, PKCS #8 in DER.
    pub key: Vec<u8>,
    kind: KeyKind,
}

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// RSA of 2048 bits.
    Rsa,
}

/// The years of a certificate's validity.
type Years = (i32, i32);

const VALID: Years = (2020, 2100);

impl Authority {
    /// A CA of this name.
    pub fn new(name: &str) -> Self {
        let mut params = params(&[], name, VALID);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a CA"))
    }

    /// Its own certificate, DER.
    pub fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", self.0.der())
    }

    /// A server's identity with a P-256 key. The names are host names, wildcards or addresses.
    pub fn server(&self, names: &[&str]) -> Identity {
        self.server_with(KeyKind::P256, names)
    }

    /// A server's identity with a key of this kind.
    pub fn server_with(&self, kind: KeyKind, names: &[&str]) -> Identity {
        let params = params(names, "a server", VALID);
        self.issue(params, kind, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A server's identity that ended with 2023.
    pub fn expired(&self, names: &[&str]) -> Identity {
        let params = params(names, "a server", (2020, 2024));
        self.issue(params, KeyKind::P256, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A server's identity that begins with 2090.
    pub fn not_yet_valid(&self, names: &[&str]) -> Identity {
        let params = params(names, "a server", (2090, 2100));
        self.issue(params, KeyKind::P256, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's identity, whose subject is this common name.
    pub fn client(&self, name: &str) -> Identity {
        let params = params(&[], name, VALID);
        self.issue(params, KeyKind::P256, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        kind: KeyKind,
        usage: ExtendedKeyUsagePurpose,
    ) -> Identity {
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let algorithm = match kind {
            KeyKind::P256 => &PKCS_ECDSA_P256_SHA256,
            KeyKind::P384 => &PKCS_ECDSA_P384_SHA384,
            KeyKind::Ed25519 => &PKCS_ED25519,
            KeyKind::Rsa => &PKCS_RSA_SHA256,
        };
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity {
            certificate: certificate.der().to_vec(),
            key: key.serialize_der(),
            kind,
        }
    }
}

impl Identity {
    /// The certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// The private key, PEM with PKCS #8.
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }

    /// The private key as OpenSSL wrote it before PKCS #8: PKCS #1 for RSA, SEC 1 for ECDSA; none
    /// for Ed25519, which has no such form.
    pub fn traditional_key_pem(&self) -> Option<String> {
        let label = match self.kind {
            KeyKind::P256 | KeyKind::P384 => "EC PRIVATE KEY",
            KeyKind::Rsa => "RSA PRIVATE KEY",
            KeyKind::Ed25519 => return None,
        };
        Some(pem(label, inner_key(&self.key)))
    }
}

/// Wraps DER as PEM.
pub fn pem(label: &str, der: &[u8]) -> String {
    let base64 = base64(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

fn params(names: &[&str], common_name: &str, (from, to): Years) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names that a certificate can carry");
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}

/// What PKCS #8 wraps: `SEQUENCE { INTEGER, SEQUENCE, OCTET STRING, … }`, of which the last.
fn inner_key(pkcs8: &[u8]) -> &[u8] {
    let (body, _) = element(pkcs8);
    let (_version, rest) = element(body);
    let (_algorithm, rest) = element(rest);
    element(rest).0
}

/// The content of the first DER element, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = match der[1] {
        short @ 0..0x80 => (2, usize::from(short)),
        long => {
            let digits = usize::from(long & 0x7f);
            let length = der[2..2 + digits]
                .iter()
                .fold(0, |length, &byte| length << 8 | usize::from(byte));
            (2 + digits, length)
        }
    };
    der[header..].split_at(length)
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let group = u32::from_be_bytes(group);
        for index in 0..4 {
            let digit = (group >> (18 - 6 * index)) & 63;
            text.push(if index <= chunk.len() {
                char::from(ALPHABET[digit as usize])
            } else {
                '='
            });
        }
    }
    text
}
