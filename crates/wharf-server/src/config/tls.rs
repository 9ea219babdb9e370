//! `tls = { … }` of a listener or of the admin API: its certificates, and whether clients must show one.

use std::path::Path;

use wharf_http::tls::{Certificate, CertificateError, ClientAuth, ClientRoots, Part};
use wharf_pool::config::Value;

use super::listener::required;
use super::report::{Problem, Report, cut};
use super::section::Section;
use super::written::{Entry, Shape, Written};
use crate::wall_clock;

/// What secures the connections of one door. The files are read with the configuration.
#[derive(Clone, Debug)]
pub(crate) struct TlsConfig {
    /// What is shown: the first to who asks for none of the others.
    pub(crate) first: Certificate,
    /// The others.
    pub(crate) others: Vec<Certificate>,
    /// Whether clients must show a certificate.
    pub(crate) client_auth: ClientAuth,
    /// What was written, for display.
    pub(crate) written: String,
    /// Whether the certificate was made in memory: another one of that kind is as good.
    self_signed: bool,
}

impl PartialEq for TlsConfig {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Certificate, b: &Certificate| {
            (a.serial(), a.names(), a.not_after()) == (b.serial(), b.names(), b.not_after())
        };
        let certificates = self.self_signed && other.self_signed
            || same(&self.first, &other.first)
                && self.others.len() == other.others.len()
                && self
                    .others
                    .iter()
                    .zip(&other.others)
                    .all(|(a, b)| same(a, b));
        certificates && self.client_auth == other.client_auth && self.written == other.written
    }
}

impl TlsConfig {
    /// Whether `next` differs in its certificates only, which are exchanged without its accept loop.
    pub(crate) fn stays_as(&self, next: &Self) -> bool {
        self.client_auth == next.client_auth
    }

    /// What was written, and which certificate that is.
    pub(crate) fn shown(&self) -> String {
        if self.self_signed {
            return self.written.clone();
        }
        let certificates = std::iter::once(&self.first).chain(&self.others);
        let serials: Vec<_> = certificates.map(Certificate::serial).collect();
        format!("{} with serial {}", self.written, serials.join(", "))
    }
}

const REMEDY: &str = "write tls = { certificate = \"server.crt\", key = \"server.key\" }, or tls = { self_signed = true }";

/// Reads the section, if it is there.
pub(crate) fn read_tls(
    door: &mut Section<'_>,
    folder: &Path,
    report: &mut Report,
) -> Option<TlsConfig> {
    let entry = door.take("tls")?;
    let written = shown(&entry.value);
    let mut section = Section::open(&entry.value, door.path("tls"), report)?;
    let self_signed = section.take("self_signed");
    let listed = section.take("certificates");
    let client_auth = read_client_auth(&mut section, folder, report);
    let files = Files { folder };
    let self_signed = is_on(self_signed, &section, report);
    let certificates = match (self_signed, listed) {
        (true, _) => own_certificate(&section, entry.at, report),
        (false, Some(list)) => files.list(list, &section, report),
        (false, None) => files
            .pair(&mut section, report)
            .map(|certificate| vec![certificate]),
    };
    section.finish(report);
    let mut certificates = certificates?.into_iter();
    Some(TlsConfig {
        first: certificates.next()?,
        others: certificates.collect(),
        client_auth: client_auth?,
        written,
        self_signed,
    })
}

fn is_on(entry: Option<&Entry>, section: &Section<'_>, report: &mut Report) -> bool {
    match entry.map(|entry| (entry, &entry.value.shape)) {
        None => false,
        Some((_, Shape::Scalar(Value::Bool(on)))) => *on,
        Some((entry, _)) => {
            let path = section.path("self_signed");
            let remedy = "write true, or leave it out";
            report.problem(entry.value.at, path, "this must be true or false", remedy);
            // What follows from it has been said.
            true
        }
    }
}

fn own_certificate(
    section: &Section<'_>,
    at: usize,
    report: &mut Report,
) -> Option<Vec<Certificate>> {
    match Certificate::self_signed(&[], wall_clock::utc()) {
        Ok(certificate) => Some(vec![certificate]),
        Err(error) => {
            let reason = error.to_string();
            report.problem(
                at,
                section.path("self_signed"),
                reason,
                "name files instead",
            );
            None
        }
    }
}

/// Files whose names are relative to the configuration's folder.
pub(super) struct Files<'a> {
    pub(super) folder: &'a Path,
}

impl Files<'_> {
    fn list(
        &self,
        list: &Entry,
        section: &Section<'_>,
        report: &mut Report,
    ) -> Option<Vec<Certificate>> {
        const REMEDY: &str =
            "write certificates = [{ certificate = \"a.crt\", key = \"a.key\" }, …]";
        let path = section.path("certificates");
        let Shape::List(items) = &list.value.shape else {
            report.problem(list.value.at, path, "this must be a list", REMEDY);
            return None;
        };
        if items.is_empty() {
            let reason = "without a certificate there is no TLS";
            report.problem(list.value.at, path.as_str(), reason, REMEDY);
            return None;
        }
        let mut all = Some(Vec::new());
        for (n, item) in items.iter().enumerate() {
            let read = Section::open(item, format!("{path}[{n}]"), report).and_then(|mut pair| {
                let certificate = self.pair(&mut pair, report);
                pair.finish(report);
                certificate
            });
            match (&mut all, read) {
                (Some(all), Some(certificate)) => all.push(certificate),
                _ => all = None,
            }
        }
        all
    }

    fn pair(&self, section: &mut Section<'_>, report: &mut Report) -> Option<Certificate> {
        let chain = required(section, "certificate", REMEDY, report);
        let key = required(section, "key", REMEDY, report);
        let (chain, key) = (chain?, key?);
        let chain_bytes = self.read(chain, section.path("certificate"), report);
        let key_bytes = self.read_key(key, section.path("key"), report);
        let (chain_bytes, key_bytes) = (chain_bytes?, key_bytes?);
        match Certificate::from_pem(&chain_bytes, &key_bytes, wall_clock::utc()) {
            Ok(certificate) => {
                report.accept(section.path("certificate"), chain.at);
                report.accept(section.path("key"), key.at);
                Some(certificate)
            }
            Err(error) => {
                let (name, entry) = if error.part() == Part::Key {
                    ("key", key)
                } else {
                    ("certificate", chain)
                };
                refuse(&error, entry, section.path(name), report);
                None
            }
        }
    }

    pub(super) fn read(&self, entry: &Entry, path: String, report: &mut Report) -> Option<Vec<u8>> {
        read_named(entry, path, report, |name, report| {
            report.read(&self.folder.join(name))
        })
    }

    pub(super) fn read_key(
        &self,
        entry: &Entry,
        path: String,
        report: &mut Report,
    ) -> Option<Vec<u8>> {
        read_named(entry, path, report, |name, report| {
            report.read_secret(self.folder, name)
        })
    }
}

fn read_named(
    entry: &Entry,
    path: String,
    report: &mut Report,
    read: impl FnOnce(&str, &mut Report) -> Result<Vec<u8>, String>,
) -> Option<Vec<u8>> {
    const REMEDY: &str = "write the path of a PEM file";
    let Some(name) = entry.value.text() else {
        let found = entry.value.value().to_string();
        let reason = format!("{} is not a file's name", cut(&found));
        report.problem(entry.value.at, path, reason, REMEDY);
        return None;
    };
    let content = read(name, report);
    content
        .map_err(|why| {
            let reason = format!("{}: {why}", cut(name));
            report.problem(entry.value.at, path, reason, REMEDY);
        })
        .ok()
}

/// What is wrong with the content of a file.
pub(super) fn refuse(error: &CertificateError, entry: &Entry, path: String, report: &mut Report) {
    let name = entry.value.text().unwrap_or_default();
    report.push(Problem {
        at: entry.value.at,
        key: path,
        reason: format!("{}: {error}", cut(name)),
        remedy: "write the path of a PEM file with the right content".to_owned(),
    });
}

fn read_client_auth(
    section: &mut Section<'_>,
    folder: &Path,
    report: &mut Report,
) -> Option<ClientAuth> {
    let ca = section.take("client_ca");
    let mode = section.take("client_auth");
    let path = section.path("client_auth");
    let optional = match mode.map(|mode| (mode, mode.value.text())) {
        None | Some((_, Some("required"))) => false,
        Some((_, Some("optional"))) => true,
        Some((mode, _)) => {
            let remedy = "write \"required\" or \"optional\"";
            let found = mode.value.value().to_string();
            report.problem(
                mode.value.at,
                path,
                format!("{} is neither", cut(&found)),
                remedy,
            );
            return None;
        }
    };
    let Some(ca) = ca else {
        if let Some(mode) = mode {
            let reason = "without client_ca no certificate is asked for";
            report.problem(mode.at, path, reason, "write client_ca = \"ca.crt\"");
            return None;
        }
        return Some(ClientAuth::Off);
    };
    let path = section.path("client_ca");
    let bytes = Files { folder }.read(ca, path.clone(), report)?;
    match ClientRoots::from_pem(&bytes) {
        Ok(roots) if optional => Some(ClientAuth::Optional(roots)),
        Ok(roots) => Some(ClientAuth::Required(roots)),
        Err(error) => {
            refuse(&error, ca, path, report);
            None
        }
    }
}

/// The section as it was written, on one line.
pub(super) fn shown(written: &Written) -> String {
    match &written.shape {
        Shape::Scalar(value) => value.to_string(),
        Shape::List(items) => {
            let items: Vec<_> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        Shape::Table(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| format!("{} = {}", entry.key, shown(&entry.value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}
