//! [`Site`]: what all peers are given: a folder, a certificate, an address, so many threads.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

use crate::protocol::Protocol;
use crate::work::{BYTES, UPLOAD, Work};

/// The name that the certificate is for.
pub(crate) const NAME: &str = "localhost";

/// What all peers are given.
pub(crate) struct Site {
    folder: TempDir,
    trusted: Arc<RootCertStore>,
    /// Threads that serve.
    pub(crate) workers: usize,
    /// Seconds after which an idle connection is closed, where a server can be told.
    pub(crate) idle: u64,
}

impl Site {
    pub(crate) fn new(workers: usize) -> Result<Self> {
        let folder = TempDir::new()?;
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([NAME.to_owned()])?;
        let (certificate, key) = (cert.pem(), signing_key.serialize_pem());
        fs::write(folder.path().join("server.crt"), &certificate)?;
        fs::write(folder.path().join("server.key"), &key)?;
        for work in [Work::Call, Work::Replies] {
            fs::write(folder.path().join(work.file()), work.body())?;
        }
        fs::write(folder.path().join(UPLOAD.0), UPLOAD.1)?;
        fs::write(folder.path().join(BYTES), Work::Download.answer())?;
        // HAProxy wants both in one file.
        fs::write(folder.path().join("both.pem"), certificate + &key)?;
        let mut trusted = RootCertStore::empty();
        trusted.add(cert.der().clone())?;
        Ok(Self {
            folder,
            trusted: Arc::new(trusted),
            workers,
            idle: 3_600,
        })
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.crt")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }

    pub(crate) fn both(&self) -> PathBuf {
        self.folder.path().join("both.pem")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a configuration file.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// How clients begin TLS for this protocol.
    pub(crate) fn client(&self, protocol: Protocol) -> Result<Arc<ClientConfig>> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.trusted))
            .with_no_client_auth();
        let alpn: &[u8] = if protocol.is_http2() {
            b"h2"
        } else {
            b"http/1.1"
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        // Every handshake is a full one.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// An address on which nobody listens, and that the kernel gives to no client.
    pub(crate) fn address() -> Result<SocketAddr> {
        let first = 10_000 + u16::try_from(std::process::id() % 20_000)?;
        let free = (first..32_000).find_map(|port| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
            listener.local_addr().ok()
        });
        free.context("no port is free")
    }
}
