//! `[upstream.tls]`, and `tls` of `[otel]`: whose certificates are believed, and which is shown.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use wharf_http::tls::Certificate;

use super::listener::required;
use super::report::{Report, cut};
use super::section::Section;
use super::tls::{Files, refuse, shown};
use super::written::Entry;
use crate::wall_clock;

/// How TLS is spoken to the endpoints of an upstream. The files are read with the configuration.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamTls {
    /// The client's side of TLS.
    pub(crate) config: Arc<ClientConfig>,
    /// The name that certificates must have, in place of the endpoint's own.
    pub(crate) server_name: Option<ServerName<'static>>,
    /// What was written, for display; nothing, if no section was.
    pub(crate) written: String,
    /// What was in the files.
    content: u64,
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        (&self.written, self.content) == (&other.written, other.content)
    }
}

impl UpstreamTls {
    /// What was written, and which content its files had.
    pub(crate) fn shown(&self) -> String {
        if self.written.is_empty() {
            return "what the system believes".to_owned();
        }
        format!("{} with content {:08x}", self.written, self.content >> 32)
    }

    /// Whatever the system believes: where an endpoint has https and no section says else.
    ///
    /// # Errors
    ///
    /// The reason, for people.
    pub(super) fn of_system() -> Result<Self, String> {
        let config = config_of(system_roots()?, None)?;
        Ok(Self {
            config: Arc::new(config),
            server_name: None,
            written: String::new(),
            content: 0,
        })
    }
}

const REMEDY: &str = "write tls = { ca = \"ca.crt\" }";

/// Reads the section, if it is there.
pub(super) fn read_tls(
    upstream: &mut Section<'_>,
    folder: &Path,
    report: &mut Report,
) -> Option<UpstreamTls> {
    let entry = upstream.take("tls")?;
    let mut section = Section::open(&entry.value, upstream.path("tls"), report)?;
    let files = Files { folder };
    let mut content = DefaultHasher::new();
    let roots = read_roots(&mut section, &files, &mut content, report);
    let identity = read_identity(&mut section, &files, &mut content, report);
    let server_name = read_server_name(&mut section, report);
    let path = section.path("");
    section.finish(report);
    let config = config_of(roots?, identity.ok()?);
    let config = config.map_err(|why| {
        report.problem(entry.at, path.trim_end_matches('.'), why, REMEDY);
    });
    Some(UpstreamTls {
        config: Arc::new(config.ok()?),
        server_name: server_name.ok()?,
        written: shown(&entry.value),
        content: content.finish(),
    })
}

fn read_roots(
    section: &mut Section<'_>,
    files: &Files<'_>,
    content: &mut DefaultHasher,
    report: &mut Report,
) -> Option<RootCertStore> {
    let Some(entry) = section.take("ca") else {
        let roots = system_roots();
        let (at, path) = (section.at(), section.path("ca"));
        return roots
            .map_err(|why| report.problem(at, path, why, REMEDY))
            .ok();
    };
    let path = section.path("ca");
    let bytes = files.read(entry, path.clone(), report)?;
    bytes.hash(content);
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let mut roots = RootCertStore::empty();
    let usable = found.map(|found| roots.add_parsable_certificates(found).0);
    if !matches!(usable, Ok(1..)) {
        let name = cut(entry.value.text().unwrap_or_default());
        let reason = format!("{name}: there is no certificate in it that can be used");
        let remedy = "write the path of a PEM file with the certificates of the authority";
        report.problem(entry.value.at, path, reason, remedy);
        return None;
    }
    Some(roots)
}

/// A problem that has been told.
pub(super) struct Told;

/// What endpoints are shown.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read_identity(
    section: &mut Section<'_>,
    files: &Files<'_>,
    content: &mut DefaultHasher,
    report: &mut Report,
) -> Result<Option<Identity>, Told> {
    const BOTH: &str = "write certificate and key, or neither";
    if section.peek("certificate").is_none() && section.peek("key").is_none() {
        section.take("certificate");
        section.take("key");
        return Ok(None);
    }
    let chain = required(section, "certificate", BOTH, report);
    let key = required(section, "key", BOTH, report);
    let (chain, key) = (chain.ok_or(Told)?, key.ok_or(Told)?);
    let chain_bytes = files.read(chain, section.path("certificate"), report);
    let key_bytes = files.read_key(key, section.path("key"), report);
    let (chain_bytes, key_bytes) = (chain_bytes.ok_or(Told)?, key_bytes.ok_or(Told)?);
    (&chain_bytes, &key_bytes).hash(content);
    // It knows what people get wrong.
    if let Err(error) = Certificate::from_pem(&chain_bytes, &key_bytes, wall_clock::utc()) {
        let (name, entry) = if error.part() == wharf_http::tls::Part::Key {
            ("key", key)
        } else {
            ("certificate", chain)
        };
        refuse(&error, entry, section.path(name), report);
        return Err(Told);
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain_bytes).collect();
    let key = PrivateKeyDer::from_pem_slice(&key_bytes);
    // Both have been read before.
    Ok(chain.ok().zip(key.ok()))
}

fn read_server_name(
    section: &mut Section<'_>,
    report: &mut Report,
) -> Result<Option<ServerName<'static>>, Told> {
    let Some(entry): Option<&Entry> = section.take("server_name") else {
        return Ok(None);
    };
    let name = entry.value.text().map(str::to_owned);
    let name = name.and_then(|name| ServerName::try_from(name).ok());
    if name.is_none() {
        let found = cut(&entry.value.value().to_string());
        let reason = format!("{found} is not the name of a server");
        let path = section.path("server_name");
        report.problem(
            entry.value.at,
            path,
            reason,
            "write a host such as \"api.internal\"",
        );
    }
    name.map(Some).ok_or(Told)
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(found.certs) {
        (0, _) => Err("the system has no certificates to believe".to_owned()),
        _ => Ok(roots),
    }
}

fn config_of(roots: RootCertStore, identity: Option<Identity>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    match identity {
        None => Ok(config.with_no_client_auth()),
        Some((chain, key)) => config
            .with_client_auth_cert(chain, key)
            .map_err(|error| error.to_string()),
    }
}
