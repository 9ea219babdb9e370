//! [`Facts`]: what a certificate says of itself.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::UtcTime;

/// The most that is kept of what a peer has sent: it goes into log lines and the admin API.
const LONGEST: usize = 256;

/// What a certificate says of itself.
#[derive(Debug)]
pub(super) struct Facts {
    /// Host names in lower case, and addresses.
    pub(super) names: Vec<String>,
    /// In hexadecimal digits, as OpenSSL shows it.
    pub(super) serial: String,
    pub(super) not_before: UtcTime,
    pub(super) not_after: UtcTime,
}

impl Facts {
    /// Reads them from the certificate; the error is what the decoder said.
    pub(super) fn of(der: &[u8]) -> Result<Self, String> {
        let certificate = read(der)?;
        let validity = certificate.validity();
        Ok(Self {
            names: names(&certificate),
            serial: serial(certificate.raw_serial()),
            not_before: UtcTime::from_unix_seconds(validity.not_before.timestamp()),
            not_after: UtcTime::from_unix_seconds(validity.not_after.timestamp()),
        })
    }
}

/// Who a client's certificate was issued to: its subject, or its first name where the subject is
/// empty. At most 256 bytes of it.
pub(super) fn subject(der: &[u8]) -> Option<Box<str>> {
    let certificate = read(der).ok()?;
    let mut subject = certificate.subject().to_string();
    if subject.is_empty() {
        subject = alternative_names(&certificate).into_iter().next()?;
    }
    Some(cut(subject).into())
}

/// As much of a text as is kept.
pub(super) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

fn read(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("there are bytes behind it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut names = alternative_names(certificate);
    // No client of this decade looks at it any more; whoever runs one with such a certificate
    // wants to see it all the same.
    if names.is_empty() {
        let common = certificate.subject().iter_common_name();
        names.extend(common.filter_map(|name| name.as_str().ok().map(str::to_ascii_lowercase)));
    }
    names
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names.filter_map(in_words).collect()
}

fn in_words(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name {
        return Some(name.to_ascii_lowercase());
    }
    if let GeneralName::URI(name) | GeneralName::RFC822Name(name) = name {
        return Some((*name).to_owned());
    }
    let GeneralName::IPAddress(octets) = name else {
        return None;
    };
    let v4 = <[u8; 4]>::try_from(*octets).map(|it| Ipv4Addr::from(it).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(|it| Ipv6Addr::from(it).to_string()))
        .ok()
}

fn serial(raw: &[u8]) -> String {
    // A leading zero only says that the number is not negative.
    let digits = match raw {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
    let digits = digits.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}
