//! Certificates made in memory, which nobody but their owner vouches for.

use std::time::Duration;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::UtcTime;
use super::fault::{CertificateError, Fault, Part};

const DAY: Duration = Duration::from_hours(24);

/// How long one is valid.
const LIFETIME: Duration = Duration::from_hours(6 * 7 * 24);

/// Makes a certificate for `names`, and its key.
pub(super) fn make(
    names: &[&str],
    now: UtcTime,
) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), CertificateError> {
    for name in names {
        is_a_name(name)?;
    }
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    let epoch = date_time_ymd(1970, 1, 1);
    // A client's clock may be behind.
    params.not_before = epoch + since_epoch(now.before(DAY));
    params.not_after = epoch + since_epoch(now.after(LIFETIME));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "wharf, self-signed");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok((certificate.der().clone(), key.into()))
}

/// The generator would write any ASCII into a certificate.
fn is_a_name(name: &str) -> Result<(), CertificateError> {
    let bare = name.strip_prefix("*.").unwrap_or(name);
    if rustls::pki_types::ServerName::try_from(bare).is_ok() {
        return Ok(());
    }
    let name = name.to_owned();
    Err(CertificateError::new(Part::Chain, Fault::Name { name }))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "what an error is mapped with takes it whole"
)]
fn failed(error: rcgen::Error) -> CertificateError {
    let why = error.to_string();
    CertificateError::new(Part::Chain, Fault::Making { why })
}

fn since_epoch(time: UtcTime) -> Duration {
    Duration::from_secs(u64::try_from(time.as_unix_seconds()).unwrap_or(0))
}
