//! `[admin]`: the door for operators, and who may come in by it.

use std::path::Path;

use super::groups::AdminSettings;
use super::report::Report;
use super::section::Section;
use super::tls::{TlsConfig, read_tls};
use super::{AdminAddress, Token};

/// The admin API as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AdminConfig {
    /// Its settings.
    pub(crate) settings: AdminSettings,
    /// What requests must bear, if anything.
    pub(crate) token: Option<Token>,
    /// What secures its connections, if anything.
    pub(crate) tls: Option<TlsConfig>,
}

impl AdminConfig {
    /// Reads the section; paths in it are relative to `folder`.
    pub(super) fn read(top: &mut Section<'_>, folder: &Path, report: &mut Report) -> Self {
        let Some(mut section) = top.section("admin", report) else {
            return Self {
                settings: AdminSettings::default(),
                token: None,
                tls: None,
            };
        };
        let written = section.peek("tls");
        let tls = read_tls(&mut section, folder, report);
        let settings = section.settings(&AdminSettings::default(), report);
        let token = read_token(&settings, &section, folder, report);
        if let (Some(written), AdminAddress::Unix(_)) = (written, &settings.address) {
            let reason = "a unix socket is for its owner, and nobody can listen in";
            report.problem(written.at, section.path("tls"), reason, "leave it out");
        }
        section.finish(report);
        Self {
            settings,
            token,
            tls,
        }
    }

    /// Whether the API can be asked from other machines.
    pub(crate) fn is_open(&self) -> bool {
        is_open(&self.settings)
    }
}

fn is_open(settings: &AdminSettings) -> bool {
    if let AdminAddress::Tcp(address) = settings.address {
        !address.ip().to_canonical().is_loopback()
    } else {
        false
    }
}

fn read_token(
    settings: &AdminSettings,
    section: &Section<'_>,
    folder: &Path,
    report: &mut Report,
) -> Option<Token> {
    let (path, at) = (section.path("token_file"), section.at());
    let Some(file) = &settings.token_file else {
        if is_open(settings) {
            let address = &settings.address;
            let reason = format!("{address} can be reached from outside, so requests need a token");
            let remedy = "write token_file = \"…\" in [admin], or a loopback or unix address";
            report.problem(at, path, reason, remedy);
        }
        return None;
    };
    let at = report.accepted(&path).unwrap_or(at);
    let name = file.0.display().to_string();
    let token = report.read_secret(folder, &name).and_then(Token::new);
    token
        .map_err(|problem| {
            let remedy = "write the path of a file that holds a token of at least 16 characters";
            report.problem(at, path, format!("{name}: {problem}"), remedy);
        })
        .ok()
}
